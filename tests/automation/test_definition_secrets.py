"""A definition is stored, versioned and shown in clear: no secret may get into one."""

from __future__ import annotations

import pytest

from latchpin.automation import definitions
from latchpin.automation.definitions import DefinitionError, Problem

GOOD = """\
version: 1
name: Trade prices
start_url: https://trade.example/
input_parameters:
  - name: access_token
    encrypted: true
record:
  selector: tr
  fields:
    - name: price
"""
_PLANTED = "hunter2hunter2"


def _problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        definitions.parse(text)
    assert _PLANTED not in str(caught.value)
    assert not any(_PLANTED in f"{each.field} {each.message}" for each in caught.value.problems)
    return caught.value.problems


def test_an_encrypted_parameter_has_no_default() -> None:
    """The author is told to give the value when a run is started, and the value is not repeated."""
    (problem,) = _problems(GOOD.replace("true\n", f"true\n    default: {_PLANTED}\n"))

    assert (problem.line, problem.field) == (7, "input_parameters[0].default")
    assert problem.message.endswith("give its value when a run is started")


@pytest.mark.parametrize("name", ["password", "db_password", "api_key", "APIKEY", "client_secret", "access_token"])
def test_a_parameter_named_like_a_secret_is_encrypted(name: str) -> None:
    """A plain parameter called password is a mistake about to happen."""
    (problem,) = _problems(GOOD.replace("access_token\n    encrypted: true", f"{name}\n    default: {_PLANTED}"))

    assert (problem.field, problem.line) == ("input_parameters[0].name", 5)
    assert "`encrypted: true`" in problem.message


@pytest.mark.parametrize("name", ["page_token_size", "passage", "secretary", "keyword", "token"])
def test_a_parameter_with_an_innocent_name_may_be_plain(name: str) -> None:
    """Words that only resemble a secret are left alone."""
    text = GOOD.replace("access_token\n    encrypted: true", f"{name}\n    default: a")

    assert definitions.parse(text).input_parameters[0].default == "a"


def test_an_encrypted_parameter_stays_out_of_the_address() -> None:
    """Addresses are logged, by us and by others."""
    (problem,) = _problems(GOOD.replace("trade.example/", "trade.example/?t={access_token}"))

    assert (problem.field, problem.line) == ("start_url", 3)
    assert "encrypted parameter" in problem.message


def test_a_secret_in_the_query_is_refused() -> None:
    """A key pasted into the address is named by its place."""
    (problem,) = _problems(GOOD.replace("trade.example/", f"trade.example/?api_key={_PLANTED}"))

    assert (problem.field, problem.line) == ("start_url", 3)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token"])
@pytest.mark.parametrize("value", [_PLANTED, f"Bearer {_PLANTED}", f"{_PLANTED} {{access_token}}", "{access_token}x"])
def test_a_secret_header_takes_its_value_from_an_encrypted_parameter(name: str, value: str) -> None:
    """A header that carries a credential holds one encrypted parameter and at most a word before it."""
    if value == f"{_PLANTED} {{access_token}}":
        value = f"{_PLANTED}; a={{access_token}}"

    (problem,) = _problems(f"{GOOD}request:\n  headers:\n    {name}: '{value}'\n")

    assert (problem.field, problem.line) == (f"request.headers.{name}", 13)


@pytest.mark.parametrize("value", ["{access_token}", "Bearer {access_token}", "session={access_token}"])
def test_a_header_with_an_encrypted_parameter_is_accepted(value: str) -> None:
    """The way to send a credential is open."""
    text = f"{GOOD}request:\n  headers:\n    Authorization: '{value}'\n"

    assert definitions.parse(text).request.headers == (("Authorization", value),)


def test_a_password_in_a_form_takes_its_value_from_an_encrypted_parameter() -> None:
    """What holds for headers holds for the fields of a form."""
    form = f"{GOOD}request:\n  method: POST\n  form:\n    password: "

    (problem,) = _problems(form + _PLANTED)

    assert problem.field == "request.form.password"
    assert definitions.parse(form + "'{access_token}'").request.form == (("password", "{access_token}"),)


def test_an_api_key_of_this_product_is_refused_anywhere() -> None:
    """Even in the documentation, and without repeating the key."""
    key = "sk-lp_" + "A1b2C3d4" * 6

    (problem,) = _problems(f"{GOOD}documentation: |\n  Use\n  {key}\n")

    assert (problem.line, problem.column) == (13, 3)
    assert key not in problem.message
