"""The prompts of an authorization request: which account, the password, and consent."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Response

from latchpin.identity import access
from latchpin.identity.access import NamedSpace
from latchpin.identity.roles import Role
from latchpin.oauth import consents, device_consent
from latchpin.oauth.authorize import Prompt, ShowPrompt
from latchpin.oauth.clients import Client
from latchpin.oauth.consents import SpaceBinding
from latchpin.oauth.device_consent import DeviceRequest
from latchpin.web import consent_view, render
from latchpin.web.page_context import PageContext
from latchpin.web.views.common import Form
from latchpin.web.views.oauth import AppFacts, ChooseAccount, Consent, DeviceFacts, GivePassword


@dataclass(frozen=True, slots=True)
class _ConsentFacts:
    """The data for a consent page: the Spaces to choose from, the earlier consent, and the device that asks, if any."""

    spaces: list[tuple[NamedSpace, Role]]
    previous: SpaceBinding | None
    stay_connected: bool
    device: DeviceRequest | None


async def prompt_page(ctx: PageContext, client: Client, due: ShowPrompt, form: Form | None, status: int) -> Response[str]:
    """Render a prompt; `form` has the refused entries of an earlier answer."""
    redirect_uri = due.pending.request.redirect_uri if due.pending.request else ""
    async with ctx.services.database.read() as session:
        consent = await consents.find(session, ctx.principal.user_id, client)
        spaces = await access.roles_in_all(session, ctx.principal)
        device = await device_consent.request_of(session, due.pending.device_id, client) if due.pending.device_id is not None else None
    facts = consent_view.app(client, redirect_uri, ctx.principal.organization_id, has_consented=consent is not None)
    headers = consent_view.redirect_policy(redirect_uri)
    if due.prompt is Prompt.ACCOUNT:
        return render.page(ctx.request, "oauth/account.html", ChooseAccount(ctx.shell(""), due.token, facts), headers=headers)
    if due.prompt is Prompt.REAUTH:
        confirm = GivePassword(ctx.shell(""), form or Form(), due.token, facts)
        return render.page(ctx.request, "oauth/password.html", confirm, status=status, headers=headers)
    consent_facts = _ConsentFacts(
        spaces, SpaceBinding(consent.reach, consent.space_id) if consent else None, bool(consent and consent.stay_connected), device
    )
    view = _consent(ctx, client, due, facts, consent_facts, form)
    return render.page(ctx.request, "oauth/consent.html", view, status=status, headers=headers)


def _consent(
    ctx: PageContext, client: Client, due: ShowPrompt, facts: AppFacts, consent_facts: _ConsentFacts, form: Form | None
) -> Consent:
    request, settings = due.pending.request or consent_facts.device, ctx.services.settings
    scopes, resource = (request.scopes, request.resource) if request else ("", ())
    space_options = consent_view.spaces(consent_facts.spaces)
    previous_space = consent_facts.previous.word if consent_facts.previous else ""
    chosen = previous_space if any(option.value == previous_space for option in space_options) else space_options[0].value
    return Consent(
        ctx.shell(""),
        form or Form({"space": chosen, "stay": "yes" if consent_facts.stay_connected else ""}),
        due.token,
        facts,
        space_options,
        consent_view.rights(scopes),
        consent_view.other_resources(resource, settings),
        settings.access_token_minutes,
        consent_view.offline_until(scopes, settings),
        consent_view.may_stay_until(scopes, client, settings),
        DeviceFacts(consent_facts.device.address, consent_facts.device.at) if consent_facts.device else None,
        due.has_changed,
    )
