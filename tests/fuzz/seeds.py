"""What the readers are first given: valid texts of every format, and the shapes that other readers fell over."""

import codecs
import json
from collections.abc import Iterator

from readers import SEPARATOR

_CONDA = b"""\
name: x
channels: [conda-forge, https://user:pass@host/c, https://host/t/token-1/c]
dependencies:
  - python=3.11
  - conda-forge::numpy>=1.2
  - pip:
      - -r more.txt
      - --extra-index-url https://user:pass@host/simple
      - name @ git+https://token@host/x.git
      - ./x.whl
variables: {API_TOKEN: secret-1, MODE: fast}
"""
_V1 = {
    "name": "x",
    "version": "1",
    "python": {
        "userManagedDependencies": False,
        "condaDependencies": {"channels": ["c"], "dependencies": ["python", {"pip": ["idna"]}]},
    },
    "docker": {"baseImage": None, "baseDockerfile": "FROM base\nENV TOKEN=secret-1\n", "platform": {"os": "Linux"}},
    "spark": {"repositories": ["https://h/m"], "packages": [{"group": "g", "artifact": "a", "version": "1"}]},
}
_V2 = b"$schema: https://x/environment.schema.json\nname: x\nversion: 1\nimage: base:1\nconda_file: conda.yml\n"
_V2_CONTEXT = b"name: x\nbuild:\n  path: context\n  dockerfile_path: Dockerfile\n"
_REQUIREMENTS = (
    b"idna==3.10 ; python_version > '3'  # why\n-r more.txt\n-i https://u:p@h/simple\n\\\n-e .\n./x.whl[extra]\n"
)
_DOCKERFILE = (
    b"# escape=`\nFROM base AS one\nARG TOKEN=secret\nENV A=b PASSWORD='x y'\nENV KEY_B c\nRUN <<EOF\nx\nEOF\n"
)
_IGNORE = b"# x\n*.py\n!a/**/c.py\n/data\\ \n[a-z]*\nnode_modules/\n**/x\n"
_CONFIG = b"""\
roots = ["~/envs"]
builder = "auto"
settle_ms = 50
http_proxy = "http://u:p@h:1"
[[root]]
path = "x"
ignore = [".git/"]
[[pattern]]
match = "team/**"
concurrency = 2
aliases = ["{id}:latest"]
"""
_LOG = b"""\
#5 [2/9] RUN ldconfig
#5 1.23 Collecting package metadata (repodata.json): ...working... done\r\x1b[31mred\x1b[0m
ERROR: Could not find a version that satisfies the requirement x (from versions: none)
Step 3/9 : RUN x
 ---> Running in 0123
ResolvePackageNotFound:
  - numpy=9
"""
_STORED = b"layout: 1\nname: x\nversion: 1\nformat: conda\nmain: env.yml\nfiles:\n  env.yml: |\n    dependencies: []\n"

SEEDS: dict[str, list[bytes]] = {
    "yaml_text": [_CONDA, _V2, b"a: &a [1, ~, 2020-01-01]\nb: *a\n<<: {c: !!binary aGk=}\n? [x]\n: y\n"],
    "json_text": [json.dumps(_V1).encode(), b'{"a": 1, "a": NaN}'],
    "refused": [_CONDA, _V2],
    "conda": [_CONDA + SEPARATOR + _REQUIREMENTS],
    "azureml_v1": [json.dumps(_V1).encode(), json.dumps(_V1).encode() + SEPARATOR + _CONDA + SEPARATOR + _DOCKERFILE],
    "azureml_v2": [_V2 + SEPARATOR + _CONDA, _V2_CONTEXT + SEPARATOR + SEPARATOR + _DOCKERFILE],
    "requirements": [_REQUIREMENTS + SEPARATOR + _REQUIREMENTS],
    "dockerfile": [_DOCKERFILE],
    "ignore_files": [_IGNORE + SEPARATOR + _IGNORE, b"*" * 64 + b"\x02!_"],
    "explanation": [_CONDA + SEPARATOR + _CONDA.replace(b"1.2", b"1.3"), b"FROM a\nx" + SEPARATOR + b"FROM b\ny"],
    "credentials": [_REQUIREMENTS, b"ghp_" + b"a1" * 18, b"https://u:p%40@h/t/tok/c?sig=x&token=y", b"https://h/t/a://h/t/b/t/c"],
    "configuration": [_CONFIG],
    "labels": [b'{"envkiln.name": "x", "envkiln.base-tag": "b:1", "k\\"": "v\\n"}', b"h/a/b:t@sha256:" + b"0" * 64],
    "log_lines": [_LOG],
    "queries": [b"limit=5&after=a%2Fb&state=ready&text=%ff", b"{mark} {name:>5} {age}", b"/v1/environments/a%2fb/log"],
    "records": [b'{"version": 2, "envkiln": "0.1.0"}', b'{"build": "x", "image": "i", "state": "built"}'],
    "registered_versions": [_STORED],
}  # fmt: skip


