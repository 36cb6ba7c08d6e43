"""`buildx_builder`: any builder that `docker buildx ls` knows, by its name.

Only the engine's own BuildKit can be had on a machine without a registry (a `docker-container` builder is an image, a
remote one a daemon of its own): its builder is called `default`.
"""

import asyncio
from typing import Any

import pytest

from envkiln.daemon.builder import BuildFailed
from envkiln.daemon.buildx import BuildxBuilder
from envkiln.daemon.engine import Engine


def test_the_named_builder_builds(testbed: Any, engine: Engine, requests: Any) -> None:
    request = requests.context("RUN true")
    lines: list[str] = []
    builder = BuildxBuilder(testbed.url, builder="default", docker_config=testbed.docker_config)
    asyncio.run(builder.build(request, lines.append))
    assert any('building with "default" instance' in line for line in lines)
    image = engine.inspect(request.tag)
    assert image is not None
    assert request.labels.items() <= image.labels.items()


def test_a_builder_that_does_not_exist_is_said(testbed: Any, requests: Any) -> None:
    builder = BuildxBuilder(testbed.url, builder="nobody-has-this", docker_config=testbed.docker_config)
    with pytest.raises(BuildFailed, match="nobody-has-this"):
        asyncio.run(builder.build(requests.context("RUN true"), lambda _: None))
