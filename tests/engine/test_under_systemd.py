"""The service under a real systemd: as a user's unit and as the machine's, from a wheel."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from engine_door import EngineDoor
from machine import ENGINE, PROGRAM, Account, Machine, User, python_of, remove_left_machines, wheels
from running import until

from envkiln.daemon.engine import Engine

UNITS = ("envkiln.service", "envkiln.socket")


@pytest.fixture(scope="module")
def machine(testbed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    assert testbed.systemd_image, "the test bed has no image with systemd: make testbed says why"
    directory = tmp_path_factory.mktemp("machine")
    client = Engine(testbed.url).new_client(timeout_s=120)
    remove_left_machines(client)
    shared, wheelhouse = directory / "shared", directory / "wheels"
    shared.mkdir()
    wheelhouse.mkdir()
    door = EngineDoor(testbed.url, shared / "engine.sock")
    door.open()
    # The users of the machine are strangers here.
    (shared / "engine.sock").chmod(0o666)
    wheels(wheelhouse, python_of(client, testbed.systemd_image))
    buildx = testbed.docker_config / "cli-plugins" / "docker-buildx" if testbed.docker_config else None
    made = Machine(client, testbed.systemd_image, shared=shared, wheels=wheelhouse, buildx=buildx)
    yield made
    made.close()
    door.shut()
    client.close()


@pytest.fixture
def user(machine: Machine) -> Iterator[User]:
    made = machine.new_user()
    yield made
    made.close()


@pytest.fixture
def mark(engine: Engine) -> Iterator[str]:
    """A word like no other; images with it in their definition are removed."""
    made = f"e2e-{uuid.uuid4().hex[:10]}"
    yield made
    client = engine.new_client()
    for image in client.images():
        if made in (image["Labels"] or {}).get("envkiln.definition", ""):
            for reference in image["RepoTags"] or ():
                engine.remove(reference)
    client.close()


def installed(user: User, settings: str = "") -> User:
    """Install the service with one empty root."""
    user.done("mkdir", "-p", f"{user.home}/envs")
    user.configure(f'roots = ["~/envs"]\ndocker_host = "unix://{ENGINE}"\n{settings}')
    user.answer("service", "install")
    return user


def test_installed_asked_and_taken_out_again(user: User) -> None:
    said = installed(user).answer("service", "install")
    assert said == "nothing to do: it is installed and runs\n"
    assert [user.property("ActiveState", unit) for unit in UNITS] == ["active", "active"]
    assert [user.property("UnitFileState", unit) for unit in UNITS] == ["enabled", "enabled"]
    assert user.envkiln("status").out == "no environments\n"
    assert user.asked("service", "status")["units"][0]["active"] == "active"
    assert user.done("stat", "-c", "%a", f"{user.environ['XDG_RUNTIME_DIR']}/envkiln/envkiln.sock") == "600\n"
    assert user.done("stat", "-c", "%a", user.state) == "700\n"

    said = user.answer("service", "uninstall")
    assert said.splitlines()[0] == "stopped and disabled"
    assert user.envkiln("service", "status").code == 4
    assert "not installed" in user.envkiln("service", "status").out
    assert user.run("systemctl", "--user", "list-unit-files", "envkiln*", "--no-legend").out == ""
    assert user.answer("service", "uninstall") == "nothing to do: it is not installed\n"
    assert user.run("test", "-d", user.state).code == 0


def test_saved_built_and_shown_in_the_status_and_the_journal(user: User, testbed: Any, mark: str) -> None:
    installed(user)
    user.write(f"{user.home}/envs/a/Dockerfile", f"FROM {testbed.base_image}\nENV MARK={mark}\nRUN true\n")
    view = user.until_state("a", "ready")
    user.until_property("StatusText", "1 ready")
    assert "1 ready" in user.systemctl("status", "envkiln.service")
    lines = [json.loads(line) for line in user.log("-o", "json", f"ENVKILN_IMAGE={view['image']}").splitlines()]
    assert {line["ENVKILN_ENVIRONMENT"] for line in lines} == {"a"}
    assert {line["PRIORITY"] for line in lines if "ready" in line["MESSAGE"]} == {"5"}


def test_a_question_starts_a_stopped_service(user: User) -> None:
    installed(user).systemctl("stop", "envkiln.service")
    assert user.property("ActiveState") == "inactive"
    assert user.envkiln("status").out == "no environments\n"
    assert user.property("ActiveState") == "active"


def test_a_killed_service_is_started_again(user: User) -> None:
    before = installed(user).property("MainPID")
    user.systemctl("kill", "--signal=SIGKILL", "--kill-who=main", "envkiln.service")
    until(lambda: user.property("MainPID") not in ("0", before), user.log)
    user.until_property("ActiveState", "active")
    assert user.property("NRestarts") == "1"
    assert user.envkiln("status").out == "no environments\n"


def test_a_stuck_service_is_killed_by_the_watchdog_and_started_again(user: User) -> None:
    user.write(f"{user.home}/.config/systemd/user/envkiln.service.d/soon.conf", "[Service]\nWatchdogSec=10\n")
    before = installed(user).property("MainPID")
    user.done("kill", "-STOP", before)
    until(lambda: user.property("MainPID") not in ("0", before), user.log)
    user.until_property("ActiveState", "active")
    assert "Watchdog timeout" in user.log(f"_UID={user.done('id', '-u').strip()}")
    # The stacks of what was stuck.
    assert "Current thread" in user.log()


def test_reload_keeps_the_process_and_takes_the_new_root(user: User) -> None:
    before = installed(user).property("MainPID")
    user.write(f"{user.home}/more/b/env.yml", "dependencies: [\n")
    user.configure(f'roots = ["~/envs", "~/more"]\ndocker_host = "unix://{ENGINE}"\n')
    user.systemctl("reload", "envkiln.service")
    user.until_state("b", "invalid")
    user.until_property("StatusText", "1 invalid")
    user.configure("roots = 7\n")
    user.systemctl("reload", "envkiln.service")
    until(lambda: "the configuration is not taken" in user.envkiln("status").err, user.log)
    user.until_state("b", "invalid")
    assert user.property("MainPID") == before


def test_a_stop_waits_for_builds_longer_than_the_unit_says(
    user: User, testbed: Any, engine: Engine, gate: Any, mark: str
) -> None:
    user.write(f"{user.home}/.config/systemd/user/envkiln.service.d/soon.conf", "[Service]\nTimeoutStopSec=1\n")
    installed(user, 'stop_wait_s = 600\nbuild_network = "host"\n')
    user.write(f"{user.home}/envs/a/Dockerfile", f"FROM {testbed.base_image}\nENV MARK={mark}\n{gate.step}\n")
    until(lambda: gate.waiting == 1, user.log)
    image = user.until_state("a", "building")["image"]
    user.systemctl("stop", "--no-block", "envkiln.service", "envkiln.socket")
    user.until_property("SubState", "stop-sigterm")
    begun = int(user.property("StateChangeTimestampMonotonic"))
    until(lambda: float(user.done("cat", "/proc/uptime").split()[0]) > begun / 1e6 + 3, "longer than TimeoutStopSec")
    gate.open()
    user.until_property("ActiveState", "inactive")
    assert user.property("Result") == "success"
    assert engine.inspect(f"{image}:latest") is not None


def test_a_configuration_with_an_error_is_not_tried_again_and_again(user: User) -> None:
    user.configure("\nconcurrent_builds = 0\n")
    refused = user.envkiln("service", "install")
    assert (refused.code, refused.out) == (1, "")
    assert "~/.config/envkiln/envkiln.toml:2: concurrent_builds expects a whole number" in refused.err
    assert user.property("LoadState") == "not-found"
    installed(user)
    user.configure("concurrent_builds = 0\n")
    assert user.run("systemctl", "--user", "restart", "envkiln.service").code != 0
    user.until_property("ActiveState", "failed")
    assert (user.property("ExecMainStatus"), user.property("NRestarts")) == ("1", "0")
    assert "concurrent_builds expects a whole number from 1 to 64" in user.log()
    installed(user)
    assert user.envkiln("status").out == "no environments\n"


def test_an_installation_without_a_root_says_so(user: User) -> None:
    user.configure(f'docker_host = "unix://{ENGINE}"\n')
    assert user.answer("service", "install").splitlines()[-1] == (
        f"no directory is watched: set `roots` in {user.home}/.config/envkiln/envkiln.toml, then reload"
    )
    user.until_property("StatusText", "no environments; 1 problem, see `envkiln status`")


def test_units_of_an_earlier_version_are_written_anew_and_the_service_starts_again(user: User) -> None:
    before = installed(user).property("MainPID")
    path = f"{user.home}/.config/systemd/user/envkiln.service"
    user.done("sed", "-i", "s/^RestartSec=.*/RestartSec=77/", path)
    assert path in user.envkiln("service", "status").err
    found = {it["check"]: it for it in json.loads(user.envkiln("doctor", "--json").out)["findings"]}
    assert (found["versions"]["verdict"], found["versions"]["fix"]) == ("warning", "envkiln service install")
    assert user.answer("service", "install").splitlines() == [f"written: {path}", "started"]
    assert "RestartSec=2\n" in user.done("cat", path)
    assert user.property("MainPID") not in ("0", before)
    assert user.envkiln("service", "status").err == ""


def test_a_service_of_a_terminal_is_not_put_out(user: User) -> None:
    user.done("mkdir", "-p", f"{user.home}/envs")
    user.machine.start(PROGRAM, "up", "--plain", f"{user.home}/envs", user=user.name, environ=user.environ)
    until(lambda: "not running" not in user.envkiln("status").err, "the service of the terminal answers")
    refused = user.envkiln("service", "install")
    assert (refused.code, refused.out) == (1, "")
    assert "an envkiln that systemd did not start" in refused.err
    assert user.property("LoadState") == "not-found"


def test_a_unit_of_somebody_else_is_left_alone(user: User) -> None:
    path = f"{user.home}/.config/systemd/user/envkiln.service"
    user.write(path, "[Service]\nExecStart=/bin/true\n")
    for action in ("install", "uninstall"):
        done = user.envkiln("service", action)
        assert (done.code, done.out) == (1, "")
        assert f"{path} was not written by" in done.err
    assert user.done("cat", path) == "[Service]\nExecStart=/bin/true\n"


@pytest.fixture
def root(machine: Machine) -> Iterator[Account]:
    made = Account(machine, "root", {"HOME": "/root"}, "--system")
    yield made
    made.envkiln("service", "uninstall", "--system")


def test_the_machines_service_builds_behind_its_walls(root: Account, testbed: Any, mark: str) -> None:
    root.write(
        "/etc/envkiln/envkiln.toml",
        f'roots = ["/srv/envs"]\ndocker_host = "unix://{ENGINE}"\nbuild_network = "host"\n',
    )
    root.write("/srv/envs/a/Dockerfile", f"FROM {testbed.base_image}\nENV MARK={mark}\nRUN true\n")
    root.answer("service", "install", "--system")
    assert root.answer("service", "install", "--system") == "nothing to do: it is installed and runs\n"
    assert root.property("ActiveState") == "active"
    until(lambda: "ready" in root.envkiln("--system", "status", "a").out, root.log)
    assert ("builder buildx" in root.answer("--system", "logs", "a")) == bool(testbed.docker_config)
    process = root.property("MainPID")
    root.systemctl("reload", "envkiln.service")
    until(lambda: "configuration read again" in root.log("-u", "envkiln.service"), root.log)
    assert root.property("MainPID") == process
    assert root.done("stat", "-c", "%a %U", "/var/lib/envkiln") == "700 envkiln\n"
    assert root.done("stat", "-c", "%a %U:%G", "/run/envkiln/envkiln.sock") == "660 envkiln:envkiln\n"
    # A member of the group may ask, nobody else.
    stranger = root.machine.new_user()
    refused = stranger.run(PROGRAM, "--system", "status", "a")
    assert (refused.code, refused.out) == (1, "")
    assert "does not answer this user" in refused.err
    root.done("usermod", "-aG", "envkiln", stranger.name)
    assert "ready" in stranger.run(PROGRAM, "--system", "status", "a").out
    stranger.close()
    root.answer("service", "uninstall", "--system")
    assert root.run("systemctl", "list-unit-files", "envkiln*", "--no-legend").out == ""
    root.done("test", "-d", "/var/lib/envkiln")


def test_a_drop_in_shows_a_home_to_the_machines_service(root: Account) -> None:
    example = root.done("sh", "-c", "cat /opt/envkiln/lib/python3*/site-packages/envkiln/systemd/drop-in.conf")
    assert "BindReadOnlyPaths=/home/ada/envs\n" in example
    root.write("/etc/systemd/system/envkiln.service.d/local.conf", example)
    root.write("/home/ada/envs/seen/env.yml", "dependencies: [\n")
    root.write("/etc/envkiln/envkiln.toml", f'roots = ["/home/ada/envs"]\ndocker_host = "unix://{ENGINE}"\n')
    root.answer("service", "install", "--system")
    until(lambda: "invalid" in root.envkiln("--system", "status", "seen").out, root.log)
    root.write("/home/ada/envs/saved/env.yml", "dependencies: [\n")
    until(lambda: "invalid" in root.envkiln("--system", "status", "saved").out, root.log)
    root.done("rm", "-r", "/etc/systemd/system/envkiln.service.d", "/home/ada")


def test_the_machines_unit_is_exposed_little(root: Account) -> None:
    root.write("/etc/envkiln/envkiln.toml", "")
    root.answer("service", "install", "--system")
    verify = root.run("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/envkiln.service")
    assert (verify.code, verify.err) == (0, "")
    command = ("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager")
    done = root.run(*command, "/etc/systemd/system/envkiln.service")
    assert done.code == 0, done
    assert "Overall exposure level for envkiln.service" in done.out
