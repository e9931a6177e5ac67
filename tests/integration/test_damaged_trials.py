"""What others put into the study storage is passed over; what is damaged in it is one line."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import SearchError
from foldwise.search.book import TrialBook, open_book
from foldwise.search.trials import Trial, trial_from_json, trial_to_json
from tests.factories import make_space, make_trial, outer

KEY = "0123abcd"
SPACE = make_space()
TRIAL = make_trial()
TEXT = json.dumps(trial_to_json(TRIAL))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


@pytest.fixture(scope="module")
def one_trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one trial in it."""
    path = tmp_path_factory.mktemp("trials") / "optuna.db"
    open_book(f"sqlite:///{path}", KEY, SPACE).add(TRIAL)
    return path


@pytest.fixture
def book(one_trial: Path, tmp_path: Path, url: str) -> TrialBook:
    """A book with one trial in it."""
    shutil.copy(one_trial, tmp_path)
    return open_book(url, KEY, SPACE)


def change(folder: Path, command: str, *values: object) -> int:
    """Change what is stored, behind Optuna's back; how many rows that were."""
    with closing(sqlite3.connect(folder / "optuna.db")) as connection, connection:
        return connection.execute(command, values).rowcount


def stored_study(url: str) -> optuna.Study:
    return optuna.load_study(study_name=f"{KEY}.1.outer-0", storage=url)


def test_trials_that_another_program_put_there_are_passed_over(book: TrialBook, url: str) -> None:
    """Waiting, under way, complete or failed: they aren't foldwise's, and do no harm."""
    study = stored_study(url)
    study.enqueue_trial({"C": 0.5})
    study.ask()
    study.tell(study.ask(), 0.1)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    assert book.completed(outer(0)) == (TRIAL,)
    second = make_trial(number=1)
    book.add(second)
    assert open_book(url, KEY, SPACE).completed(outer(0)) == (TRIAL, second)


def test_a_study_with_a_foreign_name_is_no_attempt(
    book: TrialBook, url: str, tmp_path: Path
) -> None:
    """Only what foldwise calls its studies counts, whatever begins with the key, or is no text."""
    for name in ("copy", "2", "2.copy", "x.final", "-2.final", "2.outer-x", ".", "bytes"):
        optuna.create_study(study_name=f"{KEY}.{name}", storage=url)
    assert change(
        tmp_path, "UPDATE studies SET study_name = x'FFFE' WHERE study_name LIKE '%bytes'"
    )
    assert open_book(url, KEY, SPACE).attempt == book.attempt == 1


@pytest.mark.parametrize(
    ("table", "column"),
    [("trial_user_attributes", "value_json"), ("trial_params", "distribution_json")],
)
def test_damaged_json_is_one_line(book: TrialBook, tmp_path: Path, table: str, column: str) -> None:
    """A text cut short, which the database itself can't notice."""
    change(tmp_path, f"UPDATE {table} SET {column} = substr({column}, 1, 40)")
    with pytest.raises(SearchError, match=r"must hold whole trials.*: put a backup") as caught:
        book.completed(outer(0))
    assert "\n" not in str(caught.value)


def test_a_damaged_trial_to_go_on_from_is_one_line(
    book: TrialBook, url: str, tmp_path: Path
) -> None:
    """A longer search takes over the trials of a registered one."""
    book.close("registered")
    change(tmp_path, "UPDATE trial_user_attributes SET value_json = ?", json.dumps("{}"))
    with pytest.raises(SearchError, match=r"must hold whole trials.*: put a backup"):
        open_book(url, KEY, SPACE, trials=5)


DEEP = '{"a":' * 9999 + "1" + "}" * 9999


def test_json_of_another_shape_is_one_line(book: TrialBook, tmp_path: Path) -> None:
    """Nested without end, or no object at all."""
    for text in (DEEP, json.dumps(DEEP), '"9"', '"[]"', "[]", "null", "1e999"):
        change(tmp_path, "UPDATE trial_user_attributes SET value_json = ?", text)
        with pytest.raises(SearchError, match=r"must hold whole trials.*: put a backup"):
            book.completed(outer(0))


def test_a_study_without_a_direction_is_one_line(book: TrialBook, tmp_path: Path) -> None:
    """A flipped bit in one of the few words that SQLAlchemy knows."""
    for direction in ("", "up", "two\nlines", "[" * 9999):
        change(tmp_path, "UPDATE study_directions SET direction = ?", direction)
        with pytest.raises(SearchError, match=r"must hold whole trials.*: put a backup") as caught:
            book.completed(outer(0))
        assert len(str(caught.value)) < 1000
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("book")
def test_a_trial_of_a_later_version_is_refused_and_one_of_an_earlier_is_read(
    url: str, tmp_path: Path
) -> None:
    """By its schema, which trials of the first versions don't bear."""
    rewrite = "UPDATE trial_user_attributes SET value_json = replace(value_json, ?, ?)"
    assert change(tmp_path, rewrite, ', \\"schema\\": 1', "") == 1
    assert open_book(url, KEY, SPACE).completed(outer(0)) == (TRIAL,)
    assert change(tmp_path, rewrite, '{\\"study\\"', '{\\"schema\\": 2, \\"study\\"') == 1
    with pytest.raises(SearchError, match="got 2, read it by the version of foldwise") as raised:
        open_book(url, KEY, SPACE).completed(outer(0))
    assert len(str(raised.value).splitlines()) == 1


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_a_flipped_character_gives_a_trial_or_one_line(place: int, other: str) -> None:
    """Never a trial that fails later: its numbers are numbers, its parts parts."""
    try:
        trial = trial_from_json(json.loads(TEXT[:place] + other + TEXT[place + 1 :]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return
    assert_well_formed(trial)


@pytest.mark.parametrize(
    "other",
    [
        {"number": "0"},
        {"number": 0.0},
        {"inner": [{"part": [0, 1.5], "scores": {}, "facts": {}}]},
        {"inner": [{"part": [0], "scores": {}, "facts": {}}]},
        {"inner": [{"part": [0, 1], "scores": {"accuracy": "0.9"}, "facts": {}}]},
        {"inner": [{"part": [0, 1], "scores": {"accuracy": True}, "facts": {}}]},
        {"inner": [{"part": [0, 1], "scores": [], "facts": {}}]},
        {"values": None},
        {"study": None},
        {"study": "outer"},
    ],
    ids=str,
)
def test_a_field_of_another_kind_is_refused(other: dict[str, object]) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        trial_from_json(trial_to_json(TRIAL) | other)


def assert_well_formed(trial: Trial) -> None:
    assert isinstance(trial.number, int)
    for fold in trial.inner:
        assert all(isinstance(number, int) for number in fold.part)
        assert all(isinstance(score, float) for score in fold.scores.values())
