"""Static files under names that contain a hash of their content, so that browsers may cache them for a year.

Modules import each other by plain names (`./dom.js`), which are replaced by the hashed ones here. So a module's hash also depends on
what it imports, and no browser ever runs old and new modules together.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_IMPORT = re.compile(rb'from "\./([a-z]+\.js)";')
FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, read into memory."""

    address: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files, by plain name and by the hashed name in their address."""

    by_name: dict[str, Asset]
    by_hashed_name: dict[str, Asset]

    def address(self, name: str) -> str:
        """The address of a file, for templates; KeyError when there is no such file."""
        return self.by_name[name].address

    @property
    def modules(self) -> list[str]:
        """The addresses of all modules, so that pages can preload them all at once."""
        return [asset.address for name, asset in self.by_name.items() if name.endswith(".js")]


def load(folder: Path = FOLDER) -> Assets:
    """Read every static file once. Raises RecursionError where modules import each other in a circle."""
    assets = Assets({}, {})
    for path in sorted(folder.iterdir()):
        if path.suffix in MEDIA_TYPES:
            _read(path, assets)
    return assets


def _read(path: Path, assets: Assets) -> Asset:
    """Read one file, after the files that it imports."""
    if path.name in assets.by_name:
        return assets.by_name[path.name]
    content = path.read_bytes()
    if path.suffix == ".js":
        content = _IMPORT.sub(lambda match: f'from "{_read(path.with_name(match[1].decode()), assets).address}";'.encode(), content)
    digest = hashlib.sha256(content).hexdigest()[:12]
    hashed = f"{path.stem}.{digest}{path.suffix}"
    asset = Asset(f"/static/{hashed}", content, MEDIA_TYPES[path.suffix])
    assets.by_name[path.name] = assets.by_hashed_name[hashed] = asset
    return asset
