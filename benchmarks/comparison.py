"""The contenders side by side: timed in alternation, then judged by how far they converged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import mean, median

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks import batched, reference
from benchmarks.measured import Line, Sample, SampledFit, extrapolated, seconds_of
from benchmarks.stock import Stock, fastest
from benchmarks.warm_path import WarmPath
from benchmarks.workload import LogicalFit, Workload, logical_fits, sampled_strengths
from foldwise.model.linear import Fit, LinearModel, probabilities
from foldwise.model.scores import score
from foldwise.model.solver import FitRequest

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The table, and what else its measurement brought to light.

    Attributes
    ----------
    lines : as in the table, scikit-learn's float64 search first
    searched : the last of foldwise's timed searches
    sampled : values of C of the sampled fits
    outer_loss : mean log-loss of foldwise's outer folds
    left_out : names of contenders that aren't installed
    """

    lines: tuple[Line, ...]
    searched: batched.Searched
    sampled: tuple[float, ...]
    outer_loss: float
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What the first search settled for everyone: all fits, and those that are sampled."""

    workload: Workload
    first: batched.Searched
    wanted: tuple[LogicalFit, ...]
    inner: tuple[LogicalFit, ...]
    outer: LogicalFit


def compare(workload: Workload, tell: Tell) -> Comparison:
    """Time and judge all contenders."""
    tell("foldwise's search, whose values of C everyone gets")
    task = _task(workload)
    stock = _stock_contenders(task)
    own = _Own(task)
    warm = WarmPath("LogisticRegressionCV, warm starts, float64", workload, workload.threads)
    warm_sample: Sample | None = None
    samples: dict[str, list[Sample]] = {each.name: [] for each in stock}
    for repeat in range(workload.size.repeats):
        own.repeat(first=repeat == 0)
        for each in stock:
            tell(f"{repeat + 1} of {workload.size.repeats}: {each.name}")
            samples[each.name].append(each.sample(task.inner, task.outer))
        if repeat == 0:
            tell(f"once: {warm.name}")
            warm_sample = warm.sample(task.first.result)
    assert warm_sample is not None
    tell("tight reference solutions")
    tight = reference.tight_models(workload, (*task.inner, task.outer))
    lines = [_stock_line(each, samples[each.name], task, tight) for each in stock]
    lines.insert(2, _warm_line(warm, warm_sample, task))
    return Comparison(
        lines=(*lines, *own.lines(tight)),
        searched=own.last,
        sampled=tuple(fit.C for fit in task.inner),
        outer_loss=mean(fold.scores.log_loss for fold in own.last.result.outer),
        left_out=() if _has_intelex() else ("scikit-learn-intelex",),
    )


def _task(workload: Workload) -> _Task:
    first = batched.search(workload)
    strengths = sampled_strengths(first.result, workload.size.sampled)
    inner = tuple(LogicalFit(frozenset({0, 1}), C, 1) for C in strengths)
    outer = LogicalFit(frozenset({0}), first.result.outer[0].best.C, 0)
    return _Task(workload, first, logical_fits(first.result), inner, outer)


def _has_intelex() -> bool:
    return find_spec("sklearnex") is not None


def _stock_contenders(task: _Task) -> list[Stock]:
    """Each with as many workers as serve it best: one fit per core, or one fit on all cores."""
    kinds = [
        Stock("scikit-learn, float64", LogisticRegression, np.float64, task.workload),
        Stock("scikit-learn, float32", LogisticRegression, np.float32, task.workload),
    ]
    if _has_intelex():
        from sklearnex.linear_model import LogisticRegression as Accelerated

        name = "scikit-learn-intelex, float32"
        kinds.append(Stock(name, Accelerated, np.float32, task.workload, sums=True))
    counts = sorted({1, task.workload.threads})
    few = task.inner[: task.workload.threads]
    return [fastest([replace(kind, workers=n) for n in counts], few) for kind in kinds]


def _stock_line(
    stock: Stock, samples: Sequence[Sample], task: _Task, tight: dict[LogicalFit, LinearModel]
) -> Line:
    guess = median(extrapolated(sample, task.wanted, task.workload) for sample in samples)
    seconds, fits, note = _whole_or(guess, stock, task)
    fitted = (*samples[-1].inner, samples[-1].outer)
    gap = max(_gap(fit, tight[fit.wanted], task) for fit in fitted)
    each = "one fit at a time" if stock.workers == 1 else f"{stock.workers} fits at a time"
    return Line(
        stock.name,
        seconds,
        fits,
        len(task.wanted),
        mean(fit.evaluations for fit in samples[-1].inner),
        gap,
        _loss(samples[-1].outer.model, task),
        f"{note}; {each}",
    )


def _warm_line(warm: WarmPath, sample: Sample, task: _Task) -> Line:
    guess = extrapolated(sample, task.wanted, task.workload)
    seconds, fits, note = _whole_or(guess, warm, task)
    # A few of its fits, spread over the path: each needs a reference in the path's own scaling.
    path = sample.inner[: len(sample.inner) // 2]
    chosen = [path[(2 * i + 1) * len(path) // 6] for i in range(3)]
    own = reference.scaled_by(task.workload.layout, frozenset({0}))
    tight = reference.tight_models(task.workload, [fit.wanted for fit in chosen], own)
    gap = max(_gap(fit, tight[fit.wanted], task) for fit in chosen)
    return Line(
        warm.name,
        seconds,
        fits,
        len(task.wanted),
        mean(fit.evaluations for fit in sample.inner),
        gap,
        _loss(sample.outer.model, task),
        f"{note}; {warm.workers} folds at a time",
    )


def _whole_or(guess: float, contender: Stock | WarmPath, task: _Task) -> tuple[float, int, str]:
    """The whole search's seconds and fits if there is time for it, else the guess."""
    if guess > task.workload.size.longest:
        return guess, len(task.wanted), "extrapolated"
    fits: list[int] = []
    seconds = [
        seconds_of(lambda: fits.append(contender.whole(task.first.result)))
        for _ in range(task.workload.size.repeats)
    ]
    return median(seconds), fits[-1], "whole"