def hostile() -> Iterator[bytes]:
    """Yield small texts with everything that has been a trap, for every reader."""
    for text in (_CONDA, _REQUIREMENTS, _DOCKERFILE, json.dumps(_V1).encode()):
        yield text.replace(b"\n", b"\r\n")
        yield text.replace(b"\n", b"\r")
        yield text.replace(b"x", b"\0")
        yield codecs.BOM_UTF8 + text
        for encoding in ("utf-16", "utf-16-be", "utf-32", "latin-1", "cp037"):
            yield text.decode().encode(encoding)
        yield text.replace(b"x", "\u202e\u2028\x85\ufffe".encode())
        yield text.replace(b"x", b"\xed\xa0\x80\xff")
        yield b"<<<<<<< ours\n" + text + b"=======\n" + text + b">>>>>>> theirs\n"
        yield text.replace(b"x", b"{{ template }}").replace(b"1", b"${{ parameters.version }}")
        yield text + text
        yield text[: len(text) // 2]
    for value in (
        b"1",
        b"~",
        b"[]",
        b"{}",
        b"true",
        b"2020-01-01",
        b"!!python/object:os.system x",
        b"0x_",
        b".inf",
        b"1:2:3",
    ):
        yield b"dependencies:\n- " + value + b"\n- pip:\n  - " + value + b"\nchannels: " + value + b"\nname: " + value
    yield b"\x1b[31m\x1b]0;title\x07<script>alert(1)</script>"


def large() -> Iterator[tuple[str, bytes]]:
    """Yield (name, text) of what takes other readers minutes or gigabytes."""
    laughs = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in range(1, 12):
        laughs += b"a%d: &a%d [%s]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 9))
    million = 1 << 20
    yield "alias bomb", laughs + b"dependencies: *a11\n"
    yield "alias to itself", b"a: &a [*a]\ndependencies: *a\n"
    yield "deep flow", b"dependencies: " + b"[" * 100_000
    yield "deep flow, closed", b"[" * 100_000 + b"]" * 100_000
    yield "deep mapping", b"{a: " * 100_000
    yield "deep block", b"".join(b" " * depth + b"a:\n" for depth in range(1000))
    yield "deep JSON", b'{"python": ' * 100_000
    yield "one scalar", b"dependencies:\n- " + b"x" * (million - 100)
    yield "one scalar of URLs", b"dependencies:\n- " + b"https://u:p@" * (million // 13)
    yield "many items", b"dependencies:\n" + b"- x\n" * 200_000
    yield "many pip items", b"dependencies:\n- pip:\n" + b"  - -r more.txt\n" * 60_000
    yield "many keys", b"variables:\n" + b"".join(b"  TOKEN_%d: secret\n" % number for number in range(45_000))
    yield "many empty lines", b"\n" * (million - 10)
    yield "many long lines", (b"x" * 4000 + b"\n") * 250
    yield "many patterns", b"".join(b"a%d/**/*x*[a-z]\n" % number for number in range(50_000))
    yield "many stars", b"*a" * 5000 + b"\n" + b"**/" * 5000 + b"x\n"
    yield "many assignments", b"FROM b\nENV " + b"TOKEN=a " * 100_000
    yield "many quotes", b"A='\"" * (million // 4)
    yield "many brackets", b"-r " + b"[" * (million - 10)
    yield "many tables", b"[[root]]\n" * 100_000
    yield "a number without an end", b"1" * (million - 10)
    yield "a dotted key", b"a" + b".a" * 100_000 + b" = 1\n"
    yield "too long", b"#" * (2 * million)
