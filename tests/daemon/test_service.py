"""A whole service in this process, without an engine."""

import asyncio
from pathlib import Path

from envkiln.cache.index import Index
from envkiln.daemon.config import load_config
from envkiln.daemon.paths import paths_from
from envkiln.daemon.service import Service
from envkiln.daemon.snapshot import snapshot_from_json


def test_a_service_that_stops_at_once_has_written_what_it_saw(tmp_path: Path) -> None:
    root = tmp_path / "envs"
    (root / "a").mkdir(parents=True)
    (root / "a" / "env.yml").write_text("dependencies: [python=3.11]\n")
    paths = paths_from({"ENVKILN_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)})
    flags = {"docker_host": f"unix://{tmp_path}/no-engine.sock"}
    config = load_config(
        roots_from_flags=[root], flags=flags, environ={}, user_file=paths.config_file, read=lambda _: None
    )

    async def main() -> None:
        service = Service(config, paths, lambda _: None)
        ready = asyncio.Event()
        running = asyncio.create_task(service.run(lambda _: ready.set()))
        async with asyncio.timeout(60):
            await ready.wait()
            while service.answers.service().starting or service.answers.environment("a") is None:
                await service.answers.changed()
        service.stop()
        await running

    asyncio.run(main())
    index = Index(paths.index)
    stored = index.snapshot(str(root))
    assert stored is not None
    snapshot = snapshot_from_json(stored)
    assert snapshot is not None
    assert list(snapshot.environments) == ["a"]
    assert list(index.views()) == ["a"]
    index.close()
