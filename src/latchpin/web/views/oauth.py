"""Pages of the authorization server: consent, choice of account, a device's code, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from latchpin.web.views.common import Form, Option, Shell


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a page leads: the host of an address, or a private-use URI scheme with its colon (``is_scheme``), which opens a program."""

    name: str
    is_scheme: bool


@dataclass(frozen=True, slots=True)
class AppFacts:
    """An app as a person should see it.

    ``host`` is the host that it belongs to, if known; empty for a program on this computer. ``unverified`` is an app that registered
    itself and that this person has not authorized before; ``identified_by`` is the host that vouches for its name, if any does.
    ``destination`` is where the browser goes in the end, None where it stays here (a device).
    """

    name: str
    host: str
    local: bool
    unverified: bool
    identified_by: str
    destination: Destination | None


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that an app will be able to do."""

    icon: str
    text: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The device that asks: where its request came from, and when."""

    address: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """The question whether an app may act for the person.

    ``token`` identifies the pending request. ``resources`` are hosts of other APIs that the app's tokens are for. ``offline_until`` is None
    where access ends with the first token, after ``minutes``; ``may_stay_until`` is set where the person may extend it
    to that time. ``has_changed`` says that the app has changed since the page showed it.
    """

    shell: Shell
    form: Form
    token: str
    app: AppFacts
    spaces: tuple[Option, ...]
    rights: tuple[Right, ...]
    resources: tuple[str, ...]
    minutes: int
    offline_until: datetime | None
    may_stay_until: datetime | None
    device: DeviceFacts | None
    has_changed: bool


@dataclass(frozen=True, slots=True)
class ChooseAccount:
    """The question which account an app is to get."""

    shell: Shell
    token: str
    app: AppFacts


@dataclass(frozen=True, slots=True)
class GivePassword:
    """An app requires a recent authentication, so the page asks for the password again."""

    shell: Shell
    form: Form
    token: str
    app: AppFacts


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is refused here.

    ``code`` and ``detail`` are for the app's developers. ``return_url`` is an app's address that the person may go to, with the refusal in
    it, and ``destination`` names it; empty and None where there is none.
    """

    shell: Shell
    title: str
    text: str
    code: str
    detail: str
    return_url: str
    destination: Destination | None
    request_id: str


@dataclass(frozen=True, slots=True)
class OpenedApp:
    """The response goes to an app's private-use scheme, so the browser stays here. ``location`` is the app's address with the response."""

    shell: Shell
    app: str
    allowed: bool
    location: str
    scheme: str


@dataclass(frozen=True, slots=True)
class DeviceCodeEntry:
    """The form for the code that a device shows."""

    shell: Shell
    form: Form


@dataclass(frozen=True, slots=True)
class DeviceDone:
    """The person has decided about the device."""

    shell: Shell
    allowed: bool


@dataclass(frozen=True, slots=True)
class SignOut:
    """The question whether to sign out, as an app asked, None where no app is named.

    ``hidden_fields`` are the fields of its request, which the form sends again with the answer.
    """

    shell: Shell
    app: AppFacts | None
    hidden_fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The session was ended for an app that no administrator here entered; ``return_url`` is its address, which the page links to."""

    shell: Shell
    app: AppFacts
    return_url: str