def _gap(fit: SampledFit, tight: LinearModel, task: _Task) -> float:
    return reference.relative_gap(fit.model, tight, fit.wanted, task.workload)


def _loss(model: LinearModel, task: _Task) -> float:
    rows = task.workload.plan.scored_rows(0)
    predicted = probabilities(model, task.workload.images[rows])
    return score(predicted, task.workload.labels[rows]).log_loss


class _Own:
    """foldwise's own lines: in rounds, in one go, and in one go without sharing."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self._rounds: list[float] = []
        self._one_go: list[float] = []
        self.last = task.first

    def repeat(self, *, first: bool) -> None:
        """Time the search, unless it is the one that settled the values of C, and all in one go."""
        if not first:
            self.last = batched.search(self._task.workload)
        self._rounds.append(self.last.seconds)
        work = self._task.workload, self._task.wanted
        self._one_go.append(seconds_of(lambda: batched.in_one_go(*work)))

    def lines(self, tight: dict[LogicalFit, LinearModel]) -> tuple[Line, ...]:
        """The three of them."""
        task = self._task
        once, often = _work(self.last.fits, task)
        wanted = (*task.inner, task.outer)
        engine = batched.engine(task.workload)
        # The same bits as in the search: a fit doesn't depend on its company.
        made = list(engine.solve([FitRequest(fit.left_out, fit.C) for fit in wanted]))
        models = {(fit.left_out, fit.model.C): fit.model for fit in made}
        gap = max(
            reference.relative_gap(models[w.left_out, w.C], tight[w], w, task.workload)
            for w in wanted
        )
        loss = _loss(models[task.outer.left_out, task.outer.C], task)
        distinct, logical = len({(f.left_out, f.model.C) for f in self.last.fits}), len(task.wanted)
        evaluations = mean(fit.outcome.evaluations for fit in self.last.fits)

        def line(name: str, seconds: float, fits: int, note: str) -> Line:
            return Line(name, seconds, fits, logical, evaluations, gap, loss, note)

        one_go = median(self._one_go)
        return (
            line(
                "**foldwise**, rounds as Optuna proposes", median(self._rounds), distinct, "whole"
            ),
            line("foldwise, all C known, in one go", one_go, distinct, "whole"),
            line(
                "foldwise in one go, equal fits made again",
                one_go * often / once,
                logical,
                "computed from the evaluations",
            ),
        )


def _work(fits: Sequence[Fit], task: _Task) -> tuple[float, float]:
    """Passes over rows: of the distinct fits, and with each counted as often as it is wanted."""
    cost = {
        (fit.left_out, fit.model.C): fit.outcome.evaluations
        * len(task.workload.training_rows(fit.left_out))
        for fit in fits
    }
    return sum(cost.values()), sum(cost[fit.left_out, fit.C] for fit in task.wanted)
