"""Nothing that can run code is ever loaded from a file."""

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src").rglob("*.py"))
CARRIERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "shutil.unpack_archive"}


def imported(tree: ast.AST) -> set[str]:
    """Top names of everything a module imports, inside functions too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def calls(tree: ast.AST) -> list[ast.Call]:
    """All calls in a module."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_module_unpickles(path: Path) -> None:
    """Neither by name nor by a flag."""
    tree = ast.parse(path.read_text())
    assert not imported(tree) & CARRIERS
    for call in calls(tree):
        allowed = [k.value for k in call.keywords if k.arg == "allow_pickle"]
        assert all(isinstance(v, ast.Constant) and v.value is False for v in allowed)


def test_no_array_is_loaded_by_what_could_unpickle() -> None:
    """Numpy's own loader is called nowhere: `foldwise.files` reads arrays of numbers alone."""
    loads = [
        call
        for path in SOURCES
        for call in calls(ast.parse(path.read_text()))
        if ast.unparse(call.func) in ("np.load", "numpy.load")
    ]
    assert not loads
