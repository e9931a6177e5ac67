"""Completed trials in a real Optuna database: kept, resumed, closed, and never silently lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from foldwise.errors import SearchError
from foldwise.search.book import open_book, search_lock
from tests.factories import outer
from tests.unit.search.search_cases import SPACE, a_trial, finished, nested_search

KEY = "0123abcd"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/stores/optuna.db"


def test_trials_survive_the_database_to_the_bit(url: str) -> None:
    """What is read back equals what was added, and a search replays it."""
    book = open_book(url, KEY, SPACE)
    result = finished(nested_search(book))
    again = open_book(url, KEY, SPACE)
    assert again.attempt == book.attempt == 1
    assert again.completed(outer(1)) == result.study_trials(outer(1))
    assert finished(nested_search(again)).trials == result.trials


def test_a_closed_search_starts_anew(url: str) -> None:
    """The next attempt is empty; the old one's trials stay."""
    book = open_book(url, KEY, SPACE)
    trial = a_trial()
    book.add(trial)
    book.close("registered")
    new = open_book(url, KEY, SPACE)
    assert (new.attempt, new.completed(trial.study)) == (2, ())
    assert book.completed(trial.study) == (trial,)


def test_fresh_abandons_an_open_search(url: str) -> None:
    """With fresh, an open attempt is closed and the next one begins."""
    first = open_book(url, KEY, SPACE)
    first.add(a_trial())
    assert open_book(url, KEY, SPACE, fresh=True).attempt == 2
    assert first.is_closed


def test_keys_do_not_meet(url: str) -> None:
    """Another key's attempts and trials are not seen."""
    open_book(url, KEY, SPACE).add(a_trial())
    other = open_book(url, "ffff", SPACE)
    assert (other.attempt, other.completed(outer(0))) == (1, ())


def test_a_damaged_database_is_kept_aside_and_named(url: str, tmp_path: Path) -> None:
    """A truncated file gives one clear error; the next run starts anew."""
    open_book(url, KEY, SPACE).add(a_trial())
    path = tmp_path / "stores" / "optuna.db"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SearchError, match=r"optuna\.db .*damaged.*kept as optuna\.db\.damaged-1"):
        open_book(url, KEY, SPACE, home=tmp_path / "stores")
    assert path.with_name("optuna.db.damaged-1").read_bytes() == whole[: len(whole) // 2]
    assert open_book(url, KEY, SPACE).attempt == 1


def test_a_storage_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    """The address is shown, the password is not."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SearchError, match="FOLDWISE_STUDY_STORAGE"):
        open_book(f"sqlite:///{tmp_path}/file/optuna.db", KEY, SPACE)


def test_a_search_is_one_holders_for_all_who_share_the_storage(url: str) -> None:
    """Whatever checkout they are in; another search is free, and so is this one afterwards."""
    with search_lock(url, KEY):
        with pytest.raises(SearchError, match=f"the search {KEY}, another is at it"):
            search_lock(url, KEY).__enter__()
        with search_lock(url, "ffff"):
            pass
    with search_lock(url, KEY):
        pass


def test_processes_creating_the_storage_at_once_do_not_collide(url: str) -> None:
    """Four processes that open the same new database at one moment all succeed."""
    program = (
        "import sys\n"
        "from foldwise.search.book import open_book\n"
        "from foldwise.search.space import Space\n"
        "from foldwise.settings import Between\n"
        "from foldwise.search.trials import FINAL\n"
        "space = Space({'C': Between(1e-4, 10.0, True)}, 'tpe', 3, 5, 'log_loss')\n"
        "print(open_book(sys.argv[1], sys.argv[2], space).completed(FINAL))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, url, f"{KEY}{n}"], stdout=subprocess.PIPE)
        for n in range(4)
    ]
    answers = [process.communicate(timeout=60)[0] for process in processes]
    assert answers == [b"()\n"] * 4
