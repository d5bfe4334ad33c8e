"""Settings: every mistake is named with its variable, all at once; file, environment and options in that order."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latchpin import settings
from latchpin.kit import cookie_names, same_origin
from latchpin.settings import Settings, SettingsError, variable
from latchpin.storage.sqlite_file import sqlite_file

BAD = {
    "data_dir": ["", "  ", "~nobody-of-this-name/data"],
    "database_url": [
        "mysql://host/db",
        "latchpin.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?mode=memory&uri=true",
        "postgresql://u:p@host:port/db",
        "postgresql://u:pa/ss@host/db",
    ],
    "redis_url": ["localhost:6379", "http://localhost"],
    "secrets_file": [""],
    "host": ["", " ", "a b", "http://box", "[::1", "fe80::1%eth0", "münchen.example"],
    "port": ["0", "65536", "-1", "http", "80.5", ""],
    "workers": ["0", "65", "many"],
    "public_url": [
        "latchpin.example",
        "ftp://latchpin.example",
        "https://latchpin.example/path",
        "https://latchpin.example?x=1",
        "https://user@latchpin.example",
        "https://a b.example",
        "https://latchpin.example:99999",
        "https://[broken",
        "https://",
    ],
    "trusted_proxies": ["10.0.0.0/33", "10.0.0.1/8", "everybody", "10.0.0.0/8,nonsense"],
    "key_default_days": ["0", "3651", "a year"],
    "key_max_days": ["0", "3651"],
    "rate_limit": ["0", "1000001"],
    "rate_limit_window_seconds": ["0", "3601"],
    "rate_limit_queue": ["-1", "1001"],
    "rate_limit_queue_seconds": ["-1", "3601"],
    "drain_seconds": ["0", "3601"],
    "database_wait_seconds": ["-1", "3601"],
    "database_timeout_seconds": ["0", "3601"],
    "bad_key_limit": ["0", "100001"],
    "session_idle_minutes": ["4", "10081"],
    "session_max_hours": ["0", "2161"],
    "reauth_minutes": ["0", "61"],
    "token_algorithm": ["none", "HS256", "RS512", ""],
    "access_token_minutes": ["0", "61", "a while"],
    "refresh_idle_days": ["0", "366"],
    "refresh_max_days": ["0", "3651"],
    "key_rotation_days": ["0", "3651"],
    "registration": ["closed", ""],
    "registration_most": ["0", "1000001"],
    "registration_limit": ["0", "100001"],
    "token_limit": ["0", "1000001"],
    "pending_limit": ["0", "1000001"],
    "require_pushed_authorization_requests": ["perhaps"],
    "dpop_nonce": ["perhaps", ""],
    "client_documents": ["perhaps"],
    "client_documents_private": ["2"],
    "worker": ["perhaps"],
    "worker_name": ["x" * 101, "demo\n1", "d\u00e9mo"],
    "worker_slots": ["0", "257"],
    "worker_lease_seconds": ["5", "301"],
    "worker_drain_seconds": ["-1", "3601"],
    "max_concurrent_runs": ["0", "1001"],
    "run_memory_mb": ["127", "65537"],
    "run_download_mb": ["0", "1025"],
    "run_output_mb": ["0", "1048577"],
    "run_log_mb": ["0", "65537"],
    "files_dir": [""],
    "download_minutes": ["0", "1441"],
    "agent_networks": ["10.0.0.0/33", "everybody", "127.0.0.1:0", "127.0.0.1:65536", "::1:9001:x"],
    "agent_contact": ["ops (at night)", "x" * 101, "ops\r\nX: 1"],
    "agents_may_ignore_robots": ["perhaps"],
    "max_body_bytes": ["9999", "100000001"],
    "log_level": ["loud", ""],
    "log_format": ["xml"],
    "access_log": ["perhaps"],
    "development": ["perhaps", "2"],
}

ANY_TEXT = {"legacy_audience", "registration_token"}  # every text is one; how long the token must be is checked where it is needed


def problems(environ: dict[str, str], **overrides: object) -> list[str]:
    """Return the lines of the refusal."""
    with pytest.raises(SettingsError) as caught:
        settings.load(environ, **overrides)
    return str(caught.value).splitlines()


def config(place: Path, text: str) -> dict[str, str]:
    """Write a settings file, and return the environment that names it."""
    path = place / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return {"LATCHPIN_CONFIG": str(path)}


def test_every_setting_has_a_bad_value_in_these_tests() -> None:
    """A new setting cannot forget its check."""
    assert set(BAD) | ANY_TEXT == {spec.name for spec in dataclasses.fields(Settings)}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_a_bad_value_is_named_with_its_variable(name: str, text: str) -> None:
    """One line, beginning with what has to be changed."""
    [line] = problems({variable(name): text})

    assert line.startswith(f"{variable(name)}: ")
    assert len(line) > len(variable(name)) + 10


def test_all_bad_values_are_told_at_once() -> None:
    """Not one per start."""
    lines = problems({variable(name): texts[0] for name, texts in BAD.items()})

    assert sorted(line.partition(":")[0] for line in lines) == sorted(map(variable, BAD))


def test_an_unknown_variable_is_refused_with_where_to_look() -> None:
    """A misspelt setting would otherwise be a default in silence."""
    [line] = problems({"LATCHPIN_PROT": "8080"})

    assert line == "LATCHPIN_PROT: no such setting; `latchpin settings` lists them"


def test_other_programs_variables_are_left_alone() -> None:
    """Only the prefix counts."""
    assert settings.load({"PORT": "9", "LATCH_PORT": "9", "PATH": "/bin"}).port == 8080


@pytest.mark.parametrize(
    "url", ["postgresql://ada:s3cret-word@host:bad/db", "postgresql://ada:s3cret-word/x@host/db", "mysql://ada:s3cret-word@host/db"]
)
def test_a_refused_address_does_not_show_its_password(url: str) -> None:
    """The message ends in a log or on a screen."""
    assert "s3cret" not in str(problems({"LATCHPIN_DATABASE_URL": url}))


def test_whoever_waits_for_the_rate_limit_is_answered_before_a_stopping_server_ends() -> None:
    """A wait as long as the time that requests get when the server stops would end with it, without an answer."""
    message = str(problems({"LATCHPIN_RATE_LIMIT_QUEUE_SECONDS": "30"}))

    assert "LATCHPIN_RATE_LIMIT_QUEUE_SECONDS" in message
    assert "LATCHPIN_DRAIN_SECONDS" in message
    settings.load({"LATCHPIN_RATE_LIMIT_QUEUE_SECONDS": "30", "LATCHPIN_DRAIN_SECONDS": "31"})


# ---- defaults ----


def test_the_defaults_are_a_deployment_on_this_machine_alone() -> None:
    """Loopback, the embedded database, one process, a year per key, two at most."""
    chosen = settings.load({}, data_dir=Path("/somewhere"))

    assert (chosen.host, chosen.port, chosen.workers) == ("127.0.0.1", 8080, 1)
    assert chosen.database_url == "sqlite+aiosqlite:////somewhere/latchpin.db"
    assert chosen.secrets_file == Path("/somewhere/secrets.json")
    assert chosen.public_url == "http://127.0.0.1:8080"
    assert (chosen.key_default_days, chosen.key_max_days) == (365, 730)
    assert (chosen.rate_limit, chosen.rate_limit_window_seconds, chosen.rate_limit_queue) == (100, 60, 10)
    assert (chosen.reauth_minutes, chosen.development, chosen.trusted_proxies) == (10, False, ())
    assert chosen.is_sqlite
    assert not chosen.is_https


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000"),  # noqa: S104  compared, not bound
        ("::", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
        ("box", "http://box:9000"),
        ("LOCALHOST", "http://localhost:9000"),
        ("[0:0::1]", "http://[::1]:9000"),
    ],
)
def test_the_public_address_follows_host_and_port(host: str, url: str) -> None:
    """Listening everywhere is no address that one can open."""
    assert settings.load({"LATCHPIN_HOST": host, "LATCHPIN_PORT": "9000"}).public_url == url


def test_settings_are_frozen() -> None:
    """Read once, the same until the end."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.load({}).port = 1  # type: ignore[misc]  # what is refused


