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
    """Make the environment. A template that uses a name its page does not define fails instead of showing nothing."""
    env = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals["asset"] = assets.address
    env.globals["script_modules"] = lambda: assets.modules
    env.filters.update(
        iso=time_filters.iso,
        utc=time_filters.utc,
        day=time_filters.day,
        iso_day=time_filters.iso_day,
        unbroken=time_filters.unbroken,
        stamp=time_filters.stamp,
        ago=time_filters.ago,
        until=time_filters.until,
    )
    return env


def render(env: Environment, template: str, view: Any) -> str:  # noqa: ANN401  any page's dataclass
    """Render a page from its dataclass; the template sees exactly the fields of the view."""
    context = {field.name: getattr(view, field.name) for field in fields(view)}
    return env.get_template(template).render(context)
