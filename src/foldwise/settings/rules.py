"""What one parameter may be: its rule in words, the check behind the words, its meaning."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for values as YAML gives them.

    Attributes
    ----------
    says : str
        Completes "must be ...".
    holds : callable
        Whether a value obeys the rule; never raises, whatever the value.
    convert : callable
        From an obeying value to the one that Settings hold.
    """

    says: str
    holds: Callable[[object], bool]
    convert: Callable[[Any], Value] = lambda value: value


def about(rule: Rule, meaning: str) -> Mapping[str, Any]:
    """Make the metadata of a settings field: the rule and what the parameter means."""
    return {"rule": rule, "meaning": meaning}


def integer(low: int, high: int) -> Rule:
    """Rule for an integer from ``low`` to ``high``; YAML's true and 6.0 are none."""
    return Rule(
        f"an integer from {low:,} to {high:,}",
        lambda value: type(value) is int and low <= value <= high,
    )


def number(low: float, high: float, *, open_ends: bool = False) -> Rule:
    """Rule for a number from ``low`` to ``high``, with ``open_ends`` strictly between them."""

    def holds(value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return low < value < high if open_ends else low <= value <= high

    between = f"between {low:g} and {high:g} (both excluded)"
    says = f"a number {between if open_ends else f'from {low:g} to {high:g}'}"
    return Rule(says, holds, float)


def choice(*options: str) -> Rule:
    """Rule for one of the words given."""
    words = ", ".join(options[:-1]) + f" or {options[-1]}"
    return Rule(words, lambda value: isinstance(value, str) and value in options)


def text(pattern: str, says: str) -> Rule:
    """Rule for text that a regular expression matches whole; ``says`` puts it in words."""
    matches = re.compile(pattern).fullmatch
    return Rule(says, lambda value: isinstance(value, str) and matches(value) is not None)


def inside_path() -> Rule:
    """Rule for a relative path that can't lead out of the project, symbolic links apart."""

    def holds(value: object) -> bool:
        return (
            isinstance(value, str)
            and value.isprintable()
            and 0 < len(value) <= 400
            and not value.startswith(("/", "~"))
            and ".." not in value.split("/")
            and "\\" not in value
        )

    return Rule(
        "a path inside the project, relative and without '..'"
        " (for data that lies elsewhere, make a symbolic link inside the project)",
        holds,
    )


def optional(rule: Rule) -> Rule:
    """Rule for what obeys the rule given, or null."""
    return Rule(
        f"{rule.says}, or null",
        lambda value: value is None or rule.holds(value),
        lambda value: None if value is None else rule.convert(value),
    )


def shown(value: object) -> str:
    """Put any value that YAML can make into short, printable words for an error's one line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if not isinstance(value, str | int | float | date):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"an integer of {value.bit_length()} bits"
    words = str(value) if isinstance(value, date) else repr(value)
    return words if len(words) <= 60 else f"{words[:40]}... ({len(words)} characters)"
