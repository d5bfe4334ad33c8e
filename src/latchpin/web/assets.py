"""Static files under names that carry a hash of their content, so that browsers may keep them for a year."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
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


def load(folder: Path = FOLDER) -> Assets:
    """Read every static file once."""
    by_name: dict[str, Asset] = {}
    by_hashed_name: dict[str, Asset] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in MEDIA_TYPES:
            continue
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:12]
        hashed = f"{path.stem}.{digest}{path.suffix}"
        asset = Asset(f"/static/{hashed}", content, MEDIA_TYPES[path.suffix])
        by_name[path.name] = asset
        by_hashed_name[hashed] = asset
    return Assets(by_name, by_hashed_name)
