"""Each parameter takes exactly the values that its rule's words name."""

import json
import math
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from foldwise.entries import Entry
from foldwise.errors import SettingsError
from foldwise.rules import shown
from foldwise.settings import (
    EvaluateSettings,
    OneOf,
    PrepareSettings,
    PromotionSettings,
    Settings,
    TuneSettings,
    load_settings,
)

if TYPE_CHECKING:
    from foldwise.files import Value


@pytest.mark.parametrize("value", [True, "3", 3.0, None, [3], 2, 101, 10**400])
def test_an_integer_rule_refuses_all_but_integers_of_its_range(value: object) -> None:
    """A bool, a whole float, a numeral in quotes and a neighbour of the range are no such."""
    with pytest.raises(ValidationError):
        TuneSettings(folds=value)  # type: ignore[arg-type]


def test_an_integer_rule_takes_both_ends() -> None:
    """The ends belong to the range; true is not 1."""
    assert [TuneSettings(folds=folds).folds for folds in (3, 100)] == [3, 100]
    with pytest.raises(ValidationError):
        Settings(seed=True)


@pytest.mark.parametrize("value", [True, "1e-4", math.nan, math.inf, -math.inf, 10**400, -0.1, 1.1])
def test_a_number_rule_refuses_what_is_not_finite_or_in_range(value: object) -> None:
    """NaN, infinities and integers beyond any float are refused as any other value."""
    with pytest.raises(ValidationError):
        PromotionSettings(min_accuracy=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("end", "inside"), [(0, 1e-300), (1, 0.999)])
def test_open_ends_are_excluded(end: float, inside: float) -> None:
    """With open ends, the ends are refused and their neighbours taken."""
    assert PromotionSettings(min_accuracy=end).min_accuracy == end
    assert EvaluateSettings(confidence=inside).confidence == inside
    with pytest.raises(ValidationError):
        EvaluateSettings(confidence=end)


def test_a_number_is_converted_to_a_float() -> None:
    """So that 10 and 10.0 give the same Settings and the same digest."""
    assert type(TuneSettings(c_high=10).c_high) is float


@pytest.mark.parametrize(
    "path",
    ["", "/data", "~/data", "../data", "data/../../x", "data/..", "a\nb", "a\0b", "a\\..\\b", 3],
)
def test_a_path_can_not_lead_out_of_the_project(path: object) -> None:
    """Absolute paths, parents, home folders, control characters and other types are refused."""
    with pytest.raises(ValidationError):
        PrepareSettings(path=path)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["data/raw", ".", "data/..raw", "räw", "data/a b/"])
def test_a_path_inside_the_project_is_taken(path: str) -> None:
    """Dots within a name and spaces are no escape."""
    assert PrepareSettings(path=path).path == path


@pytest.mark.parametrize("name", ["toy\n", "t y", "", "é", 3, "a" * 101])
def test_text_must_match_from_end_to_end(tmp_path: Path, name: object) -> None:
    """A newline after a match is no match."""
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps({"prepare": {"name": name}}))
    with pytest.raises(SettingsError, match=r"^prepare\.name must be text of letters, digits"):
        load_settings(path)


@pytest.mark.parametrize("word", ["TPE", ["tpe"], None])
def test_choice_takes_its_words_only(word: object) -> None:
    """Other words and unhashable values are refused."""
    with pytest.raises(ValidationError):
        TuneSettings(search=word)  # type: ignore[arg-type]


def test_an_optional_rule_takes_null_too() -> None:
    """Null stays None; anything else must obey the inner rule."""
    assert PrepareSettings(limit=None).limit is None
    assert PrepareSettings(limit=2).limit == 2
    with pytest.raises(ValidationError):
        PrepareSettings(limit=1)


def test_a_choice_keeps_true_and_1_apart() -> None:
    """Values of any classifier's parameters keep their types."""
    fixed: dict[str, Value] = {"a": True, "b": 1, "c": 1.0, "d": "1", "e": None}
    entry = Entry(name="a", estimator="x.Y", fixed=fixed, space={"f": OneOf((True, 1))})
    assert [type(value) for value in entry.fixed.values()] == [bool, int, float, str, type(None)]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        ("a\nb", r"'a\nb'"),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        (b"x", "a bytes"),
        (date(2026, 1, 2), "2026-01-02"),
        pytest.param(16**9999, "an integer of 39997 bits", id="huge"),
        ("x" * 99, f"'{'x' * 39}... (101 characters)"),
    ],
)
def test_any_value_is_shown_in_one_short_line(value: object, words: str) -> None:
    """Integers too long for Python to print and strings with newlines are no exception."""
    assert shown(value) == words
