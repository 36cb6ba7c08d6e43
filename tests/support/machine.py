"""A machine with systemd as its init: a container of the test bed's image, with envkiln installed from its wheel."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker import APIClient
from running import PATIENCE_S, until

PROJECT = Path(__file__).resolve().parents[2]
LABEL = "envkiln.test.machine"
ENGINE = "/srv/engine/engine.sock"
PROGRAM = "/opt/envkiln/bin/envkiln"
_BUILDX = "/usr/libexec/docker/cli-plugins/docker-buildx"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command in the machine ended."""

    code: int
    out: str
    err: str


def wheels(directory: Path, python_version: str) -> None:
    """Put the wheel of the project, and those that it needs under a Python version, into a directory."""
    build = [sys.executable, "-P", "-m", "build", "--wheel", "--outdir", str(directory), str(PROJECT)]
    subprocess.run(build, check=True, capture_output=True, cwd=directory)
    (wheel,) = directory.glob("envkiln-*.whl")
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    subprocess.run(
        [*pip, "--python-version", python_version, "-d", str(directory), str(wheel)], check=True, capture_output=True
    )


class Machine:
    """A running machine, until `close`. The directory `shared` is seen in it as /srv/engine."""

    def __init__(self, client: APIClient, image: str, *, shared: Path, wheels: Path, buildx: Path | None) -> None:
        self._client = client
        binds = [f"{shared}:/srv/engine", f"{wheels}:/srv/wheels:ro", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        if buildx is not None:
            binds.append(f"{buildx.resolve()}:{_BUILDX}:ro")
        host = client.create_host_config(
            binds=binds,
            cap_add=["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},
            network_mode="none",
        )
        host["CgroupnsMode"] = "host"
        self._id: str = client.create_container(
            image, ["/lib/systemd/systemd"], host_config=host, labels={LABEL: _me()}
        )["Id"]
        client.start(self._id)
        until(
            lambda: self.run("systemctl", "is-system-running").out.strip() in ("running", "degraded"), "systemd is up"
        )
        self.done("python3", "-m", "venv", "/opt/envkiln")
        pip = ("/opt/envkiln/bin/pip", "install", "-q", "--no-index", "--find-links", "/srv/wheels", "envkiln")
        self.done(*pip)

    def run(self, *words: str, user: str = "root", environ: dict[str, str] | None = None) -> Done:
        """Run a command to its end."""
        variables = {"LC_ALL": "C.UTF-8", **(environ or {})}
        made = self._client.exec_create(self._id, list(words), user=user, environment=variables)
        out, err = self._client.exec_start(made["Id"], demux=True)
        code = self._client.exec_inspect(made["Id"])["ExitCode"]
        return Done(code, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace"))

    def start(self, *words: str, user: str, environ: dict[str, str]) -> None:
        """Start a command that runs on by itself."""
        made = self._client.exec_create(self._id, list(words), user=user, environment=environ)
        self._client.exec_start(made["Id"], detach=True)

    def done(self, *words: str, user: str = "root", environ: dict[str, str] | None = None) -> str:
        """Run a command that ends well, and return what it printed."""
        done = self.run(*words, user=user, environ=environ)
        assert done.code == 0, (words, done)
        return done.out

    def new_user(self) -> "User":
        name = f"u{uuid.uuid4().hex[:8]}"
        self.done("useradd", "--create-home", name)
        self.done("loginctl", "enable-linger", name)
        number = self.done("id", "-u", name).strip()
        until(
            lambda: self.run("test", "-S", f"/run/user/{number}/bus").code == 0,
            lambda: self.run("systemctl", "status", f"user@{number}.service"),
        )
        return User(self, name, number)

    def close(self) -> None:
        self._client.remove_container(self._id, force=True, v=True)


class Account:
    """Whoever asks a service: `prefix` are the words before every `systemctl` and `journalctl` option."""

    def __init__(self, machine: Machine, name: str, environ: dict[str, str], scope: str) -> None:
        self.machine = machine
        self.name = name
        self.environ = environ
        self._scope = scope

    def run(self, *words: str) -> Done:
        return self.machine.run(*words, user=self.name, environ=self.environ)

    def done(self, *words: str) -> str:
        return self.machine.done(*words, user=self.name, environ=self.environ)

    def envkiln(self, *words: str) -> Done:
        return self.run(PROGRAM, *words)

    def answer(self, *words: str) -> str:
        return self.done(PROGRAM, *words)

    def asked(self, *words: str) -> Any:
        """Return what a query says with --json."""
        return json.loads(self.answer(*words, "--json"))

    def systemctl(self, *words: str) -> str:
        return self.done("systemctl", self._scope, "--no-pager", *words)

    def property(self, name: str, unit: str = "envkiln.service") -> str:
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def until_property(self, name: str, value: str, unit: str = "envkiln.service") -> None:
        until(
            lambda: self.property(name, unit) == value, lambda: (name, value, self.systemctl("show", unit), self.log())
        )

    def write(self, path: str, text: str) -> None:
        """Write a file as an editor does that is not careful: directories are made."""
        code = (
            "import pathlib, sys; path = pathlib.Path(sys.argv[1]); path.parent.mkdir(parents=True, exist_ok=True); "
            "path.write_text(sys.argv[2])"
        )
        self.done("python3", "-c", code, path, text)

    def log(self, *matches: str) -> str:
        """Return the journal of the service; root sees everybody's."""
        return self.machine.run("journalctl", "--no-pager", "-o", "short-monotonic", *matches).out

    def until_state(self, id_: str, state: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            done = self.envkiln("status", id_, "--json")
            view: dict[str, Any] = json.loads(done.out) if done.code == 0 else {}
            return view if view.get("state") == state else None

        return until(reached, lambda: f"{id_} {state}: {self.envkiln('status', id_)}\n{self.log()}")


class User(Account):
    """A user of the machine with a manager of their own."""

    def __init__(self, machine: Machine, name: str, number: str) -> None:
        home = f"/home/{name}"
        environ = {
            "HOME": home,
            "XDG_RUNTIME_DIR": f"/run/user/{number}",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{number}/bus",
        }
        super().__init__(machine, name, environ, "--user")
        self.home = home
        self.state = f"{home}/.local/state/envkiln"

    def configure(self, text: str) -> None:
        self.write(f"{self.home}/.config/envkiln/envkiln.toml", text)

    def close(self) -> None:
        """End everything of this user, so that no other test meets it."""
        self.machine.run("loginctl", "disable-linger", self.name)
        self.machine.run("loginctl", "terminate-user", self.name)
        self.machine.run("pkill", "-KILL", "-u", self.name)
        until(lambda: self.machine.run("pgrep", "-u", self.name).code == 1, f"processes of {self.name}", PATIENCE_S)


def python_of(client: APIClient, image: str) -> str:
    """Return the version of the Python in an image of the test bed, as pip has it: `3.11`."""
    found: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    return str(found["Config"]["Labels"]["envkiln.testbed.python"])


def remove_left_machines(client: APIClient) -> None:
    """Remove the machines of tests that were killed; those of tests that run stay."""
    for container in client.containers(all=True, filters={"label": LABEL}):
        owner = container["Labels"][LABEL]
        if _begun(owner.partition("-")[0]) != owner:
            client.remove_container(container["Id"], force=True, v=True)


def _me() -> str:
    return _begun(str(os.getpid()))


def _begun(process: str) -> str:
    """Return the number of a process and when it began, which no other has; nothing where there is none."""
    try:
        text = Path("/proc", process, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{process}-{text.rpartition(')')[2].split()[19]}"
