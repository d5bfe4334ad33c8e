"""django-oauth-toolkit with as little of Django as it needs: SQLite as Latchpin opens it, no middleware, client secrets not hashed slowly.

As a script it makes the database that BENCH_DIR holds and prints the refresh tokens of BENCH_FAMILIES families as JSON.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import timedelta
from pathlib import Path

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="only measured, never deployed",  # noqa: S106  as it says
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["BENCH_DIR"]) / "peer.db",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", "transaction_mode": "IMMEDIATE"},
        }
    },
    OAUTH2_PROVIDER={"SCOPES": {"agents:read": "Read agents"}, "ACCESS_TOKEN_EXPIRE_SECONDS": 900},
)
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402  needs the settings
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from oauth2_provider.views import TokenView  # noqa: E402

CLIENT = {"client_id": "bench", "client_secret": "bench-secret-of-43-characters-like-the-others"}


def trivial(_request: HttpRequest) -> JsonResponse:
    """Answer without asking who calls."""
    return JsonResponse({"status": "ok"})


urlpatterns = [
    path("trivial", trivial),
    path("token", TokenView.as_view()),
]
application = WSGIHandler()


def make(families: int) -> dict[str, list[str]]:
    """Make the tables, two clients, and families of refresh tokens."""
    from django.contrib.auth.models import User  # noqa: PLC0415  needs the settings
    from django.core.management import call_command  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415
    from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    kinds = {"bench": "client-credentials", "bench-refresh": "authorization-code"}
    for client_id, grant_type in kinds.items():
        Application.objects.create(
            **{**CLIENT, "client_id": client_id},
            name=client_id,
            client_type="confidential",
            authorization_grant_type=grant_type,
            redirect_uris="https://partner.example/callback",
            hash_client_secret=False,
        )
    app, user = Application.objects.get(client_id="bench-refresh"), User.objects.create(username="bench")
    refresh_tokens = []
    for _ in range(families):
        until = timezone.now() + timedelta(hours=1)
        access = AccessToken.objects.create(user=user, application=app, token=secrets.token_urlsafe(24), expires=until, scope="agents:read")
        refresh_tokens.append(secrets.token_urlsafe(24))
        RefreshToken.objects.create(user=user, application=app, token=refresh_tokens[-1], access_token=access)
    return {"opaque": refresh_tokens}


if __name__ == "__main__":
    print(json.dumps(make(int(os.environ["BENCH_FAMILIES"]))))
