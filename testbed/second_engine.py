"""A second host on one machine: an engine of its own, reached over mutual TLS as one on another machine would be."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from base_image import CURRENT
from certificates import provide_certificates
from engine import Engine, PrivateEngine
from steps import step, write_atomically

if TYPE_CHECKING:
    from layout import Layout


class SecondEngine(PrivateEngine):
    """Life of the second engine: `start`, `stop`, `discard`. `host` is its socket, `address` what clients use."""

    name = "second engine"
    namespace = "envkiln-testbed-2"

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._data = layout.second_engine
        self._log = self._data / "dockerd.log"
        self.certificates = layout.certificates

    @property
    def address(self) -> str:
        """The same after a restart: the port is chosen once."""
        remembered = self._run / "port"
        if not remembered.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                write_atomically(remembered, str(probe.getsockname()[1]))
        return f"tcp://127.0.0.1:{remembered.read_text()}"

    def _run_directory(self) -> Path:
        # Beside the first one's, not in it: that is removed whole.
        run = Path(f"{self._layout.run_directory()}-2")
        run.mkdir(parents=True, exist_ok=True)
        return run

    def _provide_network(self, environment: dict[str, str]) -> tuple[list[str], str]:  # noqa: ARG002
        return ["--bridge=none"], "none: builds use the host's"

    def _remove_network(self, environment: dict[str, str]) -> None:
        pass

    def _more_arguments(self) -> list[str]:
        with step(f"{self.name}: certificates") as current:
            current.note = "made" if provide_certificates(self.certificates) else "there already"
        return [
            f"--host={self.address}",
            "--tlsverify",
            f"--tlscacert={self.certificates / 'ca.pem'}",
            f"--tlscert={self.certificates / 'server-cert.pem'}",
            f"--tlskey={self.certificates / 'server-key.pem'}",
        ]


def start_second(layout: Layout) -> None:
    """Make the second engine answer, with the base image of the first, and write what tests need to know of it."""
    second = SecondEngine(layout)
    engine = second.start()
    first = Engine(json.loads(layout.facts.read_text())["docker_host"], private=True)
    with step("second engine: base image") as current:
        current.note = "there already"
        if engine.api.image_labels(CURRENT.image) is None:
            engine.api.load_images(first.api.saved_images(CURRENT.image))
            current.note = "copied"
    facts = {"docker_host": second.address, "socket": second.host, "certificates": os.fspath(second.certificates)}
    write_atomically(layout.second_facts, json.dumps(facts, indent=2) + "\n")


def stop_second(layout: Layout) -> None:
    """Stop the second engine, if it runs."""
    with step("second engine: stop") as current:
        current.note = "stopped" if SecondEngine(layout).stop() else "was not running"
