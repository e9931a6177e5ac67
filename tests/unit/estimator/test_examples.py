"""What the documents show of the estimators is what they do."""

import doctest
from pathlib import Path

import pytest

import foldwise.estimator
import foldwise.logistic

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


@pytest.mark.parametrize("module", [foldwise.estimator, foldwise.logistic])
def test_the_docstrings_examples_hold(module: object) -> None:
    failed, tried = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, tried > 0) == (0, True)


def test_the_pages_examples_hold() -> None:
    failed, tried = doctest.testfile(
        str(PAGE),
        module_relative=False,
        encoding="utf-8",
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert (failed, tried > 0) == (0, True)
