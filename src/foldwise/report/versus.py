"""Searches beside each other: the words and tables of their comparison, for terminal and page."""

import json
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from foldwise.report.rivals import Entrant, Rival, SearchComparison
from foldwise.report.wording import brief, called, escaped, number, signed, span, values_text
from foldwise.stats.intervals import Interval
from foldwise.stats.scores import METRICS, metric_label

MEANING = (
    "Two procedures are compared here, not two models: on rows that both have learned from in"
    " their other folds, and trained on {share} of the data. It knows the searches named here,"
    " not those that were tried before and given up. So it guides exploration; what goes into use"
    " is decided on {decided}."
)
NAMED = 12
"""So many rows won, and lost, are shown."""
_PARTED = ("seed", "tune.folds", "prepare.group", "prepare.limit")
"""The parameters that parts follow from."""
_SEARCHED = ("seed", "tune.", "filters.", "prepare.")
_DIGITS, _LEAST, _SHORT = 5, 1e-4, 12


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its title, what is to be said of it, and the name of the picture below it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    picture: str = ""


def meaning(comparison: SearchComparison) -> str:
    """What a comparison of searches says, and what it doesn't."""
    folds = comparison.reference.result.plan.folds
    promoted = "the holdout, by `foldwise promote` alone"
    decided = "rows that none of them has seen" if comparison.is_from_python else promoted
    return MEANING.format(share=f"{folds - 1}/{folds}", decided=decided)


def next_step(comparison: SearchComparison) -> str:
    """What to do after a comparison, in a sentence with commands."""
    verdicts = {each.entrant.name: each.verdict for each in comparison.rivals}
    better = [name for name, of in verdicts.items() if of == "better"]
    if verdicts.get("champion") == "worse":
        better.append(comparison.reference.name)
    better = [name for name in better if name != "champion"]
    for name in better:
        if name == "challenger" or name.isdecimal():
            return f"next: `foldwise promote {name} --dry-run`: does the holdout say so, too?"
        last = "`dvc repro` registers it and `foldwise promote --dry-run` judges it"
        if name == "workspace":
            return f"next: {last}"
        taken = f"an experiment's by `dvc exp apply {quote(name)}`"
        return f"next: take its parameters, {taken}, and commit; then {last}"
    if not comparison.together:
        return "next: run it on the same parts, as said above"
    return (
        "next: by this nothing is to be promoted; try another change by"
        " `dvc exp run --temp tune -S NAME=VALUE`, which leaves the holdout alone"
    )


def headline(comparison: SearchComparison, rival: Rival) -> str:
    """The answer in a sentence."""
    metric = comparison.metric
    first, name = (brief(of.name, 32) for of in (comparison.reference, rival.entrant))
    if rival.verdict is None:
        same = _same_parts(comparison.reference, rival.entrant)
        return f"{name} has other parts than {first}: estimates alone; {same}"
    words = {
        "better": f"{name} is better than {first}",
        "worse": f"{name} is worse than {first}",
        "equivalent": f"{name} and {first} are equivalent, within {comparison.margin:.2g}",
        "can't tell": f"Can't tell {name} from {first}",
    }[rival.verdict]
    found = rival.differences[metric]
    means = " → ".join(number(of.mean(metric)) for of in (comparison.reference, rival.entrant))
    return (
        f"{words}: {metric_label(metric)} {means}, {_signed(found.value)} ({_sure(found.interval)}:"
        f" {_span(found.interval)}; p {'' if rival.p < _LEAST else '= '}{_p(rival.p)})"
    )


def note(comparison: SearchComparison, rival: Rival) -> str:
    """The answer in Markdown, as it stands beside a run of MLflow's."""
    return f"**Compared by the outer folds.** {escaped(headline(comparison, rival))}."


def tables(comparison: SearchComparison, *, tells_rows: bool) -> Iterator[Table]:
    """All tables; rows are named by their numbers where they may be told."""
    if comparison.together:
        yield _differences(comparison)
    if len(comparison.together) < len(comparison.rivals):
        yield _estimates(comparison)
    yield _differing(comparison)
    if comparison.together:
        yield _folds(comparison)
        yield _rows(comparison, tells_rows=tells_rows)
    yield _cost(comparison)


def _differences(comparison: SearchComparison) -> Table:
    short = _shorts(comparison)
    rows = tuple(
        (
            short[rival.entrant.name] if len(comparison.rivals) > 1 else metric_label(metric),
            number(comparison.reference.mean(metric)),
            number(rival.entrant.mean(metric)),
            _signed(found.value),
            _span(found.interval),
            _p(rival.p if metric == comparison.metric else found.p),
            _span(found.corrected),
        )
        for rival in comparison.together
        for metric in comparison.metrics
        for found in (rival.differences[metric],)
    )
    sure = _sure(comparison.together[0].differences[comparison.metric].interval)
    label, first = metric_label(comparison.metric), short[comparison.reference.name]
    last = ("difference", f"{sure} interval", "p", "Nadeau-Bengio's t")
    if len(comparison.rivals) == 1:
        head = ("metric", first, short[comparison.rivals[0].entrant.name], *last)
        said = f"The verdict is by {label} alone: of six metrics one may differ by luck."
        return Table("Differences", head, rows, said)
    said = "For the number of comparisons, intervals are Bonferroni's and p-values Holm's."
    return Table(f"Differences in {label}", ("search", first, "mean", *last), rows, said)


