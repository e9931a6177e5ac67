"""Many regularised logistic regressions side by side on one copy of the pixels.

Minimised for each fit, over coefficients W (outputs, features) of standardised pixels and
intercepts b, is scikit-learn's objective

    (1/n) sum_i loss(x_i, y_i) + ||W||^2 / (2 C n),

n being the fit's training rows; the intercept is free. A fit ends when the largest absolute entry
of the gradient is below ``tol``, which is scikit-learn's (scipy's ``gtol``) rule. All fits start
from zero. The hot loop is in :mod:`foldwise.model.objective`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.descent import Descent
from foldwise.model.layout import Layout
from foldwise.model.linear import Fit, FitOutcome, LinearModel, Multiclass, Status
from foldwise.model.objective import Batch, evaluate, sigmoid_link, softmax_link

Real = NDArray[np.floating]

MOST_COLUMNS = 1280
"""Outputs of all fits in one product: past this, memory grows and speed doesn't."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A fit to make: on all parts but ``left_out``, at inverse regularisation strength ``C``."""

    left_out: frozenset[int]
    C: float


@dataclass(frozen=True, slots=True)
class SolverOptions:
    """What all fits of a batch share."""

    multiclass: Multiclass = "multinomial"
    tol: float = 1e-4
    max_iter: int = 1000
    threads: int = 1
    double: bool = False


def solve(layout: Layout, requests: Sequence[FitRequest], options: SolverOptions) -> Iterator[Fit]:
    """Make every requested fit; yield each as it ends.

    The order is by number of evaluations, then as requested. Neither the number of threads nor
    the other requests change a fit, to the bit. Set the BLAS library itself to one thread
    (threadpoolctl), or its threads and these get in each other's way.
    """
    waiting = [_start(layout, request, options) for request in reversed(requests)]
    active: list[_Running] = []
    with ThreadPoolExecutor(max(1, options.threads)) as pool:
        while waiting or active:
            room = max(1, MOST_COLUMNS // _columns(layout)) - len(active)
            active += [waiting.pop() for _ in range(min(room, len(waiting)))]
            _advance(layout, active, options, pool)
            yield from (_finish(layout, running, options) for running in active if running.ended)
            active = [running for running in active if not running.ended]


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A requested fit under way.

    Attributes
    ----------
    mean, inverse : (width - 1,)
        Of the training rows; ``inverse`` is 1 / standard deviation, and 0 for a constant pixel,
        whose coefficient so stays 0.
    descents
        One over all outputs (softmax), or one per output (sigmoids).
    """

    request: FitRequest
    rows: int
    mean: NDArray[np.float64]
    inverse: NDArray[np.float64]
    descents: tuple[Descent, ...]

    @property
    def ended(self) -> bool:
        return all(descent.status for descent in self.descents)

    @property
    def points(self) -> Real:
        """Where the descents are: (outputs, width), intercept first."""
        return np.concatenate([d.point.reshape(-1, len(self.mean) + 1) for d in self.descents])

    def weights(self) -> Real:
        """The points as weights on raw pixels (outputs, width)."""
        weights = self.points
        weights[:, 1:] *= self.inverse
        weights[:, 0] -= weights[:, 1:] @ self.mean
        return weights

    def receive(self, losses: NDArray[np.float64], gradient: Real) -> None:
        """Take summed losses (descents,) and their gradient (outputs, width) in the weights."""
        penalty = 1 / (self.request.C * self.rows)
        slopes = gradient / gradient.dtype.type(self.rows)
        slopes[:, 1:] -= np.outer(slopes[:, 0], self.mean)
        slopes[:, 1:] *= self.inverse
        by_descent = slopes.reshape(len(self.descents), -1, gradient.shape[1])
        for descent, loss, slope in zip(self.descents, losses.tolist(), by_descent, strict=True):
            if descent.status is None:
                coefficients = descent.point.reshape(slope.shape)[:, 1:]
                slope[:, 1:] += coefficients.dtype.type(penalty) * coefficients
                squares = np.einsum("ij,ij->", coefficients, coefficients, dtype=np.float64)
                descent.receive(loss / self.rows + 0.5 * penalty * float(squares), slope.ravel())


def _columns(layout: Layout) -> int:
    """Outputs of one fit; two classes need one."""
    return 1 if layout.classes == 2 else layout.classes


def _softmax(layout: Layout, options: SolverOptions) -> bool:
    return options.multiclass == "multinomial" and layout.classes > 2


def _start(layout: Layout, request: FitRequest, options: SolverOptions) -> _Running:
    mean, spread, rows = layout.standardisation(request.left_out)
    lit = spread[layout.columns]
    inverse = np.divide(1, lit, out=np.zeros_like(lit), where=lit > 0)
    outputs = _columns(layout)
    size, count = (outputs, 1) if _softmax(layout, options) else (1, outputs)
    dtype: np.dtype[np.floating] = np.dtype(np.float64 if options.double else np.float32)
    descents = tuple(
        Descent(size * layout.width, tol=options.tol, max_iter=options.max_iter, dtype=dtype)
        for _ in range(count)
    )
    return _Running(request, rows, mean[layout.columns], inverse, descents)


def _advance(
    layout: Layout, active: Sequence[_Running], options: SolverOptions, pool: ThreadPoolExecutor
) -> None:
    """Evaluate all fits at their points, and let each move on."""
    weights = np.stack(list(pool.map(_Running.weights, active)))
    trains_on = np.array(
        [[part not in run.request.left_out for run in active] for part in range(layout.parts)]
    )
    link = softmax_link if _softmax(layout, options) else sigmoid_link
    losses, gradients = evaluate(layout, Batch(weights, trains_on), link, pool)
    list(pool.map(_Running.receive, active, losses, gradients))


_WORST: tuple[Status, ...] = ("exhausted", "stalled", "converged")


def _finish(layout: Layout, running: _Running, options: SolverOptions) -> Fit:
    """The fit in scikit-learn's terms: all features, constant ones with scale 1."""
    mean, spread, _ = layout.standardisation(running.request.left_out)
    points = running.points.astype(np.float64)
    coefficients = np.zeros((len(points), layout.features))
    coefficients[:, layout.columns] = points[:, 1:]
    model = LinearModel(
        running.request.C,
        options.multiclass,
        mean,
        np.where(spread > 0, spread, 1.0),
        coefficients,
        points[:, 0],
    )
    return Fit(running.request.left_out, model, _outcome(running.descents))


def _outcome(descents: Sequence[Descent]) -> FitOutcome:
    statuses = {descent.status for descent in descents}
    return FitOutcome(
        status=next(status for status in _WORST if status in statuses),
        iterations=max(descent.iterations for descent in descents),
        evaluations=float(np.mean([descent.evaluations for descent in descents])),
        objective=sum(descent.value for descent in descents),
        gradient=max(descent.largest for descent in descents),
    )
