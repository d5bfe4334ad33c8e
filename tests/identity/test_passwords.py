"""Password rules (security.md 105): length and lists, no composition, nothing cut, any characters."""

from __future__ import annotations

from collections.abc import Iterator

import argon2
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from latchpin.identity import credentials, passwords
from tests.support import shortcuts

GOOD = "correct horse battery staple"
_few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=passwords.LEAST, max_size=passwords.MOST)


@pytest.mark.parametrize("password", ["1234567", "", "äöüßäöü", "short 7"])
def test_seven_characters_are_too_few(password: str) -> None:
    """Characters are counted, not bytes."""
    assert "at least 8" in str(passwords.weakness(password))


def test_64_characters_and_far_more_are_accepted() -> None:
    """A sentence, a manager's random text, spaces and all."""
    assert passwords.weakness("a quite long sentence that somebody can remember without any trouble") is None
    assert passwords.weakness(("x7 kQ" * 60)[: passwords.MOST]) is None


def test_a_text_too_long_to_hash_cheaply_is_refused_and_not_cut() -> None:
    """A limit that is told is better than one that is applied in silence."""
    assert "at most 256" in str(passwords.weakness("x7 kQ" * 60))


@pytest.mark.parametrize(
    "password",
    [
        "lower case only words",
        "ONLY UPPER CASE WORDS",
        "8402759186",
        "!?§$%&/()=",
        "пароль из слов",
        "密码是一个很长的句子",
        "🦊🐙🦉🐢🦔🐝🦋🐞",
    ],
)
def test_no_kind_of_character_is_asked_for(password: str) -> None:
    """Length is what counts."""
    assert passwords.weakness(password) is None


@pytest.mark.parametrize(
    "password", ["password", "Password1", "qwertyuiop", "iloveyou", "12345678", "PASSWORD123", "  sunshine  ", "baseball!"]
)
def test_common_passwords_are_refused_whatever_their_case_and_tail(password: str) -> None:
    """The bundled list has 30,000."""
    assert "common" in str(passwords.weakness(password))


