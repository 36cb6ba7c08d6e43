"""Small texts for people: ages, sizes, and anything foreign on one harmless line."""

_STEPS = ((60.0, 1.0, "s"), (3600.0, 60.0, "m"), (86400.0, 3600.0, "h"), (float("inf"), 86400.0, "d"))


def ago(seconds: float) -> str:
    """Return an age in its largest whole unit, such as `12s` or `3d`; a negative one (a clock set back) is `0s`."""
    age = max(0.0, seconds)
    limit_unit = next((unit, name) for limit, unit, name in _STEPS if age < limit)
    return f"{int(age // limit_unit[0])}{limit_unit[1]}"


def size(number: float) -> str:
    """Return a number of bytes as Docker writes sizes: `243MB`, `1.2GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}TB"


def one_line(text: str) -> str:
    """Return `text` without line breaks and without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
