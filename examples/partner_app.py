"""A partner's web app: signs its user in at Latchpin (authorization code with PKCE), shows the agents, and refreshes.

LATCHPIN_ISSUER=http://127.0.0.1:8080 CLIENT_ID=app_... PORT=9000 python partner_app.py     (pip install httpx)
Register http://127.0.0.1:9000/callback as the app's redirect URI. Sessions live in memory; a real app would keep them.
"""

import hashlib
import os
import secrets
from base64 import urlsafe_b64encode
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

ISSUER, CLIENT_ID, PORT = os.environ["LATCHPIN_ISSUER"], os.environ["CLIENT_ID"], int(os.environ.get("PORT", "9000"))
CALLBACK = f"http://127.0.0.1:{PORT}/callback"
http = httpx.Client(timeout=20, trust_env=not ISSUER.startswith("http://127.0.0.1"))
server = http.get(f"{ISSUER}/.well-known/oauth-authorization-server").raise_for_status().json()
assert server["issuer"] == ISSUER  # noqa: S101  metadata must name the address it was asked for
sessions: dict[str, dict[str, str]] = {}


class App(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get("partner")
        name = morsel.value if morsel and morsel.value in sessions else secrets.token_urlsafe(24)
        mine = sessions.setdefault(name, {})
        pages = {"/": self.home, "/login": self.login, "/callback": self.callback, "/refresh": self.refresh}
        status, headers, text = pages.get(url.path, self.unknown)(mine, dict(parse_qsl(url.query)))
        self.send_response(status)
        for header, value in {**headers, "Set-Cookie": f"partner={name}; Path=/; HttpOnly; SameSite=Lax"}.items():
            self.send_header(header, value)
        self.end_headers()
        head = "<!doctype html><html lang=en><title>Partner</title><link rel=icon href=data:,><h1>Partner</h1>"
        self.wfile.write(f"{head}{text}</html>".encode())

    def home(self, mine: dict[str, str], _: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if "access_token" not in mine:
            return self.page("<p><a href=/login>Sign in with Latchpin</a></p>")
        answer = http.get(f"{ISSUER}/api/v1/agent/all", headers={"Authorization": f"Bearer {mine['access_token']}"})
        if answer.status_code == 401 and "refresh_token" in mine:  # the one signal to refresh
            return self.refresh(mine, {})
        if not answer.is_success:
            return self.page(f"<p>Latchpin refused: {answer.status_code}.</p><p><a href=/login>Sign in again</a></p>")
        agents = "".join(f"<li>{escape(agent['name'])}</li>" for agent in answer.json())
        return self.page(f"<p>Signed in.</p><ul id=agents>{agents}</ul><p><a href=/refresh>Refresh</a></p>")

    def login(self, mine: dict[str, str], _: dict[str, str]) -> tuple[int, dict[str, str], str]:
        mine |= {"state": secrets.token_urlsafe(24), "verifier": secrets.token_urlsafe(48)}
        challenge = urlsafe_b64encode(hashlib.sha256(mine["verifier"].encode()).digest()).rstrip(b"=").decode()
        asked = {"response_type": "code", "client_id": CLIENT_ID, "redirect_uri": CALLBACK, "state": mine["state"]}
        asked |= {"scope": "agents:read offline_access", "code_challenge": challenge, "code_challenge_method": "S256"}
        return 302, {"Location": f"{server['authorization_endpoint']}?{urlencode(asked)}"}, ""

    def callback(self, mine: dict[str, str], given: dict[str, str]) -> tuple[int, dict[str, str], str]:
        expected = mine.pop("state", "")
        if not expected or not secrets.compare_digest(given.get("state", ""), expected) or given.get("iss") != ISSUER:
            return self.page("<p>This answer does not belong to a sign-in of yours.</p>")
        if "error" in given:
            return self.page(f"<p>Latchpin said: {escape(given['error'])}.</p><p><a href=/login>Try again</a></p>")
        form = {"grant_type": "authorization_code", "code": given.get("code", ""), "redirect_uri": CALLBACK}
        return self.take(mine, form | {"code_verifier": mine.pop("verifier", "")})

    def refresh(self, mine: dict[str, str], _: dict[str, str]) -> tuple[int, dict[str, str], str]:
        return self.take(mine, {"grant_type": "refresh_token", "refresh_token": mine.get("refresh_token", "")})

    def take(self, mine: dict[str, str], form: dict[str, str]) -> tuple[int, dict[str, str], str]:
        answer = http.post(server["token_endpoint"], data={**form, "client_id": CLIENT_ID})
        if not answer.is_success:
            mine.clear()  # it is over: the user took it back, or an administrator did
            return self.page(f"<p>Latchpin said: {escape(answer.json()['error'])}.</p><p><a href=/login>Sign in again</a></p>")
        mine |= answer.json()
        return 302, {"Location": "/"}, ""

    def unknown(self, _mine: dict[str, str], _: dict[str, str]) -> tuple[int, dict[str, str], str]:
        return 404, {}, "<p>There is no such page.</p>"

    def page(self, text: str) -> tuple[int, dict[str, str], str]:
        return 200, {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}, text


if __name__ == "__main__":
    print(f"Partner app at http://127.0.0.1:{PORT}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), App).serve_forever()
