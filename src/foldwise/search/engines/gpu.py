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

from foldwise.errors import SearchError, installing
from foldwise.search.engines.scoring import DeviceScores, speaking
from foldwise.solver.curvature import pays
from foldwise.solver.fits import PAIRS, FitRequest, SolverOptions
from foldwise.solver.layout import Layout
from foldwise.solver.linear import Fit, FitOutcome, Status
from foldwise.solver.lockstep import LOW, Array, Device, Lockstep, Objective, Rows, training_sets
from foldwise.solver.paths import (
    LOOK_BACK,
    TOLERANCE_SHARE,
    RegularisationPath,
    Stretch,
    Traced,
    shares,
)
from foldwise.solver.paths import PAIRS as PATH_PAIRS

try:
    import torch
    import triton
    from triton import language as tl
except ImportError:
    torch, tl = None, SimpleNamespace(constexpr=Any)

_STAGES = 16
_WORKING_VECTORS = 64
_BLOCK = 512
_STATUSES: Mapping[float, Status] = {1.0: "converged", 2.0: "stalled", 3.0: "exhausted"}


class Cuda:
    """The first GPU that torch sees."""

    xp: Any = torch
    name = "the GPU"

    def __init__(self) -> None:
        self.name = torch.cuda.get_device_name()
        # As wide as single precision is meant, not TF32's 11 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        self._softmax = triton.jit(_softmax)

    @property
    def room(self) -> int:
        """Bytes that are free, those among them that an earlier search had."""
        torch.cuda.empty_cache()
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

    def places(self, values: Array) -> tuple[Array, ...]:
        """Of each value, how many of its last axis are less, and how many aren't greater."""
        ranked, values = values.sort(-1)[0].contiguous(), values.contiguous()
        return tuple(torch.searchsorted(ranked, values, side=side) for side in ("left", "right"))

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


