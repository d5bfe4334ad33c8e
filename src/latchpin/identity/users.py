"""Users of an organization: create, change, disable, delete. The last active administrator cannot be removed."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from latchpin.audit import Actor, events, record
from latchpin.errors import Conflict, FieldProblem, Invalid, Missing
from latchpin.identity import active_keys, api_keys, grants, passwords, sessions
from latchpin.identity.passwords import Hashed
from latchpin.identity.roles import Group
from latchpin.kit import clock
from latchpin.kit.fields import FieldValidation, email_key
from latchpin.storage import subjects, violations
from latchpin.storage.generation import invalidate
from latchpin.storage.models import Agent, ApiKey, Run, User
from latchpin.storage.models.user import UserStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The fields that an administrator enters, with the password already hashed. `temporary` requires a change at first sign-in."""

    full_name: str
    email: str
    group: Group = Group.USER
    password: Hashed
    temporary: bool = True


@dataclass(frozen=True, slots=True)
class CreatedUser:
    """A newly created user; `password` is the temporary password to hand over, in plain text only here."""

    user: User
    password: str = field(repr=False)


async def create(session: AsyncSession, organization_id: int, new: NewUser, *, by: Actor) -> CreatedUser:
    """Create a user. Raises Invalid for invalid fields, an address in use, or a weak password."""
    form = FieldValidation()
    full_name = form.line("full_name", new.full_name, most=200)
    email = form.email("email", new.email)
    if weakness := passwords.weakness(new.password.text, own_words=(full_name, email)):
        form.problem("password", weakness)
    if await by_email(session, email):
        form.problem("email", _TAKEN)
    form.done()
    user = User(
        organization_id=organization_id,
        full_name=full_name,
        email=email,
        email_key=email_key(email),
        user_group=new.group.value,
        password_hash=new.password.password_hash,
        must_change_password=new.temporary,
        created_at=clock.now(),
    )
    session.add(user)
    await _flush(session)
    changes = {"full_name": (None, full_name), "email": (None, email), "group": (None, new.group.value)}
    record(session, events.UserCreated(target_id=user.id, target_name=email, changes=changes, organization_id=organization_id), by)
    return CreatedUser(user, new.password.text)


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The passwords a user typed, checked and hashed before the transaction. `checked` is the hash that `current` was checked against."""

    current: str = field(repr=False)
    is_right: bool
    checked: str = field(repr=False)
    new: Hashed


async def prepare_change(password_hash: str, *, current: str, new: str) -> PasswordChange:
    """Check and hash for a change of password, outside any transaction; `password_hash` is the user's present one."""
    is_right = await passwords.matches(current, password_hash)
    return PasswordChange(current, is_right, password_hash, await passwords.hashed(new))


async def get(session: AsyncSession, organization_id: int, user_id: int) -> User:
    """Return one user of the organization; raises Missing."""
    user = await session.scalar(select(User).where(User.id == user_id, User.organization_id == organization_id))
    if user is None:
        raise Missing("user", user_id)
    return user


async def by_email(session: AsyncSession, email: str, *, lock: bool = False) -> User | None:
    """Return the user with this address, whatever its case, or None; with `lock` the row is current, and unchanged until the commit."""
    normalized_email = email_key(email)
    if "\0" in normalized_email:  # no address contains NUL, and PostgreSQL refuses to compare with it
        return None
    query = select(User).where(User.email_key == normalized_email)
    return await session.scalar(query.with_for_update(key_share=True).execution_options(populate_existing=True) if lock else query)


async def change(
    session: AsyncSession,
    user: User,
    *,
    by: Actor,
    full_name: str | None = None,
    email: str | None = None,
    group: Group | None = None,
) -> User:
    """Change name, address or group; None leaves a field as it is. Raises Invalid, and Conflict for the last administrator."""
    if group is None or group is Group.ADMINISTRATOR:
        await _lock(session, user)
    else:
        await _require_another_administrator(session, user, "demoted")
    form = FieldValidation()
    new_values = {
        "full_name": user.full_name if full_name is None else form.line("full_name", full_name, most=200),
        "email": user.email if email is None else form.email("email", email),
        "user_group": user.user_group if group is None else group.value,
    }
    holder = await by_email(session, new_values["email"])
    if holder is not None and holder.id != user.id:
        form.problem("email", _TAKEN)
    form.done()
    changes = {
        name.removeprefix("user_"): (getattr(user, name), value) for name, value in new_values.items() if getattr(user, name) != value
    }
    if not changes:
        return user
    invalidate(session, subjects.user(user.id))
    for name, value in new_values.items():
        setattr(user, name, value)
    user.email_key = email_key(user.email)
    await _flush(session)
    record(session, events.UserChanged(target_id=user.id, target_name=user.email, changes=changes), by)
    return user


async def disable(session: AsyncSession, user: User, *, by: Actor) -> int:
    """Disable a user; all keys, sessions and apps' grants end. Returns the number of keys. Raises Conflict for the last administrator."""
    await _require_another_administrator(session, user, "disabled")
    if user.status is UserStatus.DISABLED:
        return 0
    user.status = UserStatus.DISABLED
    invalidate(session, subjects.user(user.id))
    revoked = await api_keys.revoke_all(session, user, by=by, reason="user disabled")
    await sessions.end_all(session, user.id)
    await grants.end_of_user(session, user.id, reason="user disabled", by=by)
    record(session, events.UserDisabled(target_id=user.id, target_name=user.email, changes={"keys_revoked": (None, revoked)}), by)
    return revoked


