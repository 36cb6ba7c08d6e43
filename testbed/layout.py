"""Where every part of the test bed lives under its work directory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# A Unix socket path holds 107 bytes; the longest one below the run directory is
# exec/containerd/containerd-debug.sock, and a margin for what engines add later.
LONGEST_RUN_DIRECTORY = 60


@dataclass(frozen=True)
class Layout:
    """Paths only: nothing here touches the disk, except `create` and `run_directory`."""

    root: Path

    @property
    def owner(self) -> str:
        """A short name of this test bed, where several share an engine."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def facts(self) -> Path:
        """The file that tells tests where everything is."""
        return self.root / "testbed.json"

    @property
    def lock(self) -> Path:
        """Held while a command changes the test bed."""
        return self.root / "lock"

    @property
    def apt(self) -> Path:
        """Private apt state, one directory per Debian suite."""
        return self.root / "apt"

    @property
    def sysroot(self) -> Path:
        """Debian packages, unpacked and never installed."""
        return self.root / "sysroot"

    @property
    def engine(self) -> Path:
        """Data root and log of the private engine."""
        return self.root / "engine"

    @property
    def second_engine(self) -> Path:
        """Data root and log of the second engine."""
        return self.root / "second-engine"

    @property
    def second_facts(self) -> Path:
        """The file that tells tests where the second engine is."""
        return self.root / "second.json"

    @property
    def certificates(self) -> Path:
        """Keys and certificates for mutual TLS with the second engine."""
        return self.root / "certificates"

    @property
    def docker_config(self) -> Path:
        """A DOCKER_CONFIG directory with the buildx plugin."""
        return self.root / "docker-config"

    @property
    def tools(self) -> Path:
        """Command line tools from wheels."""
        return self.root / "tools"

    @property
    def wheels(self) -> Path:
        """Downloaded wheels, kept between runs."""
        return self.root / "wheels"

    @property
    def served(self) -> Path:
        """What the HTTP server serves: `channel/` and `simple/`."""
        return self.root / "served"

    @property
    def server(self) -> Path:
        """Log and process id of the HTTP server."""
        return self.root / "server"

    @property
    def image(self) -> Path:
        """Root file system of the base images."""
        return self.root / "image"

    def create(self) -> None:
        """Make the work directory; calling it again is harmless."""
        self.root.mkdir(parents=True, exist_ok=True)

    def run_directory(self) -> Path:
        """The directory for sockets and process ids: short enough for a Unix socket.

        A long checkout path gets a directory under /tmp, remembered by a link
        so that every later call answers the same.
        """
        run = self.root / "run"
        if run.is_symlink():
            target = run.readlink()
            if target.is_dir():
                return target
            run.unlink()
        if len(os.fsencode(run)) <= LONGEST_RUN_DIRECTORY:
            run.mkdir(parents=True, exist_ok=True)
            return run
        target = Path(tempfile.mkdtemp(prefix="envkiln-", dir="/tmp"))
        run.symlink_to(target)
        return target
