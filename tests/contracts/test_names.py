"""The glossary of CONTRIBUTING.md, kept: no word that it replaced comes back as a name, and what a docstring names is there."""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "latchpin"
# By the term in use: names that once meant it, as whole names with or without a leading underscore.
REPLACED = {
    "Services": "Doors Site",
    "sign_in, auth_layout": "door doors Door",
    "AuthenticationMiddleware, RequestContextMiddleware, HeadMiddleware": "Gate gate Envelope envelope HeadAsGet",
    "ActiveGrant, ThrottleState, ClientApproval": "Standing standing standings Stand stands",
    "reauth": "prove proving PROOF proof_minutes",
    "VisibilityRules": "Sight sight seeing seer",
    "fetch_one, Executor": "Glance glance Reader",
    "sqlite_driver, json_rows": "one_trip as_one",
    "invalidate": "narrow narrows raise_column",
    "current_nowait": "peek",
    "put and discard of a cache": "Remembered Memory forget",
    "client_subnet": "household households",
    "drafts": "KeptForm kept_forms Kept kept",
    "PushedAuthorizationRequest, par": "Ahead ahead sent_ahead go_on",
    "PendingAuthorization, AuthorizationRequest": "Ask Waiting",
    "RedirectToClient, ClientBlocked, ShowPrompt, ResponseTarget": "Leave Closed Show Target",
    "RejectedCredential, RejectionReason, ErrorRedirect": "Refused Reason",
    "validate, verify, a problem": "Fault fault judge judged",
    "RequestCredential, ProofRejected": "Presented Unproved unproved",
    "SpaceBinding, SpaceAccess": "Reach Place Places",
    "login_context, consent_view, authorize_prompts": "Behind asking questions",
    "PageContext, require_user, revalidate_session": "Visit visitor still_there",
    "audit_messages, validation_messages": "narration sentences",
    "to_schema, requires, json_body, read_body, CamelStruct": "shown may takes received Wire",
    "actor, principal, limiter_key": "acting acting_for whose",
    "TargetUser, Lookup, ShedAttempts, AuditBudget": "Named named Looked Turned TurnedAway Rows turned_away",
    "origin, server, metadata, claims": "came_from serving served said told found tell",
    "new_owner, list_all, purge_expired, lock": "heir living every sweep hold",
    "from_row, redirect_uri_allowed, is_trusted_by, redact, DecryptionError, initialize": (
        "ClientBook sessions_of_ours own_pages leads_home is_vouched_for strike_out Unsealable bring_up"
    ),
    "the noun of what it is": (
        "Made made Opened Issued Listed listed Asked Begun Wanted wanted Bound known onward carried by_itself Asker asker"
    ),
}
ALLOWED = {
    "api/v1/admin_audit.py Target": "a schema of the API's document, which callers' generated classes are named by",
    "storage/models/oauth_grant.py Reach": "the same",
    "serving serving": "the package of `latchpin serve`",
}
# What docstrings name that no code of ours does.
ELSEWHERE = {
    "before_request": "an argument of Litestar's Router",
    "before_cursor_execute": "an event of SQLAlchemy",
    "do_connect": "the same",
    "aud": "a claim (RFC 7519)",
    "jku": "a header that is never looked at (RFC 7515)",
    "x5u": "the same",
    "yes": "a value of YAML 1.1",
}


def test_no_word_that_the_glossary_replaced_is_a_name() -> None:
    """Of a module, class, function, parameter, attribute or variable. An exception is listed above with its reason."""
    replaced = {word: term for term, words in REPLACED.items() for word in words.split()}
    names = {f"{where} {name.strip('_')}" for where, name in _names() if name.strip("_") in replaced}

    assert not {name: f"use {replaced[name.split()[1]]}" for name in names - set(ALLOWED)}


def test_a_name_in_a_docstring_is_there() -> None:
    """A parameter or field that was renamed goes on in a docstring otherwise. It is of the same file, or known to the whole code."""
    unknown = set(_unknown())

    assert not unknown


def _names() -> Iterator[tuple[str, str]]:
    for path in SOURCE.rglob("*.py"):
        where = str(path.relative_to(SOURCE))
        if "migrations/" in where:  # of the day on which they were written
            continue
        yield where, path.stem
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield where, node.name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield where, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield where, node.attr
            elif isinstance(node, ast.arg):
                yield where, node.arg
    for path in SOURCE.rglob("*"):
        if path.is_dir():
            yield str(path.relative_to(SOURCE)), path.name


def _unknown() -> Iterator[str]:
    files = {path: path.read_text() for path in SOURCE.rglob("*.py")}
    everywhere = {*dir(builtins), *ELSEWHERE}
    everywhere |= {path.stem for path in files} | {path.name for path in SOURCE.rglob("*") if path.is_dir()}
    for text in files.values():
        everywhere |= _public(ast.parse(text))
    for path, text in files.items():
        docstrings, names = _read(text)
        names |= {re.sub(r"_(\w)", lambda match: match[1].upper(), name) for name in names}  # as the wire has them
        for docstring in docstrings:
            for name in re.findall(r"``?([a-z_]\w*)(?:\(\))?``?", docstring):
                if name not in names | everywhere:
                    yield f"{path.relative_to(SOURCE)}: `{name}`"


def _public(tree: ast.Module) -> set[str]:
    """Functions and classes, attributes and arguments that are used, and whole texts such as words of protocols."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return names | {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _read(text: str) -> tuple[list[str], set[str]]:
    """Return the docstrings and comments of a file, and all names and words of its code."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    names: set[str] = set()
    starts_line = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            names.add(token.string)
        elif token.type == tokenize.COMMENT:
            docstrings.append(token.string)
        elif token.type == tokenize.STRING and not starts_line:
            names.update(re.findall(r"\w+", token.string))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            starts_line = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return docstrings, names
