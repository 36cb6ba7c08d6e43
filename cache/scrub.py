"""The program that looks after an environment is made whether a credential stayed, and takes out where it was noted.

conda notes the URL of every package (`conda-meta`), pip that of a direct one (`direct_url.json`), git that of a clone.
"""

from collections.abc import Sequence

from envkiln.cache.credentials import Credential

_PROGRAM = '''\
"""Take credentials out of the notes of conda, pip and git; fail when another file has one."""
import os
import sys

MARKS = {marks}
PLACES = {places}
MOUNTED = {mounted}
LONGEST = 4 * 1024 * 1024


def is_note(path):
    name = os.path.basename(path)
    return (
        "/conda-meta/" in path
        or "/.git/" in path
        or ".dist-info/" in path
        or ".egg-info/" in path
        or name in ("environments.txt", "urls.txt")
    )


def files(places):
    for place in places:
        for directory, _, found in os.walk(place):
            for name in found:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path) and path not in MOUNTED:
                    yield path


def main():
    marks = [(mark.encode("utf-8", "surrogateescape"), sure) for mark, sure in MARKS]
    left = []
    for path in files(PLACES):
        with open(path, "rb") as file:
            content = file.read()
        found = [(mark, sure) for mark, sure in marks if mark in content]
        if not found:
            continue
        if is_note(path) and b"\\0" not in content and len(content) <= LONGEST:
            for mark, _ in found:
                content = content.replace(mark, b"***")
            with open(path, "wb") as file:
                file.write(content)
        elif any(sure for _, sure in found):
            left.append(path)
    for path in left:
        sys.stderr.write("envkiln: %s holds a credential of the definition and would be part of the image\\n" % path)
    return 1 if left else 0


sys.exit(main())
'''
_LONG_ENOUGH = 12
"""The trace of a shorter secret may stand in any file by chance."""


def scrub_program(credentials: Sequence[Credential], places: Sequence[str], mounted: Sequence[str]) -> bytes:
    """Return the program (Python 3) that looks for `credentials` below the absolute paths `places`.

    The files `mounted` are left alone: they are no part of the image.
    It ends with 1 when a file has one that is no note. It holds the secrets: it is one itself.
    """
    marks = {trace: len(credential.value) >= _LONG_ENOUGH for credential in credentials for trace in credential.traces}
    ordered = sorted(marks.items(), key=lambda mark: len(mark[0]), reverse=True)
    return _PROGRAM.format(marks=ascii(ordered), places=ascii(list(places)), mounted=ascii(list(mounted))).encode()
