"""What the doctor reads and asks, and its command as a whole."""

import json
import os
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_service import FakeService

from envkiln.cache.index import Index
from envkiln.daemon.doctor_facts import (
    configuration_facts,
    disk_facts,
    inotify_facts,
    path_facts,
    registry_clients,
    registry_facts,
    service_facts,
    version_facts,
)
from envkiln.daemon.doctor_service import Presence
from envkiln.daemon.inotify_use import count_directories, use_of_inotify
from envkiln.daemon.paths import Paths
from envkiln.daemon.version import VERSION, WRITTEN_BY
from envkiln.daemon.watcher import Watcher

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "state", tmp_path / "run" / "envkiln.sock", tmp_path / "envkiln.toml")


def test_an_error_of_the_configuration_has_file_and_line(paths: Paths) -> None:
    paths.config_file.write_text("# a comment\nconcurrent_builds = 0\n")
    facts, config = configuration_facts(paths, {})
    assert config is None
    assert str(facts.error).startswith(f"{paths.config_file}:2: concurrent_builds expects")


def test_an_error_of_a_roots_own_file_has_its_line(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "envkiln.toml").write_text("\n\nno_such_setting = 1\n")
    paths.config_file.write_text(f'roots = ["{tmp_path}/envs"]\n')
    facts, _ = configuration_facts(paths, {})
    assert f"{tmp_path}/envs/envkiln.toml:3: " in str(facts.error)


def test_roots_that_are_there_are_told_from_those_that_are_not(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    paths.config_file.write_text(f'roots = ["{tmp_path}/envs", "{tmp_path}/gone"]\n')
    facts, _ = configuration_facts(paths, {})
    assert (facts.roots, facts.missing) == ((tmp_path / "envs", tmp_path / "gone"), (tmp_path / "gone",))


def test_nobody_listens(paths: Paths) -> None:
    facts, builds = service_facts(paths)
    assert (facts.presence, facts.view, builds) == (Presence.ABSENT, None, None)


def test_somebody_listens_and_does_not_answer(paths: Paths) -> None:
    paths.runtime.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.socket))
        listener.listen()
        facts, _ = service_facts(paths, timeout_s=0.05)
    assert facts.presence is Presence.SILENT


def test_modes_and_owners_are_read(paths: Paths) -> None:
    paths.ensure()
    paths.state.chmod(0o755)
    facts, me = path_facts(paths, {})
    assert me == os.geteuid()
    assert {fact.path: fact.mode for fact in facts} == {
        paths.state: 0o755, paths.index: 0o700, paths.logs: 0o700, paths.runtime: 0o700,
    }  # fmt: skip


def test_disks_of_places_that_are_not_there_yet(paths: Paths) -> None:
    (state,) = disk_facts(paths, "")
    assert state.total >= state.free > 0
    assert [fact.what for fact in disk_facts(paths, "/var/lib/docker")] == ["the state", "the engine"]


def test_watches_of_a_process_are_counted(tmp_path: Path) -> None:
    processes, watched = tmp_path / "proc", tmp_path / "watched"
    processes.mkdir()
    (watched / "a" / "b").mkdir(parents=True)
    (processes / "17").symlink_to("/proc/self")
    me = os.geteuid()
    before = use_of_inotify(me, processes=processes)
    watcher = Watcher(watched, lambda _: None, polling="never")
    watcher.start()
    try:
        after = use_of_inotify(me, processes=processes)
        assert (after[0] - before[0], after[1] - before[1]) == (3, 1)
        assert use_of_inotify(me, without=17, processes=processes) == (0, 0)
        assert use_of_inotify(me + 1, processes=processes) == (0, 0)
    finally:
        watcher.stop()


def test_the_limits_of_the_kernel_are_read(tmp_path: Path) -> None:
    facts = inotify_facts([tmp_path, tmp_path / "gone"], None)
    assert facts is not None
    assert facts.max_watches == int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    assert (facts.directories, facts.roots) == (1, 1)


