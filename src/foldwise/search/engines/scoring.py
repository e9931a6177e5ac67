"""Scores of many linear models at a time, on a device or on this machine's cores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.solver.linear import LinearModel
from foldwise.solver.lockstep import Array, Device
from foldwise.stats.scores import METRIC, ClassCounts, Rows, Scores

_SCORED_ROWS = 16_384
_SCORED_MODELS = 8
_SCORED_CELLS = 1 << 20


class Cores:
    """Those of this machine as a device: :class:`foldwise.search.engines.gpu.Cuda` says of what."""

    xp: Any = np
    name = "numpy"

    def array(self, values: NDArray[Any]) -> Array:
        """The array itself."""
        return values

    def host(self, values: Array) -> NDArray[Any]:
        """The array itself."""
        return np.asarray(values)

    def cast(self, values: Array, dtype: Any) -> Array:
        """Convert to another type."""
        return values.astype(dtype)

    def places(self, values: Array) -> Array:
        """Of each value, how many of its last axis are less, and how many aren't greater."""
        rows = values.reshape(-1, values.shape[-1])
        ranked = zip(np.sort(rows, axis=1), rows, strict=True)
        sides = [[of.searchsorted(row, side) for side in ("left", "right")] for of, row in ranked]
        return np.stack(sides, axis=1).reshape(2, *values.shape)


@contextmanager
def speaking(device: Device) -> Iterator[None]:
    """Turn what goes wrong on a device into one line; torch says it by this kind of error."""
    try:
        yield
    except RuntimeError as error:
        raise SearchError(
            f"{device.name} must go on computing, it says: {str(error).partition(chr(10))[0]}: run"
            " the same command again, or with FOLDWISE_DEVICE=cpu; completed trials are kept"
        ) from error


class DeviceScores:
    """Scores linear models where their rows are, in double.

    Parameters
    ----------
    rows : sequence of (rows, labels)
        Those scored of each part.
    together : int
        Models scored at a time, whatever their number: on a device their bits depend on it. 0 is as
        many as there are, on cores.
    """

    def __init__(
        self,
        device: Device,
        rows: Sequence[tuple[NDArray[Any], NDArray[np.int64]]],
        classes: int,
        *,
        together: int = _SCORED_MODELS,
    ) -> None:
        self._device, self._classes, self._together = device, classes, together
        self._has_gaps = any(
            images.dtype.kind == "f" and np.isnan(images).any() for images, _ in rows
        )
        with speaking(device):
            self._rows = [(device.array(images), device.array(labels)) for images, labels in rows]
            self._codes = device.array(np.arange(classes)[:, np.newaxis])
            self._zero, self._infinity = device.array(np.array([0.0, np.inf]))

    def __call__(self, models: Sequence[LinearModel], part: int) -> list[Scores]:
        """As :func:`foldwise.stats.scores.score`, of the models' probabilities for a part."""
        told = []
        most = self._together or 1 + _SCORED_CELLS // (self._classes * len(self._rows[part][1]))
        with speaking(self._device):
            for at in range(0, len(models), most):
                some = list(models[at : at + most])
                filled = some + some[:1] * (self._together - len(some))
                told += self._told(filled, part)[: len(some)]
        return told

    def _told(self, models: Sequence[LinearModel], part: int) -> list[Scores]:
        xp, host = self._device.xp, self._device.host
        images, labels = self._rows[part]
        shares = self._shares(models, images)
        is_class = labels == self._codes
        is_predicted = shares.argmax(1)[:, None] == self._codes
        true = xp.broadcast_to(is_class, is_predicted.shape)
        counts = xp.stack([is_class & is_predicted, true, is_predicted]).sum(3)
        stated = (shares * is_class).sum(1)
        precision = float(np.finfo(np.float64).eps)
        losses = -xp.log(stated.clip(precision, 1 - precision)).mean(1)
        areas = self._areas(shares, is_class)
        # The rows stay on the device: of what they are made of, only their counts come here.
        counted: Any = SimpleNamespace(counts=ClassCounts(*host(counts).astype(np.float64)))
        of = METRIC.values()
        figures: dict[str, Any] = {each.name: each.of(counted) for each in of if each.counts}
        figures |= {"roc_auc": areas, "log_loss": host(losses)}
        for name in METRIC.keys() - figures:
            rows = (Rows(each.T, host(labels)) for each in host(shares))
            figures[name] = [METRIC[name].of(each) for each in rows]
        return [
            {name: float(values[at]) for name, values in figures.items()}
            for at in range(len(models))
        ]

    def _shares(self, models: Sequence[LinearModel], images: Array) -> Array:
        """As :func:`foldwise.solver.linear.probabilities`: (models, classes, rows)."""
        xp = self._device.xp
        scores = self._scores(models, images)
        if self._classes == 2 or models[0].multiclass == "ovr":
            shares = xp.exp(-xp.logaddexp(self._zero, -scores))
        else:
            shares = xp.exp(scores - xp.amax(scores, 1)[:, None])
        if self._classes == 2:
            scores, shares = (
                xp.concatenate(both, 1) for both in ([-scores, scores], [1 - shares, shares])
            )
        decided, total = scores.argmax(1), shares.sum(1)[:, None]
        shares = shares / xp.where(total > 0, total, 1.0)
        next_largest = xp.nextafter(xp.amax(shares, 1), self._infinity)[:, None]
        is_apart = (shares.argmax(1) != decided)[:, None]
        return xp.where(is_apart & (decided[:, None] == self._codes), next_largest, shares)

    def _scores(self, models: Sequence[LinearModel], images: Array) -> Array:
        """As :func:`foldwise.solver.linear.decision_scores`: (models, outputs, rows)."""
        device, xp = self._device, self._device.xp
        weights = np.stack([model.coefficients / model.scale for model in models])
        means = np.stack([model.mean for model in models])[:, np.newaxis]
        offsets = np.stack([model.intercepts for model in models]) - (weights * means).sum(axis=2)
        of_gaps, weights = device.array(weights * means), device.array(weights)
        blocks = []
        for at in range(0, len(images), _SCORED_ROWS):
            block = device.cast(images[at : at + _SCORED_ROWS], xp.float64).T
            gaps = xp.isnan(block) if self._has_gaps else None
            scores = weights @ (block if gaps is None else xp.where(gaps, 0.0, block))
            blocks.append(
                scores if gaps is None else scores + of_gaps @ device.cast(gaps, xp.float64)
            )
        return xp.concatenate(blocks, 2) + device.array(offsets)[..., None]

    def _areas(self, shares: Array, is_class: Array) -> NDArray[np.float64]:
        """As :func:`foldwise.stats.scores.area_under_curve`, the mean over classes that occur."""
        device = self._device
        if self._classes == 2:
            shares, is_class = shares[:, 1:], is_class[1:]
        below, not_above = device.places(shares)
        ranks = device.host(((below + not_above) * is_class).sum(2))
        positive = device.host(is_class.sum(1))
        pairs = 2 * positive * (is_class.shape[1] - positive)
        occurs = pairs > 0
        # Twice what a class's rows win: of those among themselves each pair is won once. As they
        # lie here, a model's classes are summed in an order that its company would move.
        areas = np.ascontiguousarray((ranks - positive**2)[:, occurs] / pairs[occurs])
        return areas.mean(axis=1) if occurs.any() else np.full(len(areas), np.nan)
