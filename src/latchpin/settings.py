"""The deployment's settings: read once, checked at once, frozen.

A value comes from the environment (`LATCHPIN_PORT`), else from the settings file (`port = ...` in the TOML file named by
`LATCHPIN_CONFIG`, or `latchpin.toml` in the data directory), else from the default. Every message names the variable to change.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from latchpin import settings_values as value

PREFIX = "LATCHPIN_"
FROM_FILE = "_file"  # LATCHPIN_DATABASE_URL_FILE names the file that holds LATCHPIN_DATABASE_URL; the same for each secret setting
_LEAST_TOKEN = 32
_SERVICE = re.compile(
    r"LATCHPIN(_\w+)?_(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT=(tcp|udp|sctp)://.*|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)", re.DOTALL
)


class SettingsError(Exception):
    """The settings cannot be used; the text lists every problem, one a line, each with its variable."""


def _setting(parse: value.Parser, default: object, doc: str, *, secret: bool = False) -> Any:  # noqa: ANN401  as dataclasses.field
    return field(default=default, metadata={"parse": parse, "doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one deployment. Make it with `load`, not by hand: it fills in defaults that depend on other settings."""

    data_dir: Path = _setting(value.path, Path("latchpin-data"), "Directory of the embedded database and the deployment's secrets.")
    database_url: str = _setting(
        value.database_url,
        "",
        "postgresql://user@host/name for PostgreSQL; empty for the embedded SQLite file in the data directory.",
        secret=True,
    )
    redis_url: str = _setting(
        value.redis_url, "", "redis://host:6379/0 makes rate limits exact across processes; empty keeps them in process.", secret=True
    )
    secrets_file: Path = _setting(
        value.path, Path(), "File with the deployment's secrets (mode 0600); by default secrets.json in the data directory."
    )
    host: str = _setting(value.host, "127.0.0.1", "Address to listen on.")
    port: int = _setting(value.integer(1, 65535), 8080, "Port to listen on.")
    workers: int = _setting(value.integer(1, 64), 1, "Server processes of `latchpin serve`.")
    drain_seconds: int = _setting(
        value.integer(1, 3600), 30, "A server process that is asked to stop lets requests go on for so long, and is then ended."
    )
    database_wait_seconds: int = _setting(
        value.integer(0, 3600), 60, "`latchpin serve` waits for so long for a PostgreSQL that is not there yet when it starts."
    )
    database_timeout_seconds: int = _setting(
        value.integer(1, 3600), 10, "PostgreSQL may take so long to connect, and to answer one statement; then the request gets 503."
    )
    public_url: str = _setting(
        value.origin,
        "",
        "Address that people and programs use, without a path; by default http://HOST:PORT. https turns on Secure cookies.",
    )
    trusted_proxies: tuple[value.Network, ...] = _setting(
        value.networks, (), "Networks (CIDR, comma-separated) whose X-Forwarded-For header is believed."
    )
    key_default_days: int = _setting(value.integer(1, 3650), 365, "Days a new API key lives when nobody says otherwise.")
    key_max_days: int = _setting(value.integer(1, 3650), 730, "Longest lifetime of an API key in days; an organization may set less.")
    rate_limit: int = _setting(value.integer(1, 1_000_000), 100, "Requests per window and API key.")
    rate_limit_window_seconds: int = _setting(value.integer(1, 3600), 60, "Length of the rate limit window in seconds.")
    rate_limit_queue: int = _setting(
        value.integer(0, 1000), 10, "Requests per API key that may wait for the next window instead of getting 429."
    )
    rate_limit_queue_seconds: int = _setting(
        value.integer(0, 3600),
        5,
        "Longest wait in that queue in seconds; where the window ends later, the answer is 429 at once. Shorter than drain_seconds.",
    )
    bad_key_limit: int = _setting(
        value.integer(1, 100_000), 30, "Refused credentials per address and minute before the answer becomes 429."
    )
    session_idle_minutes: int = _setting(value.integer(5, 10_080), 720, "A browser session ends after this many idle minutes.")
    session_max_hours: int = _setting(value.integer(1, 2160), 168, "A browser session ends after this many hours in any case.")
    reauth_minutes: int = _setting(
        value.integer(1, 60), 10, "Changing keys or users asks for the password again when it was last given earlier."
    )
    token_algorithm: str = _setting(
        value.one_of("RS256", "ES256", "Ed25519", "EdDSA"),
        "RS256",
        "Algorithm that tokens are signed with from the next key on. Few libraries know `Ed25519` yet, the new name of `EdDSA`.",
    )
    access_token_minutes: int = _setting(value.integer(1, 60), 15, "An access token lives this many minutes.")
    refresh_idle_days: int = _setting(value.integer(1, 365), 30, "A refresh token that is not used for so many days is dead.")
    refresh_max_days: int = _setting(value.integer(1, 3650), 90, "An app's grant ends after so many days, however it is used.")
    key_rotation_days: int = _setting(value.integer(1, 3650), 90, "The key that signs tokens is replaced after so many days.")
    legacy_audience: str = _setting(
        value.text_or_nothing,
        "Sequentum Enterprise",
        "A second audience, beside the public address, of tokens that were asked for without a resource: the official client's HTTP mode "
        "takes no other. Empty for the public address alone.",
    )
    registration: str = _setting(
        value.choice("off", "token", "open"), "open", "Who may register an app by itself (RFC 7591): nobody, who has the token, anybody."
    )
    registration_token: str = _setting(
        value.text_or_nothing, "", "The initial access token that registration=token asks for, at least 32 characters.", secret=True
    )
    registration_most: int = _setting(value.integer(1, 1_000_000), 1000, "Most self-registered apps at any time.")
    registration_limit: int = _setting(value.integer(1, 100_000), 10, "Registrations per address and hour.")
    token_limit: int = _setting(value.integer(1, 1_000_000), 20, "Requests to the token endpoint per app, address and minute.")
    pending_limit: int = _setting(
        value.integer(1, 1_000_000),
        200,
        "Device codes, and requests sent ahead or kept, that anybody may begin per client subnet and hour; all subnets together 20 times.",
    )
    require_pushed_authorization_requests: bool = _setting(
        value.boolean,
        False,  # noqa: FBT003
        "Apps must send their authorization requests ahead (PAR, RFC 9126); by default only those whose entry says so.",
    )
    dpop_nonce: str = _setting(
        value.choice("required", "off"), "required", "Whether DPoP proofs must hold a nonce that this deployment gave (RFC 9449 section 8)."
    )
    client_documents: bool = _setting(value.boolean, True, "Accepts https addresses as client_id, whose documents are fetched.")  # noqa: FBT003
    client_documents_private: bool = _setting(
        value.boolean,
        False,  # noqa: FBT003
        "Lets those documents come from loopback and private addresses; for development and tests only.",
    )
    worker: bool = _setting(
        value.boolean,
        True,  # noqa: FBT003
        "Whether `latchpin serve` starts a worker that executes runs beside it. Off where workers run elsewhere (PostgreSQL).",
    )
    worker_name: str = _setting(value.label, "", "What runs and messages call this worker; by default the host's name and the process id.")
    worker_slots: int = _setting(value.integer(1, 256), 4, "Runs that one worker executes at the same time.")
    worker_lease_seconds: int = _setting(
        value.integer(6, 300), 15, "A worker that was not heard of for so long has lost its runs; each ends as a Failure that says so."
    )
    worker_drain_seconds: int = _setting(
        value.integer(0, 3600), 30, "A worker that is asked to stop lets its runs go on for so long, and then hands them back to the queue."
    )
    max_concurrent_runs: int = _setting(
        value.integer(1, 1000), 2, "Runs of one Space, or of one user's personal Space, at the same time, where the Space sets no number."
    )
    run_memory_mb: int = _setting(value.integer(128, 65_536), 512, "Memory that one run may take, in MiB.")
    run_download_mb: int = _setting(value.integer(1, 1024), 16, "Largest answer of a site that a run takes, unpacked, in MiB.")
    run_output_mb: int = _setting(value.integer(1, 1_048_576), 1024, "Records that one run may save, in MiB; it is stopped beyond that.")
    run_log_mb: int = _setting(
        value.integer(1, 65_536), 50, "Largest log and largest request list of one run in MiB; the rest is left out."
    )
    files_dir: Path = _setting(value.path, Path(), "Directory of the files of runs; by default files in the data directory.")
    download_minutes: int = _setting(value.integer(1, 1440), 15, "The address that a download leads to works for so many minutes.")
    agent_networks: tuple[value.Endpoints, ...] = _setting(
        value.endpoints,
        (),
        "Networks that agents may reach although they are not public, such as 10.1.0.0/16 or 127.0.0.1:9001 (comma-separated).",
    )
    agent_contact: str = _setting(
        value.label, "", "Address or e-mail that agents' User-Agent names for site owners; by default the public address."
    )
    agents_may_ignore_robots: bool = _setting(
        value.boolean,
        False,  # noqa: FBT003
        "Whether an agent with `obey_robots: false` may leave a site's robots.txt aside; otherwise every agent follows it.",
    )
    max_body_bytes: int = _setting(value.integer(10_000, 100_000_000), 1_000_000, "Largest request body in bytes.")
    log_level: str = _setting(value.choice("debug", "info", "warning", "error"), "info", "Least severe log line that is written.")
    log_format: str = _setting(value.choice("json", "console"), "json", "How log lines are written.")
    access_log: bool = _setting(value.boolean, True, "Whether each request leaves a line in the log, at any log level.")  # noqa: FBT003
    development: bool = _setting(value.boolean, False, "Shows the component page at /_components; never for production.")  # noqa: FBT003

    @property
    def is_sqlite(self) -> bool:
        """Whether the embedded database is used."""
        return self.database_url.startswith("sqlite")

    @property
    def is_https(self) -> bool:
        """Whether people reach the deployment over TLS, by the public address."""
        return self.public_url.startswith("https://")


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def is_ours(key: str, text: str) -> bool:
    """Whether an environment variable is meant as a setting.

    Kubernetes sets variables for each Service in every container: one named `latchpin` or `latchpin-redis` brings variables such as
    LATCHPIN_PORT=tcp://10.0.0.1:80, LATCHPIN_SERVICE_HOST and LATCHPIN_REDIS_PORT_6379_TCP_ADDR. They are not settings.
    """
    return key.startswith(PREFIX) and not _SERVICE.fullmatch(f"{key}={text}")


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings; raises SettingsError that lists every problem at once.

    `overrides` are already typed values, as from the command line's options, and win over everything; None means not given.
    """
    environ = os.environ if environ is None else environ
    given = {name: chosen for name, chosen in overrides.items() if chosen is not None}
    problems: list[str] = []
    texts = _texts(environ, given, problems)
    values: dict[str, Any] = {}
    for spec in fields(Settings):
        if spec.name in given:
            values[spec.name] = given[spec.name]
        elif spec.name in texts:
            source, text = texts[spec.name]
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{source}: {error}")
    if problems:
        raise SettingsError("\n".join(problems))
    return _completed(values)


def secret_names() -> frozenset[str]:
    """Return the settings that may come from a file of their own, as container platforms and systemd hand out secrets."""
    return frozenset(spec.name for spec in fields(Settings) if spec.metadata["secret"])


def _texts(environ: Mapping[str, str], given: Mapping[str, object], problems: list[str]) -> dict[str, tuple[str, str]]:
    """Collect setting -> (where it was set, text); the environment overrides the file."""
    data_dir = Path(str(given.get("data_dir", environ.get(variable("data_dir"), "latchpin-data"))))
    config_file = environ.get(PREFIX + "CONFIG")
    path = Path(config_file) if config_file else data_dir / "latchpin.toml"
    entries: list[tuple[str, str, str]] = []
    if config_file or path.is_file():
        for name, content in _file(path, problems).items():
            joined = ",".join(map(str, content)) if isinstance(content, list) else str(content)
            entries.append((name, f"{name} in {path.name}", joined))
    in_file = _read_source(entries, problems)
    entries = [
        (key.removeprefix(PREFIX).lower(), key, text) for key, text in environ.items() if key != PREFIX + "CONFIG" and is_ours(key, text)
    ]
    return in_file | _read_source(entries, problems)


def _read_source(entries: list[tuple[str, str, str]], problems: list[str]) -> dict[str, tuple[str, str]]:
    """Return the settings of one source: given directly, or for a secret by the name of a file."""
    setting_names, secret = {spec.name for spec in fields(Settings)}, secret_names()
    texts: dict[str, tuple[str, str]] = {}
    for name, source, text in entries:
        target = name if name in setting_names else name.removesuffix(FROM_FILE)
        if name not in setting_names and (target == name or target not in secret):
            problems.append(f"{source}: no such setting; `latchpin settings` lists them")
        elif target in texts:
            problems.append(f"{source}: {texts[target][0]} is set as well; keep one of them")
        else:
            try:
                texts[target] = source, text if name in setting_names else value.content(text)
            except ValueError as error:
                problems.append(f"{source}: {error}")
    return texts


def _file(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{PREFIX}CONFIG: {path} cannot be read ({error.strerror})")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path.name}: not TOML ({error})")
    return {}


def _completed(values: dict[str, Any]) -> Settings:
    """Fill in the defaults that depend on other settings, and check settings that depend on each other."""
    draft = Settings(**values)
    data_dir = draft.data_dir.expanduser().absolute()
    values["data_dir"] = data_dir
    if not draft.database_url:
        values["database_url"] = value.sqlite_url(data_dir / "latchpin.db")
    if draft.secrets_file == Path():
        values["secrets_file"] = data_dir / "secrets.json"
    if draft.files_dir == Path():
        values["files_dir"] = data_dir / "files"
    if not draft.public_url:
        host = "127.0.0.1" if draft.host in ("0.0.0.0", "::") else draft.host  # noqa: S104  compared, not bound
        values["public_url"] = value.origin(f"http://{f'[{host}]' if ':' in host else host}:{draft.port}")
    settings = Settings(**values)
    if settings.registration == "token" and len(settings.registration_token) < _LEAST_TOKEN:
        message = f"{variable('registration_token')}: must have at least {_LEAST_TOKEN} characters where registration is `token`"
        raise SettingsError(message)
    if settings.rate_limit_queue_seconds >= settings.drain_seconds:
        message = (
            f"{variable('rate_limit_queue_seconds')}: {settings.rate_limit_queue_seconds} must be less than {variable('drain_seconds')} "
            f"({settings.drain_seconds}), so that whoever waits is answered when the server stops"
        )
        raise SettingsError(message)
    if settings.key_default_days > settings.key_max_days:
        message = (
            f"{variable('key_default_days')}: {settings.key_default_days} days is longer than "
            f"{variable('key_max_days')} ({settings.key_max_days} days)"
        )
        raise SettingsError(message)
    return settings