def test_the_3000_most_common_passwords_are_all_refused() -> None:
    """Those of eight characters and more; the rest are too short anyway."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  large

    assert all(passwords.weakness(common) for common in FREQUENCY_LISTS["passwords"][:3000])


@pytest.mark.parametrize("password", ["Latchpin", "latchpin2026!", "SEQUENTUM", "control center"])
def test_words_of_the_product_are_refused(password: str) -> None:
    """They are the first that somebody tries here."""
    assert passwords.weakness(password) is not None


@pytest.mark.parametrize("password", ["Grace Hopper", "grace hopper1", "grace@example.com", "GRACE@EXAMPLE.COM!"])
def test_the_owners_name_and_address_are_refused(password: str) -> None:
    """With a number behind them as well."""
    assert "your name" in str(passwords.weakness(password, own_words=("Grace Hopper", "grace@example.com")))


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "abababababab", "1212121212"])
def test_three_characters_over_and_over_are_refused(password: str) -> None:
    """Long is not enough when there is nothing in it."""
    assert passwords.weakness(password) is not None


def test_half_of_a_character_is_refused() -> None:
    """A lone surrogate cannot be encoded; it would be stored as something else."""
    assert passwords.weakness("correct horse \ud83e staple") is not None


@given(_texts)
def test_any_text_gets_a_verdict(password: str) -> None:
    """Whatever is typed: a sentence or nothing, never an error."""
    verdict = passwords.weakness(password, own_words=("Grace Hopper", "grace@example.com"))

    assert verdict is None or verdict.endswith(".")


@_few
@given(_texts, st.data())
async def test_nothing_of_a_password_is_cut_or_changed(password: str, data: st.DataObject) -> None:
    """Without its last character, with another one, in another case, with a blank: each is another password."""
    stored = await passwords.hash_password(password)
    other = data.draw(st.sampled_from([password[:-1], password + "x", password + "\0", " " + password, password.swapcase()]))
    assume(other != password)

    assert await passwords.matches(password, stored)
    assert not await passwords.matches(other, stored)


@pytest.fixture
def strong() -> Iterator[None]:
    """Hash as a deployment does."""
    with shortcuts.strong_hashes():
        yield


async def test_the_stored_form_is_argon2id_with_its_own_salt(strong: None) -> None:
    """Twice the same password is twice another hash; t=2, m=19 MiB, p=1 as OWASP advises."""
    one, two = await passwords.hash_password(GOOD), await passwords.hash_password(GOOD)

    assert one != two
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("stored", ["", "plain text", "$argon2id$v=19$m=19456,t=2,p=1$broken", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_stored_hash_that_is_damaged_matches_nothing(stored: str) -> None:
    """And is no error that a visitor sees."""
    assert not await passwords.matches(GOOD, stored)


async def test_a_typed_text_that_cannot_be_encoded_matches_nothing() -> None:
    """Nor is it an error."""
    assert not await passwords.matches("\ud83e", await passwords.hash_password(GOOD))


async def test_an_unknown_user_costs_the_same_hashing_as_a_known_one(strong: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One verification with the same parameters, whether there is a hash to compare with or not."""
    stored = await passwords.hash_password(GOOD)
    await passwords.matches("x", None)
    checked: list[str] = []
    verify = argon2.PasswordHasher.verify

    def counting(self: argon2.PasswordHasher, against: str, password: str) -> bool:
        checked.append(against[:30])
        return bool(verify(self, against, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counting)
    assert not await passwords.matches("wrong", stored)
    assert not await passwords.matches("wrong", None)

    assert checked == ["$argon2id$v=19$m=19456,t=2,p=1"] * 2


async def test_a_hash_of_other_parameters_is_made_anew_at_the_next_sign_in(strong: None) -> None:
    """So that stronger ones reach everybody who comes; one of today's parameters is kept."""
    assert not passwords.is_outdated(await passwords.hash_password(GOOD))
    assert passwords.is_outdated(argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD))


COMPOSED, IN_PARTS = "Sch\u00f6ne \u00c5sa 1", "Scho\u0308ne A\u030asa 1"
THIN = "violet\u2009anchor\u00a0nine"


async def test_a_password_is_the_same_however_a_keyboard_makes_its_letters() -> None:
    """Set on one system and typed on another: composed or in parts, with a blank of any width (RFC 8265 section 4.2)."""
    for chosen, typed in ((COMPOSED, IN_PARTS), (IN_PARTS, COMPOSED), (THIN, "violet anchor nine"), ("violet anchor nine", THIN)):
        assert await passwords.matches(typed, await passwords.hash_password(chosen)), (chosen, typed)
    assert not await passwords.matches("Schone Asa 1", await passwords.hash_password(COMPOSED))


async def test_a_hash_of_before_that_rule_still_counts() -> None:
    """It was made of the password as it was typed then."""
    for chosen in (COMPOSED, IN_PARTS, THIN):
        older = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(chosen)
        assert await passwords.matches(chosen, older), chosen
    assert await passwords.matches(COMPOSED, argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(IN_PARTS))


async def test_a_temporary_password_may_be_copied_with_blanks_around_it() -> None:
    """And with what else nobody sees; a chosen password is taken as it is."""
    temporary = credentials.temporary_password()
    password_hash = await passwords.hash_password(temporary)

    for typed in (f" {temporary}", f"{temporary}\r\n", f"\ufeff{temporary}\u200b "):
        assert await passwords.matches(typed, password_hash), typed
    assert not await passwords.matches(f"{GOOD} ", await passwords.hash_password(GOOD))
    assert await passwords.matches(f"{GOOD} ", await passwords.hash_password(f"{GOOD} "))


def test_characters_of_a_password_are_counted_composed() -> None:
    """Seven letters typed in parts are seven."""
    assert "at least 8" in str(passwords.weakness("o\u0308" * 7))