def test_every_setting_explains_itself() -> None:
    """`latchpin settings` and the reference print the sentence."""
    assert all(len(spec.metadata["doc"]) > 10 and spec.metadata["doc"].endswith(".") for spec in dataclasses.fields(Settings))


def test_addresses_with_passwords_are_marked_as_secret() -> None:
    """So that `latchpin settings` does not print them."""
    assert {spec.name for spec in dataclasses.fields(Settings) if spec.metadata["secret"]} == {
        "database_url",
        "redis_url",
        "registration_token",
    }


# ---- values ----


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@host:5432/db", "postgres://host/db", "postgresql+asyncpg://host/db", "postgresql:///db?host=/run"]
)
def test_postgresql_addresses_get_their_driver(url: str) -> None:
    """As people write them elsewhere."""
    chosen = settings.load({"LATCHPIN_DATABASE_URL": url})

    assert chosen.database_url.startswith("postgresql+asyncpg://")
    assert not chosen.is_sqlite


@pytest.mark.parametrize("word", ["1", "true", "Yes", " on "])
def test_yes_is_written_in_the_usual_ways(word: str) -> None:
    """And no likewise."""
    assert settings.load({"LATCHPIN_DEVELOPMENT": word}).development


@pytest.mark.parametrize("word", ["0", "false", "No", "off", ""])
def test_no_is_written_in_the_usual_ways(word: str) -> None:
    """An empty value is no."""
    assert not settings.load({"LATCHPIN_DEVELOPMENT": word}).development


