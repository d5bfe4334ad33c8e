"""`latchpin agent apply` and `latchpin agent list`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import EMAIL, CommandLine
from tests.support.people import definition


def test_applying_a_file_makes_an_agent_and_then_adds_versions(latchpin: CommandLine, tmp_path: Path) -> None:
    """The first time an agent is made, a changed text adds a version, and the same text adds nothing."""
    latchpin.init()
    file = tmp_path / "books.yaml"

    def apply() -> tuple[str, int]:
        document = latchpin("agent", "apply", str(file), "--user", EMAIL, "--json").document
        return document["result"], document["version"]

    file.write_text(definition("\u00c5sa's books"))
    assert apply() == ("created", 1)
    file.write_bytes(definition("A\u030asa's books").replace("\n", "\r\n").encode())  # the same, as another system saves it
    assert apply() == ("unchanged", 1)
    file.write_text(definition("\u00c5sa's books", description="Prices of all books."))
    assert apply() == ("changed", 2)
    agents = latchpin("agent", "list", "--user", EMAIL, "--json").document
    assert [(row["name"], row["space"], row["version"]) for row in agents] == [("\u00c5sa's books", None, 2)]


def test_problems_of_a_definition_are_told_with_file_line_and_column(embedded: CommandLine, tmp_path: Path) -> None:
    """Every problem stands on a line of its own that an editor can jump to, and nothing is saved."""
    embedded.init()
    file = tmp_path / "books.yaml"
    file.write_text(definition().replace("https://books.example", "ftp://books.example") + "colour: red\n")

    ran = embedded("agent", "apply", str(file), "--user", EMAIL, code=1)

    assert f"{file}:4:12: start_url: " in ran.err
    assert f"{file}:15:1: colour: " in ran.err
    assert embedded("agent", "list", "--user", EMAIL, "--json").document == []


def test_a_definition_is_read_from_standard_input(embedded: CommandLine) -> None:
    """`-` stands for standard input."""
    embedded.init()

    ran = embedded("agent", "apply", "-", "--user", EMAIL, "--personal", text=definition())

    assert "Created: Book prices, id 1, version 1, in the personal Space" in ran.out


def test_a_space_that_the_user_does_not_see_is_refused(embedded: CommandLine) -> None:
    """The rights of the named user decide, and the message lists the Spaces that there are for them."""
    embedded.init()

    ran = embedded("agent", "apply", "-", "--user", EMAIL, "--space", "Retail", text=definition(), code=1)

    assert "sees no Space called Retail" in ran.err


def test_a_file_that_is_not_text_is_a_problem_of_the_definition(embedded: CommandLine, tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused like any other problem."""
    embedded.init()
    file = tmp_path / "books.yaml"
    file.write_bytes(b"version: 1\nname: \xff\xfe\n")

    ran = embedded("agent", "apply", str(file), "--user", EMAIL, code=1)

    assert f"{file}:" in ran.err


def test_an_agent_applied_in_a_space_lands_there(embedded: CommandLine) -> None:
    """In the demo's data, a user who is an editor of a Space saves an agent in it."""
    demo = embedded("demo", "--data-dir", str(embedded.data_dir), "--no-serve", code=None)
    assert demo.code == 0

    agent = embedded(
        "agent", "apply", "-", "--user", "grace@latchpin.example", "--space", "retail prices", "--json", text=definition("Shelf prices")
    ).document

    agents = embedded("agent", "list", "--user", "grace@latchpin.example", "--json").document
    assert ("Shelf prices", "Retail prices") in [(row["name"], row["space"]) for row in agents if row["id"] == agent["id"]]


def test_a_viewer_cannot_change_an_agent_of_a_space(embedded: CommandLine) -> None:
    """The named user's role in the Space is asked for, as in the Control Center."""
    embedded("demo", "--data-dir", str(embedded.data_dir), "--no-serve")

    ran = embedded("agent", "apply", "-", "--user", "grace@latchpin.example", "--space", "Public tenders", text=definition(), code=1)

    assert "needs the role editor" in ran.err
