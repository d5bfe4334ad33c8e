"""Input parameters of a run: checked against the definition, and the secret ones encrypted with the deployment's secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from latchpin.automation.definition_model import MAX_DEFAULT, Definition, InputParameter
from latchpin.errors import FieldProblem, Malformed
from latchpin.kit import sealing
from latchpin.storage.models import Run
from latchpin.storage.secrets import Secrets

FIELD = "inputParameters"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


@dataclass(frozen=True, slots=True)
class RunInput:
    """Values by parameter name: those that may be shown, and the secret ones."""

    plain: dict[str, str]
    encrypted: dict[str, str]


def read(given: str | Mapping[str, Any] | None) -> dict[str, str]:
    """Read input parameters as clients send them: a JSON object, or a text that holds one. Raises Malformed."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return {}
    document: object = given
    if isinstance(given, str):
        try:
            document = msgspec.json.decode(given)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
    if not isinstance(document, Mapping):
        detail = f'{FIELD}: Send a JSON object, or a text that holds one, such as "{{\\"category\\": \\"fiction\\"}}".'
        raise Malformed(detail, field=FIELD)
    return {name: _text(name, value) for name, value in document.items() if value is not None}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise Malformed(f"{FIELD}.{_printable(name)}: Send one text or number.", field=f"{FIELD}.{_printable(name)}")


def check(definition: Definition, given: Mapping[str, str]) -> RunInput:
    """Add the defaults to the given values; the case of names is ignored. Raises Malformed with every problem at once."""
    declared = {each.name.lower(): each for each in definition.input_parameters}
    problems: list[FieldProblem] = []
    values: dict[str, str] = {}
    for name, value in given.items():
        parameter = declared.get(name.lower())
        if parameter is None:
            names = ", ".join(each.name for each in definition.input_parameters) or "none"
            problems.append(_problem(_printable(name), f"This agent has no such parameter. Its parameters: {names}."))
        elif message := _value_problem(value):
            problems.append(_problem(parameter.name, message))
        else:
            values[parameter.name] = value
    run_input = RunInput({}, {})
    for parameter in definition.input_parameters:
        _fill(run_input, parameter, values.get(parameter.name, parameter.default), problems, {each.lower() for each in given})
    if problems:
        raise Malformed("The input parameters cannot be used; `errors` says why.", problems=problems)
    return run_input


def _fill(run_input: RunInput, parameter: InputParameter, value: str | None, problems: list[FieldProblem], given: set[str]) -> None:
    if value is not None:
        (run_input.encrypted if parameter.encrypted else run_input.plain)[parameter.name] = value
    elif parameter.name.lower() not in given:
        problems.append(_problem(parameter.name, "Give a value: the agent has no default for it."))


def _value_problem(value: str) -> str | None:
    if len(value) > MAX_DEFAULT:
        return f"At most {MAX_DEFAULT:,} characters; this has {len(value):,}."
    return "Control characters and line breaks are not allowed." if _CONTROL.search(value) else None


def _problem(name: str, message: str) -> FieldProblem:
    return FieldProblem(f"{FIELD}.{name}", message)


def _printable(name: str) -> str:
    return _CONTROL.sub("?", name)[:64]


def store(run: Run, run_input: RunInput, secrets: Secrets) -> None:
    """Put the values into a run's row, which has its agent and sequence already."""
    run.input = _encode(run_input.plain).decode()
    run.sealed_input = sealing.seal(_key(secrets), _encode(run_input.encrypted), _about(run)) if run_input.encrypted else None
    run.input_count = 1


def load(run: Run, secrets: Secrets) -> RunInput:
    """Return a run's values; raises DecryptionError if the deployment's secrets differ, LookupError if the values were removed."""
    if run.input is None:
        raise LookupError
    sealed = run.sealed_input
    return RunInput(_decode(run.input), _decode(sealing.unseal(_key(secrets), sealed, _about(run))) if sealed else {})


def _key(secrets: Secrets) -> bytes:
    return secrets.derive("run-input")


def _about(run: Run) -> str:
    return f"run input {run.agent_id}/{run.sequence}"
