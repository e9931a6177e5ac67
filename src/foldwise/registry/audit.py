"""The audit: each decision on a model as one document, and the story that they tell of the aliases.

A decision is kept as a tag of the version that it is about, with a copy beside the model's files.
Deleting a version deletes its tags, so it stands in short on the registered model too.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, Self

from foldwise.errors import StoreError
from foldwise.files import DocumentError, decode, plain

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous_champion"

Word = Literal["promoted", "refused", "forced", "rolled back", "unchanged"]
Holders = Mapping[str, int | None]
"""Numbers of the versions that bear the aliases ``champion`` and ``previous_champion``."""

RECORDED = "set by a recorded decision"
HISTORY = ("when", "who", "decision", "champion")
"""Columns of `foldwise history`: `cells` of a decision, and of an unrecorded change, fill them."""
_NOW = "now"
_NOBODY: Holders = {CHAMPION: None, PREVIOUS: None}
_PREFIX = "audit."
_SHORT_REASON = 500
_FIRST = ("decision", "version", "reason", "who", "at")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a judgement: what was looked at, found, and asked for, all in words.

    ``bound`` is empty where the check only reports; ``value`` is the figure as a number, if it is
    one that versions are compared by.
    """

    name: str
    figure: str
    bound: str
    verdict: Literal["pass", "warning", "fail"]
    value: float | None = None


def judged(name: str, figure: str, bound: str, *, holds: bool, value: float | None = None) -> Check:
    """A check that passes or fails."""
    return Check(name, figure, bound, "pass" if holds else "fail", value)


def advised(name: str, figure: str, bound: str, *, holds: bool) -> Check:
    """A check that passes or warns."""
    return Check(name, figure, bound, "pass" if holds else "warning")


def graded(name: str, figure: str, bound: str, *, fails: bool, warns: bool) -> Check:
    """A check that passes, warns or fails."""
    return Check(name, figure, bound, "fail" if fails else "warning" if warns else "pass")


def same_digest(name: str, found: str, told: str) -> Check:
    """A check that what is there has the digest that was recorded."""
    return judged(name, found[:12], told[:12] or "none recorded", holds=found == told)


