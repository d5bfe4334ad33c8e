"""Static files: a name says all of the content that it stands for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from latchpin.web import assets


def _folder(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"{name}.js").write_text(content)
    return folder


def test_modules_import_each_other_by_the_names_that_browsers_may_keep() -> None:
    """Every import of our own modules leads to a file that is there."""
    static_assets = assets.load()
    imported = {name for asset in static_assets.by_hashed_name.values() for name in re.findall(rb'from "\./([^"]+)"', asset.content)}
    plain = {name for asset in static_assets.by_hashed_name.values() for name in re.findall(rb'from "([^"]+)"', asset.content)}

    assert len(static_assets.modules) > 5
    assert not imported
    assert {name.decode() for name in plain} <= set(static_assets.modules)


def test_a_change_of_what_a_module_imports_changes_its_own_name(tmp_path: Path) -> None:
    """Else a browser would run an old module with a new one."""
    folder = _folder(tmp_path, app='import { one } from "./one.js";\n', one="export const one = 1;\n")
    before = assets.load(folder)
    _folder(tmp_path, one="export const one = 2;\n")
    after = assets.load(folder)

    assert before.address("app.js") != after.address("app.js")
    assert after.by_name["app.js"].content.decode() == f'import {{ one }} from "{after.address("one.js")}";\n'


def test_modules_in_a_circle_are_noticed_at_the_start(tmp_path: Path) -> None:
    """No hash can say its own content."""
    with pytest.raises(RecursionError):
        assets.load(_folder(tmp_path, one='import "x" from "./two.js";\n', two='import "x" from "./one.js";\n'))
