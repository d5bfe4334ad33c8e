"""TLS to PostgreSQL is asked for in the address, in libpq's words."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from latchpin import settings
from latchpin.identity.deployment import initialize_database
from latchpin.settings import SettingsError
from latchpin.storage import Database, secrets
from latchpin.storage.generation import SharedQuery, split_tls
from tests.conftest import missing
from tests.support import databases


def test_the_mode_becomes_the_driver_s_keyword() -> None:
    """`sslmode` leaves the address, which the driver would not understand, and the rest stays."""
    url, tls = split_tls("postgresql+asyncpg://ada:pw@db.example/latchpin?sslmode=verify-full")

    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://ada:pw@db.example/latchpin"
    assert tls == {"ssl": "verify-full"}


@pytest.mark.parametrize("option", ["sslmode=perhaps", "ssl=require", "application_name=x"])
def test_an_option_nobody_understands_is_refused_at_start(option: str) -> None:
    """A misspelt option must not silently mean no TLS."""
    with pytest.raises(SettingsError, match="LATCHPIN_DATABASE_URL"):
        settings.load({"LATCHPIN_DATABASE_URL": f"postgresql://ada@db.example/latchpin?{option}"})


@pytest.mark.postgresql
def test_engine_and_generation_connect_with_a_mode(templates: databases.Templates, tmp_path: Path) -> None:
    """Both ways into the database take the mode from the one address."""
    if lack := databases.reachable():
        missing("tests on PostgreSQL", lack)

    async def both(url: str) -> int:
        chosen = settings.load({"LATCHPIN_DATABASE_URL": url}, data_dir=tmp_path)
        database, generation = Database(chosen), SharedQuery(chosen.database_url)
        try:
            await initialize_database(chosen, database, secrets.load(chosen.secrets_file))
            return await generation.current()
        finally:
            await generation.close()
            await database.close()

    with templates.fresh("postgresql", tmp_path) as url:
        assert anyio.run(both, f"{url}?sslmode=disable") == 1