def all_hold(checks: Iterable[Check]) -> bool:
    """Whether none of the checks failed."""
    return all(check.verdict != "fail" for check in checks)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on ``version``, when (ISO 8601 in UTC), by whom (``user@host``), and why.

    ``unchanged``, which is never recorded, if the champion has the same content. ``state`` is the
    move's: ``pending`` until the aliases are moved, then ``applied``; ``abandoned`` if it was cut
    short; ``none`` where nothing is to be moved. ``champion`` and ``previous`` held the aliases
    before. A short one is what is left on the registered model when the version or its tag was
    deleted: without the checks that passed, and the others' figures. Ids sort by time, by the
    clock of whoever decided; ``after`` is the id of the last decision that he knew of.
    """

    id: str
    at: str
    who: str
    action: Literal["promote", "rollback"]
    decision: Word
    state: Literal["pending", "applied", "abandoned", "none"]
    champion: int | None
    previous: int | None
    version: int
    reason: str
    checks: tuple[Check, ...]
    is_short: bool = False
    after: str = ""
    schema: Literal[1] = 1

    @property
    def tag(self) -> str:
        """Name of the tag that keeps it."""
        return f"{_PREFIX}{self.id}"

    @property
    def held_before(self) -> Holders:
        """Who held each alias when it was decided."""
        return {CHAMPION: self.champion, PREVIOUS: self.previous}

    @property
    def held_after(self) -> Holders:
        """Who holds each alias by this decision."""
        if self.state != "applied":
            return self.held_before
        previous = self.previous if self.champion is None else self.champion
        return {CHAMPION: self.version, PREVIOUS: previous}

    @property
    def figures(self) -> dict[str, str]:
        """What versions are compared by, as the checks of these names found it."""
        return {check.name: check.figure for check in self.checks if check.value is not None}

    @property
    def cells(self) -> dict[str, str]:
        """Its row of `HISTORY`; below it, after a semicolon, what failed, the figures, and why."""
        state = f" ({self.state})" if self.state in ("pending", "abandoned") else ""
        gone = " (deleted since)" if self.is_short else ""
        notes = {
            "failed": ", ".join(check.name for check in self.checks if check.verdict == "fail"),
            "figures": ", ".join(f"{name} {figure}" for name, figure in self.figures.items()),
            "reason": " ".join(self.reason.split()),
        }
        told = "\n".join(f"{name}: {note}" for name, note in notes.items() if note)
        return {
            "when": self.at,
            "who": self.who,
            "decision": f"{self.decision}{state} {self.version}{gone}",
            "champion": f"{_move(self.champion, self.held_after[CHAMPION])}; {told}",
        }

    def shortened(self) -> Self:
        """As the registered model keeps it: at most 5,000 characters, PostgreSQL's column there."""
        told = (check for check in self.checks if check.verdict != "pass")
        checks = tuple(Check(check.name, "", "", check.verdict) for check in told)
        return replace(self, reason=self.reason[:_SHORT_REASON], checks=checks, is_short=True)

    def to_json(self) -> str:
        """As the tag and the file have it: what people look for first, in their own letters."""
        told = plain(self)
        return json.dumps({name: told[name] for name in _FIRST} | told, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`; what a later version has added is passed over."""
        try:
            return decode(cls, text, tolerant=True)
        except DocumentError as error:
            raise StoreError(
                f"an audit tag must be as foldwise wrote it, reading gave {error}:"
                " restore or remove the tag in MLflow"
            ) from error


def new_id() -> str:
    """An id that sorts by time and that two machines don't give twice."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(2)}"


def decisions_in(tags: Mapping[str, str]) -> dict[str, Decision]:
    """The decisions that tags keep, by their ids."""
    found = (Decision.from_json(text) for tag, text in tags.items() if tag.startswith(_PREFIX))
    return {decision.id: decision for decision in found}


def in_order(found: Mapping[str, Decision]) -> tuple[Decision, ...]:
    """Decisions, by their ids, oldest first: what each was made after comes before it.

    Clocks step back, and those of two machines differ: they decide where nothing else does.
    """
    ordered: dict[str, Decision] = {}
    for latest in sorted(found):
        chain, id_ = dict[str, Decision](), latest
        while id_ in found and id_ not in ordered and id_ not in chain:
            chain[id_] = found[id_]
            id_ = found[id_].after
        ordered.update(reversed(chain.items()))
    return tuple(ordered.values())


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An alias was moved by other means than foldwise, from ``recorded`` to ``found``.

    ``before`` is the time of the first decision that saw it, or ``now``.
    """

    alias: str
    before: str
    recorded: int | None
    found: int | None

    def told(self) -> str:
        """As a check's figure."""
        word = "removed" if self.found is None else "set"
        return f"{word} outside foldwise (recorded: {self.recorded or 'none'})"

    @property
    def cells(self) -> dict[str, str]:
        """Its row of `HISTORY`."""
        move, reason = _move(self.recorded, self.found), f"{self.alias} set outside foldwise"
        if self.alias != CHAMPION:
            move, reason = "-", f"{reason}: {move}"
        told = {"who": "?", "decision": "unrecorded", "champion": f"{move}; {reason}"}
        return {"when": f"before {self.before}", **told}


def _move(before: int | None, after: int | None) -> str:
    return f"{before or 'none'} -> {after or 'none'}" if before != after else f"{after or 'none'}"


def history(decisions: Sequence[Decision], held: Holders) -> Iterator[Decision | Unrecorded]:
    """See where an alias changed between the decisions, oldest first, or until now."""
    expected = _NOBODY
    for decision in decisions:
        yield from _changes(decision.at, expected, decision.held_before)
        yield decision
        expected = decision.held_after
    yield from _changes(_NOW, expected, held)


def unrecorded(decisions: Sequence[Decision], held: Holders) -> tuple[Unrecorded, ...]:
    """Which aliases are not where the decisions that moved them, oldest first, put them.

    A decision that moved nothing saw who held them, but didn't make it right.
    """
    holders = _NOBODY
    for decision in decisions:
        if decision.state == "applied":
            previous = holders[PREVIOUS] if decision.champion is None else decision.champion
            holders = {CHAMPION: decision.version, PREVIOUS: previous}
    return tuple(_changes(_NOW, holders, held))


def _changes(before: str, recorded: Holders, found: Holders) -> Iterator[Unrecorded]:
    for alias in _NOBODY:
        if recorded[alias] != found[alias]:
            yield Unrecorded(alias, before, recorded[alias], found[alias])
