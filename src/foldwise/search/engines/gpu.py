"""A GPU in place of this machine's cores: paths, fits and their scores, by torch.

The mathematics is :mod:`foldwise.solver.lockstep`'s. Here is what a device does in its own way, the
backend that the batched engine asks, and the scores, whose sorting would take longer on the cores
than the fits on the device.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.solver.fits import PAIRS, FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, FitOutcome, LinearModel, Status
from foldwise.solver.lockstep import LOW, Array, Device, Lockstep, Objective, Rows
from foldwise.solver.paths import PAIRS as PATH_PAIRS
from foldwise.solver.paths import (
    LOOK_BACK,
    TOLERANCE_SHARE,
    RegularisationPath,
    Stretch,
    Traced,
    shares,
)
from foldwise.stats.scores import ClassCounts, Scores, Sums, metrics_of

try:
    import torch
    import triton
    from triton import language as tl
except ImportError:
    torch, tl = None, SimpleNamespace(constexpr=Any)

_STAGES = 16
_SCORED_ROWS = 16_384
_BLOCK = 256
_STATUSES: Mapping[float, Status] = {1.0: "converged", 2.0: "stalled", 3.0: "exhausted"}


class Cuda:
    """The first GPU that torch sees."""

    xp: Any = torch

    def __init__(self) -> None:
        self.name = torch.cuda.get_device_name()
        # As wide as single precision is meant, not TF32's 11 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self._softmax = triton.jit(_softmax)

    @property
    def room(self) -> int:
        """Bytes that are free."""
        return int(torch.cuda.mem_get_info()[0])

    def array(self, values: NDArray[Any]) -> Array:
        """Bring an array there."""
        return torch.from_numpy(np.ascontiguousarray(values)).to("cuda")

    def host(self, values: Array) -> NDArray[Any]:
        """Bring an array back."""
        return np.asarray(values.cpu().numpy())

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Make an array of zeros."""
        return torch.zeros(shape, dtype=dtype, device="cuda")

    def cast(self, values: Array, dtype: Any) -> Array:
        """Convert to another type."""
        return values.to(dtype)

    def product(self, left: Array, right: Array) -> Array:
        """Multiply batches of matrices: half precision with sums in single."""
        if left.dtype == torch.float16:
            return torch.bmm(left, right, out_dtype=torch.float32)
        return torch.bmm(left, right)

    def solve(self, upper: Array, right: Array, *, transposed: bool) -> Array:
        """Solve a batch of upper triangular systems."""
        system = upper.mT if transposed else upper
        return torch.linalg.solve_triangular(system, right[..., None], upper=not transposed)[..., 0]

    def running_max(self, values: Array) -> Array:
        """The largest so far along the last axis."""
        return torch.cummax(values, -1).values

    def link(self, scores: Array, scale: Array, labels: Array) -> tuple[Array, Array]:
        """One kernel in place of a dozen passes over the scores."""
        parts, fits, _, outputs, rows = scores.shape
        blocks = triton.cdiv(rows, _BLOCK)
        losses = torch.empty((parts, fits, blocks), dtype=torch.float32, device="cuda")
        residuals = torch.empty_like(scores, dtype=torch.float16)
        self._softmax[(parts * fits, blocks)](
            scores, scale, labels, losses, residuals, fits, rows, outputs,
            triton.next_power_of_2(outputs), _BLOCK, LOW,
        )  # fmt: skip
        return losses.sum(2, dtype=torch.float64)[..., None], residuals

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Capture the step as a graph."""
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(2):
                step()
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        replay: Callable[[], None] = graph.replay
        return replay


def _softmax(
    scores: Any, scale: Any, labels: Any, losses: Any, residuals: Any, fits: Any, rows: Any,
    outputs: tl.constexpr, width: tl.constexpr, block: tl.constexpr, share: tl.constexpr,
) -> None:  # fmt: skip
    """A block of rows of one fit: see :meth:`Objective._link`, whose lines these are."""
    fit, at = tl.program_id(0), tl.program_id(1) * block + tl.arange(0, block)
    output = tl.arange(0, width)
    is_row = at < rows
    is_score = (output[:, None] < outputs) & is_row[None, :]
    places = fit.to(tl.int64) * 2 * outputs * rows + output[:, None] * rows + at[None, :]
    high = tl.load(scores + places, mask=is_score, other=0.0)
    low = tl.load(scores + places + outputs * rows, mask=is_score, other=0.0)
    label = tl.load(labels + (fit // fits) * rows + at, mask=is_row, other=-1)
    z = (high + low * share) * tl.load(scale + fit)
    z = tl.where(output[:, None] < outputs, z, float("-inf"))
    hot = output[:, None] == label[None, :]
    top = tl.max(z, 0)
    e = tl.exp(z - top[None, :])
    total = tl.sum(e, 0)
    of_label = tl.sum(tl.where(hot, z, 0.0), 0)
    loss = tl.where(label >= 0, tl.log(total) + top - of_label, 0.0)
    tl.store(losses + fit * tl.num_programs(1) + tl.program_id(1), tl.sum(loss, 0))
    residual = e / total[None, :] - tl.where(hot, 1.0, 0.0)
    residual = tl.where(label[None, :] >= 0, residual, 0.0)
    high_piece = residual.to(tl.float16)
    low_piece = ((residual - high_piece.to(tl.float32)) / share).to(tl.float16)
    tl.store(residuals + places, high_piece, mask=is_score)
    tl.store(residuals + places + outputs * rows, low_piece, mask=is_score)


def found(asked: str) -> Cuda | None:
    """The device that "cuda" or "auto" means; None for this machine's cores.

    Raises
    ------
    SearchError
        A GPU is asked for, and there is none, or no torch.
    """
    if asked == "cpu":
        return None
    missing = "the package torch" if torch is None else "a GPU that torch sees"
    if torch is None or not torch.cuda.is_available():
        if asked == "auto":
            return None
        raise SearchError(
            f"FOLDWISE_DEVICE=cuda needs {missing}, and there is none: install foldwise[gpu] on a"
            " machine with a GPU, or unset it"
        )
    return Cuda()


class DeviceBackend:
    """Traces paths and makes fits on a device.

    Paths' curvature stays there: it serves whoever hands in the very path that came from here, any
    other is traced anew.

    Parameters
    ----------
    layout, options, device
    rows : Rows, optional
        The layout's, if they are there already.
    """

    def __init__(
        self, layout: Layout, options: SolverOptions, device: Device, rows: Rows | None = None
    ) -> None:
        self._objective = Objective(device, layout, options, rows)
        self._options, self._device = options, device
        self._known: dict[frozenset[int], RegularisationPath] = {}
        self._paths: Lockstep | None = None
        self._fits = Lockstep(
            self._objective, _STAGES, pairs=PAIRS, tol=options.tol, is_path=False
        )
        self._fits.shares[...] = device.array(np.eye(_STAGES))

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace each path as far as it is asked for; yield all when all are there."""
        if not stretches:
            return
        paths = self._paths = self._paths or self._lockstep(stretches[0].path.anchors)
        places = {each.path.left_out: self._place(each.path.left_out) for each in stretches}
        olds = [each.path for each in stretches]
        anew = {places[old.left_out] for old in olds if self._known.get(old.left_out) is not old}
        known = sum(len(old.solutions) for old in olds if places[old.left_out] not in anew)
        total = sum(each.reach for each in stretches) - known
        stops = {places[each.path.left_out]: each.reach for each in stretches}
        for done in paths.run(stops, anew):
            yield Traced(min(done, total), total)
        solutions, told = self._results(paths)
        for stretch in stretches:
            place, reach = places[stretch.path.left_out], stretch.reach
            evaluations = int(told[place, :, :reach, 2].max(axis=0).sum())
            path = replace(
                stretch.path, solutions=tuple(solutions[place, :reach]), evaluations=evaluations
            )
            self._known[path.left_out] = path
            yield path

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once, those of a training set one after another."""
        waiting: dict[int, list[FitRequest]] = {}
        for request in requests:
            waiting.setdefault(self._place(request.left_out), []).append(request)
        while waiting:
            batch = {place: queue[:_STAGES] for place, queue in waiting.items()}
            yield from self._solve(batch)
            waiting = {at: queue[_STAGES:] for at, queue in waiting.items() if queue[_STAGES:]}

    def _solve(self, batch: Mapping[int, Sequence[FitRequest]]) -> Iterator[Fit]:
        fits, objective, each = self._fits, self._objective, self._objective.descents
        most = max(map(len, batch.values()))
        sets, outputs, width = len(objective.sets), objective.layout.outputs, objective.layout.width
        starts = np.zeros((sets, most, each, outputs // each * width), self._options.dtype)
        penalties = np.zeros((sets, most))
        for place, requests in batch.items():
            for stage, request in enumerate(requests):
                penalties[place, stage] = objective.trainings[place].penalty(request.C)
                if request.start is not None:
                    starts[place, stage] = request.start.reshape(each, -1)
        put = self._device.array
        known = starts.swapaxes(1, 2).reshape(sets * each, most, -1)
        fits.known[:, :most] = put(known)
        fits.penalties[:, :most] = put(penalties.repeat(each, axis=0))
        stops = {place: len(requests) for place, requests in batch.items()}
        for _ in fits.run(stops, set(stops)):
            pass
        solutions, told = self._results(fits)
        for place, requests in batch.items():
            for stage, request in enumerate(requests):
                training, own = objective.trainings[place], told[place, :, stage]
                outcome = FitOutcome(
                    _STATUSES[own[:, 0].max()],
                    iterations=int(own[:, 1].max()),
                    evaluations=float(own[:, 2].mean()),
                    objective=float(own[:, 3].sum()),
                )
                model = training.model(
                    solutions[place, stage], request.C, self._options.multiclass
                )
                yield Fit(request.left_out, model, outcome, self._device.name)

    def _lockstep(self, anchors: NDArray[np.float64]) -> Lockstep:
        """Paths over these anchors, none of them begun."""
        count, tol = len(anchors), TOLERANCE_SHARE * self._options.tol
        paths = Lockstep(self._objective, count, pairs=PATH_PAIRS, tol=tol, is_path=True)
        of_earlier = np.zeros((count, count))
        for place in range(1, count):
            before = slice(max(0, place - LOOK_BACK), place)
            of_earlier[place, before] = shares(anchors[before], float(anchors[place]))
        penalties = [[of.penalty(C) for C in anchors.tolist()] for of in self._objective.trainings]
        paths.shares[...] = self._device.array(of_earlier)
        paths.penalties[...] = self._device.array(
            np.repeat(penalties, self._objective.descents, axis=0)
        )
        return paths

    def _results(self, of: Lockstep) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Coefficients (sets, stages, outputs, width), and what is told (sets, descents, ...)."""
        objective = self._objective
        by_descent = (len(objective.sets), objective.descents)
        solutions = self._device.host(of.solutions)
        solutions = solutions.reshape(*by_descent, solutions.shape[1], -1).swapaxes(1, 2)
        solutions = solutions.reshape(*solutions.shape[:2], -1, objective.layout.width)
        told = self._device.host(of.told)
        return solutions, told.reshape(*by_descent, *told.shape[1:])

    def _place(self, left_out: frozenset[int]) -> int:
        return self._objective.sets.index(left_out)


