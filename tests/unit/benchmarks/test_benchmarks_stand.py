"""The benchmarks and the validation stand: all else of theirs is tested by `make bench-check`."""

import importlib
import pkgutil

import pytest

import benchmarks
import validation
from benchmarks import nested, own, solver
from benchmarks.contenders import InOneGo, Rounds
from benchmarks.work import Size

MODULES = [
    f"{package.__name__}.{module.name}"
    for package in (benchmarks, validation)
    for module in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_and_does_nothing(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module(module)
    assert capsys.readouterr() == ("", "")


def test_the_smallest_search_is_timed_and_judged() -> None:
    """Three lines of its own: one search, with sharing and without, near the optimum."""
    searched = own.search(
        solver.load(Size(rows=200, folds=3, trials=1, startup=1, repeats=1, sampled=1))
    )
    mine = [Rounds("**foldwise**", searched=searched), InOneGo("one go", searched=searched)]
    lines, _ = nested.compare(searched, mine, lambda _: None)
    # Three pairs and three single parts for nine inner folds; three outer models and the final
    # one, of which the outer ones are inner fits of the final study.
    assert [(line.fits, line.logical) for line in lines] == [(7, 13), (7, 13), (13, 13)]
    assert all(-1e-7 < line.gap < 0.02 for line in lines)
    assert lines[2].seconds > lines[1].seconds
    assert "| **foldwise** | " in nested.tabled(lines)
