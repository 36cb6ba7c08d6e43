"""A requirements file as `Environment.from_pip_requirements` makes an environment of it (FACTS §2.2, §2.3).

Observed with azureml-core 1.61.0.post4:

- dependencies are `python=3.8.13`, one pip block, then `pip`; channels are `anaconda` and `conda-forge`;
- the pip block holds the lines as `str.splitlines` splits them (LF, CRLF, CR, form feed, U+0085, U+2028, ...): blank
  lines, comments, options, leading and trailing spaces and the backslash of a continuation all stay;
- the line end of the last line makes no further item; an empty file gives an empty pip block;
- a byte order mark stays in front of the first line; a file that is not UTF-8 is refused.
"""

from itertools import chain

from envkiln.cache.canonical import canonical_text
from envkiln.cache.credentials import Carrier, collected, in_line
from envkiln.cache.definition import CondaSpecification, EnvironmentDefinition, Format
from envkiln.cache.pip_items import pip_files
from envkiln.cache.section import Line
from envkiln.cache.source import SourceTree, directory_of
from envkiln.cache.yaml_text import decode_text

NAME = "project_environment"
CHANNELS = ("anaconda", "conda-forge")
DEFAULT_PYTHON = "3.8.13"
MAX_LINES = 50_000
"""Each is an item of the specification; the largest published file has some hundred."""
_MARK = "\ufeff"


def read_requirements(
    tree: SourceTree, path: str, data: bytes, *, python: str = DEFAULT_PYTHON
) -> EnvironmentDefinition:
    """Return the definition that the requirements file `path`, whose bytes are `data`, stands for."""
    text = decode_text(data, path)
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        message = f"the file has {len(lines)} lines, more than the {MAX_LINES} that a requirements file may have"
        raise Line(path).error(message, hint="is this really a requirements file?")
    local = pip_files(
        tree, directory_of(path), ((line, Line(path, number)) for number, line in enumerate(lines, start=1))
    )
    own = (
        found for number, line in enumerate(lines, 1) for found in in_line(line, path, number, Carrier.SPECIFICATION)
    )
    credentials = collected(chain(own, local.credentials))
    if data.startswith(_MARK.encode()):
        lines[:1] = [_MARK + line for line in lines[:1]] or [_MARK]
    specification = {
        "name": NAME,
        "dependencies": [f"python={python}", {"pip": lines}, "pip"],
        "channels": list(CHANNELS),
    }
    return EnvironmentDefinition(
        format=Format.REQUIREMENTS,
        file=path,
        directory=directory_of(path),
        conda=CondaSpecification(canonical_text(specification), NAME),
        extra_files=local.files,
        warnings=local.warnings,
        credentials=credentials,
    )
