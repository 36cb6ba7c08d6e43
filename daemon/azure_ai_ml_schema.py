"""Judges the fields of a v2 environment's YAML as azure-ai-ml's schema does (FACTS §3.1), with its messages."""

from collections.abc import Callable, Mapping
from typing import Any

from envkiln.cache.errors import EnvkilnError

_DROPPED = ("$schema", "id", "creation_context", "latest_version", "intellectual_property", "auto_delete_setting")
_ROUTES = ("liveness_route", "scoring_route", "readiness_route")
_OS_TYPES = ("linux", "windows")
_A_CONDA_FILE = (
    "It looks like you are trying to specify a conda file for the --file/-f argument. "
    "--file/-f is reserved for the Azure ML Environment definition (see schema here: "
    "https://aka.ms/ml-cli-v2-environment-yaml-reference). "
    "To specify a conda file via command-line argument, please use --conda-file/-c argument."
)


class SchemaError(EnvkilnError):
    """Fields that are wrong: `errors` has the client's messages by field, nested as the fields are."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        super().__init__(f"Validation for EnvironmentSchema failed: {dict(errors)}", hint="correct these fields")
        self.errors = errors


class _FieldError(Exception):
    """One field is wrong; `messages` is a list of texts, or a mapping of those below it."""

    def __init__(self, messages: list[str] | dict[str, Any]) -> None:
        super().__init__(str(messages))
        self.messages = messages


def loaded_fields(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields that an environment is made of; raises SchemaError with everything that is wrong."""
    if "channels" in value or "dependencies" in value:
        raise SchemaError({"_schema": [_A_CONDA_FILE]})
    known = {key: each for key, each in value.items() if key not in _DROPPED}
    try:
        return _mapping(known, _FIELDS, ("name",))
    except _FieldError as error:
        messages = error.messages
    raise SchemaError(messages if isinstance(messages, dict) else {"_schema": messages})


_Judge = Callable[[Any], Any]


def _mapping(value: Any, fields: Mapping[str, _Judge], required: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _FieldError({"_schema": ["Invalid input type."]})
    errors: dict[str, Any] = {key: ["Missing data for required field."] for key in required if key not in value}
    result: dict[str, Any] = {}
    for key, given in value.items():
        judge = fields.get(key)
        if judge is None:
            errors[key] = ["Unknown field."]
            continue
        try:
            if given is None:
                raise _FieldError(["Field may not be null."])  # noqa: TRY301 -- as of the field itself
            result[key] = judge(given)
        except _FieldError as error:
            errors[key] = error.messages
    if errors:
        raise _FieldError(errors)
    return result


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _FieldError(["Not a valid string."])
    return value


def _version(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise _FieldError([f"Type {type(value)} is not supported for version."])
    return str(value)


def _texts(value: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _FieldError(["Not a valid mapping type."])
    return dict(value)


def _port(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise _FieldError(["Not a valid integer."]) from None


def _route(value: Any) -> dict[str, Any]:
    return _mapping(value, {"port": _port, "path": _text}, ("port", "path"))


def _inference(value: Any) -> dict[str, Any]:
    return _mapping(value, dict.fromkeys(_ROUTES, _route), _ROUTES)


def _build(value: Any) -> dict[str, Any]:
    return _mapping(value, {"dockerfile_path": _text, "path": _text}, ())


def _conda(value: Any) -> Any:
    return value


def _system(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in _OS_TYPES:
        raise _FieldError([f"Value {value!r} passed is not in set {list(_OS_TYPES)}"])
    return value.lower()


_FIELDS: Mapping[str, _Judge] = {
    "name": _text,
    "version": _version,
    "description": _text,
    "tags": _texts,
    "image": _text,
    "build": _build,
    "conda_file": _conda,
    "inference_config": _inference,
    "os_type": _system,
    "datastore": _text,
}
