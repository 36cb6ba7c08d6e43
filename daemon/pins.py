"""The images that a user has pinned: a file in the state directory, one shell pattern on each line.

Not in the index, which may be lost at any time.
"""

from pathlib import Path

from envkiln.cache.errors import EnvkilnError, Turn
from envkiln.daemon.kinds import pin_pattern
from envkiln.daemon.whole_file import write_whole


class PinsUnreadable(EnvkilnError):  # noqa: N818 -- what it is
    """The file of pins cannot be read: what is pinned is not known."""

    turn = Turn.SURROUNDINGS


def read_pins(file: Path) -> tuple[str, ...]:
    """Return the pinned patterns, none where there is no file; raises PinsUnreadable."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise PinsUnreadable(
            f"the pinned images cannot be read: {file}: {error}",
            hint="correct the file's permissions, or remove it and pin again with: envkiln pin",
        ) from error
    return tuple(line for line in map(str.strip, lines) if line)


def change_pins(file: Path, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Write the file with these patterns more and those less; return what is pinned then.

    Raises PinsUnreadable, OSError, and ValueError for what is no pattern.
    """
    before = read_pins(file)
    pins = dict.fromkeys([*before, *map(pin_pattern, add)])
    after = tuple(sorted(pin for pin in pins if pin not in remove))
    if after != before:
        write_whole(file, "".join(f"{pin}\n" for pin in after).encode())
    return after
