"""The second engine of the test bed, as another machine would be: reached over mutual TLS only."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from running import World

from envkiln.daemon.engine import Engine

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class SecondHost:
    """Clients use `url` and `certificates` (DOCKER_HOST, DOCKER_CERT_PATH); `socket` is for a look from the side."""

    url: str
    certificates: Path
    socket: str
    work: Path

    @property
    def engine(self) -> Engine:
        return Engine(self.socket)

    def main(self, command: str) -> None:
        """Run `stop-second` or `start-second` of the test bed."""
        script = str(ROOT / "testbed" / "main.py")
        subprocess.run([sys.executable, script, "--work", str(self.work), command], check=True)


def start_second_host(work: Path) -> SecondHost:
    """Start the second engine of the test bed in `work`; the same again when it runs."""
    script = str(ROOT / "testbed" / "main.py")
    subprocess.run([sys.executable, script, "--work", str(work), "start-second"], check=True)
    facts = json.loads((work / "second.json").read_text(encoding="utf-8"))
    return SecondHost(facts["docker_host"], Path(facts["certificates"]), facts["socket"], work)


def over_tls(world: World, second: SecondHost, certificates: Path | None = None) -> World:
    """Let the world use the second engine; returns it."""
    world.environ |= {
        "DOCKER_HOST": second.url,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates or second.certificates),
    }
    return world
