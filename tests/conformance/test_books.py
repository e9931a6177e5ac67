"""The books that there are: in memory, and in Optuna's database."""

from collections.abc import Callable
from pathlib import Path

import pytest

from foldwise.search.book import open_book
from foldwise.search.nested import Book, MemoryBook
from tests.conformance.book_cases import SPACE, BookCases


class TestMemoryBook(BookCases):
    """It lasts as long as it is held."""

    @pytest.fixture
    def opened(self) -> Callable[..., Book]:
        book = MemoryBook()
        return lambda *_: book


class TestTrialBook(BookCases):
    """A SQLite file, opened anew each time."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Callable[..., Book]:
        address = f"sqlite:///{tmp_path}/optuna.db"
        return lambda space=SPACE: open_book(address, "0123abcd", space)
