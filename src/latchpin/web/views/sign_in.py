"""Pages around signing in: sign-in, first password, first-run setup, asking for the password again."""

from __future__ import annotations

from dataclasses import dataclass

from latchpin.web.views.common import Form, Shell
from latchpin.web.views.oauth import Destination


@dataclass(frozen=True, slots=True)
class SignIn:
    """The sign-in page.

    ``next`` is a path inside the Control Center to go to afterwards; ``ended`` says a session has run out, ``empty``
    that the deployment has no users yet, ``has_draft`` that what was typed into a form is kept. ``app`` is the app that sent
    the person, empty for none, and ``destination`` where its address leads.
    """

    shell: Shell
    form: Form
    next: str
    ended: bool
    empty: bool
    app: str = ""
    destination: Destination | None = None
    has_draft: bool = False


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """The temporary password must be replaced before anything else. ``app`` and ``destination`` are as in ``SignIn``."""

    shell: Shell
    form: Form
    minimum: int
    email: str
    app: str = ""
    destination: Destination | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """The first administrator of an empty deployment. ``action`` is the one-time address itself."""

    shell: Shell
    form: Form
    minimum: int
    action: str


@dataclass(frozen=True, slots=True)
class ConfirmPassword:
    """Asks for the password again and then makes the interrupted change.

    ``fields`` are the entries of the form that was interrupted; they are sent again with the password to
    ``action``, so that the person does not have to type them twice. Passwords typed by the person are not among
    them.
    """

    shell: Shell
    form: Form
    action: str
    fields: tuple[tuple[str, str], ...]
    back: str
    window_minutes: int
