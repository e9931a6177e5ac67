"""Many regularised logistic regressions side by side on one copy of the pixels.

Minimised for each fit, over coefficients W (outputs, features) of standardised pixels and
intercepts b, is scikit-learn's objective

    (1/n) sum_i loss(x_i, y_i) + ||W||^2 / (2 C n),

n being the fit's training rows; the intercept is free. A fit ends when the largest absolute entry
of the gradient is below ``tol``, which is scikit-learn's (scipy's ``gtol``) rule. It starts from
zero, or on the path of its own training set (:mod:`foldwise.model.tracing`): never from a
solution that has seen other rows. The hot loop is in :mod:`foldwise.model.objective`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foldwise.model.descent import Descent
from foldwise.model.fitting import (
    Running,
    SolverOptions,
    TrainingSet,
    advance,
    count_outputs,
    origin,
    start,
)
from foldwise.model.layout import Layout
from foldwise.model.linear import Fit, FitOutcome, LinearModel, Status

Real = NDArray[np.floating]

MOST_COLUMNS = 1280
"""Outputs of all fits in one product: past this, memory grows and speed doesn't."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A fit to make: on all parts but ``left_out``, at inverse regularisation strength ``C``.

    ``start`` (outputs, width) is where its training set's path leads; without it the fit starts
    from zero. It is no part of what the fit is: requests are equal whatever their starts.
    """

    left_out: frozenset[int]
    C: float
    start: Real | None = field(default=None, compare=False, repr=False)


def solve(layout: Layout, requests: Sequence[FitRequest], options: SolverOptions) -> Iterator[Fit]:
    """Make every requested fit; yield each as it ends.

    The order is by number of evaluations, then as requested. Neither the number of threads nor
    the other requests change a fit, to the bit. Set the BLAS library itself to one thread
    (threadpoolctl), or its threads and these get in each other's way.
    """
    waiting = list(reversed(requests))
    active: list[Running] = []
    with ThreadPoolExecutor(max(1, options.threads)) as pool:
        while waiting or active:
            room = max(1, MOST_COLUMNS // count_outputs(layout)) - len(active)
            begun = [waiting.pop() for _ in range(min(room, len(waiting)))]
            active += [_begin(layout, request, options) for request in begun]
            advance(layout, active, options, pool)
            yield from (_finish(layout, running, options) for running in active if running.ended)
            active = [running for running in active if not running.ended]


def _begin(layout: Layout, request: FitRequest, options: SolverOptions) -> Running:
    training = TrainingSet.of(layout, request.left_out)
    points = origin(layout, options) if request.start is None else request.start
    return start(training, request.C, points, options)


_WORST: tuple[Status, ...] = ("exhausted", "stalled", "converged")


def _finish(layout: Layout, running: Running, options: SolverOptions) -> Fit:
    """The fit in scikit-learn's terms: all features, constant ones with scale 1."""
    mean, spread, _ = layout.standardisation(running.training.left_out)
    points = running.points.astype(np.float64)
    coefficients = np.zeros((len(points), layout.features))
    coefficients[:, layout.columns] = points[:, 1:]
    model = LinearModel(
        running.C,
        options.multiclass,
        mean,
        np.where(spread > 0, spread, 1.0),
        coefficients,
        points[:, 0],
    )
    return Fit(running.training.left_out, model, _outcome(running.descents))


def _outcome(descents: Sequence[Descent]) -> FitOutcome:
    statuses = {descent.status for descent in descents}
    return FitOutcome(
        status=next(status for status in _WORST if status in statuses),
        iterations=max(descent.iterations for descent in descents),
        evaluations=float(np.mean([descent.evaluations for descent in descents])),
        objective=sum(descent.value for descent in descents),
        gradient=max(descent.largest for descent in descents),
    )