def _softmax(  # type: ignore[no-untyped-def]  # noqa: PLR0913, PLR0917  # a kernel's arguments
    scores, scale, labels, losses, residuals, fits, rows,
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
    if torch is not None and torch.cuda.is_available():
        with speaking(Cuda):
            return Cuda()
    if asked == "auto":
        return None
    missing = "the package torch" if torch is None else "a GPU that torch sees"
    raise SearchError(
        f"FOLDWISE_DEVICE=cuda needs {missing}, and there is none: on a machine with a GPU"
        f" {installing('gpu')}, or set FOLDWISE_DEVICE=cpu"
    )


def opened(layout: Layout, options: SolverOptions, asked: str) -> "DeviceBackend | None":
    """The backend on the device that "cuda" or "auto" means; None for this machine's cores.

    Raises
    ------
    SearchError
        A GPU is asked for, and there is none, or none with memory enough.
    """
    device = found(asked)
    if device is None:
        return None
    # There a table's values are raw again, of any mean.
    options = replace(options, double=options.double or layout.table is not None)
    with speaking(device):
        if asked == "auto" and missing_bytes(layout, options, device) > 0:
            return None
        return DeviceBackend(layout, options, device)


def missing_bytes(layout: Layout, options: SolverOptions, device: Device) -> int:
    """How much more memory a device would have to have free; less than 0 if that's enough."""
    (chunks, lanes, rows, columns), real = Rows.shape(layout), options.dtype.itemsize
    sets, size = len(training_sets(layout.parts)), 2 if layout.table is None else real
    held = chunks * lanes * rows * (columns * size + real + 8)
    products = 8 * lanes * rows * sets * layout.outputs * real
    vectors = 2 * (PAIRS + PATH_PAIRS) + 3 * _STAGES + _WORKING_VECTORS
    descents = sets * layout.outputs * layout.width * real * vectors
    if pays(layout, sum(moments.rows for moments in layout.moments)):
        descents += sets * layout.width**2 * real
    return int(held + products + descents - device.room)


class DeviceBackend:
    """Traces paths and makes fits on a device.

    Paths' curvature stays there: it serves whoever hands in the very path that came from here, any
    other is traced anew.

    Parameters
    ----------
    rows : Rows, optional
        The layout's, if they are there already.
    """

    def __init__(
        self, layout: Layout, options: SolverOptions, device: Device, rows: Rows | None = None
    ) -> None:
        missing = missing_bytes(layout, options, device) if rows is None else 0
        if missing > 0:
            raise SearchError(
                f"the rows must fit into the memory of {device.name}, {missing / 1e9:.1f} GB are"
                f" missing of {(device.room + missing) / 1e9:.1f}: set FOLDWISE_DEVICE=cpu, or"
                " search fewer rows, in a project by prepare.limit"
            )
        self._objective = Objective(device, layout, options, rows)
        self._options, self._device = options, device
        self._known: dict[int, RegularisationPath] = {}
        self._paths: Lockstep | None = None
        own = np.eye(_STAGES)
        self._fits = Lockstep(self._objective, own, pairs=PAIRS, tol=options.tol, is_path=False)

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace each path as far as it is asked for; yield all when all are there."""
        if not stretches:
            return
        with speaking(self._device):
            paths = self._paths = self._paths or self._lockstep(stretches[0].path.anchors)
            at = {self._place(each.path.left_out): each for each in stretches}
            stops = {place: each.reach for place, each in at.items()}
            anew = {place for place, each in at.items() if self._known.get(place) is not each.path}
            known = sum(len(at[place].path.solutions) for place in at.keys() - anew)
            total = sum(stops.values()) - known
            for done in paths.run(stops, anew):
                if done:
                    yield Traced(min(done, total), total)
            solutions, told = paths.results(max(stops.values()))
        for place, stretch in at.items():
            reached = solutions[place, : stretch.reach]
            evaluations = int(told[place, : stretch.reach, :, 2].max(axis=1).sum())
            path = replace(stretch.path, solutions=tuple(reached), evaluations=evaluations)
            self._known[place] = path
            yield path

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make each requested fit once, those of a training set one after another."""
        waiting: dict[int, list[FitRequest]] = {}
        for request in requests:
            waiting.setdefault(self._place(request.left_out), []).append(request)
        while waiting:
            with speaking(self._device):
                yield from self._solve({at: queue[:_STAGES] for at, queue in waiting.items()})
            waiting = {at: queue[_STAGES:] for at, queue in waiting.items() if queue[_STAGES:]}

    def _solve(self, batch: Mapping[int, Sequence[FitRequest]]) -> Iterator[Fit]:
        fits, objective, each = self._fits, self._objective, self._objective.descents
        most = max(map(len, batch.values()))
        sets, size = len(objective.sets), fits.known.shape[2]
        starts, penalties = np.zeros((sets, each, most, size)), np.ones((sets, most))
        for place, requests in batch.items():
            for stage, request in enumerate(requests):
                penalties[place, stage] = objective.trainings[place].penalty(request.C)
                if request.start is not None:
                    starts[place, :, stage] = request.start.reshape(each, -1)
        put = self._device.array
        fits.known[:, :most] = put(starts.reshape(-1, most, size).astype(self._options.dtype))
        fits.penalties[:, :most] = put(penalties.repeat(each, axis=0))
        stops = {place: len(requests) for place, requests in batch.items()}
        for _ in fits.run(stops, set(stops)):
            pass
        solutions, told = fits.results(most)
        for place, requests in batch.items():
            for stage, request in enumerate(requests):
                training, own = objective.trainings[place], told[place, stage]
                outcome = FitOutcome(
                    _STATUSES[own[:, 0].max()],
                    iterations=int(own[:, 1].max()),
                    evaluations=float(own[:, 2].mean()),
                    objective=float(own[:, 3].sum()),
                )
                model = training.model(solutions[place, stage], request.C, self._options.multiclass)
                yield Fit(request.left_out, model, outcome, self._device.name)

    def scorer(self, rows: Sequence[tuple[NDArray[Any], NDArray[np.int64]]]) -> "DeviceScores":
        """What scores on the rows and labels of each part, on the same device."""
        return DeviceScores(self._device, rows, self._objective.layout.classes)

    def _lockstep(self, anchors: NDArray[np.float64]) -> Lockstep:
        """Paths over these anchors, none of them begun."""
        count, tol = len(anchors), TOLERANCE_SHARE * self._options.tol
        of_earlier = np.zeros((count, count))
        for place in range(1, count):
            before = slice(max(0, place - LOOK_BACK), place)
            of_earlier[place, before] = shares(anchors[before], float(anchors[place]))
        paths = Lockstep(self._objective, of_earlier, pairs=PATH_PAIRS, tol=tol, is_path=True)
        by_set = [[of.penalty(C) for C in anchors.tolist()] for of in self._objective.trainings]
        penalties = np.repeat(by_set, self._objective.descents, axis=0)
        paths.penalties[...] = self._device.array(penalties)
        return paths

    def _place(self, left_out: frozenset[int]) -> int:
        return self._objective.sets.index(left_out)
