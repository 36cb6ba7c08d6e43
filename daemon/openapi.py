"""The OpenAPI document of the API, from the table of operations and the messages."""

from collections.abc import Sequence
from typing import Any

import msgspec

from envkiln.daemon.messages import API_VERSION, ErrorView
from envkiln.daemon.routes import JSON, Operation, Parameter
from envkiln.daemon.sse import STREAM

_REF = "#/components/schemas/{name}"
_ERRORS = {400: "The question cannot be understood.", 404: "There is no such thing.", 503: "Not now."}
_HEADERS = {
    "Envkiln-Version": {"description": "The version of the service.", "schema": {"type": "string"}},
    "Envkiln-Api": {"description": "The version of this API.", "schema": {"type": "string"}},
}


def openapi(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """Return the document (OpenAPI 3.1) of `operations`, served by `version` of envkiln."""
    structs: set[type[msgspec.Struct]] = {ErrorView}
    for operation in operations:
        structs |= {struct for _, struct in operation.events} | ({operation.answer} if operation.answer else set())
    _, schemas = msgspec.json.schema_components(sorted(structs, key=lambda it: it.__name__), ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "envkiln",
            "version": version,
            "summary": f"API version {API_VERSION}: what is ready, what is built, and why.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    parameters = [*_path_parameters(operation.path), *map(_parameter, operation.parameters)]
    if operation.events:
        parameters.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "the id of the last event that was seen: the stream goes on behind it",
                "schema": {"type": "string"},
            }
        )
    return {
        "operationId": operation.name,
        "summary": operation.what,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": operation.what,
                "headers": _HEADERS,
                "content": {media: {"schema": _answer(operation, media)} for media in operation.media},
            },
            **{str(status): _error(status) for status in operation.errors},
        },
    }


def _answer(operation: Operation, media: str) -> dict[str, Any]:
    if operation.answer is not None:
        return _reference(operation.answer)
    if media == STREAM:
        return {"oneOf": [_event(kind, struct) for kind, struct in operation.events]}
    return {"type": "object" if media == JSON else "string"}


def _event(kind: str, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the schema of a server-sent event, as its fields; its data is JSON."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": _reference(struct)}
    properties = {"event": {"const": kind}, "id": {"type": "string"}, "data": data}
    return {"type": "object", "properties": properties, "required": ["event", "data"]}


def _reference(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=struct.__name__)}


def _error(status: int) -> dict[str, Any]:
    content = {JSON: {"schema": _reference(ErrorView)}}
    return {"description": _ERRORS[status], "headers": _HEADERS, "content": content}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    _, opened, rest = path.partition("{")
    if not opened:
        return []
    name = rest.partition("}")[0]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = _schema(parameter)
    if parameter.usual is not None:
        schema["default"] = parameter.usual
    if parameter.many:
        schema = {"type": "array", "items": schema}
    return {"name": parameter.name, "in": "query", "description": parameter.what, "schema": schema}


def _schema(parameter: Parameter) -> dict[str, Any]:
    match parameter.kind:
        case "count":
            most = {} if parameter.most is None else {"maximum": parameter.most}
            return {"type": "integer", "minimum": parameter.least, **most}
        case "number":
            return {"type": "number"}
        case "flag":
            return {"type": "boolean"}
        case "choice":
            return {"type": "string", "enum": list(parameter.choices)}
    return {"type": "string"}
