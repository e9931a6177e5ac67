"""docs/mathematics.md, step by step, by computer algebra; then the hot loop against it."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

from tests.unit.solver.gradients import objective_and_gradient
from tests.unit.solver.solver_cases import Case

SMALL = Case(
    "small",
    np.array(
        [[0, 3, 9], [4, 1, 7], [8, 5, 2], [1, 1, 6]],
        dtype=np.uint8,
    ),
    np.array([0, 1, 2, 0]),
    folds=2,
)
C = sp.Rational(3, 10)


def _sigmoid(z: sp.Expr) -> sp.Expr:
    return 1 / (1 + sp.exp(-z))


def _cross_entropy(z: sp.Expr, t: sp.Expr) -> sp.Expr:
    """Minus the logarithm of the likelihood of one row with target t."""
    return -sp.log(_sigmoid(z) ** t * (1 - _sigmoid(z)) ** (1 - t))


def test_the_derivative_of_the_sigmoid_is_its_product_with_its_complement() -> None:
    """Section 2: the step that makes the gradient short."""
    z = sp.Symbol("z", real=True)
    assert sp.simplify(sp.diff(_sigmoid(z), z) - _sigmoid(z) * (1 - _sigmoid(z))) == 0


@pytest.mark.parametrize("t", [0, 1])
def test_the_slope_of_the_cross_entropy_is_probability_minus_target(t: int) -> None:
    """Section 2: for either target, and each weight's slope is that times its feature."""
    x, w = sp.symbols("x1:4", real=True), sp.symbols("w1:4", real=True)
    z = sum(wj * xj for wj, xj in zip(w, x, strict=True))
    for wj, xj in zip(w, x, strict=True):
        derived = sp.diff(_cross_entropy(z, sp.Integer(t)), wj)
        assert sp.simplify(derived - (_sigmoid(z) - t) * xj) == 0


@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_slope_of_the_softmax_loss_is_probability_minus_indicator(label: int) -> None:
    """Section 3: the same form, one score a class."""
    z = sp.symbols("z0:3", real=True)
    total = sum(sp.exp(each) for each in z)
    loss = sp.log(total) - z[label]
    for k, each in enumerate(z):
        assert sp.simplify(sp.diff(loss, each) - (sp.exp(each) / total - int(k == label))) == 0


def test_the_softmax_of_two_classes_is_the_sigmoid_of_the_difference() -> None:
    """Section 3: two classes need one row of coefficients."""
    first, second = sp.symbols("z0 z1", real=True)
    softmax = sp.exp(second) / (sp.exp(first) + sp.exp(second))
    assert sp.simplify(softmax - _sigmoid(second - first)) == 0


def test_standardised_pixels_need_no_copy() -> None:
    """Section 5: scores by raw pixels are the same, and so are the slopes mapped back."""
    x, w, mu, b = (sp.Symbol(name, real=True) for name in ("x", "w", "mu", "b"))
    s = sp.Symbol("s", positive=True)
    u, c = sp.symbols("u c", real=True)
    raw = {u: w / s, c: b - w * mu / s}
    standardised = w * (x - mu) / s + b
    assert sp.simplify((u * x + c).subs(raw) - standardised) == 0
    loss = sp.Function("loss")
    by_u, by_c = (sp.diff(loss(u * x + c), each).subs(raw).doit() for each in (u, c))
    by_w, by_b = (sp.diff(loss(standardised), each) for each in (w, b))
    at = {w: 0.7, s: 2.5, mu: 1.2, b: -0.3, x: 4.0}
    slope = {loss: sp.Lambda(sp.Symbol("z"), sp.log(1 + sp.exp(sp.Symbol("z"))))}

    def number(expression: sp.Expr) -> float:
        return float(expression.subs(slope).doit().subs(at))

    assert number((by_u - mu * by_c) / s) == pytest.approx(number(by_w), rel=1e-12)
    assert number(by_c) == pytest.approx(number(by_b), rel=1e-12)


@pytest.mark.parametrize("sigmoids", [False, True])
def test_the_hot_loop_computes_what_was_derived(*, sigmoids: bool) -> None:
    """Sections 4 and 6: value and gradient of the whole objective, differentiated by sympy."""
    point = np.random.default_rng(4).normal(size=(3, 4)).round(3)
    value, gradient = objective_and_gradient(SMALL, point, C=float(C), sigmoids=sigmoids)
    expected, slopes = _by_algebra(point, sigmoids=sigmoids)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-14)


def _by_algebra(point: NDArray[np.float64], *, sigmoids: bool) -> tuple[float, NDArray[np.float64]]:
    """Mean loss plus |W|^2 / (2 C n) of standardised pixels, and its slopes, in 30 digits."""
    rows, classes = len(SMALL.labels), SMALL.classes
    weights = [sp.symbols(f"w{k}_0:4", real=True) for k in range(classes)]
    loss = sp.Integer(0)
    for pixels, label in zip(_standardised(), SMALL.labels.tolist(), strict=True):
        scores = [w[0] + sum(w[j + 1] * pixels[j] for j in range(3)) for w in weights]
        if sigmoids:
            loss += sum(_cross_entropy(z, sp.Integer(k == label)) for k, z in enumerate(scores))
        else:
            loss += sp.log(sum(map(sp.exp, scores))) - scores[label]
    objective = loss / rows + sum(w**2 for of_class in weights for w in of_class[1:]) / (
        2 * C * rows
    )
    names = [w for of_class in weights for w in of_class]
    slopes = [sp.diff(objective, name) for name in names]
    with mpmath.workdps(30):
        value, *found = sp.lambdify(names, [objective, *slopes], "mpmath")(*point.ravel())
    return float(value), np.array(found, dtype=np.float64).reshape(point.shape)


def _standardised() -> list[list[sp.Float]]:
    """Pixels by the mean and spread of their column, rows first, in 30 digits."""
    columns = []
    for column in SMALL.images.T.tolist():
        mean = sp.Rational(sum(column), len(column))
        spread = sp.sqrt(sum((pixel - mean) ** 2 for pixel in column) / len(column))
        columns.append([((pixel - mean) / spread).evalf(30) for pixel in column])
    return [list(row) for row in zip(*columns, strict=True)]
