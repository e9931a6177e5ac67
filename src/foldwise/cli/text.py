"""Plain text that reads well on a terminal, in a pipe and in a log."""

from collections.abc import Iterable, Sequence

from foldwise.tracking.audit import Record
from foldwise.tracking.checks import Check
from foldwise.tracking.history import Unrecorded
from foldwise.tracking.registry import CHAMPION


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a head, each column as wide as it must be; the last one isn't padded."""
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    table.insert(1, tuple("-" * width for width in widths))
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)
    return "".join(f"{line}\n" for line in lines)


def check_table(checks: Iterable[Check]) -> str:
    """Checks with figure, bound and verdict."""
    return columns(
        ("check", "figure", "bound", "verdict"),
        ((check.name, check.figure, check.bound or "-", check.verdict) for check in checks),
    )


def history_table(entries: Iterable[Record | Unrecorded]) -> str:
    """Decisions and unrecorded changes, oldest first."""
    return columns(
        ("when", "who", "decision", "champion", "failed", "reason"),
        (_told(entry) for entry in entries),
    )


def _told(entry: Record | Unrecorded) -> tuple[str, ...]:
    if isinstance(entry, Unrecorded):
        return _unrecorded(entry)
    state = f" ({entry.state})" if entry.state in ("pending", "abandoned") else ""
    gone = " (deleted since)" if entry.is_short else ""
    moved = entry.state == "applied"
    failed = ", ".join(check.name for check in entry.checks if check.verdict == "fail")
    return (
        entry.at,
        entry.who,
        f"{entry.decision}{state} {entry.version}{gone}",
        _move(entry.champion, entry.version if moved else entry.champion),
        failed or "-",
        " ".join(entry.reason.split()) or "-",
    )


def _unrecorded(entry: Unrecorded) -> tuple[str, ...]:
    move, reason = _move(entry.recorded, entry.found), f"{entry.alias} set outside foldwise"
    if entry.alias != CHAMPION:
        move, reason = "-", f"{reason}: {move}"
    return (f"before {entry.before}", "?", "unrecorded", move, "-", reason)


def _move(before: int | None, after: int | None) -> str:
    return f"{before or 'none'} -> {after or 'none'}" if before != after else f"{after or 'none'}"
