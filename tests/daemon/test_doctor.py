"""Every finding of the doctor: facts in, verdict and way out."""

from pathlib import Path
from typing import Any

import pytest

from envkiln.cache.errors import Turn
from envkiln.daemon.doctor_engine import (
    BuilderFacts,
    ClockFacts,
    EngineFacts,
    RegistryFacts,
    builder_finding,
    clock_findings,
    engine_findings,
    registry_findings,
)
from envkiln.daemon.doctor_finding import Finding, Verdict, good, unknown, warning, whose_turn, wrong
from envkiln.daemon.doctor_machine import (
    DiskFacts,
    InotifyFacts,
    PathFacts,
    disk_findings,
    inotify_findings,
    permission_findings,
)
from envkiln.daemon.doctor_service import (
    BuildFacts,
    ConfigurationFacts,
    Presence,
    ServiceFacts,
    VersionFacts,
    build_findings,
    configuration_findings,
    service_findings,
    version_findings,
)
from envkiln.daemon.engine_values import EngineInfo
from envkiln.daemon.events import Problem

OK, WARNING, ERROR, UNKNOWN = Verdict
GB = 10**9
INFO = EngineInfo("20.10", "1.41", "linux/amd64", "overlay2")
FILE = Path("/home/ada/.config/envkiln/envkiln.toml")
SOCKET = Path("/run/user/7/envkiln/envkiln.sock")


def verdicts(findings: list[Finding]) -> list[Verdict]:
    return [finding.verdict for finding in findings]


# The engine


def test_an_engine_that_answers() -> None:
    engine, api = engine_findings(EngineFacts("tcp://ada:secret@engine:2375", INFO))
    assert (engine.verdict, api.verdict) == (OK, OK)
    assert "secret" not in engine.text


def test_an_engine_that_does_not_answer_comes_with_what_to_do() -> None:
    problem = Problem("the engine is not there", "is Docker running?", turn=Turn.SURROUNDINGS)
    engine, api = engine_findings(EngineFacts(None, problem=problem))
    assert engine == wrong("engine", "the engine is not there", "is Docker running?", Turn.SURROUNDINGS)
    assert api.verdict is UNKNOWN


@pytest.mark.parametrize(("api", "verdict"), [("1.23", ERROR), ("1.24", OK), ("1.100", OK), ("2.0", OK)])
def test_the_api_has_to_be_one_that_is_spoken(api: str, verdict: Verdict) -> None:
    info = EngineInfo("1", api, "linux/amd64", "")
    assert engine_findings(EngineFacts(None, info, least_api="1.24"))[1].verdict is verdict


@pytest.mark.parametrize(
    ("wanted", "buildx", "engine", "verdict"),
    [
        ("auto", "0.29", INFO, OK),
        ("auto", None, INFO, WARNING),
        ("buildx", None, INFO, ERROR),
        ("buildx", "0.29", None, OK),
        ("classic", None, INFO, OK),
        ("auto", "0.29", EngineInfo("17", "1.30", "linux/amd64", ""), WARNING),
    ],
)
def test_builders(wanted: str, buildx: str | None, engine: EngineInfo | None, verdict: Verdict) -> None:
    found = builder_finding(BuilderFacts(wanted, buildx), engine)
    assert found.verdict is verdict
    assert (found.fix is None) == (verdict is OK)


def test_registries() -> None:
    assert verdicts(registry_findings([])) == [OK]
    problem = Problem("team.azurecr.io wants a log-in", "docker login team.azurecr.io")
    found = registry_findings([RegistryFacts("one.example"), RegistryFacts("team.azurecr.io", problem)])
    assert found == [
        good("registry", "one.example lets us in"),
        wrong("registry", "team.azurecr.io wants a log-in", "docker login team.azurecr.io"),
    ]


@pytest.mark.parametrize(
    ("ahead", "off_by", "verdict"),
    [
        (0.0, 0.1, OK),
        (29, 0, OK),
        (-31, 0, WARNING),
        (31, 5, OK),
        (299, 0, WARNING),
        (-301, 0, ERROR),
        (4000, 1, ERROR),
    ],
)
def test_clocks(ahead: float, off_by: float, verdict: Verdict) -> None:
    assert verdicts(clock_findings([ClockFacts("the engine", ahead, off_by)])) == [verdict]


