"""`latchpin init` asks for what is missing, and asks again at once for what cannot be taken."""

from __future__ import annotations

from tests.cli.conftest import EMAIL, CommandLine


def test_a_bad_answer_is_asked_for_again_at_once(embedded: CommandLine) -> None:
    """Each question is repeated with what is wrong, and nothing that was answered before is lost."""
    inputs = ["Acme", "n" * 201, "Ada Byron", "ada", EMAIL]

    ran = embedded("init", text="".join(f"{each}\n" for each in inputs))

    assert f"Administrator {EMAIL} with the temporary password" in ran.out
    assert ran.err.count("Organization") == 1
    assert "At most 200 characters; this has 201." in ran.err
    assert "Enter an e-mail address such as name@example.com." in ran.err
    assert ran.err.count("Your e-mail") == 2


def test_bad_options_are_refused_together_before_anything_is_asked(embedded: CommandLine) -> None:
    """All that was given wrong is named; no question is put."""
    ran = embedded("init", "--name", " ", "--email", "ada", text="", code=1)

    assert "full_name: Enter a value." in ran.err
    assert "email: Enter an e-mail address" in ran.err
    assert "Organization" not in ran.err


def test_a_deployment_with_users_is_told_before_anything_is_asked(embedded: CommandLine) -> None:
    """Nobody answers three questions for nothing."""
    embedded.init()

    ran = embedded("init", text="", code=1)

    assert "has users already" in ran.err
    assert "Organization" not in ran.err