@pytest.mark.parametrize(
    "url", ["https://latchpin.example", "https://latchpin.example/", "https://l-1.example:8443", "http://[::1]:8000", "http://localhost"]
)
def test_a_public_address_is_kept_without_its_slash(url: str) -> None:
    """Links are made by putting a path behind it."""
    assert settings.load({"LATCHPIN_PUBLIC_URL": url}).public_url == url.rstrip("/")


def test_a_public_address_is_written_as_browsers_write_an_origin(tmp_path: Path) -> None:
    """In lower case and without the scheme's own port, so that cookies are Secure and our own pages are known as ours."""
    table = {
        "HTTPS://Auth.Example:443": "https://auth.example",
        "HTTP://AUTH.example:80/": "http://auth.example",
        "https://auth.example:80": "https://auth.example:80",
        "https://auth.example:08443": "https://auth.example:8443",
        "https://[2001:DB8:0::7]:443": "https://[2001:db8::7]",
    }

    for text, expected in table.items():
        chosen = settings.load({"LATCHPIN_PUBLIC_URL": text}, data_dir=tmp_path)
        assert chosen.public_url == expected, text
        assert chosen.is_https is expected.startswith("https:"), text
        assert cookie_names.of(chosen).startswith("__Host-") is chosen.is_https, text
        assert expected.encode() in same_origin.own_origins(chosen), text


def test_the_port_80_is_left_out_of_the_address_that_follows_from_it() -> None:
    """As browsers leave it out."""
    assert settings.load({"LATCHPIN_PORT": "80"}).public_url == "http://127.0.0.1"


def test_variables_of_a_kubernetes_service_are_no_settings() -> None:
    """A Service named `latchpin`, or `latchpin-redis`, gives them to every container beside it; a port of our own still counts."""
    service = {
        "LATCHPIN_PORT": "tcp://10.96.0.10:80",
        "LATCHPIN_SERVICE_HOST": "10.96.0.10",
        "LATCHPIN_SERVICE_PORT": "80",
        "LATCHPIN_SERVICE_PORT_HTTP": "80",
        "LATCHPIN_PORT_80_TCP": "tcp://10.96.0.10:80",
        "LATCHPIN_PORT_80_TCP_PROTO": "tcp",
        "LATCHPIN_PORT_80_TCP_PORT": "80",
        "LATCHPIN_PORT_80_TCP_ADDR": "10.96.0.10",
        "LATCHPIN_REDIS_SERVICE_HOST": "10.96.0.11",
        "LATCHPIN_REDIS_PORT": "tcp://10.96.0.11:6379",
        "LATCHPIN_REDIS_PORT_6379_TCP_ADDR": "10.96.0.11",
    }

    assert settings.load(service) == settings.load({})
    assert settings.load({**service, "LATCHPIN_PORT": "9000"}).port == 9000


