"""Many small two-class logistic regressions at once, by Newton's method.

The objective is foldwise's: mean log-loss of a fit's own rows plus ||w||^2 / (2 C n), the intercept
free. All fits share the features; masks say which rows each trains on. Features enter as given, not
standardised.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """What is to be fitted.

    Attributes
    ----------
    features : array (rows, p)
        The first column holds ones.
    labels : array (rows,)
        0 or 1.
    masks : array (rows, fits)
        1 where the fit trains on the row, else 0.
    strengths : array (fits,)
        C of each fit.
    """

    features: Array
    labels: Array
    masks: Array
    strengths: Array

    @property
    def penalty(self) -> Array:
        """Each weight's factor in the gradient of the penalty (p, fits); 0 for the intercept."""
        factor: Array = np.ones((self.features.shape[1], 1)) / (
            self.strengths * self.masks.sum(axis=0)
        )
        factor[0] = 0
        return factor

    def expand(self, weights: Array, products: Array) -> tuple[Array, Array, Array]:
        """Objective (fits,), gradient (p, fits) and the loss's Hessian (fits, products)."""
        labels, rows = self.labels[:, np.newaxis], self.masks.sum(axis=0)
        scores = self.features @ weights
        chances = 1 / (1 + np.exp(-scores))
        losses = (np.logaddexp(0, scores) - labels * scores) * self.masks
        value = losses.sum(axis=0) / rows + 0.5 * (self.penalty * weights**2).sum(axis=0)
        slope = self.features.T @ ((chances - labels) * self.masks) / rows + self.penalty * weights
        curve = products.T @ (chances * (1 - chances) * self.masks) / rows
        return value, slope, curve.T


def fit_all(fits: Fits) -> Array:
    """Intercept and coefficients (p, fits) of every fit, to a largest gradient entry of 1e-8."""
    width, number = fits.features.shape[1], fits.masks.shape[1]
    diagonal, (upper, lower) = range(width), np.triu_indices(width)
    products = fits.features[:, upper] * fits.features[:, lower]
    weights = np.zeros((width, number))
    value, slope, curve = fits.expand(weights, products)
    while np.abs(slope).max() >= 1e-8:
        hessian = np.empty((number, width, width))
        hessian[:, upper, lower] = hessian[:, lower, upper] = curve
        hessian[:, diagonal, diagonal] += fits.penalty.T
        step = np.linalg.solve(hessian, slope.T[:, :, np.newaxis])[:, :, 0].T
        before, share = value, np.ones(number)
        value, slope, curve = fits.expand(weights - step, products)
        while (rising := value > before + 1e-12).any():
            share[rising] /= 2
            value, slope, curve = fits.expand(weights - share * step, products)
        weights = weights - share * step
    return weights
