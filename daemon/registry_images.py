"""What one registry has under an environment's name, and whether it is believed."""

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.events import RegistryImage
from envkiln.daemon.labels import NAME, is_believed, is_closed, is_ours
from envkiln.daemon.manifests import ImageConfig, Manifest, NotAnImage, read_config, read_manifest
from envkiln.daemon.registry_client import Document, RegistryClient
from envkiln.daemon.registry_errors import NoAnswer

LATEST = "latest"


class NotBelieved(EnvkilnError):  # noqa: N818 -- what it is
    """Something stands in a registry under an environment's name that is not what the name says."""

    turn = Turn.USER


def find_image(client: RegistryClient, name: str, platform: str, *, trust_azureml: bool) -> RegistryImage | None:
    """Return the image that stands under `name:latest` and is believed; None where there is none.

    An image of envkiln is believed by its label; with `trust_azureml` Azure ML's own is, too. Raises NoAnswer, and
    NotBelieved for anything else that stands there.
    """
    document = client.manifest(name, LATEST)
    if document is None:
        return None
    return believed_image(client, name, document, platform, trust_azureml=trust_azureml)


def believed_image(
    client: RegistryClient, name: str, document: Document, platform: str, *, trust_azureml: bool
) -> RegistryImage:
    """Return the image of a manifest or index; raises NoAnswer and NotBelieved."""
    where = f"{client.address.repository(name)}:{LATEST}"
    try:
        digest, manifest = manifest_of(client, name, document, platform)
        data = client.blob(name, manifest.config)
        config = read_config(data.data if data else b"")
        reason = _doubt(name, config, platform, trust_azureml=trust_azureml)
    except NotAnImage as error:
        reason = str(error)
    if reason is not None:
        raise NotBelieved(
            f"{where} is not believed: {reason}", hint=f"remove {where}, or find out who puts it there; it stays"
        )
    repository = client.address.repository(name)
    return RegistryImage(name, repository, digest, manifest.config, manifest.layers, manifest.size)


def manifest_of(client: RegistryClient, name: str, document: Document, platform: str) -> tuple[str, Manifest]:
    """Return the digest and manifest for `platform` that a manifest or index leads to.

    Raises NoAnswer and NotAnImage.
    """
    found, digest = read_manifest(document.data, platform), document.digest
    if isinstance(found, str):
        digest = found
        inner = client.manifest(name, found)
        if inner is None:
            raise NoAnswer(f"{client.address.host} has lost a part of {name}", hint="push the image again")
        found = read_manifest(inner.data, platform)
    if isinstance(found, str):
        raise NotAnImage("it is an index of indexes")
    return digest, found


def _doubt(name: str, config: ImageConfig, platform: str, *, trust_azureml: bool) -> str | None:
    """Return why an image is not believed, None when it is."""
    if config.platform.split("/")[:2] != platform.split("/")[:2]:
        return f"it is for {config.platform}, not for {platform}"
    if is_believed(name, config.labels, config.variables):
        if is_ours(config.labels) and not is_closed(name, config.last_step):
            return "it was made from an image of that name, and has its labels"
        if is_ours(config.labels) or trust_azureml:
            return None
        return "it is Azure ML's own or built by hand, and `trust_azureml_images` is false"
    if is_ours(config.labels):
        return f"its label {NAME} says {config.labels[NAME]}"
    return f"it has no label {NAME}"