def test_directories_are_counted_as_they_are_watched(tmp_path: Path) -> None:
    for name in ("a/b", "a/c", ".git/objects", "d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert count_directories([tmp_path]) == (5, True)


def test_the_version_that_wrote_the_index_and_a_later_layout(paths: Paths, tmp_path: Path) -> None:
    paths.ensure()
    index = Index(paths.index)
    index.store_document(WRITTEN_BY, "0.0.9")
    index.close()
    (paths.state / "index-v12").mkdir()
    facts = version_facts(paths, {"version": "0.0.8"}, {"HOME": str(tmp_path)})
    assert (facts.command, facts.service, facts.index) == (VERSION, "0.0.8", "0.0.9")
    assert facts.newer_layouts == ("index-v12",)


def test_units_of_another_version_are_seen(paths: Paths, tmp_path: Path) -> None:
    unit = tmp_path / ".config" / "systemd" / "user" / "envkiln.socket"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Socket]\n")
    assert version_facts(paths, None, {"HOME": str(tmp_path)}).outdated_units == (str(unit),)


class Hour(BaseHTTPRequestHandler):
    """A registry that thinks it is 1994, and lets nobody in who asks by another name than localhost."""

    def do_GET(self) -> None:
        self.send_response_only(200 if self.headers["Host"].startswith("localhost") else 403)
        self.send_header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_registries_are_asked_for_entry_and_for_the_time(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hour) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_port
            paths.config_file.write_text(f'registries = ["localhost:{port}/team", "127.0.0.1:{port}"]\n')
            _, config = configuration_facts(paths, {})
            facts, clocks = registry_facts(registry_clients(config))
        finally:
            server.shutdown()
            thread.join()
    assert [(fact.host, fact.problem is None) for fact in facts] == [
        (f"localhost:{port}", True),
        (f"127.0.0.1:{port}", False),
    ]
    assert [clock.whose for clock in clocks] == [f"localhost:{port}"]
    assert clocks[0].ahead_s < -(10 * 365 * 86_400)
    assert registry_clients(None) == []


def findings(said: str) -> dict[str, dict[str, Any]]:
    return {it["check"]: it for it in json.loads(said)["findings"]}


def test_without_service_engine_and_a_right_configuration(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    (tmp_path / "config" / "envkiln").mkdir(parents=True)
    (tmp_path / "config" / "envkiln" / "envkiln.toml").write_text("web_port = -1\n")
    code, said, _ = run("doctor", "--json")
    found = findings(said)
    assert code == 1
    assert found["configuration"]["text"].startswith(f"{tmp_path}/config/envkiln/envkiln.toml:1: web_port")
    assert {found[name]["verdict"] for name in ("configuration", "engine")} == {"error"}
    assert found["service"]["verdict"] == "warning"
    assert {found[name]["verdict"] for name in ("api", "builds", "clock")} == {"unknown"}
    assert json.loads(said)["turn"] == "user"
    assert not (tmp_path / "state").exists(), "the doctor leaves nothing behind"


def test_only_the_engine_is_away(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    code, said, _ = run("doctor")
    assert code == 4
    lines = said.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("x engine"))
    assert lines[at + 1].strip().startswith("is Docker running?")


def test_a_service_that_answers_is_asked(
    run: Run, fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    found = findings(run("doctor", "--json")[1])
    assert found["versions"]["text"] == f"the service is envkiln {fake.service().version}, this command is {VERSION}"
    assert found["builds"]["text"].startswith("the build of speech runs for ")


def test_a_state_directory_that_is_no_place_is_said_and_no_crash(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVKILN_STATE_DIR", "not/absolute")
    code, out, err = run("doctor")
    assert (code, out) == (4, "")
    assert "is not an absolute path" in err
    assert "Traceback" not in err
    assert capsys.readouterr().out == ""
