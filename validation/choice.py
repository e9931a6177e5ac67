"""``python -m validation.choice``: how near to its curve's minimum each study's C lies, on MNIST.

The whole search runs by each sampler in turn. Then every study's inner log-loss is had on a dense
grid around the choices, by fits on the same paths; the minimum of the curve is that of the parabola
through the lowest values. VALIDATION_ROWS takes so many of the 60,000
rows, VALIDATION_REPEATS so many turns.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, stdev

import numpy as np

from benchmarks.markdown import table, write_measured
from validation import own

FOLDS = 6
TRIALS = 12
SEED = 1
REPEATS = 3
STEP = 0.01
"""Decades between two values of the grid."""

BEYOND = 0.15
"""Decades by which the grid goes past the choices on both sides."""

FITTED = 7
"""Values of the grid, the lowest in their middle, that the parabola goes through."""

SAMPLERS: tuple[own.Sampler, ...] = ("curve", "tpe")


@dataclass(frozen=True, slots=True)
class Miss:
    """By how much a choice misses the curve's minimum: decades, and mean inner log-loss."""

    decades: float
    excess: float


def main() -> None:
    """Search, compare, print, and write the table into docs/statistics.md."""
    images, labels = own.mnist()
    rows = int(os.environ.get("VALIDATION_ROWS", len(labels)))
    repeats = int(os.environ.get("VALIDATION_REPEATS", REPEATS))
    content = report((images[:rows], labels[:rows]), repeats)
    write_measured("statistics", {"choice": content}, whole=rows == len(labels))


def report(data: own.Data, repeats: int) -> str:
    """The two samplers' choices, study by study, beside the minima of their curves."""
    part_of = own.dealt(data[1], folds=FOLDS, seed=SEED)
    found: dict[own.Sampler, list[own.Choices]] = {sampler: [] for sampler in SAMPLERS}
    for _ in range(repeats):
        for sampler in SAMPLERS:
            found[sampler].append(own.choices(data, part_of, sampler, trials=TRIALS, seed=SEED))
            print(sampler, found[sampler][-1], file=sys.stderr, flush=True)
    first = {sampler: made[0] for sampler, made in found.items()}
    strengths = grid([C for each in first.values() for C in each.strengths.values()])
    curves = own.inner_curves(data, part_of, strengths.tolist())
    pairs = [*zip(*found.values(), strict=True)]
    processor = median(curve.processor / tpe.processor for curve, tpe in pairs)
    spreads = {sampler: _spread(each.strengths) for sampler, each in first.items()}
    minima = {name: lowest(strengths, curve) for name, curve in curves.items()}
    tables = [
        f"{len(data[1]):,} rows, {TRIALS} trials a study. Minima on a grid of {STEP} decades.",
        _studies(first, strengths, curves),
        _searches(first, spreads | {"the minima": _spread(minima)}),
        f"Processor time over tpe's, in turns, median of {repeats}: {processor:.2f}.",
    ]
    return "\n\n".join(tables)


def _studies(
    first: Mapping[own.Sampler, own.Choices],
    strengths: own.Strengths,
    curves: Mapping[str, own.Strengths],
) -> str:
    header = ["study", "minimum of its curve"]
    header += [f"{sampler}: {what}" for sampler in first for what in ("C", "decades off", "loss")]
    rows = []
    for name, curve in curves.items():
        row = [name, f"{lowest(strengths, curve):.5f}"]
        for each in first.values():
            miss = missed(strengths, curve, each.strengths[name])
            row += [f"{each.strengths[name]:.5f}", f"{miss.decades:+.4f}", f"{miss.excess:+.1e}"]
        rows.append(row)
    return table(header, rows, numbers=True)


def _searches(first: Mapping[own.Sampler, own.Choices], spreads: Mapping[str, float]) -> str:
    rows = [
        [
            name,
            f"{spread:.4f}",
            *([] if name not in first else _figures(first[name])),  # type: ignore[index]
        ]
        for name, spread in spreads.items()
    ]
    header = ["", "spread of log10 C over the folds", "distinct fits", "skipped", "outer log-loss"]
    return table(header, [[*row, *[""] * (len(header) - len(row))] for row in rows], numbers=True)


def _figures(each: own.Choices) -> list[str]:
    return [str(each.distinct), str(sum(each.skipped.values())), f"{each.outer_loss:.5f}"]


def grid(choices: Sequence[float]) -> own.Strengths:
    """Values of C around all of these, evenly spaced by logarithm."""
    logs = np.log10(choices)
    low, high = logs.min() - BEYOND, logs.max() + BEYOND
    return np.asarray(10.0 ** np.arange(low, high + STEP, STEP))


def missed(strengths: own.Strengths, curve: own.Strengths, C: float) -> Miss:
    """By how much ``C`` misses the minimum of a curve known at ``strengths``."""
    at, logs = lowest(strengths, curve), np.log10(strengths)
    parabola = np.poly1d(np.polyfit(*_around(logs, curve), 2))
    excess = np.interp(np.log10(C), logs, curve) - parabola(np.log10(at))
    return Miss(float(np.log10(C / at)), float(excess))


def lowest(strengths: own.Strengths, curve: own.Strengths) -> float:
    """The minimum of a curve known at ``strengths``: the parabola's around the lowest value."""
    a, b, _ = np.polyfit(*_around(np.log10(strengths), curve), 2)
    return float(10.0 ** (-b / (2 * a)))


def _around(logs: own.Strengths, curve: own.Strengths) -> tuple[own.Strengths, own.Strengths]:
    middle = min(max(int(curve.argmin()), FITTED // 2), len(curve) - 1 - FITTED // 2)
    near = slice(middle - FITTED // 2, middle + FITTED // 2 + 1)
    return logs[near], curve[near]


def _spread(strengths: Mapping[str, float]) -> float:
    return stdev(float(np.log10(C)) for name, C in strengths.items() if name != "final")


if __name__ == "__main__":
    main()
