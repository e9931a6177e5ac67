"""Completed trials in a real Optuna database: kept, resumed, closed, and never silently lost."""

from multiprocessing import get_context
from pathlib import Path

import pytest

from foldwise.errors import SearchError
from foldwise.search.book import open_book, search_lock
from foldwise.search.nested import MemoryBook
from foldwise.search.trials import FINAL
from tests.conformance.book_cases import SPACE, a_trial, search
from tests.factories import outer
from tests.unit.search.search_cases import finished
from tests.waiting import PATIENCE

KEY = "0123abcd"
TRIALS = 5


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/stores/optuna.db"


def test_a_closed_search_starts_anew(url: str) -> None:
    """The next attempt is empty; the old one's trials stay."""
    book = open_book(url, KEY, SPACE)
    trial = a_trial()
    book.add(trial)
    book.close("registered")
    new = open_book(url, KEY, SPACE)
    assert (new.attempt, new.completed(trial.study)) == (2, ())
    assert book.completed(trial.study) == (trial,)


@pytest.mark.parametrize("is_open", [True, False])
def test_more_trials_go_on_with_those_that_there_are(url: str, *, is_open: bool) -> None:
    """An open search goes on, a closed one becomes a new attempt; nothing is fitted again."""
    short = finished(search(book := open_book(url, KEY, SPACE, trials=TRIALS), trials=TRIALS))
    if not is_open:
        book.close("registered")
    longer = open_book(url, KEY, SPACE, trials=TRIALS + 2)
    assert longer.attempt == 2 - is_open
    for study in {trial.study for trial in short.trials}:
        assert repr(longer.completed(study)) == repr(short.study_trials(study))
    found = finished(search(longer, trials=TRIALS + 2))
    assert repr(found.trials) == repr(finished(search(MemoryBook(), trials=TRIALS + 2)).trials)


def test_fewer_trials_are_the_first_of_those_that_there_are(url: str) -> None:
    """The result is that of a search that never made the others."""
    finished(search(open_book(url, KEY, SPACE, trials=TRIALS), trials=TRIALS))
    shorter = open_book(url, KEY, SPACE, trials=TRIALS - 1)
    found, anew = (finished(search(book, trials=TRIALS - 1)) for book in (shorter, MemoryBook()))
    assert repr((found.trials, found.final.best)) == repr((anew.trials, anew.final.best))
    assert found.fits == anew.fits


def test_as_many_trials_again_are_made_again(url: str) -> None:
    """Who forces a finished search wants to see it made; an abandoned one was not trusted."""
    book = open_book(url, KEY, SPACE, trials=TRIALS)
    finished(search(book, trials=TRIALS))
    book.close("registered")
    anew = open_book(url, KEY, SPACE, trials=TRIALS)
    assert (anew.attempt, anew.completed(FINAL)) == (2, ())
    fresh = open_book(url, KEY, SPACE, trials=TRIALS + 2, fresh=True)
    assert (fresh.attempt, fresh.completed(FINAL)) == (3, ())


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


def opened(address: str, key: str) -> int:
    """In a process of its own: how many trials there are."""
    return len(open_book(address, key, SPACE).completed(FINAL))


def test_processes_creating_the_storage_at_once_do_not_collide(url: str) -> None:
    """Four processes that open the same new database at one moment all succeed."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    with forks.Pool(4) as pool:
        answers = pool.starmap_async(opened, [(url, f"{KEY}{n}") for n in range(4)], chunksize=1)
        assert answers.get(timeout=PATIENCE) == [0] * 4
