"""One line of a verdict: what was looked at, what was found, what was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "warning", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """A check as the tables and the audit show it.

    Attributes
    ----------
    name : str
    figure : str
        What was found.
    bound : str
        What was asked for; empty where the check only reports.
    verdict : pass, warning or fail
    """

    name: str
    figure: str
    bound: str
    verdict: Verdict


def judged(name: str, figure: str, bound: str, *, holds: bool) -> Check:
    """A check that passes or fails."""
    return Check(name, figure, bound, "pass" if holds else "fail")


def advised(name: str, figure: str, bound: str, *, holds: bool) -> Check:
    """A check that passes or warns."""
    return Check(name, figure, bound, "pass" if holds else "warning")


def same_digest(name: str, found: str, told: str) -> Check:
    """A check that what is there has the digest that was recorded."""
    return judged(name, found[:12], told[:12] or "none recorded", holds=found == told)


def all_hold(checks: Iterable[Check]) -> bool:
    """Whether none of the checks failed."""
    return all(check.verdict != "fail" for check in checks)