async def enable(session: AsyncSession, user: User, *, by: Actor) -> None:
    """Enable a disabled user again. Keys and sessions that ended do not become active again."""
    if user.status is UserStatus.DISABLED:
        user.status = UserStatus.ACTIVE
        record(session, events.UserEnabled(target_id=user.id, target_name=user.email), by)


async def reset_password(session: AsyncSession, user: User, temporary: Hashed, *, by: Actor) -> None:
    """Set a temporary password, already hashed, and end all of the user's sessions and apps' grants."""
    await _lock(session, user)
    user.password_hash, user.must_change_password = temporary.password_hash, True
    await sessions.end_all(session, user.id)
    await grants.end_of_user(session, user.id, reason="password reset", by=by)
    record(session, events.PasswordReset(target_id=user.id, target_name=user.email), by)


async def change_password(session: AsyncSession, user: User, change: PasswordChange, *, by: Actor, keep_session: int | None = None) -> None:
    """Set a password that the user chose; other sessions and apps' grants end. Raises Invalid for a wrong current or a weak new password.

    A check against a hash that has changed since then is not valid.
    """
    await _lock(session, user)
    form, new = FieldValidation(), change.new.text
    if not change.is_right or change.checked != user.password_hash:
        form.problem("current_password", "This is not your current password.")
    elif passwords.prepared(change.current) == passwords.prepared(new):
        form.problem("new_password", "Choose a password that differs from the current one.")
    if weakness := passwords.weakness(new, own_words=(user.full_name, user.email)):
        form.problem("new_password", weakness)
    form.done()
    user.password_hash, user.must_change_password = change.new.password_hash, False
    await sessions.end_all(session, user.id, but=keep_session)
    await grants.end_of_user(session, user.id, reason="password changed", by=by, keep_session=keep_session)
    record(session, events.PasswordChanged(target_id=user.id, target_name=user.email), by)


async def delete(session: AsyncSession, user: User, *, new_owner: User, by: Actor) -> int:
    """Delete a user with all keys and sessions; agents go to `new_owner` (personal ones to the new owner's personal Space).

    Returns the number of active keys that ended. Raises Conflict for the last administrator, and for `new_owner` deleting themselves.
    """
    if user.id == new_owner.id:
        raise Conflict("You cannot delete yourself. Ask another administrator.")
    await _require_another_administrator(session, user, "deleted")
    await _lock(session, new_owner)
    active = sum(active_keys.is_active(key) for key in await api_keys.of_user(session, user.id))
    invalidate(session, subjects.user(user.id))
    await session.execute(update(Agent).where(Agent.user_id == user.id).values(user_id=new_owner.id))
    group = case((Run.space_id.is_(None), -new_owner.id), else_=Run.concurrency_group)
    await session.execute(update(Run).where(Run.user_id == user.id).values(user_id=new_owner.id, concurrency_group=group))
    await session.execute(sql_delete(ApiKey).where(ApiKey.user_id == user.id))
    changes: events.Changes = {"live_keys": (active, 0), "agents_to": (None, new_owner.email)}
    record(session, events.UserDeleted(target_id=user.id, target_name=user.email, changes=changes), by)
    await session.delete(user)
    return active


async def _lock(session: AsyncSession, user: User) -> None:
    """Lock and reload the user, unchanged until the commit (PostgreSQL); raises Missing where it does not exist any more."""
    fresh = select(User).where(User.id == user.id).with_for_update(key_share=True).execution_options(populate_existing=True)
    if await session.scalar(fresh) is None:
        raise Missing("user", user.id)


async def _require_another_administrator(session: AsyncSession, user: User, verb: str) -> None:
    """Lock and reload the user and all active administrators, in one order; raises Conflict where the user is the last of them.

    Values read before the lock may be outdated: another administrator may be changing the user, or deleting themselves.
    """
    administers = and_(User.user_group == Group.ADMINISTRATOR.value, User.status == UserStatus.ACTIVE)
    rows = await session.scalars(
        select(User)
        .where(User.organization_id == user.organization_id, or_(User.id == user.id, administers))
        .order_by(User.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    users_by_id = {row.id: row for row in rows.all()}
    if user.id not in users_by_id:
        raise Missing("user", user.id)
    is_one = user.user_group == Group.ADMINISTRATOR and user.status is UserStatus.ACTIVE
    if is_one and len(users_by_id) == 1:
        raise Conflict(f"The last active administrator cannot be {verb}. Make another user an administrator first.")


async def _flush(session: AsyncSession) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if not violations.is_unique(error):
            raise
        raise Invalid("One entry was refused; nothing was changed.", problems=[FieldProblem("email", _TAKEN)]) from None


_TAKEN = "Another user has this e-mail address."


async def count(session: AsyncSession) -> int:
    """Return how many users the deployment has."""
    return await session.scalar(select(func.count()).select_from(User)) or 0
