"""`latchpin init`: the first organization and its administrator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from latchpin.cli import terminal
from latchpin.cli.deployment import data_dir_option, example, initialized, json_option, load_settings, print_json, run_async
from latchpin.identity import organizations, passwords
from latchpin.kit.fields import FieldValidation

_QUESTIONS: Mapping[str, str] = {"organization": "Organization", "full_name": "Your full name", "email": "Your e-mail"}


@click.command(epilog=example('latchpin init --organization Acme --name "Ada Byron" --email ada@example.com'))
@data_dir_option
@click.option("--organization", help="The organization's name.")
@click.option("--name", "full_name", help="The administrator's full name.")
@click.option("--email", help="The administrator's e-mail, with which to sign in.")
@json_option
@run_async
async def init(data_dir: Path | None, organization: str | None, full_name: str | None, email: str | None, as_json: bool) -> None:
    """Make the first organization and its administrator, and print a temporary password.

    What is not given is asked for, and asked again where it cannot be taken. The password is shown once and changed at the first
    sign-in. Without this command, `latchpin serve` prints a one-time link that does the same in the browser.
    """
    given = _validated({"organization": organization, "full_name": full_name, "email": email})
    async with initialized(load_settings(data_dir)) as deployment:
        async with deployment.database.read() as session:
            await organizations.require_none(session)
        answers = given | {field: _ask(field, question) for field, question in _QUESTIONS.items() if field not in given}
        temporary = await passwords.temporary()
        async with deployment.database.transaction() as session:
            created_user = await organizations.first_administrator(
                session, **answers, password=temporary, temporary=True, by=deployment.actor()
            )
            document = {"email": created_user.user.email, "password": created_user.password}
    if as_json:
        print_json(document)
    else:
        terminal.write(f"Administrator {document['email']} with the temporary password {document['password']}")
        terminal.write("It is shown only now and changed at the first sign-in. Next: latchpin serve")


def _validated(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the options that were given, in the form in which they are kept; raises Invalid for all that cannot be taken."""
    form = FieldValidation()
    values = {field: _check(form, field, text) for field, text in given.items() if text is not None}
    form.done()
    return values


def _ask(field: str, question: str) -> str:
    answer: str = click.prompt(question, value_proc=partial(_parse_answer, field), err=True)
    return answer


def _parse_answer(field: str, text: str) -> str:
    form = FieldValidation()
    clean = _check(form, field, text)
    if form.problems:
        raise click.BadParameter(form.problems[0].message)  # said, and asked again
    return clean


def _check(form: FieldValidation, field: str, text: str) -> str:
    return form.email(field, text) if field == "email" else form.line(field, text, most=200)