def test_the_clock_says_which_way() -> None:
    (found,) = clock_findings([ClockFacts("the engine", -400, 0)])
    assert "that of the engine is 400 s behind this machine's" in found.text
    assert verdicts(clock_findings([])) == [UNKNOWN]


# The machine


@pytest.mark.parametrize(
    ("free", "files", "verdict"),
    [(50 * GB, 0.5, OK), (5 * GB, 0.5, WARNING), (GB // 2, 0.5, ERROR), (50 * GB, 0.01, WARNING)],
)
def test_disks(free: int, files: float, verdict: Verdict) -> None:
    facts = DiskFacts("the engine", Path("/var/lib/docker"), 100 * GB, free, files, 10 * GB, GB)
    assert verdicts(disk_findings([facts])) == [verdict]
    assert verdicts(disk_findings([])) == [UNKNOWN]


def test_enough_watches() -> None:
    assert verdicts(inotify_findings(InotifyFacts(8192, 128, 1000, 10, 7192, 2))) == [OK]
    assert verdicts(inotify_findings(None)) == [UNKNOWN]


def test_too_few_watches_come_with_the_line_that_raises_the_limit() -> None:
    (found,) = inotify_findings(InotifyFacts(8192, 128, 1000, 10, 7193, 2))
    assert found.verdict is WARNING
    assert found.fix is not None
    assert found.fix.startswith("sudo sysctl fs.inotify.max_user_watches=524288 ")
    (more,) = inotify_findings(InotifyFacts(8192, 128, 0, 0, 600_000, 2))
    assert "max_user_watches=2097152 " in str(more.fix)


def test_too_few_instances_come_with_the_line_that_raises_the_limit() -> None:
    (found,) = inotify_findings(InotifyFacts(8192, 128, 0, 127, 10, 2))
    assert found.verdict is WARNING
    assert str(found.fix).startswith("sudo sysctl fs.inotify.max_user_instances=1024 ")


@pytest.mark.parametrize(
    ("owner", "mode", "verdict", "fix"),
    [
        (7, 0o700, OK, None),
        (7, 0o750, WARNING, "chmod 0700 /s"),
        (7, 0o770, ERROR, "chmod 0700 /s"),
        (7, 0o702, ERROR, "chmod 0700 /s"),
        (0, 0o700, ERROR, "remove it, or: sudo chown -R 7 /s"),
    ],
)
def test_permissions(owner: int, mode: int, verdict: Verdict, fix: str | None) -> None:
    (found,) = permission_findings([PathFacts("the state directory", Path("/s"), owner, mode)], 7)
    assert (found.verdict, found.fix) == (verdict, fix)


def test_the_socket_of_the_machine_is_for_a_group() -> None:
    socket = PathFacts("the socket", Path("/run/envkiln/envkiln.sock"), 7, 0o660, never=0o007, wanted=0o660)
    assert verdicts(permission_findings([socket], 7)) == [OK]
    assert verdicts(permission_findings([], 7)) == [OK]


# The configuration and the service


def test_a_configuration_with_an_error_says_the_place() -> None:
    error = Problem("settle_ms expects a whole number", "correct it", f"{FILE}:3")
    (found,) = configuration_findings(ConfigurationFacts(FILE, error=error))
    assert found == wrong("configuration", f"{FILE}:3: settle_ms expects a whole number", "correct it")


def test_roots_that_are_missing_or_none() -> None:
    assert verdicts(configuration_findings(ConfigurationFacts(FILE, (Path("/a"),)))) == [OK]
    assert verdicts(configuration_findings(ConfigurationFacts(FILE, (Path("/a"),), (Path("/a"),)))) == [WARNING]
    (none,) = configuration_findings(ConfigurationFacts(FILE))
    assert none == warning("configuration", "no directory is watched", f'write roots = ["~/envs"] to {FILE}')


def view(**changed: Any) -> dict[str, Any]:
    engine = {"connected": True, "problem": None}
    return {"process": 5, "starting": False, "paused": False, "engine": engine, "problems": [], "roots": []} | changed


def service(**changed: Any) -> list[Finding]:
    return service_findings(ServiceFacts(Presence.ANSWERS, SOCKET, view(**changed)), engine_answers_here=True)


def test_a_service_that_is_well() -> None:
    assert service() == [good("service", f"answers on {SOCKET} (process 5)")]


def test_what_the_service_says_of_itself_and_its_roots() -> None:
    found = service(problems=["the disk is full\n"], roots=[{"problems": {"a": "not readable"}}], paused=True)
    assert found == [
        warning("service", "the disk is full ", None),
        warning("service", "not readable", None),
        warning("service", "it is paused: no build starts", "envkiln resume"),
    ]


def test_a_service_that_does_not_reach_the_engine_that_we_reach() -> None:
    lost = {"connected": False, "problem": "the engine is not there"}
    (found,) = service(engine=lost)
    assert found.verdict is ERROR
    assert "docker_host" in str(found.fix)
    facts = ServiceFacts(Presence.ANSWERS, SOCKET, view(engine=lost))
    assert verdicts(service_findings(facts, engine_answers_here=False)) == [OK]


@pytest.mark.parametrize(
    ("presence", "verdict", "turn"),
    [
        (Presence.ABSENT, WARNING, Turn.USER),
        (Presence.SILENT, ERROR, Turn.SURROUNDINGS),
        (Presence.OTHER, ERROR, Turn.SURROUNDINGS),
        (Presence.FORBIDDEN, ERROR, Turn.SURROUNDINGS),
    ],
)
def test_a_service_that_is_not_there(presence: Presence, verdict: Verdict, turn: Turn) -> None:
    problem = Problem("why", "what to do", turn=Turn.SURROUNDINGS)
    (found,) = service_findings(ServiceFacts(presence, SOCKET, problem=problem), engine_answers_here=True)
    assert (found.verdict, found.turn) == (verdict, turn)
    assert found.fix


@pytest.mark.parametrize(
    ("seconds", "estimate", "silent", "verdict"),
    [
        (30.0, 60.0, 1.0, OK),
        (700.0, 60.0, 1.0, WARNING),
        (590.0, 60.0, 1.0, OK),
        (700.0, 600.0, 599.0, OK),
        (700.0, 600.0, 600.0, WARNING),
        (9000.0, None, None, OK),
    ],
)
def test_stuck_builds(seconds: float, estimate: float | None, silent: float | None, verdict: Verdict) -> None:
    (found,) = build_findings([BuildFacts("b", "training", seconds, estimate, silent)])
    assert found.verdict is verdict
    if verdict is WARNING:
        assert found.fix == "look: envkiln logs -f training; end it: envkiln cancel training"


def test_builds_of_nobody() -> None:
    assert verdicts(build_findings(None)) == [UNKNOWN]
    assert build_findings([]) == [good("builds", "none is running")]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (VersionFacts("2", "2", "2"), []),
        (VersionFacts("2", None, "2"), []),
        (VersionFacts("2", "1", "1"), ["the service is envkiln 1, this command is 2"]),
        (VersionFacts("2", None, "1"), ["envkiln 1 wrote the index last, and this is 2"]),
        (VersionFacts("2", newer_layouts=("index-v9",)), ["a later envkiln has left the index index-v9"]),
        (VersionFacts("2", outdated_units=("/u",)), ["/u is not as this version writes it"]),
    ],
)
def test_versions_that_do_not_fit(facts: VersionFacts, words: list[str]) -> None:
    found = version_findings(facts)
    assert [it.text for it in found if it.verdict is WARNING] == words
    assert all(it.fix for it in found if it.verdict is WARNING)


def test_whose_turn_it_is_in_the_end() -> None:
    fine = [good("a", ""), warning("b", "", None), unknown("c", "")]
    assert whose_turn(fine) is None
    assert whose_turn([*fine, wrong("d", "", None, Turn.SURROUNDINGS)]) is Turn.SURROUNDINGS
    both = [wrong("d", "", None, Turn.SURROUNDINGS), wrong("e", "", None, Turn.USER)]
    assert whose_turn(both) is Turn.USER
