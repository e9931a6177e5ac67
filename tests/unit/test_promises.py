"""Each promise of docs/reliability.md has a test behind it, and that test exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line.strip().strip("|").split(" | ")
    for line in (ROOT / "docs" / "reliability.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| promise ")
]
FILE = re.compile(r"`(tests/[^`]+?)/?`")
TEST = re.compile(r"`(test_\w+)`")


def names_of_tests(path: Path) -> set[str]:
    """Names of the tests in a file, or in a folder's files, and of those they inherit."""
    files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    inherited = {
        name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tests.conformance.")
        for name in names_of_tests(ROOT / f"{str(node.module).replace('.', '/')}.py")
    }
    return inherited | {
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_every_promise_names_tests_that_exist(row: list[str]) -> None:
    """Of each place that it names, all the tests named after it, or any if it names none."""
    _, proof = row
    places = FILE.findall(proof)
    assert places
    assert not [place for place in places if not (ROOT / place).exists()]
    for place, named in zip(places, FILE.split(proof)[2::2], strict=True):
        found = names_of_tests(ROOT / place)
        assert found
        assert set(TEST.findall(named)) <= found


def test_the_table_was_found() -> None:
    """Or the test above would hold for an empty one."""
    assert len(ROWS) > 20
