"""The kinds of values that settings have: what is expected, how it is checked, how a variable's text is read."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from envkiln.cache.definition import ImageReference, ImageReferenceError
from envkiln.daemon.registry_address import AddressError, RegistryAddress

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FALSE_AND_TRUE = {
    **dict.fromkeys(("false", "no", "off", "0"), False),
    **dict.fromkeys(("true", "yes", "on", "1"), True),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of values: `check` returns the typed value or raises ValueError, with a reason if it has one to add.

    `from_text` makes of a variable's or flag's text what TOML would have given, or raises ValueError.
    """

    expects: str
    check: Callable[[Any], Any]
    from_text: Callable[[str], Any] = str


def _require(condition: object, reason: str = "") -> None:
    if not condition:
        raise ValueError(reason)


def whole(low: int, high: int) -> Kind:
    def check(value: Any) -> int:
        # bool is an int to Python, not to the person who wrote it.
        _require(isinstance(value, int) and not isinstance(value, bool) and low <= value <= high)
        return int(value)

    return Kind(f"a whole number from {low} to {high}", check, int)


def number(unit: str, low: float, high: float) -> Kind:
    def check(value: Any) -> float:
        _require(isinstance(value, int | float) and not isinstance(value, bool))
        _require(math.isfinite(value) and low <= value <= high)
        return float(value)

    return Kind(f"a number of {unit} from {low:g} to {high:.0f}", check, float)


def seconds(low: float, high: float) -> Kind:
    return number("seconds", low, high)


def choice(*words: str) -> Kind:
    def check(value: Any) -> str:
        _require(isinstance(value, str) and value in words)
        return str(value)

    *first, last = (f'"{word}"' for word in words)
    return Kind(f"{', '.join(first)} or {last}", check)


def text(expects: str, pattern: str) -> Kind:
    def check(value: Any) -> str:
        _require(isinstance(value, str) and re.fullmatch(pattern, value))
        return str(value)

    return Kind(expects, check)


def _list(expects: str, item: Callable[[str], Any], separator: str) -> Kind:
    def check(value: Any) -> tuple[Any, ...]:
        _require(isinstance(value, list | tuple) and all(isinstance(text, str) for text in value))
        return tuple(dict.fromkeys(item(text) for text in value))

    return Kind(expects, check, lambda text: [part.strip() for part in text.split(separator) if part.strip()])


def choices(*words: str) -> Kind:
    def item(word: str) -> str:
        _require(word in words, f"{word!r} is none of them")
        return word

    quoted = ", ".join(f'"{word}"' for word in words)
    return _list(f"a list of {quoted}", item, ",")


def _flag_word(text: str) -> bool:
    word = text.strip().lower()
    _require(word in _FALSE_AND_TRUE)
    return _FALSE_AND_TRUE[word]


def _bool(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _path(value: Any) -> Path:
    _require(isinstance(value, str) and value and "\0" not in value)
    return Path(value)


def _image(value: Any) -> ImageReference:
    _require(isinstance(value, str))
    try:
        return ImageReference.parse(value)
    except ImageReferenceError as error:
        raise ValueError(error.hint) from None


def _proxy(value: Any) -> str:
    _require(isinstance(value, str) and not re.search(r"[\s\0]", value))
    reason = "percent-encode special characters of the user name and password"
    try:
        url = urlsplit(value)
        usable = url.hostname and url.port != 0 and url.path in ("", "/") and not url.query and not url.fragment
    except ValueError:
        # urllib quotes what it could not read, which may be a part of the password.
        raise ValueError(reason) from None
    _require(usable, reason)
    _require(url.scheme in ("http", "https", "socks5", "socks5h"))
    return str(value)


def _url(value: Any) -> str:
    # Nothing of it goes into a reason: whoever has the URL may write to it.
    _require(isinstance(value, str) and re.fullmatch(r"[!-~]+", value))
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not url.fragment
    except ValueError:
        usable = False
    _require(usable)
    return str(value)


def _command(value: Any) -> tuple[str, ...]:
    _require(isinstance(value, list | tuple))
    _require(all(isinstance(word, str) and "\0" not in word for word in value))
    words = tuple(value)
    if words:
        _require(words[0].strip(), "the program has no name")
        # A relative path would start in whatever directory the service runs, which may be somebody's repository.
        reason = "a program is a name that is looked for in PATH, or a path that starts with / or ~/"
        _require("/" not in words[0] or words[0].startswith(("/", "~/")), reason)
    return words


def _words(text: str) -> list[str]:
    import shlex  # noqa: PLC0415 -- only when somebody gives a command as a variable or a flag

    return shlex.split(text)


def _registry(address: str) -> RegistryAddress:
    try:
        return RegistryAddress.parse(address)
    except AddressError as error:
        raise ValueError(error.hint) from None


def _alias(template: str) -> str:
    for placeholder in _PLACEHOLDER.findall(template):
        _require(placeholder in ("id", "name"), f"{{{placeholder}}} is not known, only {{id}} and {{name}} are")
    # An id may have directories, so it fits into a repository and not into a tag.
    text = template.replace("{id}", "a/b").replace("{name}", "a")
    try:
        reference = ImageReference.parse(text)
    except ImageReferenceError:
        raise ValueError(f"{template!r} does not make an image reference") from None
    _require(reference.digest is None, f"{template!r} has a digest, and a digest cannot be given")
    addresses = template.startswith("azureml/azureml_")
    _require(not addresses, f"{template!r} is where images have their addresses")
    return template


def _ignore(pattern: str) -> str:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 -- clients read the table too and need no patterns

    _require(pattern.strip() and not pattern.startswith("#"), f"{pattern!r} is not a pattern")
    try:
        GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        raise ValueError(f"{pattern!r} is not a pattern of gitignore") from None
    return pattern


def pin_pattern(pattern: str) -> str:
    """Return a shell pattern for images that stay; raises ValueError."""
    _require(pattern and pattern.isprintable() and not re.search(r"\s", pattern), f"{pattern!r} is not a pattern")
    return pattern


WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""The names that Docker gives builders and networks, as a pattern for `text`."""

BOOL = Kind("true or false", _bool, _flag_word)
PATH = Kind("a path", _path)
IMAGE = Kind("an image reference", _image)
PROXY = Kind('a URL such as "http://proxy.example:3128"', _proxy)
URL = Kind('a URL such as "https://chat.example/hook"', _url)
COMMAND = Kind('a list of words such as ["notify.sh", "--short"]', _command, _words)
ALIASES = _list('a list of tags such as "{id}:latest"', _alias, ",")
IGNORE = _list("a list of patterns as in .gitignore", _ignore, ",")
REGISTRIES = _list('a list of registries such as "team.azurecr.io"', _registry, ",")
PINS = _list('a list of patterns such as "gpu/*"', pin_pattern, ",")
PATHS = _list("a list of paths", _path, ":")