def _estimates(comparison: SearchComparison) -> Table:
    short = _shorts(comparison)
    several = (comparison.metric,) if len(comparison.rivals) > 1 else METRICS
    rows = tuple(
        (short[each.name], metric_label(metric), number(of[metric].mean), span(of[metric].interval))
        for each in comparison.entrants
        for of in (comparison.estimates(each),)
        for metric in several
    )
    sure = f"{100 * comparison.confidence:.4g} %"
    return Table("Estimates", ("search", "metric", "mean", f"its own {sure} interval"), rows)


def _differing(comparison: SearchComparison) -> Table:
    rows = tuple(
        (kind, name, *(brief(value, 40) for value in values))
        for kind, name, values in comparison.differing()
    )
    said = "" if rows else "Nothing that is known."
    names = _shorts(comparison).values()
    return Table("What differs", ("kind", "name", *names), rows, said)


def _folds(comparison: SearchComparison) -> Table:
    metric, first, short = comparison.metric, comparison.reference, _shorts(comparison)
    rows = tuple(
        (
            called(fold.study, first.result).removeprefix("outer fold "),
            number(fold.scores[metric]),
            *(_signed(each.differences[metric].folds[place]) for each in comparison.together),
        )
        for place, fold in enumerate(first.result.outer)
    )
    names = (f"{short[each.entrant.name]}, difference" for each in comparison.together)
    title = f"Outer folds, {metric_label(metric)}"
    return Table(title, ("fold", short[first.name], *names), rows, picture="versus")


def _rows(comparison: SearchComparison, *, tells_rows: bool) -> Table:
    short = _shorts(comparison)

    def told(rows: NDArray[np.int64]) -> str:
        more = ", …" if len(rows) > NAMED else ""
        return ", ".join(map(str, rows[:NAMED].tolist())) + more or "–"

    rows = tuple(
        (
            short[each.entrant.name],
            f"{len(each.won):,}",
            f"{len(each.lost):,}",
            *((told(each.won), told(each.lost)) if tells_rows else ()),
        )
        for each in comparison.together
    )
    named = ("won, by number", "lost, by number") if tells_rows else ()
    said = "Rows of a table are named where report.rows asks for it."
    if tells_rows:
        said = "Numbers are rows of the development set, not of the holdout, counted from 0."
    elif comparison.is_from_python:
        said = "In Python a rival's `won` and `lost` have their numbers."
    title, head = "Rows that one alone has right", ("search", "won", "lost", *named)
    return Table(title, head, rows, said, "rows_apart")


def _cost(comparison: SearchComparison) -> Table:
    short = _shorts(comparison)
    rows = tuple(
        (
            short[each.name],
            values_text(each.result.final.best.values) or "–",
            f"{fits.logical:,}",
            f"{fits.distinct:,}",
            f"{fits.stalled + fits.exhausted:,}",
            "–" if each.seconds is None else f"{each.seconds:,.0f}",
        )
        for each in comparison.entrants
        for fits in (each.result.fits,)
    )
    head = ("search", "final values", "fits asked for", "made", "not converged", "seconds")
    said = (
        "Seconds are by the clock, from a search's beginning to the end of its last study, without"
        " the evaluation; of one from Python those of all its fits, added up."
    )
    return Table("Choice and cost", head, rows, said)


def _same_parts(first: Entrant, other: Entrant) -> str:
    """How to run a search on the reference's parts."""
    one, two = (
        {name: text for of in each.facts.values() for name, text in of.items()}
        for each in (first, other)
    )
    if "tune.folds" not in one:
        return "fitted with cv=first.result_.plan.part_of[0] it has the same"
    options = [
        f" -S {quote(f'{name}={_given((one if name in _PARTED else two)[name])}')}"
        for name in dict.fromkeys((*one, *two))
        if name.startswith(_SEARCHED) and name in two and one.get(name) != two[name]
    ]
    if not {*_PARTED} & {name for name in one if one[name] != two.get(name)}:
        return "search again with the code of both alike"
    return f"on the same it runs by `dvc exp run --temp tune{''.join(options)}`"


def _given(text: str) -> str:
    """A parameter's value as DVC takes it."""
    try:
        return json.dumps(literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _shorts(comparison: SearchComparison) -> dict[str, str]:
    """Each entrant's name in a table, cut at its end or, where two would be one, in its middle."""
    names = [each.name for each in comparison.entrants]
    for cut in (lambda name: brief(name, _SHORT), _without_middle):
        short = {name: cut(name) for name in names}
        if len({*short.values()}) == len(names):
            return short
    return {name: name for name in names}


def _without_middle(name: str) -> str:
    return name if len(name) <= _SHORT else f"{name[: _SHORT - 9]}…{name[-8:]}"


def _signed(value: float) -> str:
    return signed(value, digits=_DIGITS)


def _span(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"


def _sure(interval: Interval) -> str:
    return f"{100 * interval.confidence:.4g} %"


def _p(value: float) -> str:
    return f"< {_LEAST:.4f}" if value < _LEAST else f"{value:.2g}"
