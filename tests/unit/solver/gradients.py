"""Our objective and gradient through the hot loop, in scikit-learn's coordinates."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from foldwise.solver.objective import Batch, evaluate, sigmoid_link, softmax_link
from tests.unit.solver.solver_cases import Case


def objective_and_gradient(
    case: Case, point: NDArray[np.float64], *, C: float, sigmoids: bool = False
) -> tuple[float, NDArray[np.float64]]:
    """Value and gradient at ``point`` (outputs, 1 + features), intercept first, of all rows."""
    layout = case.layout()
    mean, spread, rows = layout.standardisation(frozenset())
    inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    intercept, w = point[:, 0], point[:, 1:]
    u = w * inverse
    weights = np.column_stack([intercept - u @ mean, u])[np.newaxis]
    batch = Batch(weights, np.ones((case.folds, 1), bool))
    with ThreadPoolExecutor(1) as pool:
        loss, summed = evaluate(layout, batch, sigmoid_link if sigmoids else softmax_link, pool)
    raw = summed[0]
    lit = (raw[:, 1:] - np.outer(raw[:, 0], mean)) * inverse / rows
    gradient = np.column_stack([raw[:, 0] / rows, lit + w / (C * rows)])
    return float(loss.sum() / rows + (w**2).sum() / (2 * C * rows)), gradient
