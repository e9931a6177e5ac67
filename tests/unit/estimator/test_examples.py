"""What the documents show of the public names is what they do."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import foldwise

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


@pytest.mark.parametrize("module", foldwise._PUBLIC)
def test_the_docstrings_examples_hold(module: str) -> None:
    failed, tried = doctest.testmod(import_module(module))
    assert (failed, tried > 0) == (0, True)


def test_every_public_name_has_an_example() -> None:
    assert not [
        name for name in foldwise._HOME if ">>>" not in str(getattr(foldwise, name).__doc__)
    ]


def test_the_pages_examples_hold() -> None:
    failed, tried = doctest.testfile(
        str(PAGE),
        module_relative=False,
        encoding="utf-8",
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert (failed, tried > 0) == (0, True)
