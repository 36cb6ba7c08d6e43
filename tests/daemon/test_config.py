"""The configuration: precedence, provenance, refusals, and the documents that describe it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from envkiln.daemon.config import Config, ConfigError, EnvironmentSettings, load_config, read_file
from envkiln.daemon.config_file import PatternSection
from envkiln.daemon.settings import BY_NAME, SETTINGS, Scope, Setting, plain, toml_text
from envkiln.daemon.toml_places import read_toml

HOME = Path("/home/ada")
USER_FILE = HOME / ".config/envkiln/envkiln.toml"
ROOT = Path("/srv/envs")
DOCS = Path(__file__).parents[2] / "docs"


def load(
    user: str | None = None,
    own: str | None = None,
    *,
    roots: Sequence[Path] = (ROOT,),
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    default_root: Path | None = None,
) -> Config:
    files = {USER_FILE: user, ROOT / "envkiln.toml": own}

    def read(path: Path) -> bytes | None:
        text = files.get(path)
        return None if text is None else text.encode()

    return load_config(
        roots_from_flags=roots,
        flags=flags or {},
        environ={"HOME": str(HOME), **(environ or {})},
        user_file=USER_FILE,
        read=read,
        default_root=default_root,
    )


def refusal(user: str | None = None, own: str | None = None, **more: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(user, own, **more)
    return caught.value


def explained(config: Config, name: str, environment_id: str | None = None) -> tuple[Any, str]:
    rows = config.explain(config.roots[0], environment_id)
    return next((row.value, row.source) for row in rows if row.setting.name == name)


STEPS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "auto", "default"),
    ({"user": 'builder = "classic"\n'}, "classic", "~/.config/envkiln/envkiln.toml:1"),
    ({"user_root": 'builder = "buildx"\n'}, "buildx", "~/.config/envkiln/envkiln.toml:4"),
    ({"own": 'builder = "classic"\n'}, "classic", "/srv/envs/envkiln.toml:1"),
    ({"user_pattern": 'builder = "buildx"\n'}, "buildx", "~/.config/envkiln/envkiln.toml:7"),
    ({"own_pattern": 'builder = "classic"\n'}, "classic", "/srv/envs/envkiln.toml:4"),
    ({"environ": {"ENVKILN_BUILDER": "buildx"}}, "buildx", "env ENVKILN_BUILDER"),
    ({"flags": {"builder": "auto"}}, "auto", "flag --builder"),
]


@pytest.mark.parametrize("steps", range(1, len(STEPS) + 1))
def test_each_source_wins_over_those_below_it(steps: int) -> None:
    given: dict[str, Any] = {}
    for more, _, _ in STEPS[:steps]:
        given.update(more)
    nothing = "# nothing\n"
    user = (
        given.get("user", nothing)
        + f'[[root]]\npath = "{ROOT}"\n'
        + given.get("user_root", nothing)
        + '[[pattern]]\nmatch = "gpu/**"\n'
        + given.get("user_pattern", nothing)
    )
    own = given.get("own", nothing) + '[[pattern]]\nmatch = "**"\n' + given.get("own_pattern", nothing)
    config = load(user, own, environ=given.get("environ"), flags=given.get("flags"))

    _, value, source = STEPS[steps - 1]
    assert explained(config, "builder", "gpu/train") == (value, source)
    assert config.for_environment(config.roots[0], "gpu/train").builder == value


def test_the_last_matching_pattern_wins_key_by_key() -> None:
    config = load(
        '[[pattern]]\nmatch = "**"\nbuilder = "classic"\ntime_limit_s = 60\n'
        '[[pattern]]\nmatch = "gpu/*"\nbuilder = "buildx"\n'
    )
    settings = config.for_environment(config.roots[0], "gpu/train")

    assert (settings.builder, settings.time_limit_s) == ("buildx", 60.0)
    assert config.for_environment(config.roots[0], "cpu").builder == "classic"


def test_environments_that_match_the_same_patterns_share_one_object() -> None:
    config = load('[[pattern]]\nmatch = "gpu/**"\nbuild = false\n')
    root = config.roots[0]
    shared = {id(config.for_environment(root, f"{'gpu' if i % 2 else 'cpu'}/{i}")) for i in range(1000)}

    assert len(shared) == 2


@pytest.mark.parametrize(
    ("match", "id_", "is_match"),
    [
        ("gpu/**", "gpu/a/b", True),
        ("gpu/**", "gpu", True),
        ("gpu/*", "gpu/a", True),
        ("gpu/*", "gpu/a/b", False),
        ("**/train", "train", True),
        ("**/train", "a/b/train", True),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("gpu", "gpu/a", False),
        ("gpu", "a/gpu", False),
        ("tr?in-[0-9]", "train-7", True),
        ("GPU", "gpu", False),
    ],
)
def test_a_pattern_matches_the_whole_id(match: str, id_: str, is_match: bool) -> None:
    assert PatternSection(match, "", {}).matches(id_) is is_match


def test_a_pattern_of_many_stars_is_matched_in_no_time() -> None:
    assert not PatternSection("**/*a*a*a*a*a*a*a*b/" * 40 + "x", "", {}).matches("a" * 200 + "/a" * 200)


def test_a_root_has_its_own_settle_time_and_ignored_directories() -> None:
    config = load("settle_ms = 10\n", 'settle_ms = 70\nignore = ["/old/"]\n', roots=[ROOT, Path("/srv/more")])

    assert [root.settle_ms for root in config.roots] == [70, 10]
    assert config.roots[0].ignore == ("/old/",)


def test_an_empty_text_takes_back_what_may_be_absent() -> None:
    config = load('build_network = "host"\n', '[[pattern]]\nmatch = "a"\nbuild_network = ""\n')

    assert config.for_environment(config.roots[0], "a").build_network is None
    assert config.for_environment(config.roots[0], "b").build_network == "host"


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("\nbase_imge = 'x'", ":2: unknown key 'base_imge'; did you mean 'base_image'?"),
        ("base-image = 'x'", ":1: unknown key 'base-image'; did you mean 'base_image'?"),
        ("zzzzzz = 1", ":1: unknown key 'zzzzzz'"),
        ("[[root]]\npath='/x'\nsetle_ms=1", ":3: unknown key 'setle_ms'; did you mean 'settle_ms'?"),
        ("[[pattern]]\nmach='x'", ":2: unknown key 'mach'; did you mean 'match'?"),
        ("[[pattern]]\nbuild=true", ":1: [[pattern]] needs a match, and it has none"),
        ("[[root]]\npath=3", ":2: [[root]] needs a path, and it is not a text"),
        ("[pattern]\nmatch='x'", ":1: pattern is a list of tables"),
        ("[[pattern]]\nmatch='/x'", ":2: match is '/x', which no environment has"),
        ("[[root]]\npath='/x'\n[[root.pattern]]", ":3: a [[pattern]] belongs to a file, not to one of its tables"),
        ("[[pattern]]\nmatch='x'\nsettle_ms=1", ":3: settle_ms is set per root, not per pattern"),
        (
            "[[pattern]]\nmatch='x'\npolling='auto'",
            ":3: polling is for the whole service and cannot be set here",
        ),
        (
            "concurrent_builds = 'two'",
            ':1: concurrent_builds expects a whole number from 1 to 64, not "two"',
        ),
        ("concurrent_builds = true", ":1: concurrent_builds expects a whole number from 1 to 64, not true"),
        ("time_limit_s = inf", ":1: time_limit_s expects a number of seconds from 1 to 2592000, not Infinity"),
        (
            "requirements_python = 3.8",
            ':1: requirements_python expects a Python version in quotes, such as "3.8.13", not 3.8',
        ),
        ("builder = 'kaniko'", ':1: builder expects "auto", "classic" or "buildx", not "kaniko"'),
        ("settle_ms = 3000", "default: settle_max_ms is 2000, below settle_ms, which is 3000"),
        ("a = [\n1,\n", ":2: this is not TOML: "),
        ("a = 1\na = 2", ":2: this is not TOML: "),
        ("ca_bundle = '~bob/x'", ":1: '~bob/x' is the home directory of another user"),
    ],
)
def test_a_mistake_in_the_users_file_is_refused_with_its_line(user: str, message: str) -> None:
    assert message in str(refusal(user))


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{nmae}:latest", "{nmae} is not known"),
        ("team/X{id}", "does not make an image reference"),
        ("{name}:{id}", "does not make an image reference"),
        ("{id}:", "does not make an image reference"),
        ("azureml/azureml_{name}", "where images have their addresses"),
        ("{id}@sha256:" + "0" * 64, "has a digest"),
    ],
)
def test_an_alias_that_cannot_be_a_tag_is_refused(template: str, reason: str) -> None:
    assert reason in str(refusal(f'aliases = ["{template}"]'))


def test_a_service_setting_in_a_roots_own_file_is_sent_where_it_belongs() -> None:
    error = refusal(None, "build = true\nconcurrent_builds = 2\n")

    assert str(error) == ("/srv/envs/envkiln.toml:2: concurrent_builds is for the whole service and cannot be set here")
    assert error.hint is not None
    assert "~/.config/envkiln/envkiln.toml" in error.hint


@pytest.mark.parametrize(
    "line",
    [
        'notify_command = ["rm", "-r"]',
        'notify_webhook = "https://s3cret.example/"',
        'notify_webhook_secret = "s3cret-s3cret-s3cret"',
        'notify_webhook_secret_file = "x"',
        'notify_webhook = ""',
    ],
)
@pytest.mark.parametrize("before", ["build = true\n", "[[pattern]]\nmatch = '**'\n"])
def test_what_starts_a_program_or_calls_out_is_refused_in_a_roots_own_file(before: str, line: str) -> None:
    error = refusal(None, before + line)
    name, number = line.split(" ", maxsplit=1)[0], before.count("\n") + 1

    assert str(error) == (
        f"/srv/envs/envkiln.toml:{number}: {name} cannot be set in a root's own file, "
        "which may come with somebody else's repository"
    )
    assert error.hint == (
        "set it in ~/.config/envkiln/envkiln.toml; there it may also stand in a [[root]] or [[pattern]]"
    )


def test_the_users_file_may_notify_by_root_and_by_pattern_and_a_roots_own_file_may_say_of_what() -> None:
    config = load(
        f'[[root]]\npath = "{ROOT}"\nnotify_webhook = "https://a.example/"\n'
        "[[pattern]]\nmatch = 'gpu/*'\nnotify_command = ['~/bin/x', 'a b', 'a b']\n",
        "notify_on = ['failed']\n",
    )
    gpu, cpu = (config.for_environment(config.roots[0], id_) for id_ in ("gpu/a", "cpu"))

    assert (gpu.notify_on, gpu.notify_webhook) == (("failed",), "https://a.example/")
    assert gpu.notify_command == ("~/bin/x", "a b", "a b")
    assert cpu.notify_command is None


def test_nobody_is_notified_unless_it_was_asked_for() -> None:
    config = load()

    assert config.for_environment(config.roots[0], "a").notify_on == ()


def test_a_webhook_and_its_secret_are_shown_nowhere() -> None:
    given = {"notify_webhook": "https://s3cret.example/s3cret", "notify_webhook_secret": "s3cret-s3cret-s3cret"}
    config = load("".join(f'{name} = "{value}"\n' for name, value in given.items()))
    settings = config.for_environment(config.roots[0], "a")

    assert explained(config, "notify_webhook") == ("***", "~/.config/envkiln/envkiln.toml:1")
    assert (settings.notify_webhook, settings.notify_webhook_secret) == tuple(given.values())
    assert "s3cret" not in f"{config!r} {settings!r} {config.explain()} {config.roots}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("notify_webhook = 'ftp://s3cret'", "notify_webhook expects a URL such as"),
        ("notify_webhook = 'https://[s3cret'", "notify_webhook expects a URL such as"),
        ("notify_webhook = 'https://h/s3cret x'", "notify_webhook expects a URL such as"),
        ("notify_webhook_secret = 's3cret'", "notify_webhook_secret expects a text of 16 or more characters"),
        ("notify_on = ['redy']", 'notify_on expects a list of "ready", "failed", "recovered"'),
        ("notify_command = 'x'", "notify_command expects a list of words"),
        ("notify_command = ['bin/x']", "a program is a name that is looked for in PATH, or a path that starts with /"),
        ("notify_command = ['./x']", "a program is a name that is looked for in PATH, or a path that starts with /"),
        ("notify_command = ['']", "the program has no name"),
    ],
)
def test_a_mistake_about_notifications_is_refused_without_secrets(line: str, expected: str) -> None:
    error = refusal(line)

    assert expected in str(error)
    assert "s3cret" not in f"{error} {error.hint}"


def test_a_command_in_a_variable_is_written_as_in_a_shell() -> None:
    config = load(environ={"ENVKILN_NOTIFY_COMMAND": "play 'all done.wav' -q", "ENVKILN_NOTIFY_ON": "ready, failed"})
    settings = config.for_environment(config.roots[0], "a")

    assert settings.notify_command == ("play", "all done.wav", "-q")
    assert settings.notify_on == ("ready", "failed")
    assert "expects a list of words" in str(refusal(environ={"ENVKILN_NOTIFY_COMMAND": "play 'x"}))


def test_an_empty_list_takes_a_command_back() -> None:
    config = load("notify_command = ['x']\n[[pattern]]\nmatch = 'a'\nnotify_command = []\n")

    assert not config.for_environment(config.roots[0], "a").notify_command


def test_a_root_table_in_a_roots_own_file_is_refused() -> None:
    assert "root is for the whole service" in str(refusal(None, "[[root]]\npath = '/'\n"))


def test_a_misspelt_variable_is_refused_and_a_strange_one_is_not() -> None:
    error = refusal(environ={"ENVKILN_BASE_IMGE": "x"})

    assert "unknown variable 'ENVKILN_BASE_IMGE'; did you mean 'ENVKILN_BASE_IMAGE'?" in str(error)
    kubernetes = {"ENVKILN_PORT": "tcp://10.0.0.1:80", "ENVKILN_SERVICE_HOST": "x", "ENVKILN_STATE_DIR": "/x"}
    assert load(environ=kubernetes).concurrent_builds == 2


def test_variables_are_read_as_their_settings_type() -> None:
    config = load(
        environ={
            "ENVKILN_CONCURRENT_BUILDS": "3",
            "ENVKILN_BUILD": "off",
            "ENVKILN_ALIASES": "{id}:latest, team/{name}:dev",
            "ENVKILN_POLL_INTERVAL_S": "0.5",
            "ENVKILN_CA_BUNDLE": "~/ca.pem",
        }
    )
    settings = config.for_environment(config.roots[0], "a")

    assert (config.concurrent_builds, config.poll_interval_s, settings.build) == (3, 0.5, False)
    assert settings.aliases == ("{id}:latest", "team/{name}:dev")
    assert settings.ca_bundle == HOME / "ca.pem"
    assert "env ENVKILN_BUILD: build expects true or false" in str(refusal(environ={"ENVKILN_BUILD": "perhaps"}))


def test_flags_that_were_not_given_change_nothing() -> None:
    config = load("concurrent_builds = 5\n", flags={"concurrent_builds": None, "aliases": ()})

    assert config.concurrent_builds == 5
    assert explained(load(flags={"aliases": ("x:{name}",)}), "aliases") == (["x:{name}"], "flag --alias")


@pytest.mark.parametrize(
    "proxy",
    ["http://ada:s3cret@proxy:3128", "http://ada:s3/cr@et@proxy:3128", "ada:s3cret@proxy", "http://ada:s3cret@"],
)
def test_credentials_of_a_proxy_are_never_shown(proxy: str) -> None:
    try:
        config = load(f'http_proxy = "{proxy}"\n')
    except ConfigError as error:
        shown = f"{error} {error.hint}"
    else:
        value, _ = explained(config, "http_proxy")
        assert value == "http://***@proxy:3128"
        settings = config.for_environment(config.roots[0], "a")
        assert settings.http_proxy == proxy
        shown = f"{config!r} {settings!r} {config.explain()} {config.roots}"
    assert "s3" not in shown


def test_credentials_in_any_refused_value_are_hidden() -> None:
    assert "s3cret" not in str(refusal('docker_host = "TCP://ada:s3cret@host:1"'))
    assert "s3cret" not in str(refusal(f'docker_host = "TCP://ada:s3cret{"x" * 200}@host:1"'))


def test_build_options_carry_proxies_in_both_spellings() -> None:
    config = load('https_proxy = "http://p:1"\nplatform = "linux/amd64"\nbuild_network = "host"\n')
    options = config.for_environment(config.roots[0], "a").build_options()

    assert options.proxies == {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://p:1"}
    assert (options.platform, options.network, options.ca_bundle) == ("linux/amd64", "host", None)


def test_proxies_of_the_service_itself_are_not_taken() -> None:
    config = load(environ={"HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1"})

    assert config.for_environment(config.roots[0], "a").build_options().proxies == {}


def test_a_missing_ca_bundle_is_an_error_of_its_setting_when_it_is_used(tmp_path: Path) -> None:
    config = load(f'ca_bundle = "{tmp_path}/ca.pem"\n')
    settings = config.for_environment(config.roots[0], "a")
    with pytest.raises(ConfigError, match=r"envkiln\.toml:1: ca_bundle is .* no such file"):
        settings.build_options()
    (tmp_path / "ca.pem").write_text("")

    assert settings.build_options().ca_bundle == tmp_path / "ca.pem"


def test_a_relative_path_starts_at_its_file() -> None:
    config = load(None, 'ca_bundle = "certs/ca.pem"\n')

    assert config.for_environment(config.roots[0], "a").ca_bundle == ROOT / "certs/ca.pem"


def test_roots_come_from_flags_then_the_variable_then_the_file_then_the_default() -> None:
    user = 'roots = ["~/a"]\n[[root]]\npath = "/srv/b"\nsettle_ms = 7\n'
    variable = {"ENVKILN_ROOTS": "/srv/c:/srv/d"}

    def paths(**given: Any) -> list[str]:
        return [str(root.path) for root in load(**given).roots]

    assert paths(user=user, environ=variable, roots=[Path("/srv/b")]) == ["/srv/b"]
    assert paths(user=user, environ=variable, roots=()) == ["/srv/c", "/srv/d"]
    assert paths(user=user, roots=(), default_root=ROOT) == ["/home/ada/a", "/srv/b"]
    assert paths(roots=(), default_root=ROOT) == [str(ROOT)]
    assert paths(roots=()) == []
    assert load(user, roots=[Path("/srv/b")]).roots[0].settle_ms == 7


def test_a_root_given_twice_counts_once_and_through_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "envs")

    config = load(roots=[tmp_path / "link", tmp_path / "envs"])

    assert [root.path for root in config.roots] == [(tmp_path / "envs").resolve()]


def test_a_root_inside_another_is_refused() -> None:
    error = refusal('roots = ["/srv", "/srv/envs"]\n', roots=())

    assert "the root /srv/envs lies in the root /srv (~/.config/envkiln/envkiln.toml:1)" in str(error)


def test_labels_are_as_short_as_they_can_be() -> None:
    config = load(roots=[Path("/a/envs"), Path("/b/envs"), Path("/b/models")])

    assert [root.label for root in config.roots] == ["a/envs", "b/envs", "models"]
    assert load(roots=[Path("/")]).roots[0].label == "root"


def test_the_users_file_is_not_read_again_as_that_of_a_root() -> None:
    config = load("concurrent_builds = 4\n", roots=[USER_FILE.parent])

    assert config.concurrent_builds == 4


def test_explain_lists_every_setting_in_the_order_of_the_table() -> None:
    config = load()

    assert [row.setting for row in config.explain()] == list(SETTINGS)
    assert config.explain()[0].value == [str(ROOT)]
    with pytest.raises(ValueError, match="without its root"):
        config.explain(None, "a")


def test_the_settings_of_an_environment_are_those_of_the_table() -> None:
    names = [field.name for field in fields(EnvironmentSettings) if field.name != "sources"]

    assert names == [setting.name for setting in SETTINGS if setting.scope is Scope.ENVIRONMENT]
    service = {setting.name for setting in SETTINGS if setting.scope is Scope.SERVICE}
    assert service <= {field.name for field in fields(Config)}


def test_lines_are_found_past_strings_arrays_and_comments() -> None:
    text = (
        '# a = [\na = """\nb = 1 # "\n"""\n'
        "'b' = [ # ]\n  '[', \"\\\"]\",\n]\nc.d = {x = [1], y = '''='''}\n"
        "[[t]]\nk = 1\n[[t]]\n\n\"k\" = '#'\n[t.s]\nk = 2\r\nl = 3"
    )
    document = read_toml(text.encode())

    places = {("a",): 2, ("b",): 5, ("c", "d"): 8, ("c", "d", "x"): 8, ("t",): 9, ("t", 0): 9, ("t", 0, "k"): 10}
    places |= {("t", 1, "k"): 13, ("t", 1, "s", "k"): 15, ("t", 1, "s", "l"): 16, ("nowhere",): 1}
    assert {place: document.line(*place) for place in places} == places


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = 1\n\xff", ":2: this is not TOML: byte 0xff is not UTF-8"),
        (b"a = " + b"[" * 50_000, ":1: this is not TOML: "),
        (b"a = " + b"9" * 10_000, ": this is not TOML: "),
        (b"#" * (1 << 21), "more than 65536 bytes"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(roots_from_flags=(), flags={}, environ={}, user_file=USER_FILE, read={USER_FILE: data}.get)


def test_a_file_is_read_if_it_is_there_and_is_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    assert read_file(tmp_path / "file") == b"x"
    assert read_file(tmp_path / "none") is None
    assert read_file(tmp_path / "file" / "below") is None
    with pytest.raises(ConfigError, match="must be a file"):
        read_file(tmp_path)


def _table() -> str:
    def cells(setting: Setting) -> list[str]:
        default = "the current directory" if setting.name == "roots" else f"`{toml_text(_default(setting))}`"
        return [
            f"`{setting.name}`",
            default,
            setting.scope.value,
            setting.kind.expects,
            f"`{setting.flag}`",
            setting.doc,
        ]

    head = ["Name", "Default", "Set for", "Value", "Flag", "Meaning"]
    rows = [head, ["---"] * len(head), *(cells(setting) for setting in SETTINGS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _default(setting: Setting) -> Any:
    return plain(setting.read(setting.default, "default"))


def test_the_documented_table_is_that_of_the_code() -> None:
    page = (DOCS / "configuration.md").read_text()
    documented = re.search(r"<!-- settings: .*-->\n(.*)<!-- end of settings -->", page, re.DOTALL)

    assert documented is not None
    assert documented[1] == _table()


def test_the_example_of_the_page_is_accepted() -> None:
    example = re.search(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)

    assert example is not None
    config = load(example[1], roots=())
    assert config.for_environment(config.roots[0], "gpu/a").builder == "buildx"


def test_the_example_file_shows_every_setting_with_its_default() -> None:
    text = (DOCS / "envkiln.toml").read_text()
    config = load(text, roots=())

    for row in load(text, roots=[ROOT]).explain():
        name, default = row.setting.name, row.setting.default
        shown = re.search(rf"^(# )?{name} = ", text, re.MULTILINE)
        assert shown, f"{name} is not in the example"
        assert (shown[1] is None) == (default is not None), f"{name}: a default is shown, an example is behind a #"
        if default is not None and name != "roots":
            assert row.value == _default(row.setting)
            assert row.source.startswith("~/.config/envkiln/envkiln.toml:")
    envs, projects = config.roots
    assert (envs.path, projects.path) == (HOME / "envs", HOME / "projects")
    assert (envs.settle_ms, projects.settle_ms) == (50, 100)
    assert config.for_environment(projects, "a").aliases == ("projects/{id}:latest",)
    gpu, draft = (config.for_environment(envs, id_) for id_ in ("gpu/train", "gpu/drafts/x"))
    assert (gpu.builder, gpu.time_limit_s, gpu.build) == ("buildx", 10800.0, True)
    assert str(gpu.base_image).startswith("mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:")
    assert (draft.builder, draft.build) == ("buildx", False)
    assert gpu.notify_on == ("failed", "recovered")


def test_what_the_example_file_has_behind_a_hash_is_accepted() -> None:
    text = re.sub(r"^# (?=\w+ = )", "", (DOCS / "envkiln.toml").read_text(), flags=re.MULTILINE)
    config = load(text, roots=[ROOT])
    values = {row.setting.name: row.value for row in config.explain()}

    assert values["docker_config"] == str(HOME / ".docker")
    assert values["docker_host"] == "unix:///run/user/1000/docker.sock"
    assert values["buildx_builder"] == "team"
    assert (values["platform"], values["build_network"]) == ("linux/amd64", "host")
    assert values["http_proxy"] == values["https_proxy"] == "http://proxy.example:3128"
    assert values["no_proxy"] == "localhost,.example.com"
    assert values["ca_bundle"] == "/etc/ssl/certs/company.pem"
    assert values["notify_webhook"] == values["notify_webhook_secret"] == "***"
    assert values["notify_webhook_secret_file"] == str(HOME / ".config/envkiln/webhook-secret")
    assert values["notify_command"] == ["~/bin/on-envkiln", "--short"]
    assert set(values) == set(BY_NAME)
