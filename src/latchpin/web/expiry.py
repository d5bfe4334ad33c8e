"""When a key expires: the day that people choose, in UTC, within the limits of the policy. The key is valid to the end of that day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from latchpin.errors import Invalid
from latchpin.identity.policy import KeyPolicy
from latchpin.web.views.api_keys import Lifetime
from latchpin.web.views.common import Option

CUSTOM = "custom"
_QUICK = (30, 90, 365)
_NAMES = {365: "1 year", 730: "2 years"}
_END_OF_DAY = time(23, 59, 59, tzinfo=UTC)


def lifetime(key_policy: KeyPolicy, today: date) -> Lifetime:
    """The policy's limits as dates, counted from today."""
    return Lifetime(
        key_policy.default_days,
        key_policy.max_days,
        today,
        today + timedelta(days=key_policy.default_days),
        today,
        today + timedelta(days=key_policy.max_days),
    )


def quick_choices(limits: Lifetime) -> tuple[Option, ...]:
    """Lifetimes that can be chosen with one click, with their dates; only those that the policy allows."""
    days = sorted({*(each for each in _QUICK if each <= limits.maximum_days), limits.default_days})
    options = [Option(str(each), _NAMES.get(each, f"{each} days"), (limits.today + timedelta(days=each)).isoformat()) for each in days]
    return (*options, Option(CUSTOM, "Custom"))


def end_of(text: str) -> datetime:
    """The end of a day given as YYYY-MM-DD. Raises Invalid for anything else."""
    try:
        chosen = date.fromisoformat(text.strip())
        return datetime.combine(chosen, _END_OF_DAY)
    except ValueError:
        raise Invalid("Enter a date, such as 2027-11-24.", field="expires_on") from None


def chosen_end(choice: str, text: str, limits: Lifetime) -> datetime:
    """The expiry that was chosen in the New API key form: a quick choice, or the date where "custom" (or nothing) is chosen."""
    if choice in ("", CUSTOM):
        return end_of(text)
    offered = {option.value: option.hint for option in quick_choices(limits)}
    if choice not in offered:
        raise Invalid("Choose one of the lengths offered, or a date.", field="expires_on")
    return end_of(offered[choice])
