"""A registered version as a YAML text for people and git: stable order, and no time, user or machine in it.

Equal versions have equal bytes, so two branches that registered the same content merge without a conflict.
`docs/versions.md` has the format.
"""

from typing import Any

import yaml

from envkiln.cache.definition import Format
from envkiln.cache.registered_version import RegisteredVersion, StoredFile, VersionError
from envkiln.cache.section import Section
from envkiln.cache.yaml_text import MAX_BYTES, read_yaml

LAYOUT = 1
"""Of this text; a reader refuses a higher one."""

_TEXTS = (
    *("name", "description", "image", "conda_environment", "base_image", "platform", "requirements_python"),
    *("recipe", "content", "main"),
)
_REQUIRED = ("name", "version", "image", "recipe", "content", "format", "main", "files")
_KEYS = ("layout", "version", "archived", "format", "files", *_TEXTS)
_FILE_KEYS = ("text", "sha256", "link", "directory", "executable")
_RESTORE = "take the file back from git, or remove it and register the environment again"


class _Dumper(yaml.CSafeDumper):
    """PyYAML's safe dumper, with texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def fits_inline(data: bytes) -> bool:
    """Return whether a file of these bytes is kept as text in the version's own file: it then reads as it was."""
    if len(data) > MAX_BYTES // 4:
        return False
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character in "\n\t" or character.isprintable() for character in text) and "\ufeff" not in text


def encode_version(version: RegisteredVersion) -> bytes:
    """Return the text (UTF-8) that `decode_version` reads back as an equal value.

    Raises VersionError if it would be too long, or where a file's name is not UTF-8.
    """
    head: dict[str, Any] = {
        "layout": LAYOUT,
        "name": version.name,
        "version": version.version,
        "archived": version.archived or None,
        "description": version.description or None,
        "image": version.image,
        "conda_environment": version.conda_environment,
        "base_image": version.base_image,
        "platform": version.platform,
        "requirements_python": version.requirements_python,
        "recipe": version.recipe,
        "content": version.content,
        "format": version.format.value,
        "main": version.main,
        "files": {file.path: _plain(file) for file in version.files},
    }
    shown = {key: value for key, value in head.items() if value is not None}
    try:
        text: str = yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 30)
        data = text.encode()
    except UnicodeEncodeError as error:
        broken = error.object[error.start : error.end]
        message = f"a name with {broken!r} is not UTF-8"
        raise VersionError(message, hint="rename the file") from None
    if len(data) > MAX_BYTES:
        raise VersionError(
            f"the version's file would have {len(data)} bytes, more than {MAX_BYTES}",
            hint="leave files out of the build context with .dockerignore",
        )
    return data


def decode_version(data: bytes, file: str) -> RegisteredVersion:
    """Return the version in `data`, the bytes of `file`; raises DefinitionError with the line of what is wrong."""
    top = Section(read_yaml(data, file))
    value = _mapping(top, _KEYS)
    for key in ("layout", *_REQUIRED):
        if key not in value:
            raise top.error(f"`{key}` is missing", hint=_RESTORE)
    if value["layout"] != LAYOUT:
        hint = "use an envkiln that is as new as the one that wrote it"
        raise top.at("layout").error(f"the layout {value['layout']!r} is not known here", hint=hint)
    for key in _TEXTS:
        if not isinstance(value.get(key, ""), str):
            raise top.at(key).error(f"`{key}` must be a text", hint=_RESTORE)
    if type(value["version"]) is not int:
        raise top.at("version").error("`version` must be a whole number", hint=_RESTORE)
    if type(value.get("archived", False)) is not bool:
        raise top.at("archived").error("`archived` must be true or false", hint="remove the line, or write true")
    try:
        kind = Format(value["format"])
    except ValueError:
        raise top.at("format").error(f"the format {value['format']!r} is not known", hint=_RESTORE) from None
    files = _files(top.at("files"))
    texts = {key: value[key] for key in _TEXTS if key in value}
    try:
        return RegisteredVersion(
            version=value["version"], archived=value.get("archived", False), format=kind, files=files, **texts
        )
    except VersionError as error:
        raise top.error(error.message, hint=_RESTORE) from None


def _plain(file: StoredFile) -> Any:
    if file.text is not None and not file.executable:
        return {"text": file.text}
    shown: dict[str, Any] = {
        "text": file.text,
        "sha256": file.sha256,
        "link": file.target,
        "directory": file.directory or None,
        "executable": file.executable or None,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _files(place: Section) -> tuple[StoredFile, ...]:
    value = place.value
    if not isinstance(value, dict):
        raise place.error("`files` must be a mapping from path to file", hint=_RESTORE)
    return tuple(_file(place.at(path), path) for path in value)


def _file(place: Section, path: Any) -> StoredFile:
    value = _mapping(place, _FILE_KEYS)
    for key in ("text", "sha256", "link"):
        if not isinstance(value.get(key, ""), str):
            raise place.at(key).error(f"`{key}` must be a text", hint=_RESTORE)
    for key in ("directory", "executable"):
        if type(value.get(key, False)) is not bool:
            raise place.at(key).error(f"`{key}` must be true or false", hint=_RESTORE)
    try:
        return StoredFile(
            str(path),
            value.get("text"),
            value.get("sha256"),
            value.get("link"),
            directory=value.get("directory", False),
            executable=value.get("executable", False),
        )
    except VersionError as error:
        raise place.error(error.message, hint=_RESTORE) from None


def _mapping(place: Section, known: tuple[str, ...]) -> dict[str, Any]:
    value = place.value
    if not isinstance(value, dict):
        raise place.error("this is not a registered version", hint=_RESTORE)
    for key in value:
        if key not in known:
            raise place.at(key).error(f"the key {key!r} is not known here", hint=_RESTORE)
    return value
