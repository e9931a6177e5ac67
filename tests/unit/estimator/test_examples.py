"""What the documents show of the public names is what they do."""

import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import foldwise
from foldwise import facades

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


@pytest.fixture(scope="module", autouse=True)
def drawn_once() -> Iterator[None]:
    """No example says what a page's pictures show; they take seconds, so all have the first's."""
    draw, drawn = facades._pictures, list[Any]()

    def first(search: Any) -> Any:
        drawn.append(drawn[0] if drawn else draw(search))
        return drawn[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facades, "_pictures", first)
        yield


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
