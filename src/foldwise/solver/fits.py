"""Fits under way, side by side: each asks for an evaluation, all are evaluated in one pass.

Many regularised logistic regressions side by side on one copy of the pixels.

Minimised for each fit, over coefficients W (outputs, features) of standardised pixels and
intercepts b, is scikit-learn's objective

    (1/n) sum_i loss(x_i, y_i) + ||W||^2 / (2 C n),

n being the fit's training rows; the intercept is free. A fit ends when the largest absolute entry
of the gradient is below ``tol``, which is scikit-learn's (scipy's ``gtol``) rule. It starts from
zero, or on the path of its own training set (:mod:`foldwise.solver.paths`): never from a
solution that has seen other rows. The hot loop is in :mod:`foldwise.solver.objective`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foldwise.solver.descent import Descent, History
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, FitOutcome, LinearModel, Multiclass, Status
from foldwise.solver.objective import Batch, evaluate, sigmoid_link, softmax_link

Real = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class SolverOptions:
    """What all fits of a batch share."""

    multiclass: Multiclass = "multinomial"
    tol: float = 1e-4
    max_iter: int = 1000
    threads: int = 1
    double: bool = False

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Of the products and of the coefficients while they are looked for."""
        return np.dtype(np.float64 if self.double else np.float32)

    def count_descents(self, outputs: int) -> int:
        """Functions that a fit minimises: the softmax is one of all outputs, sigmoids one each."""
        return 1 if self.multiclass == "multinomial" else outputs


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The rows of all parts but ``left_out``, as a fit sees them.

    Attributes
    ----------
    mean, inverse : (width - 1,)
        Of these rows; ``inverse`` is 1 / standard deviation, and 0 for a constant pixel, whose
        coefficient so stays 0.
    """

    left_out: frozenset[int]
    rows: int
    mean: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @classmethod
    def of(cls, layout: Layout, left_out: frozenset[int]) -> "TrainingSet":
        """Measure mean and deviation on these rows alone."""
        mean, spread, rows = layout.standardisation(left_out)
        lit = spread[layout.columns]
        inverse = np.divide(1, lit, out=np.zeros_like(lit), where=lit > 0)
        return cls(left_out, rows, mean[layout.columns], inverse)

    def penalty(self, C: float) -> float:
        """Factor of half the squared coefficients in the mean loss: 1 / (C rows)."""
        return 1 / (C * self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A fit under way; ``descents`` has one over all outputs (softmax), or one per output."""

    training: TrainingSet
    C: float
    descents: tuple[Descent, ...]

    @property
    def ended(self) -> bool:
        """Whether no descent wants another evaluation."""
        return all(descent.status for descent in self.descents)

    @property
    def points(self) -> Real:
        """Where the descents are: (outputs, width), intercept first."""
        width = len(self.training.mean) + 1
        return np.concatenate([d.point.reshape(-1, width) for d in self.descents])

    def weights(self) -> Real:
        """The points as weights on raw pixels (outputs, width)."""
        weights = self.points
        weights[:, 1:] *= self.training.inverse
        weights[:, 0] -= weights[:, 1:] @ self.training.mean
        return weights

    def receive(self, losses: NDArray[np.float64], gradient: Real) -> None:
        """Take summed losses (descents,) and their gradient (outputs, width) in the weights."""
        rows, penalty = self.training.rows, self.training.penalty(self.C)
        slopes = gradient / gradient.dtype.type(rows)
        slopes[:, 1:] -= np.outer(slopes[:, 0], self.training.mean)
        slopes[:, 1:] *= self.training.inverse
        by_descent = slopes.reshape(len(self.descents), -1, gradient.shape[1])
        for descent, loss, slope in zip(self.descents, losses.tolist(), by_descent, strict=True):
            if descent.status is None:
                coefficients = descent.point.reshape(slope.shape)[:, 1:]
                slope[:, 1:] += coefficients.dtype.type(penalty) * coefficients
                squares = np.einsum("ij,ij->", coefficients, coefficients, dtype=np.float64)
                descent.receive(loss / rows + 0.5 * penalty * float(squares), slope.ravel())


def start(
    training: TrainingSet,
    C: float,
    points: Real,
    options: SolverOptions,
    *,
    histories: Sequence[History] | None = None,
) -> Running:
    """Begin a fit at ``points`` (outputs, width), with what is known of the curvature there."""
    count = options.count_descents(len(points))
    starts = points.astype(options.dtype).reshape(count, -1)
    descents = tuple(
        Descent(
            start,
            tol=options.tol,
            max_iter=options.max_iter,
            history=histories[place] if histories else None,
        )
        for place, start in enumerate(starts)
    )
    return Running(training, C, descents)


def origin(layout: Layout, options: SolverOptions) -> Real:
    """All coefficients zero: (outputs, width); two classes need one output."""
    return np.zeros((count_outputs(layout), layout.width), dtype=options.dtype)


def count_outputs(layout: Layout) -> int:
    """Outputs of one fit; two classes need one."""
    return 1 if layout.classes == 2 else layout.classes


def advance(
    layout: Layout, active: Sequence[Running], options: SolverOptions, pool: Executor
) -> None:
    """Evaluate all fits at their points, and let each move on."""
    weights = np.stack(list(pool.map(Running.weights, active)))
    trains_on = np.array(
        [
            [part not in running.training.left_out for running in active]
            for part in range(layout.parts)
        ]
    )
    joint = weights.shape[1] > 1 and options.multiclass == "multinomial"
    link = softmax_link if joint else sigmoid_link
    losses, gradients = evaluate(layout, Batch(weights, trains_on), link, pool)
    list(pool.map(Running.receive, active, losses, gradients))


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
