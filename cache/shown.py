"""What may be shown, stored or sent of a definition that holds credentials: pure."""

from collections.abc import Sequence
from typing import Any

import yaml

from envkiln.cache.canonical import canonical_text
from envkiln.cache.credentials import Carrier, Credential
from envkiln.cache.definition import CondaSpecification, EnvironmentDefinition
from envkiln.cache.identity import Identity
from envkiln.cache.redact import redact

_VARIABLES = "variables"


def definition_text(definition: EnvironmentDefinition, identity: Identity) -> str:
    """Return the text that the name stands for, without credentials: the conda specification, else the named text."""
    if definition.conda is None:
        return redact(identity.named_text, spellings(definition.credentials))
    return shown_specification(definition.conda, definition.credentials).canonical


def spellings(credentials: Sequence[Credential]) -> tuple[str, ...]:
    """Return every text that is one of `credentials`, or that a program may print for one."""
    return tuple({spelling for credential in credentials for spelling in credential.spellings})


def shown_specification(conda: CondaSpecification, credentials: Sequence[Credential]) -> CondaSpecification:
    """Return `conda` with `***` for every credential, its variables too."""
    if not credentials:
        return CondaSpecification(redact(conda.canonical), conda.declared_name)
    hidden = spellings(credentials)
    value = yaml.load(conda.canonical, yaml.CSafeLoader)
    secret = _secret_variables(credentials)
    variables = value.get(_VARIABLES)
    if isinstance(variables, dict):
        value[_VARIABLES] = {key: "***" if str(key) in secret else inner for key, inner in variables.items()}
    return CondaSpecification(canonical_text(_redacted(value, hidden)), conda.declared_name)


def built_specification(conda: CondaSpecification, credentials: Sequence[Credential]) -> CondaSpecification:
    """Return `conda` without the variables that hold a credential: no step of a build needs them."""
    secret = _secret_variables(credentials)
    if not secret:
        return conda
    value = yaml.load(conda.canonical, yaml.CSafeLoader)
    left = {key: inner for key, inner in value[_VARIABLES].items() if str(key) not in secret}
    value = {key: inner for key, inner in value.items() if key != _VARIABLES}
    return CondaSpecification(canonical_text({**value, _VARIABLES: left} if left else value), conda.declared_name)


def _secret_variables(credentials: Sequence[Credential]) -> frozenset[str]:
    return frozenset(credential.name for credential in credentials if credential.carrier is Carrier.VARIABLE)


def _redacted(value: Any, hidden: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redact(value, hidden)
    if isinstance(value, list):
        return [_redacted(item, hidden) for item in value]
    if isinstance(value, dict):
        return {_redacted(key, hidden): _redacted(inner, hidden) for key, inner in value.items()}
    return value
