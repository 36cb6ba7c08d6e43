"""A real service keeps what its OpenAPI document says, for good questions and bad ones, and is well afterwards.

The event stream has no end and is left to `test_asking.py`.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
import schemathesis
from docker.transport import UnixHTTPAdapter
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from running import PATIENCE_S, Gate, World
from schemathesis import GenerationMode
from schemathesis.core.result import Err

from envkiln.daemon.openapi import openapi
from envkiln.daemon.routes import OPERATIONS
from envkiln.daemon.version import VERSION

BASE = "http://127.0.0.1"
EXAMPLES = 6
IDS = ["good", "bad", "odd", "running"]


def document() -> dict[str, Any]:
    """Return the document, with ids that there are beside those that are made up; nobody waits for long."""
    made = openapi(OPERATIONS, VERSION)
    for path in made["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter["name"] == "id":
                    parameter["schema"] = {"anyOf": [{"enum": IDS}, parameter["schema"]]}
                if parameter["name"] == "wait":
                    parameter["schema"] = {"type": "number", "minimum": 0, "maximum": 0.01}
    return made


def test_every_answer_of_a_real_service_is_as_the_document_says(make_world: Callable[..., World], gate: Gate) -> None:
    world = make_world()
    world.write("good/Dockerfile", world.dockerfile("RUN true"))
    world.write("bad/Dockerfile", world.dockerfile("RUN exit 7"))
    world.write("odd/env.yml", "dependencies: six\n")
    world.write("running/Dockerfile", world.dockerfile(gate.step))
    world.up()
    for id_, state in (("good", "ready"), ("bad", "failed"), ("odd", "invalid"), ("running", "building")):
        world.until_state(id_, state)
    asked: list[str] = []
    wrong: list[str] = []
    with requests.Session() as session:
        session.mount(BASE, UnixHTTPAdapter(f"http+unix://{world.paths.socket}", timeout=int(PATIENCE_S)))
        schema = schemathesis.openapi.from_dict(document())
        for found in schema.exclude(path="/v1/events").get_all_operations():
            assert not isinstance(found, Err)
            operation = found.ok()
            _ask(operation.as_strategy(), asked.append, session)
            # What has no parameter, or takes any, cannot be asked in a wrong way.
            with suppress(Unsatisfiable):
                _ask(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), wrong.append, session)
    assert len(set(asked)) == len(OPERATIONS) - 1
    assert set(wrong) >= {"GET /v1/environments", "GET /v1/builds", "GET /v1/images"}
    gate.open()
    world.answer("resume")
    for id_ in ("good", "running"):
        world.answer("resume", id_)
        world.client.build(id_)
        world.answer("wait", id_)
    assert world.stop() == 0


def _ask(cases: SearchStrategy[schemathesis.Case[Any]], note: Callable[[str], None], session: requests.Session) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(cases)
    def ask(case: schemathesis.Case[Any]) -> None:
        note(case.operation.label)
        case.call_and_validate(base_url=BASE, session=session)

    ask()
