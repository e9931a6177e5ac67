"""The documents say what is: links resolve, commands exist, generated sections are current."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from docs.fill import filled, reference_tables
from foldwise.app.cli import foldwise
from foldwise.settings import Settings, flattened

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"[$;`] ?(?:[A-Z_]+=\S+ )*foldwise ([a-z]+)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_into_the_project_leads_somewhere(path: Path) -> None:
    """From the document's own folder."""
    links = [link for link in LINK.findall(path.read_text()) if ":" not in link]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_the_documents_name_only_commands_that_exist() -> None:
    """And name some, or the pattern would look for nothing."""
    named = {name for path in DOCUMENTS for name in COMMAND.findall(path.read_text())}
    assert {"ui", "promote", "verify"} <= named
    assert named <= foldwise.commands.keys()


def test_the_reference_has_every_parameter() -> None:
    """Top level and sections, by the name that `dvc exp run -S` takes."""
    reference = filled()[ROOT / "docs" / "reference.md"]
    for section in fields(Settings):
        inner = fields(section.type) if is_dataclass(section.type) else ()
        names = [f"{section.name}.{field.name}" for field in inner] or [section.name]
        assert not [name for name in names if f"`{name}`" not in reference]


def test_what_is_generated_is_current() -> None:
    """`make docs` would change nothing."""
    stale = [path.name for path, text in filled().items() if path.read_text() != text]
    assert not stale, f"{stale}: run `make docs` and commit"


def test_the_reference_names_every_parameter_with_its_default() -> None:
    """docs/reference.md is written from the schema."""
    tables = reference_tables()
    for key, value in flattened(Settings()).items():
        shown = "null" if value is None else "false" if value is False else value
        assert any(f"`{key}`" in row and f"`{shown}`" in row for row in tables.splitlines())
