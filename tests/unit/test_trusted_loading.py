"""Nothing that can run code is ever loaded from a file."""

import ast
import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "src").rglob("*.py"))
CARRIERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "shutil.unpack_archive"}
LOADER = re.compile(r"(np|numpy)\.load|(.*\.)?(read_array|open_memmap|NpzFile)")


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


def loaders(tree: ast.AST) -> set[str]:
    """Numpy's readers of array files that a module calls or imports, as it names them."""
    named = {ast.unparse(call.func) for call in calls(tree)} | {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {name for name in named if LOADER.fullmatch(name)}


@pytest.mark.parametrize(
    "code",
    [
        "np.load(path)",
        "numpy.load(path)",
        "np.lib.format.read_array(file)",
        "from numpy import load",
        "from numpy.lib.format import read_array as read",
        "from numpy.lib.npyio import NpzFile",
    ],
)
def test_numpys_loader_is_seen_however_it_is_called(code: str) -> None:
    assert loaders(ast.parse(code))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_array_is_loaded_by_what_could_unpickle(path: Path) -> None:
    """Numpy's own loader is called nowhere: `foldwise.files` reads arrays of numbers alone."""
    assert not loaders(ast.parse(path.read_text()))