class DeviceScores:
    """Scores linear models where their rows are, in double.

    Parameters
    ----------
    device
    rows : sequence of (rows, labels)
        Those scored of each part.
    classes : int
    """

    def __init__(
        self, device: Device, rows: Sequence[tuple[NDArray[Any], NDArray[np.int64]]], classes: int
    ) -> None:
        self._device, self._classes = device, classes
        self._rows = [tuple(map(device.array, of)) for of in rows]

    def __call__(self, models: Sequence[LinearModel], part: int) -> list[Scores]:
        """As :func:`foldwise.stats.scores.score`, of the models' probabilities for a part."""
        xp, cast, host = self._device.xp, self._device.cast, self._device.host
        images, labels = self._rows[part]
        shares = self._shares(models, images)
        codes = self._device.array(np.arange(self._classes)[:, np.newaxis])
        is_class = labels == codes
        is_predicted = shares.argmax(1)[:, None] == codes
        hits, predicted = (
            host(found.sum(2)).astype(np.float64) for found in (is_class & is_predicted, is_predicted)
        )
        true = np.broadcast_to(host(is_class.sum(1)).astype(np.float64), hits.shape)
        stated = xp.where(is_class, shares, 0.0).sum(1)
        precision = float(np.finfo(np.float64).eps)
        losses = host(-xp.log(stated.clip(precision, 1 - precision)).mean(1))
        areas = self._areas(shares, labels, is_class)
        figures = metrics_of(Sums(ClassCounts(hits, true, predicted), areas, losses))
        return [
            {name: float(values[at]) for name, values in figures.items()}
            for at in range(len(models))
        ]

    def _shares(self, models: Sequence[LinearModel], images: Array) -> Array:
        """As :func:`foldwise.solver.linear.probabilities`: (models, classes, rows)."""
        device, xp = self._device, self._device.xp
        weights = np.stack([model.coefficients / model.scale for model in models])
        means = np.stack([model.mean for model in models])[:, np.newaxis]
        offsets = np.stack([model.intercepts for model in models]) - (weights * means).sum(axis=2)
        of_gaps, weights = device.array(weights * means), device.array(weights)
        blocks = []
        for at in range(0, images.shape[0], _SCORED_ROWS):
            block = device.cast(images[at : at + _SCORED_ROWS], xp.float64).T
            missing = xp.isnan(block)
            scores = weights @ xp.where(missing, 0.0, block)
            blocks.append(scores + of_gaps @ device.cast(missing, xp.float64))
        scores = xp.concatenate(blocks, 2) + device.array(offsets)[..., None]
        if scores.shape[1] == 1:
            decided = device.cast(scores[:, 0] > 0, xp.int64)
            shares = 1 / (1 + xp.exp(-scores))
            shares = xp.concatenate([1 - shares, shares], 1)
        else:
            decided = scores.argmax(1)
            if models[0].multiclass == "ovr":
                shares = 1 / (1 + xp.exp(-scores))
            else:
                shares = xp.exp(scores - xp.amax(scores, 1)[:, None])
            total = shares.sum(1)[:, None]
            shares = xp.where(total > 0, shares / total, shares)
        largest = xp.nextafter(xp.amax(shares, 1), device.array(np.array(np.inf)))[:, None]
        is_apart = (shares.argmax(1) != decided)[:, None]
        codes = device.array(np.arange(self._classes)[:, np.newaxis])
        return xp.where(is_apart & (decided[:, None] == codes), largest, shares)

    def _areas(self, shares: Array, labels: Array, is_class: Array) -> NDArray[np.float64]:
        """Area under the ROC curve of each model, the mean over classes; level rows count half.

        By what is found at each place of the falling values where a level ends, since the last:
        rows of the class times those of others before it, and half of those level with it.
        """
        device, xp = self._device, self._device.xp
        if self._classes == 2:
            shares, is_class = shares[:, 1:], is_class[1:]
        order = xp.argsort(-shares, -1)
        models, classes, rows = (device.array(np.arange(count)) for count in shares.shape)
        models, classes = models[:, None, None], classes[:, None]
        ranked = shares[models, classes, order]
        hits = xp.cumsum(is_class[classes, order], -1)
        alarms = rows + 1 - hits
        ends = ranked[..., 1:] != ranked[..., :-1]
        before = [
            device.running_max(xp.where(ends, counted[..., :-1], 0)) for counted in (hits, alarms)
        ]
        last_hits, last_alarms = (
            xp.concatenate([0 * each[..., :1], each], 2) for each in before
        )
        is_end = xp.concatenate([ends, ends[..., :1] | ~ends[..., :1]], 2)
        gained = (hits - last_hits) * (alarms + last_alarms)
        misses = device.host(xp.where(is_end, gained, 0).sum(2))
        positive = device.host(is_class.sum(1))
        pairs = 2.0 * positive * (len(labels) - positive)
        areas = np.where(pairs > 0, (pairs - misses) / np.maximum(pairs, 1), np.nan)
        has_any = ~np.isnan(areas).all(axis=1)
        return np.array([np.nanmean(own) if told else np.nan for own, told in zip(areas, has_any, strict=True)])
