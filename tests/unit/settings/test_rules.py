"""Each rule holds for exactly the values that its words name."""

import math
from datetime import date

import pytest

from foldwise.settings.rules import (
    Rule,
    choice,
    inside_path,
    integer,
    number,
    optional,
    shown,
    text,
)


@pytest.mark.parametrize("value", [True, False, "3", 3.0, None, [3], 2, 9, 10**400])
def test_an_integer_rule_refuses_all_but_integers_of_its_range(value: object) -> None:
    """A bool, a whole float, a numeral in quotes and a neighbour of the range are no such."""
    assert not integer(3, 8).holds(value)
    assert not integer(0, 1).holds(value)


def test_an_integer_rule_takes_both_ends() -> None:
    """The ends belong to the range."""
    assert all(integer(3, 8).holds(value) for value in range(3, 9))


@pytest.mark.parametrize("value", [True, "1e-4", math.nan, math.inf, -math.inf, 10**400, -0.1, 1.1])
def test_a_number_rule_refuses_what_is_not_finite_or_in_range(value: object) -> None:
    """NaN, infinities and integers beyond any float are refused without an exception."""
    assert not number(0, 1).holds(value)


@pytest.mark.parametrize(("end", "inside"), [(0, 1e-300), (1, 0.999)])
def test_open_ends_are_excluded(end: float, inside: float) -> None:
    """With open ends, the ends are refused and their neighbours taken."""
    rule = number(0, 1, open_ends=True)
    assert number(0, 1).holds(end)
    assert not rule.holds(end)
    assert rule.holds(inside)


def test_a_number_is_converted_to_a_float() -> None:
    """So that 10 and 10.0 give the same Settings and the same digest."""
    assert type(number(0, 10).convert(10)) is float


@pytest.mark.parametrize(
    "path",
    ["", "/data", "~/data", "../data", "data/../../x", "data/..", "a\nb", "a\0b", "a\\..\\b", 3],
)
def test_a_path_can_not_lead_out_of_the_project(path: object) -> None:
    """Absolute paths, parents, home folders, control characters and other types are refused."""
    assert not inside_path().holds(path)


@pytest.mark.parametrize("path", ["data/raw", ".", "data/..raw", "räw", "data/a b/"])
def test_a_path_inside_the_project_is_taken(path: str) -> None:
    """Dots within a name and spaces are no escape."""
    assert inside_path().holds(path)


def test_text_must_match_to_its_end() -> None:
    """A newline after a match is no match."""
    rule = text("[a-z]+", "small letters")
    assert rule.holds("abc")
    assert not rule.holds("abc\n")
    assert not rule.holds("ab1")
    assert not rule.holds(3)


def test_choice_takes_its_words_only() -> None:
    """Other words and unhashable values are refused."""
    rule = choice("tpe", "random")
    assert rule.holds("tpe")
    assert not rule.holds("TPE")
    assert not rule.holds(["tpe"])


@pytest.mark.parametrize("rule", [optional(integer(1, 2)), optional(number(1, 2))])
def test_an_optional_rule_takes_null_too(rule: Rule) -> None:
    """Null stays None; anything else must obey the inner rule."""
    assert rule.holds(None)
    assert rule.convert(None) is None
    assert rule.holds(1)
    assert not rule.holds(0)


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
