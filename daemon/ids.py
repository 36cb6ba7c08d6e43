"""What an environment is called for people: its path below its root, unique among all roots."""


class Ids:
    """Gives each (root label, path) one id for as long as it is there.

    The id is the path. Where another root has that path already, it is `label:path`; the roots are looked at in
    their configured order, so the same configuration gives the same ids.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, str]] = {}
        self._given: dict[tuple[str, str], str] = {}

    def claim(self, label: str, path: str) -> str:
        key = (label, path)
        known = self._given.get(key)
        if known is not None:
            return known
        id_ = path if path not in self._owners else f"{label}:{path}"
        self._owners[id_] = key
        self._given[key] = id_
        return id_

    def release(self, label: str, path: str) -> str:
        """Return the id that was given; the next to claim the path may have it."""
        id_ = self._given.pop((label, path))
        del self._owners[id_]
        return id_
