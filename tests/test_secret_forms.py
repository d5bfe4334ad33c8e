"""The regular expressions of our secrets, as docs/reference/secret-forms.md has them, against secrets that were really issued."""

from __future__ import annotations

import re
from pathlib import Path

from latchpin import secret_forms
from tests.support.apps import Apps
from tests.support.devices import begin, device
from tests.support.people import Organization

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "secret-forms.md").read_text(encoding="utf-8")


def test_every_secret_has_the_form_that_is_documented(organization: Organization) -> None:
    """Its own and no other, alone and in the middle of what it travels in."""
    apps = Apps(organization)
    native = {"redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none"}
    secrets_by_form = {
        secret_forms.API_KEY: organization.key().secret,
        secret_forms.CLIENT_SECRET: apps.register(confidential=True).secret or "",
        secret_forms.REFRESH_TOKEN: apps.tokens(apps.register()).refresh,
        secret_forms.REGISTRATION_TOKEN: apps.server.http.post("/api/oauth/register", json=native).json()["registration_access_token"],
        secret_forms.DEVICE_CODE: begin(organization, device(organization))["device_code"],
    }

    assert set(secrets_by_form) == set(secret_forms.ALL)
    for form, secret in secrets_by_form.items():
        assert f"`{form.pattern}`" in PAGE
        assert secret.startswith(form.prefix)
        assert [each for each in secret_forms.ALL if re.fullmatch(each.pattern, secret)] == [form]
        for text in (f"Authorization: ApiKey {secret}", f'{{"a":"{secret}"}}', f"?token={secret}&x=1", f"({secret})", f"{secret}\n"):
            assert re.findall(form.pattern, text) == re.findall(secret_forms.ANY, text) == [secret], form.name
        for near in (secret[:-1], f"{secret}x", f"x{secret}", secret.replace("_", "-")):
            assert not re.search(secret_forms.ANY, near), near
    assert secret_forms.ANY in PAGE


def test_the_forms_stand_in_one_place() -> None:
    """Whoever makes a secret takes its prefix from there, so that the page cannot be wrong."""
    written = re.compile(r"""=\s*["'](?:sk-lp_|lp[a-z]_)["']""")
    places = [path for path in (ROOT / "src").rglob("*.py") if written.search(path.read_text(encoding="utf-8"))]

    assert places == []
    assert len({form.prefix for form in secret_forms.ALL}) == len(secret_forms.ALL)
