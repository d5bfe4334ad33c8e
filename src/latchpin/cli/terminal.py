"""What commands print. Names, problems and answers come from files, databases and servers; nothing of them may steer a terminal."""

from __future__ import annotations

import click

from latchpin.kit import plain_text


def write(text: str, *, is_error: bool = False) -> None:
    """Print lines; a control character among them is printed as its escape. JSON stays JSON, and means the same."""
    click.echo(plain_text.visible(text), err=is_error)
