"""What people may type into fields: refused whole or kept whole, never an error, never too long for its column."""

from __future__ import annotations

import ipaddress
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latchpin.errors import Invalid
from latchpin.kit.fields import FieldValidation, email_key


def _line(text: str, most: int = 200) -> str | None:
    form = FieldValidation()
    clean = form.line("name", text, most=most)
    return None if form.problems else clean


def _email(text: str) -> str | None:
    form = FieldValidation()
    clean = form.email("email", text)
    return None if form.problems else clean


@pytest.mark.parametrize("text", ["sk-lp_" + "a1B2" * 11, "Grafana sk-lp_" + "x" * 20 + " nightly"])
def test_a_line_that_holds_a_full_key_is_refused_without_repeating_it(text: str) -> None:
    """A key pasted into a name or description would be stored in the clear and shown to others."""
    form = FieldValidation()

    form.line("description", text, most=500)

    (problem,) = form.problems
    assert "Revoke that key" in problem.message
    assert "sk-lp_" not in problem.message


def test_the_beginning_of_a_key_may_be_named() -> None:
    """The display prefix is how people talk of a key."""
    assert _line("Replaces sk-lp_9xQzAb") == "Replaces sk-lp_9xQzAb"


@given(st.text(max_size=300))
@example("a\0b")
@example("a\nb")
@example("\u202egnp.exe")
@example("\u2028")
@example("  ")
@example("e\u0301" * 200)
def test_an_accepted_line_is_one_visible_line_within_its_length(text: str) -> None:
    """No control character, no line break, no direction override, no half character gets into a table."""
    clean = _line(text)

    if clean is not None:
        assert 1 <= len(clean) <= 200
        assert clean == clean.strip() == unicodedata.normalize("NFC", clean)
        assert not {unicodedata.category(letter) for letter in clean} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(clean) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=100))
def test_a_line_of_ordinary_characters_is_kept_as_it_is(text: str) -> None:
    """In composed form; HTML stays text."""
    composed = unicodedata.normalize("NFC", text).strip()
    if composed and len(composed) <= 200:
        assert _line(text) == composed


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "O'Brien; DROP TABLE users", "名前", "a & b", "%s {0} \\n"])
def test_markup_is_text_like_any_other(text: str) -> None:
    """It is escaped where it is shown, not refused where it is typed."""
    assert _line(text) == text


def test_a_line_of_ten_thousand_characters_is_refused_with_both_numbers() -> None:
    """Not cut."""
    form = FieldValidation()
    form.line("description", "x" * 10_000, most=500)

    assert form.problems[0].message == "At most 500 characters; this has 10000."


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "a.b+c@sub.example.co.uk",
        "ü@example.org",
        "jürgen.groß@example.de",
        "x@localhost",
        "o'brien@example.com",
        "иван@пример.рф",
        "a@münchen.example",
    ],
)
def test_ordinary_addresses_are_accepted(address: str) -> None:
    """Form is checked, existence is not."""
    assert _email(address) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "a@b@c",
        "a b@example.com",
        "a@exa mple.com",
        "<a@example.com>",
        "a@-example.com",
        "a@b..c",
        "a\0@b.c",
        "a\u200b@example.com",
        "a\ufeffb@example.com",
        "a\u00adb@example.com",
        "a\u200e@example.com",
        "a\u2060b@example.com",
        "a\u200db@example.com",
        "\u3164@example.com",
        "a\u2800@example.com",
        "a@exam\u00adple.com",
        "a@mü nchen.example",
        "a@-münchen.example",
        "a@" + "ü" * 64 + ".example",
        "a@" + "b" * 300,
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    """With an example of one."""
    assert _email(address) is None


@given(st.text(min_size=1, max_size=64).map(lambda text: text + "@example.com"))
@example("\ufdfa" * 64 + "@example.com")
def test_an_accepted_address_and_its_key_fit_their_columns(address: str) -> None:
    """Folding can make a text several times as long; PostgreSQL would refuse it with an error of its own."""
    if (clean := _email(address)) is not None:
        assert len(clean) <= 254
        assert len(email_key(clean)) <= 254


@given(st.from_regex(r"[a-zäöüß]{1,20}@[a-z]{1,20}\.example", fullmatch=True))
def test_addresses_that_differ_in_case_are_one(address: str) -> None:
    """Also beyond ASCII, and with blanks around."""
    assert email_key(address.upper()) == email_key(address) == email_key(f"  {address} ")


@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=60), st.from_regex(r"[0-9.:/a-f]{1,40}")), max_size=60))
@example([f"2001:db8:1111:2222:3333:4444:5555:{number:x}/128" for number in range(0x6660, 0x6660 + 50)])
@example(["fe80::1%eth0/128"])
@example(["10.0.0.1/8"])
def test_accepted_networks_can_be_read_again_and_fit_their_column(parts: list[str]) -> None:
    """Nonsense is refused with what was wrong; nothing that was kept fails later, when a request comes."""
    form = FieldValidation()
    networks = form.networks("networks", parts)

    if not form.problems:
        assert len(networks) <= 2000
        assert {ipaddress.ip_network(text) for text in networks.split()} == {ipaddress.ip_network(part.strip()) for part in parts}


@given(st.integers())
def test_numbers_are_kept_within_their_bounds(number: int) -> None:
    """However large."""
    form = FieldValidation()
    form.number("rate_limit", number, least=1, most=1000)

    assert bool(form.problems) == (not 1 <= number <= 1000)


def test_all_problems_are_told_together() -> None:
    """One round trip, not one per field."""
    form = FieldValidation()
    form.line("full_name", "", most=200)
    form.email("email", "nobody")
    form.number("rate_limit", 0, least=1)

    with pytest.raises(Invalid, match="3 entries were refused; nothing was changed") as caught:
        form.done()

    assert [problem.field for problem in caught.value.problems] == ["full_name", "email", "rate_limit"]


def test_two_addresses_that_look_alike_to_a_mail_server_or_an_eye_are_one() -> None:
    """Case, width, composition, what nobody sees, and the two ways to write an internationalized domain make no second user."""
    table = {
        "Jürgen.Groß@Example.DE": "jürgen.gross@example.de",
        "ju\u0308rgen.groß@example.de": "jürgen.gross@example.de",
        "a@MÜNCHEN.example": "a@xn--mnchen-3ya.example",
        "a@xn--mnchen-3ya.example": "a@xn--mnchen-3ya.example",
        "\ufeffada@example.com\u200b": "ada@example.com",
        "a\u00add\u200ea\u2060@example.com": "ada@example.com",
        "\uff41da@example.com": "ada@example.com",
        "no address": "no address",
    }

    for address, key in table.items():
        assert email_key(address) == email_key(key) == key, address


def test_an_invisible_character_is_told_by_its_number() -> None:
    """Else nobody could find what is wrong."""
    form = FieldValidation()
    form.email("email", "ada\u200b.byron@example.com")
    form.line("name", "Ada\u2060Byron", most=200)
    form.line("blank", "\u3164\u2800", most=200)

    assert "U+200B" in form.problems[0].message
    assert "U+2060" in form.problems[1].message
    assert form.problems[2].message == "Enter a value."
