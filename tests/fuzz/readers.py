"""Everything that reads what somebody else wrote, as functions of bytes that raise nothing but a bug.

On `pythonpath` (pyproject.toml): the property tests and the fuzzer have them in common. Bytes that stand for several
files have them one after another, with `SEPARATOR` between.
"""

import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from envkiln.cache.definition import EnvironmentDefinition, ImageReference
from envkiln.cache.dockerfile import Dialect
from envkiln.cache.errors import EnvkilnError
from envkiln.cache.explain import changes
from envkiln.cache.formats import read_definition, refusal, sniff
from envkiln.cache.identity import identify
from envkiln.cache.json_text import read_json
from envkiln.cache.leaks import leaks
from envkiln.cache.redact import redact
from envkiln.cache.setup_content import setup_content
from envkiln.cache.shown import definition_text, spellings
from envkiln.cache.source import MemoryTree
from envkiln.cache.version_file import decode_version
from envkiln.cache.yaml_text import MAX_BYTES, read_yaml
from envkiln.daemon.causes import explain_failure
from envkiln.daemon.config_file import Owner, parse_config_file
from envkiln.daemon.context_tar import secrets_of, write_tar
from envkiln.daemon.history import History
from envkiln.daemon.label_lines import with_labels
from envkiln.daemon.labels import is_believed, labels_for, recorded_digest
from envkiln.daemon.log_lines import LineSplitter, cleaned
from envkiln.daemon.progress import Progress
from envkiln.daemon.registry_address import RegistryAddress
from envkiln.daemon.routes import OPERATIONS
from envkiln.daemon.snapshot import snapshot_from_json, snapshot_to_json
from envkiln.daemon.template import Template
from envkiln.daemon.text import one_line

SEPARATOR = b"\xff--\xff"
BASE = ImageReference.parse("base:1")


def parts(data: bytes, count: int) -> list[bytes]:
    """Return `data` cut at SEPARATOR into exactly `count` pieces."""
    found = data.split(SEPARATOR, count - 1)
    return found + [b""] * (count - len(found))


