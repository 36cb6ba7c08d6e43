"""The API keeps what its OpenAPI document says, for good questions and bad ones, over a real socket.

The event stream has no end and is left to `test_event_stream.py`; a log is followed here where its build has ended.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from docker.transport import UnixHTTPAdapter
from fake_service import FakeService, serving, unix_listener
from hypothesis import HealthCheck, settings

from envkiln.daemon.api import make_api
from envkiln.daemon.metrics import Metrics
from envkiln.daemon.openapi import openapi
from envkiln.daemon.routes import OPERATIONS
from envkiln.daemon.version import VERSION

BASE = "http://127.0.0.1"


class Hasty(FakeService):
    """Nobody waits here: the generated questions would wait for a minute."""

    def is_settled(self, id_: str) -> bool:  # noqa: ARG002
        return True


def document() -> dict[str, Any]:
    """Return the document, with ids that there are beside those that are made up."""
    with tempfile.TemporaryDirectory() as directory:
        service = FakeService(Path(directory))
    builds = [build.build for build in service.builds(states=("built", "failed")).items]
    references = ["training", "speech:1", "speech@latest"]
    known = {"id": ["team/nlp", "vision", "training"], "build": builds, "reference": references}
    made = openapi(OPERATIONS, VERSION)
    for path in made["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = {"anyOf": [{"enum": known[parameter["name"]]}, parameter["schema"]]}
    return made


schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    directory = tmp_path_factory.mktemp("contract")
    service = Hasty(directory)
    path = directory / "socket"
    with (
        unix_listener(path) as listener,
        serving(service, make_api(service, metrics=Metrics()), listener),
        requests.Session() as session,
    ):
        session.mount(BASE, UnixHTTPAdapter(f"http+unix://{path}", timeout=60))
        yield session


@schema.exclude(path="/v1/events").parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(case: schemathesis.Case[Any], session: requests.Session) -> None:
    case.call_and_validate(base_url=BASE, session=session)


def test_the_document_is_served(session: requests.Session) -> None:
    answer = session.get(f"{BASE}/v1/openapi.json")
    assert answer.json() == json.loads(json.dumps(openapi(OPERATIONS, VERSION)))
    assert set(answer.json()["paths"]) == {operation.path for operation in OPERATIONS}
