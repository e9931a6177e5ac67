"""How far from the optimum a model ended: its objective beside that of a tight float64 solution."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks import batched
from benchmarks.workload import LogicalFit, Workload
from foldwise.model.fitting import SolverOptions
from foldwise.model.layout import Layout
from foldwise.model.linear import LinearModel, decision_scores
from foldwise.search.engine import LocalEngine

TIGHT = 1e-6
"""The objective's excess falls with the gradient's square: at 1e-4 it is 10,000 times as large."""


class ScaledBy(Layout):
    """A layout whose fits standardise by more rows than their own: scaled first, then split."""

    __slots__ = ("outside",)
    outside: frozenset[int]

    def standardisation(
        self, left_out: frozenset[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        """Mean and deviation of the rows outside the part, count of the fit's own rows."""
        mean, spread, _ = Layout.standardisation(self, self.outside)
        return mean, spread, Layout.standardisation(self, left_out)[2]


def scaled_by(layout: Layout, outside: frozenset[int]) -> Layout:
    """The same pixels, standardised by all rows but those of the parts ``outside``."""
    changed = ScaledBy(
        layout.lanes, layout.moments, layout.columns, layout.features, layout.classes
    )
    object.__setattr__(changed, "outside", outside)
    return changed


def tight_models(
    workload: Workload, wanted: Sequence[LogicalFit], layout: Layout | None = None
) -> dict[LogicalFit, LinearModel]:
    """Float64 solutions at a hundredth of the tolerance."""
    options = SolverOptions(
        tol=min(TIGHT, workload.size.tol / 100),
        max_iter=20_000,
        threads=workload.threads,
        double=True,
    )
    asked = {(fit.left_out, fit.C): fit for fit in wanted}
    engine = LocalEngine(layout or workload.layout, options)
    most = max(fit.C for fit in wanted)
    fits = engine.solve(batched.on_paths(engine, workload, asked, high=most))
    return {asked[fit.left_out, fit.model.C]: fit.model for fit in fits}


def objective(model: LinearModel, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Mean cross-entropy plus ||W||^2 / (2 C n), in float64 from the formula."""
    scores = decision_scores(model, images)
    scores -= scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
    penalty = (model.coefficients**2).sum() / (2 * model.C * len(labels))
    return float(losses.mean() + penalty)


def relative_gap(
    model: LinearModel, tight: LinearModel, wanted: LogicalFit, workload: Workload
) -> float:
    """Relative excess of a model's objective over the tight one's, on the fit's own rows."""
    rows = workload.training_rows(wanted.left_out)
    images, labels = workload.images[rows], workload.labels[rows]
    best = objective(tight, images, labels)
    return (objective(model, images, labels) - best) / best
