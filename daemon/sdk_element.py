"""A part of an environment as the v1 client has it: attributes that can be set, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import Field, fields
from enum import Enum
from logging import getLogger
from typing import Any, ClassVar, TypeVar

logger = getLogger("envkiln.azureml_sdk")
"""Where the API warns; azureml.core warns with the same words on a logger of its own."""

T = TypeVar("T", bound="Element")


class Element:
    """The base of a part, which is a dataclass: its fields are all that can be set, and are the keys of its JSON.

    A field's metadata may say `of`: the class of the elements in it, in a list or alone.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__ and not hasattr(type(self), name):
            raise AttributeError(f"{type(self)} has no attribute {name}")
        super().__setattr__(name, value)


def to_plain(value: Any) -> Any:
    """Return what JSON has for a value: an element is an object whose keys are its fields in camel case."""
    if isinstance(value, Element):
        return {camel(field.name): to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def from_plain(kind: type[T], value: Mapping[str, Any]) -> T:
    """Return the element that an object of JSON says; what it leaves out is as in a new one, other keys are ignored."""
    element = kind()
    for field in fields(kind):
        key = camel(field.name)
        if key in value:
            # Not by way of a class's own rules for setting: what was written down is taken as it is.
            object.__setattr__(element, field.name, _nested(field, value[key]))
    return element


def camel(name: str) -> str:
    """Return the JSON key of an attribute: `base_image` is `baseImage`."""
    return re.sub(r"_(.)", lambda match: match[1].upper(), name)


def _nested(field: Field[Any], value: Any) -> Any:
    kind = field.metadata.get("of")
    if kind is None:
        return value
    if isinstance(value, list):
        return [from_plain(kind, item) if isinstance(item, Mapping) else item for item in value]
    return from_plain(kind, value) if isinstance(value, Mapping) else value
