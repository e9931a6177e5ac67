"""The notebooks under docs/ show what their cells give now, and nothing of the machine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.notebooks import executed, notebooks, text_of


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_shows_what_its_cells_give(path: Path) -> None:
    """Run in order, to the last character; every code cell of it was run."""
    kept = json.loads(path.read_text())
    assert text_of(kept) == path.read_text()
    assert shown(executed(kept)) == shown(kept)
    assert len(shown(kept)) >= 5


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_a_notebook_names_no_place_of_a_machine(path: Path) -> None:
    assert not re.search(
        r"(/home|/root|/tmp|/usr|/work|[A-Z]:\\\\|site-packages)", path.read_text()
    )


def shown(notebook: dict[str, Any]) -> list[Any]:
    """What its code cells show, by their count."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    return [cell["outputs"] for cell in cells if cell["outputs"]]
