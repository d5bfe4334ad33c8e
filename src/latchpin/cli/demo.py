"""`latchpin demo`: a deployment with believable data, served on loopback, with everything ready to paste."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import click

from latchpin.automation.demo import RETAIL
from latchpin.cli import demo_apps, serve, terminal
from latchpin.cli.demo_history import USER, History
from latchpin.cli.deployment import Deployment, fail, initialized, load_settings, run_async
from latchpin.identity import active_keys, api_keys, credentials, policy, spaces, users
from latchpin.identity.principal import Credential, Principal
from latchpin.identity.roles import CredentialKind, Group
from latchpin.oauth import client_admin, client_secrets, clients
from latchpin.settings import Settings
from latchpin.storage import Session

_COMMAND_LINE = Credential(CredentialKind.COMMAND_LINE, None, "latchpin demo")


@click.command()
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--no-serve", is_flag=True, help="Make the data and print the facts, without serving.")
def demo(data_dir: Path, port: int, no_serve: bool) -> None:
    """Make a deployment with believable data where there is none, and serve it on 127.0.0.1.

    The facts are printed, and kept for scripts in DATA_DIR/demo.json (mode 0600). A second run uses what is there.
    """
    for name in [name for name in os.environ if name.startswith("LATCHPIN_")]:
        del os.environ[name]  # a demo is never somebody's real deployment
    os.environ |= {"LATCHPIN_LOG_LEVEL": "warning", "LATCHPIN_ACCESS_LOG": "off"}
    chosen = load_settings(data_dir, host="127.0.0.1", port=port)
    with nullcontext() if no_serve else serve.bind(chosen.host, chosen.port) as listener:
        facts = _facts(chosen, data_dir / "demo.json")
        terminal.write(_text(facts, chosen.access_token_minutes))
        if listener is not None:
            serve.run(chosen, listener)


@run_async
async def _facts(chosen: Settings, facts_file: Path) -> dict[str, str]:
    """Return what a person and a script need to know; makes the data where there is none, and a new key where the old one is dead."""
    facts = _read(facts_file)
    async with initialized(chosen) as deployment:
        async with deployment.database.transaction() as session:
            if facts:
                facts["api_key"] = await _active_key(session, deployment, facts["api_key"])
            elif await users.count(session):
                fail(
                    f"{facts_file.parent} holds a deployment, but no demo.json: it is not a demo. Name another directory: make demo DIR=..."
                )
            else:
                facts = await History(session, deployment).write()
            facts |= await _active_app(session, deployment, facts)
        facts["url"] = chosen.public_url
        _write(facts_file, facts)
    return facts


async def _active_key(session: Session, deployment: Deployment, secret: str) -> str:
    """Return the demo's key, or a new one for the same user where somebody revoked it."""
    user = await users.by_email(session, USER)
    if user is None:
        return secret
    digests = {credentials.key_digest(secret.encode(), pepper) for pepper in deployment.secrets.peppers.values()}
    if any(key.digest in digests and active_keys.is_active(key) for key in await api_keys.of_user(session, user.id)):
        return secret
    rules = await policy.get(session, user.organization_id, deployment.settings)
    by = deployment.actor(user.organization_id)
    issued_key = await api_keys.create(
        session, user, api_keys.KeyParameters(description="Demo script"), policy=rules, secrets=deployment.secrets, by=by
    )
    return issued_key.secret


async def _active_app(session: Session, deployment: Deployment, facts: dict[str, str]) -> dict[str, str]:
    """Return client_id and secret of the demo's service, which reads the agents of one Space; makes what is not there or dead."""
    user = await users.by_email(session, USER)
    if user is None:
        return {}
    client_id, secret = facts.get("client_id", ""), facts.get("client_secret", "")
    client = await clients.load(session, client_id)
    if client is not None and client_secrets.matches(client, secret, deployment.secrets):
        return {"client_id": client_id, "client_secret": secret}
    by = deployment.actor(user.organization_id)
    if client is not None:
        row = await client_admin.get(session, user.organization_id, client.pk)
        secret = await client_admin.rotate_secret(session, row, secrets=deployment.secrets, overlap=timedelta(0), by=by)
        return {"client_id": client_id, "client_secret": secret}
    principal = Principal(user.id, user.organization_id, user.full_name, user.email, Group(user.user_group), _COMMAND_LINE)
    (space,) = [each for each in await spaces.list_all(session, principal) if each.name == RETAIL]
    return await demo_apps.make_service(session, deployment, user.organization_id, space.id, by=by)


def _read(facts_file: Path) -> dict[str, str]:
    facts: dict[str, str] = json.loads(facts_file.read_text(encoding="utf-8")) if facts_file.exists() else {}
    return facts


def _write(facts_file: Path, facts: dict[str, str]) -> None:
    draft = facts_file.with_suffix(".json.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    draft.replace(facts_file)


def _text(facts: dict[str, str], minutes: int) -> str:
    url, key = facts["url"], facts["api_key"]
    service = f"{facts.get('client_id')}:{facts.get('client_secret')}"
    return f"""
Latchpin demo

  Control Center   {url}
  Administrator    {facts["admin_email"]}   password {facts["admin_password"]}
  User             {facts["user_email"]}   password {facts["user_password"]}
  API key          {key}
                   (acts for {facts["user_email"]}, full access)
  OAuth app        {facts.get("client_id")}
                   (acts for itself, reads the agents of the Space {RETAIL})

Try the key:

  curl -s -H "Authorization: ApiKey {key}" {url}/api/v1/agent/all

or in Python:

  export SEQUENTUM_API_KEY={key}
  python3 - <<'END'
  import os, requests
  print(requests.get("{url}/api/v1/agent/all",
                     headers={{"Authorization": f"ApiKey {{os.environ['SEQUENTUM_API_KEY']}}"}}).json())
  END

Try an OAuth access token: a signed JWT that is good for {minutes} minutes. The first line gets another whenever you need one:

  TOKEN=$(curl -s -u {service} -d grant_type=client_credentials {url}/api/oauth/token \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s -H "Authorization: Bearer $TOKEN" {url}/api/v1/agent/all

As a user instead: `latchpin login --issuer {url}`, then `latchpin api GET /api/v1/agent/all`.

Ctrl-C stops the server. The same facts are in demo.json in the data directory; `make demo-clean` removes it all.
"""