def text_of(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def definition_of(files: Mapping[str, bytes], main: str) -> EnvironmentDefinition | None:
    """Read a definition, and make everything of it that is made of one."""
    tree = MemoryTree(dict(files))
    try:
        found = read_definition(tree, main)
    except EnvkilnError:
        return None
    identity = identify(found, BASE)
    definition_text(found, identity)
    for has_secrets in (True, False, None):
        leaks(found, has_secrets=has_secrets)
    labels = labels_for(found, identity, resolved=True)
    for dialect in Dialect:
        with suppress(EnvkilnError):
            content = setup_content(found, identity, dialect)
            write_tar(content, tree, io.BytesIO())
            secrets_of(content, tree)
            with_labels(b"FROM base", labels)
    return found


def yaml_text(data: bytes) -> None:
    with suppress(EnvkilnError):
        document = read_yaml(data, "f.yml")
        document.mark("dependencies", 0)
    sniff("f.yml", data)


def json_text(data: bytes) -> None:
    with suppress(EnvkilnError):
        read_json(data, "f.json").mark("python", "condaDependencies")


def refused(data: bytes) -> None:
    refusal("f.yml", data)


def conda(data: bytes) -> None:
    main, more = parts(data, 2)
    definition_of({"a/env.yml": main, "a/more.txt": more, "a/x.whl": b""}, "a/env.yml")


def azureml_v1(data: bytes) -> None:
    main, specification, dockerfile = parts(data, 3)
    files = {"azureml_environment.json": main}
    files |= {"conda_dependencies.yml": specification} if specification else {}
    definition_of(files | ({"BaseDockerfile": dockerfile} if dockerfile else {}), "azureml_environment.json")


def azureml_v2(data: bytes) -> None:
    main, specification, dockerfile = parts(data, 3)
    files = {"environment.yml": main, "conda.yml": specification, "context/Dockerfile": dockerfile}
    definition_of(files, "environment.yml")


def requirements(data: bytes) -> None:
    main, more = parts(data, 2)
    definition_of({"requirements.txt": main, "more.txt": more}, "requirements.txt")


def dockerfile(data: bytes) -> None:
    definition_of({"Dockerfile": data, ".env": b"", "src/main.py": b""}, "Dockerfile")


_PATHS = ("a.txt", "a/b/c.py", "a/b/c/d/e/f", "data/.env", "x y/[z]", "node_modules/m/index.js")


def ignore_files(data: bytes) -> None:
    aml, docker = parts(data, 2)
    files = {"Dockerfile": b"FROM base\n", ".amlignore": aml, ".dockerignore": docker, **dict.fromkeys(_PATHS, b"")}
    definition_of(files, "Dockerfile")


def explanation(data: bytes) -> None:
    # No text of a definition is longer.
    before, after = (text_of(part[:MAX_BYTES]) for part in parts(data, 2))
    changes(before, after)


def credentials(data: bytes) -> None:
    text = text_of(data[: 256 * 1024])
    once = redact(text)
    assert redact(once) == once
    found = definition_of({"requirements.txt": data}, "requirements.txt")
    if found is not None and found.credentials:
        hidden = spellings(found.credentials)
        shown = redact(text, hidden)
        assert not [value for value in hidden if len(value) > 8 and value in shown and "*" not in value]


def configuration(data: bytes) -> None:
    home = Path("/home/u")
    for owner in Owner:
        with suppress(EnvkilnError):
            file = parse_config_file(data, home / "envkiln.toml", owner, home=home, user_file=home / "user.toml")
            for pattern in file.patterns:
                pattern.matches("team/a/b")


def labels(data: bytes) -> None:
    with suppress(ValueError, RecursionError):
        value = json.loads(data)
        if isinstance(value, dict):
            held = {str(key): str(inner) for key, inner in value.items()}
            is_believed("azureml/azureml_" + "0" * 32, held, held)
            recorded_digest(held)
            with_labels(b"FROM base", held)
    with suppress(EnvkilnError):
        ImageReference.parse(text_of(data))
    with suppress(EnvkilnError):
        RegistryAddress.parse(text_of(data))


def log_lines(data: bytes) -> None:
    splitter, progress = LineSplitter(), Progress()
    # A log comes in pieces; no piece that a builder sends is longer.
    text = data[: 64 * 1024].decode(errors="replace")
    middle = len(text) // 2
    lines = [*splitter.feed(text[:middle]), *splitter.feed(text[middle:]), *splitter.rest()]
    shown = [redact(cleaned(line)) for line in lines]
    for number, line in enumerate(shown):
        assert line.replace("\t", "").isprintable() or not line.isascii()
        progress.note(line, float(number))
        assert one_line(line).isprintable()
    progress.view()
    explain_failure(shown)


def queries(data: bytes) -> None:
    for operation in OPERATIONS:
        operation.item(data)
        with suppress(EnvkilnError):
            operation.query(data)
    with suppress(ValueError):  # which the command line takes for what it is
        Template(text_of(data)).fill({"environment": "a", "since": 0.0, "state": "ready"}, 0.0)


def records(data: bytes) -> None:
    snapshot = snapshot_from_json(data)
    if snapshot is not None:
        snapshot_to_json(snapshot)
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value: Any = msgspec.json.decode(data)
        if isinstance(value, dict):
            History({"a": [value]})


def registered_versions(data: bytes) -> None:
    with suppress(EnvkilnError):
        decode_version(data, "1.yml")


READERS: Mapping[str, Callable[[bytes], None]] = {
    reader.__name__: reader
    for reader in (
        yaml_text,
        json_text,
        refused,
        conda,
        azureml_v1,
        azureml_v2,
        requirements,
        dockerfile,
        ignore_files,
        explanation,
        credentials,
        configuration,
        labels,
        log_lines,
        queries,
        records,
        registered_versions,
    )
}
