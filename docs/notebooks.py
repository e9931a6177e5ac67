"""``python -m docs.notebooks``: run the notebooks' cells in order, and keep what they show.

A notebook is JSON; what a cell shows is its last expression and what it printed. No kernel is
needed for that, and no output depends on the machine.
"""

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("notebooks")


def notebooks() -> list[Path]:
    """All of them, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs that its cells have now, each run after those before it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        told = dict(cell)
        if cell["cell_type"] == "code":
            count += 1
            told |= {
                "execution_count": count,
                "outputs": _outputs("".join(cell["source"]), names, count),
            }
        cells.append(told)
    return {**notebook, "cells": cells}


def text_of(notebook: dict[str, Any]) -> str:
    """The notebook as its file has it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    statements = ast.parse(source).body
    last = statements.pop() if isinstance(statements[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(statements, []), "<cell>", "exec"), names)  # noqa: S102 - our own
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(text)})
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_") and hasattr(value, "iloc"):
            data = {"text/html": _lines(value._repr_html_()), **data}
        outputs.append(
            {
                "data": data,
                "execution_count": count,
                "metadata": {},
                "output_type": "execute_result",
            }
        )
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Run all, or those that are named, and write them with their outputs."""
    for path in map(Path, sys.argv[1:] or notebooks()):
        path.write_text(text_of(executed(json.loads(path.read_text()))))
        print(f"ran {path.name}")


if __name__ == "__main__":
    main()
