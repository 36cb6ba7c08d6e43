"""An image brought into a registry: the layers first, then its name, and both are looked at."""

import asyncio
from contextlib import suppress

from envkiln.cache.errors import EnvkilnError
from envkiln.daemon import engine_transfer
from envkiln.daemon.engine import Engine
from envkiln.daemon.events import RegistryImage
from envkiln.daemon.fault_point import reach
from envkiln.daemon.known_images import find_known_image
from envkiln.daemon.manifests import NotAnImage, read_manifest
from envkiln.daemon.own_thread import in_own_thread
from envkiln.daemon.registry import NotPushed
from envkiln.daemon.registry_client import RegistryClient
from envkiln.daemon.registry_images import LATEST, find_image


class Pusher:
    """Pushes images of one engine to one registry."""

    def __init__(self, client: RegistryClient, engine: Engine, *, trust_azureml: bool) -> None:
        self._client = client
        self._engine = engine
        self._trust_azureml = trust_azureml

    async def push(self, name: str, platform: str) -> RegistryImage:
        """See to it that the registry has an image of `name` for `platform`, and return it as it stands there.

        One that is there and believed stays, whoever made it; one that is not believed stays too, and NotBelieved is
        raised. Otherwise the image gets an integer as its tag, the next that is free, as Azure ML numbers its builds
        (FACTS §8), and with one small write the tag `latest`. What is read back in the end is what is returned. An
        interrupted push leaves layers, and perhaps the integer: the next one finds and takes them.

        Raises NotPushed, NoAnswer, TransferFailed and EngineUnavailable.
        """
        there = await self._look(name, platform)
        if there is not None:
            return there
        image = await asyncio.to_thread(find_known_image, self._engine, name)
        if image is None:
            raise NotPushed(f"the engine has no image {name} to push", hint="it is pushed when it is there again")
        tag = await in_own_thread(f"number of {name}", lambda: free_number(self._client, name, image.id, platform))
        await self._move(name, tag)
        reach("push-sent")
        # Somebody else may have been quicker: the name stays with what it stands for.
        there = await self._look(name, platform)
        if there is not None:
            return there
        await in_own_thread(f"publish {name}", lambda: self._publish(name, tag))
        there = await self._look(name, platform)
        if there is None:
            raise NotPushed(
                f"{self._client.address.host} does not have {name} after a push that ended well",
                hint="does somebody remove images there? It is pushed again",
            )
        return there

    async def _look(self, name: str, platform: str) -> RegistryImage | None:
        return await in_own_thread(
            f"look for {name}",
            lambda: find_image(self._client, name, platform, trust_azureml=self._trust_azureml),
        )

    async def _move(self, name: str, tag: str) -> None:
        repository = self._client.address.repository(name)
        login = await in_own_thread("log-in", self._client.credentials)
        await asyncio.to_thread(self._engine.tag, f"{name}:{LATEST}", f"{repository}:{tag}")
        reach("push-tagged")
        try:
            await engine_transfer.push(self._engine, repository, tag, login)
        finally:
            # The engine keeps the one name that counts.
            with suppress(EnvkilnError):
                await asyncio.shield(asyncio.to_thread(self._engine.remove, f"{repository}:{tag}"))

    def _publish(self, name: str, tag: str) -> None:
        document = self._client.manifest(name, tag)
        if document is None:
            raise NotPushed(f"{self._client.address.host} does not have {name}:{tag}, which was pushed")
        self._client.put_manifest(name, LATEST, document)
        reach("push-published")


def free_number(client: RegistryClient, name: str, image_id: str, platform: str) -> str:
    """Return the tag for a push of the image: the highest integer if that is this very image, else the next one."""
    numbers = [int(tag) for tag in client.tags(name) if tag.isdecimal() and tag.isascii() and len(tag) < 10]
    if not numbers:
        return "1"
    last = max(numbers)
    document = client.manifest(name, str(last))
    if document is not None:
        with suppress(NotAnImage):
            manifest = read_manifest(document.data, platform)
            # An image's id is the digest of its configuration, or, in newer engines, that of its manifest.
            if image_id == document.digest or (not isinstance(manifest, str) and image_id == manifest.config):
                return str(last)
    return str(last + 1)
