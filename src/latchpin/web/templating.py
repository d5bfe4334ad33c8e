"""The Jinja environment of the Control Center: strict, escaping, with the few filters pages need."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from latchpin.web import time_filters
from latchpin.web.assets import Assets

FOLDER = Path(__file__).parent / "templates"


def environment(assets: Assets) -> Environment:
    """Make the environment. A template that uses a name its page does not give fails; it does not draw a blank."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = assets.address
    made.globals["script_modules"] = lambda: assets.modules
    made.filters.update(
        iso=time_filters.iso,
        utc=time_filters.utc,
        day=time_filters.day,
        iso_day=time_filters.iso_day,
        unbroken=time_filters.unbroken,
        stamp=time_filters.stamp,
        ago=time_filters.ago,
        until=time_filters.until,
    )
    return made


def render(made: Environment, template: str, view: Any) -> str:  # noqa: ANN401  any page's dataclass
    """Draw a page from its dataclass; the template sees exactly the fields of the view."""
    context = {entry.name: getattr(view, entry.name) for entry in fields(view)}
    return made.get_template(template).render(context)
