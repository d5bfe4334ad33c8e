"""Pages of the authorization server: what an app asks for, which account, a device's code, and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from latchpin.web.views.common import Form, Option, Shell


@dataclass(frozen=True, slots=True)
class AppFacts:
    """An app as a person should see it.

    ``host`` is where it is at home, as far as that is known; empty for a program on this computer. ``unverified`` is an app that made
    itself known and that this person has not let in before; ``identified_by`` is the host that vouches for its name, if any does.
    """

    name: str
    host: str
    local: bool
    unverified: bool
    identified_by: str


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that an app will be able to do."""

    icon: str
    text: str


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """The device that asks: where its request came from, and when."""

    address: str
    asked: datetime


@dataclass(frozen=True, slots=True)
class Consent:
    """The question whether an app may act for the person.

    ``token`` opens the request that waits. ``sent_to`` is the host that the answer goes to, empty for a device. ``resources`` are hosts
    of other APIs that the app's tokens are for. ``offline_until`` is None where access ends with the first token, after ``minutes``;
    ``may_stay_until`` is set where the person may let it go on all the same, until then. ``has_changed`` is an app that is another one
    than the page showed before.
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
    sent_to: str
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
    """An app wants to be sure who is there, so the password is asked for again."""

    shell: Shell
    form: Form
    token: str
    app: AppFacts


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that goes no further here.

    ``code`` and ``detail`` are for the app's developers. ``onward`` is an app's address that the person may go to, with the refusal in
    it; empty where there is none, ``host`` names it.
    """

    shell: Shell
    title: str
    text: str
    code: str
    detail: str
    onward: str
    host: str
    request_id: str


@dataclass(frozen=True, slots=True)
class OpenedApp:
    """The answer went to an app's own scheme, so the browser stays here. ``location`` is the app's address with the answer in it."""

    shell: Shell
    app: str
    allowed: bool
    location: str
    scheme: str


@dataclass(frozen=True, slots=True)
class DeviceCodeEntry:
    """Where the code that a device shows is typed."""

    shell: Shell
    form: Form


@dataclass(frozen=True, slots=True)
class DeviceDone:
    """The device has its answer."""

    shell: Shell
    allowed: bool


@dataclass(frozen=True, slots=True)
class SignOut:
    """The question whether to sign out, as an app asked; ``carried`` are the fields of its request, which go on with the answer."""

    shell: Shell
    app: str
    carried: tuple[tuple[str, str], ...]
