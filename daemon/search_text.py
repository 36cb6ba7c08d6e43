"""What a search for text looks at: one string for all environments, so that a search is one pass of memory."""

import bisect
from collections.abc import Sequence

_BETWEEN = "\0"
"""Stands in no path, name or reason."""


class SearchText:
    """Texts by id; a search costs what `str.find` does, and the first one after a change a join of all texts."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._ids: list[str] = []
        self._starts: list[int] = []
        self._joined: str | None = ""

    def set(self, id_: str, text: str) -> None:
        """Take `text` for `id_`, in place of what was there."""
        folded = text.casefold()
        if self._texts.get(id_) != folded:
            self._texts[id_] = folded
            self._joined = None

    def drop(self, id_: str) -> None:
        if self._texts.pop(id_, None) is not None:
            self._joined = None

    def find(self, text: str) -> Sequence[str]:
        """Return the ids, in order, whose text has `text` in it, in any case; all of them for an empty one."""
        joined = self._join()
        wanted = text.casefold()
        if not wanted:
            return self._ids
        if _BETWEEN in wanted:
            return []
        found = []
        at = joined.find(wanted)
        while at >= 0:
            which = bisect.bisect_right(self._starts, at) - 1
            found.append(self._ids[which])
            end = self._starts[which + 1] if which + 1 < len(self._starts) else len(joined)
            at = joined.find(wanted, end)
        return found

    def _join(self) -> str:
        if self._joined is None:
            self._ids = sorted(self._texts)
            texts = [self._texts[id_] for id_ in self._ids]
            self._starts, start = [], 0
            for text in texts:
                self._starts.append(start)
                start += len(text) + 1
            self._joined = _BETWEEN.join(texts)
        return self._joined
