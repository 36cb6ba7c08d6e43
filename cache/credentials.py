"""Credentials that somebody wrote into a definition: what is recognised, and where it stands (docs/secrets.md)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import unquote

from envkiln.cache.errors import DefinitionError
from envkiln.cache.redact import SHAPES

MAX_CREDENTIALS = 100
"""Different credentials of one definition: each is looked for in every line of its log."""


class Carrier(Enum):
    """What a credential came in, which decides how it can be kept out of an image."""

    SPECIFICATION = "specification"
    """A URL or an option of the conda specification or of a file for pip: only the create step needs it."""

    VARIABLE = "variable"
    """A value below `variables:`: no step of the build needs it."""

    TEXT = "text"
    """A Dockerfile or a list of Spark repositories: the text is built as it is."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential at `file:line`; `what` names it without saying it.

    `value` is the secret itself, as it is written, and `before` and `after` what stands around it wherever the same
    URL does. `name` is the variable that has it, for VARIABLE.
    """

    value: str = field(repr=False)
    what: str
    file: str
    line: int
    carrier: Carrier
    name: str = ""
    before: str = ""
    after: str = ""

    @property
    def traces(self) -> tuple[str, ...]:
        """What a file has that holds the secret in a URL; a short secret alone may be any word."""
        return tuple(f"{self.before}{spelling}{self.after}" for spelling in self.spellings)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The secret as it is written, and as a program may print it: decoded, and without the user before it."""
        user, colon, password = self.value.partition(":")
        written = (self.value, *((password,) if colon and user else ()))
        return (*written, *(decoded for text in written if (decoded := unquote(text)) != text))


# A quick look that most definitions pass: nothing that follows can match without one of these.
_MAY = re.compile(r"://|variables|gh[pousr]_|github_pat_|glpat-|pypi-AgE|hf_|xox[abprs]-|AKIA")
_USER = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<user>[^\s/\"]+)@")
_TOKEN = re.compile(r"://[^\s'\"]{0,255}?/t/(?P<value>[^\s/'\"]+)")
_QUERY = re.compile(
    r"[?&](?:sig|signature|token|access_token|api_key|apikey|key|password|secret)=(?P<value>[^&\s'\"]+)", re.IGNORECASE
)
_SHAPED = re.compile(SHAPES)
_REFERENCE = re.compile(r"\$\{?\w+\}?|\$\([^)]*\)|\{\{.*\}\}|<[^<>]*>|\*+")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:auth|cred|credentials?|pass|passphrase|pat|pwd|sas|secrets?|tokens?)(?=_|$)"
    r"|password|passwd|(?:api|access|account|auth|client|encryption|private|secret|shared|signing|storage)_?key",
    re.IGNORECASE,
)
# `TOKEN_FILE` says where a secret is, and `TOKEN_LIMIT` is a number.
_NO_SECRET_NAME = re.compile(
    r"_(?:dir|enabled|endpoint|expiry|file|host|length|limit|name|path|size|ttl|type|uri|url|user|username)$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"\d{0,4}|true|false|yes|no|none|null", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?<![\w$?&{])(?P<name>[A-Za-z_]\w{0,127})=(?P<value>\"[^\"]{0,4096}\"|'[^']{0,4096}'|[^\s\"';&|]{1,4096})"
)
_LEGACY = re.compile(r"^\s*ENV\s+(?P<name>[A-Za-z_]\w{0,127})\s+(?P<value>[^=\s].*)$", re.IGNORECASE)
# For ssh the user only says which account: the key is elsewhere.
_NO_PASSWORD = re.compile(r"(?:.*\+)?ssh", re.IGNORECASE)
_PLACEHOLDERS = ("x-oauth-basic", "x-access-token")


def may_hold_credentials(text: str) -> bool:
    """Return whether a closer look at a conda specification is worth it; False is certain."""
    return _MAY.search(text) is not None


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name is taken to hold a secret."""
    return _SECRET_NAME.search(name) is not None and _NO_SECRET_NAME.search(name) is None


class Secret(NamedTuple):
    """A secret in a text: what it is, and what stands around it."""

    value: str
    what: str
    before: str = ""
    after: str = ""


def secrets_in(text: str) -> Iterator[Secret]:
    """Yield the secrets of the URLs and the tokens in one line; a reference to a variable is no secret."""
    for match in _USER.finditer(text):
        user, _, password = match["user"].partition(":")
        if password in ("", *_PLACEHOLDERS):
            ssh = _NO_PASSWORD.fullmatch(match["scheme"]) is not None
            if not ssh and not _REFERENCE.fullmatch(user) and user not in _PLACEHOLDERS:
                yield Secret(user, "the user or token of a URL", after="@")
        elif not _REFERENCE.fullmatch(password):
            # A user that is no reference stands before it in everything that pip and conda print.
            value = password if _REFERENCE.fullmatch(user) else match["user"]
            yield Secret(value, "the password of a URL", after="@")
    for pattern, what, before in ((_TOKEN, "the token of a channel", "/t/"), (_QUERY, "a key in a URL", "=")):
        for match in pattern.finditer(text):
            if not _REFERENCE.fullmatch(match["value"]):
                yield Secret(match["value"], what, before)
    for match in _SHAPED.finditer(text):
        yield Secret(match[0], "an access token")


def collected(found: Iterable[Credential]) -> tuple[Credential, ...]:
    """Return `found`, each once; raises DefinitionError when there are more than MAX_CREDENTIALS different ones."""
    kept: dict[Credential, None] = {}
    for credential in found:
        kept[credential] = None
        if len(kept) > MAX_CREDENTIALS:
            raise DefinitionError(
                f"the definition holds more than {MAX_CREDENTIALS} credentials",
                file=credential.file,
                line=credential.line,
                hint="keep them in a netrc file or in the configuration of pip and conda",
            )
    return tuple(kept)


def in_line(text: str, file: str, line: int, carrier: Carrier) -> Iterator[Credential]:
    """Yield the credentials of one line of a specification, of a file for pip, or of a list of URLs."""
    for found in secrets_in(text):
        yield Credential(found.value, found.what, file, line, carrier, before=found.before, after=found.after)


def in_variables(variables: Mapping[Any, Any], file: str, line: Callable[[Any], int]) -> Iterator[Credential]:
    """Yield the credentials below `variables:`: secrets by their name, and URLs with one; `line` is that of a key."""
    for key, value in variables.items():
        name, text = str(key), str(value)
        if _is_secret(name, text) or next(secrets_in(text), None):
            yield Credential(text, f"the variable {name[:80]}", file, line(key), Carrier.VARIABLE, name)


def in_dockerfile(text: str, file: str, line: int | None = None) -> Iterator[Credential]:
    """Yield the credentials that a Dockerfile sets as variables or has in URLs.

    `line` is where the whole text stands, for one that is a value in another file.
    """
    for number, content in enumerate(text.splitlines(), start=1):
        if content.lstrip().startswith("#"):
            continue
        place = line or number
        yield from in_line(content, file, place, Carrier.TEXT)
        for pattern in (_ASSIGNED, _LEGACY):
            for match in pattern.finditer(content):
                value = match["value"].strip().strip("\"'")
                if _is_secret(match["name"], value):
                    yield Credential(value, f"the variable {match['name']}", file, place, Carrier.TEXT)


def _is_secret(name: str, value: str) -> bool:
    return is_secret_name(name) and not _HARMLESS.fullmatch(value) and not _REFERENCE.fullmatch(value)
