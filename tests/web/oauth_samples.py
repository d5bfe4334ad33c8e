"""The authorization server's pages with samples of their views."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from latchpin.web import consent_view
from latchpin.web.views import oauth
from latchpin.web.views.common import Form, Option
from tests.web.samples import ADMIN, EMPTY, NOW, before, shell

APP = oauth.AppFacts(
    "Northwind Reports", "reports.northwind.example", False, False, "", consent_view.destination("https://reports.northwind.example/cb")
)
LOCAL = oauth.AppFacts("Field Notes", "", True, True, "", consent_view.destination("http://127.0.0.1/cb"))
SCHEME = oauth.AppFacts("Field Notes", "cursor:", True, True, "", consent_view.destination("cursor://anysphere.cursor-mcp/oauth/callback"))
DEVICE = oauth.AppFacts("Latchpin command line", "", False, False, "", None)
DOCUMENT = oauth.AppFacts(
    "Meridian Desk",
    "desk.meridian.example",
    False,
    True,
    "desk.meridian.example",
    consent_view.destination("https://desk.meridian.example/cb"),
)
SPACES = (
    Option("all", "All my Spaces"),
    Option("personal", "My personal Space"),
    Option("3", "Finance (viewer)"),
    Option("4", "Retail prices (editor)"),
)
EVERY_SCOPE = "agents:read agents:write runs:read spaces:read spaces:write billing:read openid profile email offline_access"


def consent(app: oauth.AppFacts = APP, form: Form | None = None, **changes: Any) -> oauth.Consent:
    """The question whether an app may act for the person."""
    facts: dict[str, Any] = {
        "resources": (),
        "minutes": 15,
        "offline_until": None,
        "may_stay_until": None,
        "device": None,
        "has_changed": False,
        **changes,
    }
    rights = consent_view.rights(facts.pop("scopes", EVERY_SCOPE))
    return oauth.Consent(shell("", ADMIN), form or Form({"space": "all"}), "token", app, SPACES, rights, **facts)


def every() -> Iterator[tuple[str, str, Any]]:
    """Each sample page: a name, its template, its view."""
    until = NOW + timedelta(days=90)
    refused = Form({"space": "9"}, {"space": "Choose one of the Spaces offered."})
    device = oauth.DeviceFacts("203.0.113.7", before(seconds=40))
    yield "consent", "oauth/consent.html", consent(offline_until=until)
    yield "consent-short", "oauth/consent.html", consent(scopes="agents:read")
    yield "consent-stay", "oauth/consent.html", consent(SCHEME, scopes="agents:read", may_stay_until=until)
    yield "consent-local", "oauth/consent.html", consent(LOCAL, offline_until=until, resources=("mcp.northwind.example",))
    yield "consent-document", "oauth/consent.html", consent(DOCUMENT, refused, scopes="agents:read runs:read")
    yield "consent-changed", "oauth/consent.html", consent(DOCUMENT, scopes="agents:read runs:read", has_changed=True)
    yield "consent-device", "oauth/consent.html", consent(DEVICE, device=device, offline_until=until)
    yield "choose-account", "oauth/account.html", oauth.ChooseAccount(shell("", ADMIN), "token", APP)
    yield "give-password", "oauth/password.html", oauth.GivePassword(shell("", ADMIN), EMPTY, "token", APP)
    yield (
        "app-opened",
        "oauth/opened.html",
        oauth.OpenedApp(
            shell("", ADMIN),
            "Field Notes",
            allowed=True,
            location="cursor://anysphere.cursor-mcp/oauth/callback?code=abc&state=1&iss=x",
            scheme="cursor:",
        ),
    )
    yield "device", "oauth/device.html", oauth.DeviceCodeEntry(shell("", ADMIN), EMPTY)
    wrong = "Code not found or expired. Compare it with the one that the device shows; a code expires after ten minutes."
    yield (
        "device-wrong",
        "oauth/device.html",
        oauth.DeviceCodeEntry(shell("", ADMIN), Form({"user_code": "BCDF-GHJK"}, {"user_code": wrong})),
    )
    yield "device-allowed", "oauth/device_done.html", oauth.DeviceDone(shell("", ADMIN), allowed=True)
    yield "device-denied", "oauth/device_done.html", oauth.DeviceDone(shell("", ADMIN), allowed=False)
    yield "sign-out-asked", "oauth/sign_out.html", oauth.SignOut(shell("", ADMIN), APP, (("client_id", "app_1"),))
    yield "sign-out-unverified", "oauth/sign_out.html", oauth.SignOut(shell("", ADMIN), LOCAL, ())
    yield "sign-out-nobody-asked", "oauth/sign_out.html", oauth.SignOut(shell("", ADMIN), None, ())
    yield "signed-out", "oauth/signed_out.html", oauth.SignedOut(shell("", None), DOCUMENT, "https://desk.meridian.example/bye?state=1")
    yield "signed-out-scheme", "oauth/signed_out.html", oauth.SignedOut(shell("", None), SCHEME, "cursor://anysphere.cursor-mcp/bye")
    yield (
        "oauth-error",
        "oauth/refused.html",
        oauth.Refusal(
            shell("", None),
            "This link does not work",
            "The app asked for something that is not possible here, so you were not sent back to it. Contact the app's developer.",
            "invalid_request",
            "redirect_uri is not one that this app registered",
            "",
            None,
            "01JDG2",
        ),
    )
    yield (
        "oauth-error-onward",
        "oauth/refused.html",
        oauth.Refusal(
            shell("", None),
            "The app was refused",
            "It asked for something that is not possible here. The app is new to us, so look where it would send you",
            "invalid_scope",
            "unknown scope",
            "https://desk.example/cb?error=invalid_scope",
            consent_view.destination("https://desk.example/cb"),
            "",
        ),
    )
