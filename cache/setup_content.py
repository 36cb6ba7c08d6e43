"""The setup content: every file that a builder needs, deterministic to the byte (FACTS §0.8, §7)."""

from collections.abc import Iterator
from dataclasses import replace

from envkiln.cache.context import ContextEntry, SetupContent
from envkiln.cache.definition import EnvironmentDefinition
from envkiln.cache.dockerfile import Dialect, built_text
from envkiln.cache.identity import Identity
from envkiln.cache.seal import Sealed, seal
from envkiln.cache.setup_files import BROKEN_PROXY, LOG4J, spark_cache
from envkiln.cache.setup_names import DOCKERFILE, EXTRA_FILES, SETUP, SPECIFICATION
from envkiln.cache.source import EntryKind


def setup_content(
    definition: EnvironmentDefinition,
    identity: Identity,
    dialect: Dialect,
    *,
    cache_id: str = "v1",
    ca_bundle: bool = False,
) -> SetupContent:
    """Return what is built for `definition` under the names `identity`.

    `cache_id` names the cache mounts of the BuildKit text. With `ca_bundle` the BuildKit text reads the secret
    `envkiln-ca`, and the classic text has a first stage that copies `azureml-environment-setup/ca.pem`, which the
    builder adds: neither leaves the bundle in the image. With BuildKit, files that hold a credential are secrets of the
    create step; what the image gets in their place does not have it. The Dockerfile of a build context is the user's
    own and is never changed. Raises EnvkilnError for a file with a credential that cannot be mounted.
    """
    if definition.context is not None:
        entries = (
            ContextEntry(
                file.path,
                file.kind,
                source=file.source if file.kind is EntryKind.FILE else None,
                content=file.content if file.kind is EntryKind.FILE else "",
                executable=file.executable,
                target=file.content if file.kind is EntryKind.SYMLINK else "",
            )
            for file in definition.context.files
        )
        return SetupContent(definition.context.dockerfile, tuple(sorted(entries, key=_order)))
    sealed = seal(definition, identity) if dialect is Dialect.BUILDKIT else Sealed()
    text = built_text(definition, identity, dialect, cache_id=cache_id, ca_bundle=ca_bundle, mounts=sealed.mounts)
    content = _with_dockerfile(definition, identity, text)
    shown = {entry.path: entry for entry in sealed.shown}
    return replace(
        content, entries=tuple(shown.get(entry.path, entry) for entry in content.entries), secrets=sealed.secrets
    )


def named_content(definition: EnvironmentDefinition, identity: Identity) -> SetupContent:
    """Return the setup content with the Dockerfile text that is named: Azure ML's, to the byte."""
    if definition.context is not None:
        return setup_content(definition, identity, Dialect.CLASSIC)
    return _with_dockerfile(definition, identity, identity.named_text)


def _with_dockerfile(definition: EnvironmentDefinition, identity: Identity, text: str) -> SetupContent:
    entries = [ContextEntry(DOCKERFILE, data=text.encode("utf-8", "surrogatepass"))]
    if definition.conda and identity.conda_environment:
        mutated = definition.conda.mutated(identity.conda_environment)
        entries += [
            ContextEntry(f"{SETUP}/{SPECIFICATION}", data=mutated.encode("utf-8", "surrogatepass")),
            ContextEntry(f"{SETUP}/99brokenproxy", data=BROKEN_PROXY),
            ContextEntry(f"{SETUP}/spark_cache.py", data=spark_cache(definition.spark)),
            ContextEntry(f"{SETUP}/log4j.properties", data=LOG4J),
        ]
        entries += [
            ContextEntry(f"{SETUP}/{EXTRA_FILES}/{file.path}", source=file.source, content=file.content)
            for file in definition.extra_files
        ]
    entries += _directories(entries)
    return SetupContent(DOCKERFILE, tuple(sorted(entries, key=_order)))


def _directories(entries: list[ContextEntry]) -> Iterator[ContextEntry]:
    parents = {
        "/".join(parts[:length])
        for entry in entries
        for parts in [entry.path.split("/")]
        for length in range(1, len(parts))
    }
    return (ContextEntry(path, EntryKind.DIRECTORY) for path in parents)


def _order(entry: ContextEntry) -> tuple[bytes, ...]:
    """Sort by path parts, so that a directory comes right before what is in it."""
    return tuple(part.encode(errors="surrogateescape") for part in entry.path.split("/"))
