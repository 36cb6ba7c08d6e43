"""What a service manager is told, and reload, by a whole service without an engine."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from notify_socket import NotifySocket

from envkiln.daemon.config import Config, load_config, read_file
from envkiln.daemon.managed import status_text
from envkiln.daemon.messages import EngineView, RootView, ServiceView
from envkiln.daemon.narrate import Line
from envkiln.daemon.paths import Paths
from envkiln.daemon.reloading import RELOADED, needs_restart
from envkiln.daemon.service import Service
from envkiln.daemon.settings import BY_NAME, Scope
from envkiln.daemon.systemd import Manager

PATIENCE_S = 60.0


def service_view(**changed: object) -> ServiceView:
    given = {
        "version": "1", "api": 1, "process": 1, "started": 0.0, "starting": False, "paused": False, "roots": (),
        "engine": EngineView(connected=True), "problems": (), "counts": {"ready": 12, "building": 1}, "queue": 0,
    }  # fmt: skip
    return ServiceView(**given | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "12 ready, 1 building"),
        ({"counts": {}}, "no environments"),
        ({"starting": True}, "looking at its directories"),
        ({"paused": True}, "12 ready, 1 building; paused"),
        ({"engine": EngineView(connected=False)}, "12 ready, 1 building; the engine does not answer"),
        ({"problems": ("a",)}, "12 ready, 1 building; 1 problem, see `envkiln status`"),
        (
            {"problems": ("a",), "roots": (RootView("/r", "r", "inotify", {"": "b"}),)},
            "12 ready, 1 building; 2 problems, see `envkiln status`",
        ),
    ],
)
def test_the_status_is_one_line(changed: dict[str, object], text: str) -> None:
    assert status_text(service_view(**changed)) == text


class Running:
    """A service in this process, its manager's end, and the file that it is configured by."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "envkiln.toml"
        self.paths = Paths(directory / "state", directory / "run" / "envkiln.sock", self.file)
        self.manager_end = NotifySocket(directory / "notify")
        self.lines: list[Line] = []
        self.service: Service

    def environment(self, root: str, name: str, text: str = "dependencies: [python=3.11]\n") -> Path:
        file = self.directory / root / name / "env.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self.directory / root

    def configure(self, text: str) -> None:
        self.file.write_text(f'docker_host = "unix://{self.directory}/no-engine.sock"\n{text}')

    def load(self) -> Config:
        return load_config(roots_from_flags=[], flags={}, environ={}, user_file=self.file, read=read_file)

    def run(self, work: Callable[["Running"], Awaitable[None]], *, watchdog_s: float | None = None) -> None:
        """Do `work` with a service that answers, then stop it."""

        async def main() -> None:
            self.service = Service(
                self.load(),
                self.paths,
                self.lines.extend,
                load=self.load,
                manager=Manager(self.manager_end.address, watchdog_s),
            )
            running = asyncio.create_task(self.service.run())
            async with asyncio.timeout(PATIENCE_S):
                await self.told("READY=1")
                await self.until(lambda: not self.service.answers.service().starting)
                await work(self)
                self.service.stop()
                await running

        try:
            asyncio.run(main())
        finally:
            self.manager_end.close()

    async def told(self, assignment: str, *, after: int = 0) -> None:
        await asyncio.to_thread(self.manager_end.until, assignment, after=after)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.service.answers.changed()

    async def reload(self) -> None:
        self.manager_end.drain()
        before = len(self.manager_end.told)
        self.service.reload()
        await self.told("RELOADING=1", after=before)
        await self.told("READY=1", after=before)

    def ids(self) -> list[str]:
        return [view.environment for view in self.service.answers.environments().items]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_ready_is_told_when_questions_are_answered_and_the_status_follows(running: Running) -> None:
    root = running.environment("envs", "a")
    running.configure(f'roots = ["{root}"]\n')

    async def work(running: Running) -> None:
        reader, writer = await asyncio.open_unix_connection(str(running.paths.socket))
        writer.write(b"GET /v1/service HTTP/1.1\r\nHost: envkiln\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        await running.told("STATUS=1 queued; the engine does not answer")
        running.environment("envs", "b", "dependencies: [\n")
        await running.told("STATUS=1 queued, 1 invalid; the engine does not answer")

    running.run(work)


def test_the_end_of_the_service_is_told_with_the_time_that_it_may_take(running: Running) -> None:
    running.configure("stop_wait_s = 12\n")

    async def work(running: Running) -> None:
        running.service.stop()
        await running.told("STOPPING=1")
        await running.told("EXTEND_TIMEOUT_USEC=42000000")

    running.run(work)


def test_the_watchdog_is_patted_by_the_loop_that_owns_the_state(running: Running) -> None:
    running.configure("")

    async def work(running: Running) -> None:
        await running.told("WATCHDOG=1")
        waiting, let_through = asyncio.Event(), asyncio.Semaphore(0)

        async def stuck() -> None:
            waiting.set()
            await let_through.acquire()

        running.service.answers.applied = stuck  # type: ignore[method-assign]
        await waiting.wait()
        running.manager_end.drain()
        before = running.manager_end.told.count("WATCHDOG=1")
        for _ in range(2):
            waiting.clear()
            let_through.release()
            await waiting.wait()
        running.manager_end.drain()
        assert running.manager_end.told.count("WATCHDOG=1") == before + 2

    running.run(work, watchdog_s=0.03)


def test_reload_takes_roots_in_and_out_and_keeps_what_stays(running: Running) -> None:
    stays, goes = running.environment("stays", "a"), running.environment("goes", "b")
    comes = running.environment("comes", "c")
    running.configure(f'roots = ["{stays}", "{goes}"]\n')

    async def work(running: Running) -> None:
        assert running.ids() == ["a", "b"]
        kept = running.service.state.environments["a"]
        running.configure(f'roots = ["{stays}", "{comes}"]\nconcurrent_builds = 7\n')
        await running.reload()
        assert running.ids() == ["a", "c"]
        assert running.service.state.environments["a"].since == kept.since
        assert running.service.state.policy.concurrent_builds == 7
        # The root that came is watched, and the one that went is not.
        running.environment("goes", "d")
        running.environment("comes", "e")
        await running.until(lambda: "e" in running.ids())
        assert running.ids() == ["a", "c", "e"]

    running.run(work)


def test_a_look_that_comes_too_late_brings_nothing_back(running: Running) -> None:
    stays, goes = running.environment("stays", "a"), running.environment("goes", "b")
    running.configure(f'roots = ["{stays}", "{goes}"]\n')

    async def work(running: Running) -> None:
        late = next(it for it in running.service._parts.roots.all if it.root.path == goes)
        running.configure(f'roots = ["{stays}"]\n')
        await running.reload()
        await late.look(None)
        await running.service.answers.applied()
        assert running.ids() == ["a"]

    running.run(work)


def test_reload_gives_environments_their_settings_anew(running: Running) -> None:
    root = running.environment("envs", "a")
    running.environment("envs", "old/b")
    running.configure(f'roots = ["{root}"]\n')

    async def work(running: Running) -> None:
        assert running.ids() == ["a", "old/b"]
        running.configure(f'roots = ["{root}"]\nignore = ["old/"]\naliases = ["mine/{{id}}:now"]\n')
        await running.reload()
        assert running.ids() == ["a"]
        assert running.service.state.environments["a"].aliases == ("mine/a:now",)
        (root / "envkiln.toml").write_text('aliases = ["its/{id}:own"]\n')
        await running.reload()
        assert running.service.state.environments["a"].aliases == ("its/a:own",)

    running.run(work)


def test_a_service_without_a_root_gets_one_by_reload(running: Running) -> None:
    root = running.environment("envs", "a")
    running.configure("")

    async def work(running: Running) -> None:
        assert running.ids() == []
        (problem,) = running.service.answers.service().problems
        assert problem == f"no directory is watched: set `roots` in {running.file}, then reload"
        running.configure(f'roots = ["{root}"]\n')
        await running.reload()
        assert running.ids() == ["a"]
        assert running.service.answers.service().problems == ()

    running.run(work)


def test_two_roots_of_one_name_have_ids_of_their_own_after_a_reload(running: Running) -> None:
    one, two = running.environment("one/envs", "a"), running.environment("two/envs", "a")
    running.configure(f'roots = ["{one}"]\n')

    async def work(running: Running) -> None:
        assert running.ids() == ["a"]
        running.configure(f'roots = ["{two}", "{one}"]\n')
        await running.reload()
        assert running.ids() == ["a", "two/envs:a"]
        running.configure(f'roots = ["{two}"]\n')
        await running.reload()
        assert running.ids() == ["two/envs:a"]

    running.run(work)


def test_a_wrong_configuration_is_not_taken_and_told_of_until_it_is_right(running: Running) -> None:
    root = running.environment("envs", "a")
    running.configure(f'roots = ["{root}"]\n')

    async def work(running: Running) -> None:
        running.configure('concurrent_builds = "many"\n')
        await running.reload()
        assert running.ids() == ["a"]
        assert running.service.state.policy.concurrent_builds == 2
        (problem,) = running.service.answers.service().problems
        assert problem.startswith(f"the configuration is not taken, the one before holds: {running.file}:2")
        assert problem in [line.text for line in running.lines]
        running.configure(f'roots = ["{root}"]\n')
        await running.reload()
        assert running.service.answers.service().problems == ()

    running.run(work)


def test_what_holds_only_after_a_restart_is_said(running: Running) -> None:
    roots = f'roots = ["{running.environment("envs", "a")}"]\n'
    running.configure(roots)

    async def work(running: Running) -> None:
        running.configure(f"{roots}web_port = 4711\n")
        await running.reload()
        assert running.service.answers.service().problems == ("web_port: holds after the next start of the service",)
        running.configure(roots)
        await running.reload()
        assert running.service.answers.service().problems == ()

    running.run(work)


def test_what_holds_only_after_a_restart_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "systemd.md").read_text()
    sentence = page.partition("These settings hold after a restart only")[2].partition("\n\n")[0]
    later = {name for name, setting in BY_NAME.items() if setting.scope is Scope.SERVICE} - RELOADED
    assert set(re.findall(r"`([a-z_]+)`", sentence)) == later
    assert set(BY_NAME) >= RELOADED


def test_a_configuration_needs_no_restart_for_itself(running: Running) -> None:
    running.configure("")
    config = running.load()
    assert needs_restart(config, config) == ()
    running.manager_end.close()


def test_a_socket_of_the_manager_is_used_and_left_for_the_next_service(running: Running) -> None:
    running.configure("")
    with socket.socket(socket.AF_UNIX) as listener:
        running.paths.runtime.mkdir()
        running.paths.runtime.chmod(0o755)  # the manager's directory: not for us to judge
        listener.bind(str(running.paths.socket))
        listener.listen()

        async def main() -> None:
            service = Service(running.load(), running.paths, lambda _: None, listener=listener.dup())
            ready = asyncio.Event()
            task = asyncio.create_task(service.run(lambda _: ready.set()))
            async with asyncio.timeout(PATIENCE_S):
                await ready.wait()
                reader, writer = await asyncio.open_unix_connection(str(running.paths.socket))
                writer.write(b"GET /v1/service HTTP/1.1\r\nHost: envkiln\r\nConnection: close\r\n\r\n")
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
                writer.close()
                service.stop()
                await task

        asyncio.run(main())
        assert running.paths.socket.exists()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.paths.socket))
    running.manager_end.close()
