"""What TAB offers, for any shell: the words of a line so far, and what may come next.

Every command imports this for `ENVIRONMENT`, so it imports nothing of its own before it is asked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click
from click.types import StringParamType

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PATIENCE_S = 1.0
"""Whoever presses TAB waits."""
_OPTION_WITH_VALUE = re.compile(r"--[\w-]+=")
_WORDS = re.compile(r'(a list of )?"[^"]+"((, | or )"[^"]+")*')
"""What a kind of settings expects that has a few words: `"auto", "always" or "never"`."""


class EnvironmentId(StringParamType):
    """An environment's id, or the path of its definition."""

    name = "environment"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- only to complete

        given = ctx.params.get(param.name or "") or ()
        offered = [id_ for id_ in known_ids(incomplete) if not isinstance(given, tuple) or id_ not in given]
        return [CompletionItem(id_) for id_ in offered] or [CompletionItem(incomplete, type="file")]


class VersionName(StringParamType):
    """A registered version, as `version_reference` has it."""

    name = "reference"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- only to complete

        return [CompletionItem(reference) for reference in known_versions(incomplete, ctx.params)]


ENVIRONMENT = EnvironmentId()
VERSION = VersionName()


def known_ids(prefix: str) -> list[str]:
    """Return the ids that start with `prefix`: the service's, or those of the index; none when neither answers.

    Ids that do not fit on one line of a terminal are left out.
    """
    try:
        return [id_ for id_ in _ids(prefix) if id_.startswith(prefix) and not re.search(r"[\x00-\x1f\x7f]", id_)]
    except Exception:  # noqa: BLE001 -- TAB never shows an error
        return []


def known_versions(prefix: str, flags: Mapping[str, Any]) -> list[str]:
    """Return the names that start with `prefix` or, once a colon is there, the versions; none without a workspace."""
    from envkiln.daemon.cli_versions import opened  # noqa: PLC0415 -- only to complete

    try:
        known = opened(flags={"workspace": flags.get("workspace")}).versions()
    except Exception:  # noqa: BLE001 -- TAB never shows an error
        return []
    references = (version.reference if ":" in prefix else version.name for version in known)
    return [reference for reference in dict.fromkeys(references) if reference.startswith(prefix)]


def _ids(prefix: str) -> list[str]:
    import glob  # noqa: PLC0415
    import os  # noqa: PLC0415

    from envkiln.daemon.client import Client, ServiceDown  # noqa: PLC0415
    from envkiln.daemon.paths import paths_from  # noqa: PLC0415

    paths = paths_from(os.environ)
    try:
        client = Client(paths.socket, timeout_s=_PATIENCE_S, warn=lambda _: None)
        return [str(view["environment"]) for view in client.environments(name=f"{glob.escape(prefix)}*")]
    except ServiceDown:
        pass
    if not paths.index.is_dir():
        return []
    from envkiln.cache.index import Index  # noqa: PLC0415

    index = Index(paths.index)
    try:
        return sorted(index.views())
    finally:
        index.close()


@dataclass(frozen=True, slots=True)
class Line:
    """A command line up to the cursor, as a shell takes it apart.

    `words` are the whole words after the program's name, `current` is the one at the cursor, without its quotes;
    `quote` is the quote that is open there. The shell replaces `current` from its character `start` on.
    """

    words: tuple[str, ...]
    current: str = ""
    quote: Literal["", "'", '"'] = ""
    start: int = 0

    @classmethod
    def parse(cls, text: str, breaks: str = "") -> "Line":
        """Take `text` apart; `breaks` are the characters besides spaces and quotes at which the shell starts anew."""
        words: list[str] = []
        current, quote, start, inside = "", "", 0, False
        characters = iter(text)
        for character in characters:
            if character == "\\" and quote != "'":
                following = next(characters, "")
                kept = "\\" if quote and following not in '"\\$`' else ""
                current, inside = current + kept + following, True
            elif quote:
                if character == quote:
                    quote, start = "", len(current)
                else:
                    current += character
            elif character in "'\"":
                quote, start, inside = character, len(current), True
            elif character in " \t\n":
                if inside:
                    words.append(current)
                current, start, inside = "", 0, False
            else:
                current, inside = current + character, True
                if character in breaks:
                    start = len(current)
        open_quote: Literal["", "'", '"'] = "'" if quote == "'" else '"' if quote else ""
        return cls(tuple(words[1:]), current, open_quote, start)

    def for_bash(self, candidate: str) -> str:
        """Return what bash puts in place of the word: from `start` on, and quoted as the word is."""
        rest = candidate[self.start :]
        if self.quote == "'":
            return rest.replace("'", r"'\''")
        if self.quote:
            return re.sub(r'(["\\$`])', r"\\\1", rest)
        return re.sub(r"([^\w@%+=:,./^-])", r"\\\1", rest)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing to offer. `kind` is plain, or file or dir: then the shell completes paths itself."""

    kind: str
    text: str
    help: str = ""


def candidates(root: click.Group, line: Line, *, with_help: bool) -> list[Candidate]:
    """Return what may stand at the cursor, as whole words.

    `with_help` says what each command does, for which it has to be imported.
    """
    from click.shell_completion import ShellComplete  # noqa: PLC0415 -- only to complete

    if not with_help and not line.words and not line.current.startswith("-"):
        names = root.list_commands(click.Context(root))
        return [Candidate("plain", name) for name in names if name.startswith(line.current)]
    option = _OPTION_WITH_VALUE.match(line.current)
    before = option[0] if option else ""
    flag = before.removesuffix("=") or (line.words[-1] if line.words else "")
    if flag.startswith("--") and "--" not in line.words:
        value = line.current.removeprefix(before)
        words = [word for word in _setting_words(flag) if word.startswith(value)]
        if words:
            return [Candidate("plain", before + word) for word in words]
    found = ShellComplete(root, {}, "envkiln", "").get_completions(list(line.words), line.current)
    return [Candidate(item.type, before + str(item.value), item.help or "") for item in found]


def _setting_words(flag: str) -> list[str]:
    """Return the words that the setting of a flag can have; none when it is free, or no setting's."""
    from envkiln.daemon.settings import SETTINGS  # noqa: PLC0415 -- only to complete

    for setting in SETTINGS:
        if setting.flag == flag:
            if isinstance(setting.default, bool):
                return ["true", "false"]
            if _WORDS.fullmatch(setting.kind.expects):
                return re.findall('"([^"]+)"', setting.kind.expects)
    return []
