"""The real engine for benchmarks: where it is, and an environment to run commands in."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

FACTS = Path(__file__).resolve().parent.parent / "build" / "testbed" / "testbed.json"


@dataclass(frozen=True, slots=True)
class Bed:
    """`environ` is for subprocesses: this engine, and directories below `scratch` for all that envkiln keeps."""

    environ: dict[str, str]
    base_image: str

    @classmethod
    def at(cls, scratch: Path) -> "Bed":
        facts = json.loads(FACTS.read_text())
        environ = os.environ | {
            "DOCKER_HOST": facts["docker_host"],
            "ENVKILN_STATE_DIR": str(scratch / "state"),
            "XDG_RUNTIME_DIR": str(scratch / "run"),
            "XDG_CONFIG_HOME": str(scratch / "config"),
        }
        (scratch / "run").mkdir(mode=0o700)
        if facts["docker_config"]:
            environ["DOCKER_CONFIG"] = facts["docker_config"]
        if facts["docker_cli"]:
            environ["PATH"] = f"{Path(facts['docker_cli']).parent}{os.pathsep}{environ['PATH']}"
        return cls(environ, facts["base_image"])
