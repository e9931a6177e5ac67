"""Fits under way, side by side: each asks for an evaluation, all are evaluated in one pass."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.descent import Descent
from foldwise.model.layout import Layout
from foldwise.model.lbfgs import History
from foldwise.model.linear import Multiclass
from foldwise.model.objective import Batch, evaluate, sigmoid_link, softmax_link

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
