"""The contenders side by side: timed in alternation, then judged by how far they converged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from statistics import mean, median

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks import batched, reference
from benchmarks.measured import Line, Sample, extrapolated, seconds_of
from benchmarks.own import Own
from benchmarks.stock import Stock, fastest
from benchmarks.task import Task
from benchmarks.warm_path import WarmPath
from benchmarks.workload import LogicalFit, Workload
from foldwise.model.linear import LinearModel

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


def compare(workload: Workload, tell: Tell) -> Comparison:
    """Time and judge all contenders."""
    tell("foldwise's search, whose values of C everyone gets")
    task = Task.settle(workload)
    stock = _stock_contenders(task)
    own = Own(task)
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


def _has_intelex() -> bool:
    return find_spec("sklearnex") is not None


def _stock_contenders(task: Task) -> list[Stock]:
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
    stock: Stock, samples: Sequence[Sample], task: Task, tight: dict[LogicalFit, LinearModel]
) -> Line:
    guess = median(extrapolated(sample, task.wanted, task.workload) for sample in samples)
    seconds, fits, note = _whole_or(guess, stock, task)
    fitted = (*samples[-1].inner, samples[-1].outer)
    gap = max(task.gap(fit, tight[fit.wanted]) for fit in fitted)
    each = "one fit at a time" if stock.workers == 1 else f"{stock.workers} fits at a time"
    return Line(
        stock.name,
        seconds,
        fits,
        len(task.wanted),
        mean(fit.evaluations for fit in samples[-1].inner),
        gap,
        task.log_loss(samples[-1].outer.model),
        f"{note}; {each}",
    )


def _warm_line(warm: WarmPath, sample: Sample, task: Task) -> Line:
    guess = extrapolated(sample, task.wanted, task.workload)
    seconds, fits, note = _whole_or(guess, warm, task)
    # A few of its fits, spread over the path: each needs a reference in the path's own scaling.
    path = sample.inner[: len(sample.inner) // 2]
    chosen = [path[(2 * i + 1) * len(path) // 6] for i in range(3)]
    own = reference.scaled_by(task.workload.layout, frozenset({0}))
    tight = reference.tight_models(task.workload, [fit.wanted for fit in chosen], own)
    gap = max(task.gap(fit, tight[fit.wanted]) for fit in chosen)
    return Line(
        warm.name,
        seconds,
        fits,
        len(task.wanted),
        mean(fit.evaluations for fit in sample.inner),
        gap,
        task.log_loss(sample.outer.model),
        f"{note}; {warm.workers} folds at a time",
    )


def _whole_or(guess: float, contender: Stock | WarmPath, task: Task) -> tuple[float, int, str]:
    """The whole search's seconds and fits if there is time for it, else the guess."""
    if guess > task.workload.size.longest:
        return guess, len(task.wanted), "extrapolated"
    fits: list[int] = []
    seconds = [
        seconds_of(lambda: fits.append(contender.whole(task.first.result)))
        for _ in range(task.workload.size.repeats)
    ]
    return median(seconds), fits[-1], "whole"
