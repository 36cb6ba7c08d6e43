"""The secrets of one build: in memory only, and never on a disk, a command line or in an environment."""

import os
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self


class BuildSecrets:
    """Gives each secret a path below `/proc` that processes of this user can read while the block lasts.

    Not a variable: these have a limit of 128 KiB, and every program that buildx starts would have them too.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """`secrets` are by id."""
        self._secrets = secrets
        self._files: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            for id_, content in self._secrets.items():
                self._files[id_] = os.memfd_create(id_, os.MFD_CLOEXEC)
                with os.fdopen(os.dup(self._files[id_]), "wb") as file:
                    file.write(content)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def arguments(self) -> Iterator[str]:
        """Yield the arguments of `docker buildx build` that name the secrets; only inside of the block."""
        for id_, descriptor in self._files.items():
            yield from ("--secret", f"id={id_},src=/proc/{os.getpid()}/fd/{descriptor}")

    def _close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}