def test_a_data_directory_may_have_any_signs_in_its_name(tmp_path: Path) -> None:
    """The database lies in it, and not where a part of its name would lead as an address."""
    for name in ("a?b", "a%2Fb", "a#b", "a%zz", "å b", "a:b@c"):
        chosen = settings.load({"LATCHPIN_DATA_DIR": str(tmp_path / name)})
        assert sqlite_file(chosen.database_url) == tmp_path / name / "latchpin.db", name


def test_networks_are_read_from_a_list() -> None:
    """A single address is a network of one."""
    chosen = settings.load({"LATCHPIN_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,2001:db8::/32,"})

    assert chosen.trusted_proxies == tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")))


def test_a_default_lifetime_beyond_the_longest_is_refused() -> None:
    """Naming both."""
    [line] = problems({"LATCHPIN_KEY_DEFAULT_DAYS": "400", "LATCHPIN_KEY_MAX_DAYS": "30"})

    assert line.startswith("LATCHPIN_KEY_DEFAULT_DAYS: 400")
    assert "LATCHPIN_KEY_MAX_DAYS" in line


@given(st.text(max_size=40), st.sampled_from(sorted(BAD)))
def test_any_text_is_accepted_or_refused_with_its_variable(text: str, name: str) -> None:
    """Never with an error of Python's own."""
    try:
        settings.load({variable(name): text})
    except SettingsError as refused:
        assert variable(name) in str(refused)  # noqa: PT017  either is right


# ---- where values come from ----


def test_the_environment_wins_over_the_file_and_an_option_over_both(tmp_path: Path) -> None:
    """What is nearer to the command counts."""
    environ = config(tmp_path, "port = 1001\nworkers = 2\nrate_limit = 7\n")

    chosen = settings.load({**environ, "LATCHPIN_PORT": "1002", "LATCHPIN_WORKERS": "3"}, port=1003, host=None)

    assert (chosen.port, chosen.workers, chosen.rate_limit, chosen.host) == (1003, 3, 7, "127.0.0.1")


def test_the_file_in_the_data_directory_is_found_by_itself(tmp_path: Path) -> None:
    """By the option as by the variable."""
    (tmp_path / "latchpin.toml").write_text('log_level = "debug"\ndevelopment = true\ntrusted_proxies = ["10.0.0.0/8", "192.0.2.1"]\n')

    for chosen in (settings.load({"LATCHPIN_DATA_DIR": str(tmp_path)}), settings.load({}, data_dir=tmp_path)):
        assert (chosen.log_level, chosen.development, len(chosen.trusted_proxies)) == ("debug", True, 2)


def test_a_mistake_in_the_file_is_named_with_the_file(tmp_path: Path) -> None:
    """And a name that is no setting as well; both at once, with what the environment has wrong."""
    lines = problems({**config(tmp_path, 'port = "http"\nprot = 1\n[nested]\nx = 1\n'), "LATCHPIN_WORKERS": "0"})

    assert sorted(line.partition(":")[0] for line in lines) == [
        "LATCHPIN_WORKERS",
        "nested in settings.toml",
        "port in settings.toml",
        "prot in settings.toml",
    ]


def test_a_file_that_is_named_and_not_there_is_refused(tmp_path: Path) -> None:
    """Starting with defaults instead would be worse."""
    [line] = problems({"LATCHPIN_CONFIG": str(tmp_path / "nowhere.toml")})

    assert "LATCHPIN_CONFIG" in line or "nowhere.toml" in line


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"[[[", b"port = 1\nport = 2\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    """With its name."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)

    [line] = problems({"LATCHPIN_CONFIG": str(path)})

    assert "broken.toml" in line


def test_registration_with_a_token_needs_a_token_that_nobody_guesses() -> None:
    """At least 32 characters; a short one would be as good as none (RFC 7591 section 3)."""
    [line] = problems({"LATCHPIN_REGISTRATION": "token", "LATCHPIN_REGISTRATION_TOKEN": "x" * 31})

    assert line.startswith("LATCHPIN_REGISTRATION_TOKEN: ")
    assert settings.load({"LATCHPIN_REGISTRATION": "token", "LATCHPIN_REGISTRATION_TOKEN": "x" * 32}).registration == "token"
