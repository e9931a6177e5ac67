"""Descents in lockstep: a fit of every training set at once, each step the same for all of them.

What :mod:`foldwise.solver.descent` decides fit by fit is decided here by masks: objective, line
search, directions and stopping rule are the same. So nothing has to leave the device, and a step
can be recorded once and replayed. Arrays are those of a namespace, numpy's or torch's; what these
do differently is a ``Device``'s.

Every training set has a place of its own on the batch axis, whoever else is under way, so that its
bits depend on nobody. Where a set has several fits to make, its *stages*, it goes on to the next by
itself.

**Products.** Bytes are exact in half precision. Weights and residuals become two such pieces,
``x = high + low / 2^11``, each rounded to 11 bits, side by side in one product whose sums are in
single precision. The layout's ones are 128 there: an intercept is of a score's size, a weight of a
hundredth of it, and both must be seen by pieces of one scale. Tables are multiplied in the options'
own precision. Whatever is algebra on means and deviations is done in double.

**Curvature.** Of each pair the change of the *loss's* gradient is kept: with the penalty's factor
``l`` that of the objective is ``y + l P s``, P leaving out the intercepts, and so are the inner
products that a direction needs,

    S Y' = S Y + l S P S,    y' y' = y y + 2 l s P y + l^2 s P s,

whatever C the pairs were found at.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.solver.curvature import find_squares
from foldwise.solver.descent import FALL, GROWTH, MOST_TRIES, PATIENCE, RISE
from foldwise.solver.fits import SolverOptions, TrainingSet
from foldwise.solver.layout import Layout
from foldwise.threads import one_blas_thread

Device = Any
"""Where arrays are: :class:`foldwise.search.engines.gpu.Cuda`, which says what each method does."""

Array = Any
"""Of the device's namespace, ``device.xp``."""

CHUNK = 8192
"""Rows of each lane in one product."""

LANES = 2
"""Each part's rows are dealt to so many lanes: products of few large blocks leave cores idle."""

LOOK = 4
"""Chunks multiplied between two looks at whether all have arrived: a look makes the device wait."""

LOW = 2.0**-11
_ONE = 128
_TINY = 1e-300


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows on a device, those of each part filled up with zeros to the same number.

    Attributes
    ----------
    pixels : (chunks, lanes of all parts, rows, columns)
        Ones, the features, gap columns; zeros up to a multiple of eight.
    labels : int (chunks, lanes, rows)
        -1 for rows that are none.
    counts : (chunks, lanes, rows)
        How much each row's loss counts.
    """

    pixels: Array
    labels: Array
    counts: Array

    @staticmethod
    def shape(layout: Layout) -> tuple[int, int, int, int]:
        """Chunks, lanes, rows and columns."""
        most = max(moments.rows for moments in layout.moments)
        chunks = -(-most // (LANES * CHUNK))
        rows = -(-most // (8 * LANES * chunks)) * 8
        gaps = 0 if layout.table is None else len(layout.table.gaps)
        return chunks, LANES * layout.parts, rows, -(-(layout.width + gaps) // 8) * 8

    @classmethod
    def of(cls, device: Device, layout: Layout, dtype: Any) -> Self:
        """Bring a layout's rows to a device, part by part."""
        chunks, lanes, rows, columns = shape = cls.shape(layout)
        pixels = device.zeros(shape, device.xp.float16 if layout.table is None else dtype)
        labels = np.full((chunks, lanes, rows), -1)
        counts = np.zeros(labels.shape)
        for part, blocks_of in enumerate(layout.lanes):
            blocks = [block for lane in blocks_of for block in lane]
            there = slice(part * LANES, (part + 1) * LANES)
            dense = np.zeros((chunks * LANES * rows, columns), layout.raw(part, blocks[0]).dtype)
            told, counted, at = np.full(len(dense), -1), np.zeros(len(dense)), 0
            for block in blocks:
                own = slice(at, at := at + len(block.labels))
                dense[own, layout.columns[part][: block.pixels.shape[1]]] = layout.raw(part, block)
                told[own] = block.labels
                counted[own] = 1.0 if block.weights is None else block.weights
            if layout.table is None:
                dense[:, 0] *= _ONE
            pixels[:, there] = device.cast(device.array(dense), pixels.dtype).reshape(
                chunks, LANES, rows, columns
            )
            labels[:, there] = told.reshape(chunks, LANES, rows)
            counts[:, there] = counted.reshape(chunks, LANES, rows)
        return cls(pixels, device.array(labels), device.cast(device.array(counts), dtype))


def training_sets(parts: int) -> list[frozenset[int]]:
    """What a nested search's training sets leave out: nothing, a part or two."""
    return [frozenset(out) for count in range(3) for out in combinations(range(parts), count)]


class Objective:
    """Loss and gradient of one fit on each training set."""

    def __init__(
        self, device: Device, layout: Layout, options: SolverOptions, rows: Rows | None = None
    ) -> None:
        self.device, self.layout, self.options = device, layout, options
        self.dtype = getattr(device.xp, options.dtype.name)
        self._rows = Rows.of(device, layout, self.dtype) if rows is None else rows
        self.chunks = self._rows.pixels.shape[0]
        self.sets = training_sets(layout.parts)
        self.trainings = [TrainingSet.of(layout, out, options.scale_floor) for out in self.sets]
        self._is_joint = layout.outputs > 1 and options.multiclass == "multinomial"
        self.descents = 1 if options.multiclass == "multinomial" else layout.outputs
        put, sets = device.array, range(len(self.sets))
        mean, inverse = (
            np.stack([np.append(first, getattr(each, name)) for each in self.trainings])
            for first, name in ((0.0, "mean"), (1.0, "inverse"))
        )
        gaps = 1 + self.trainings[0].gaps
        missing = self._rows.pixels.shape[3] - layout.width - len(gaps)
        source = np.concatenate([np.arange(layout.width), gaps, np.zeros(missing, dtype=np.int64)])
        factor = np.ones((len(mean), len(source)))
        factor[:, layout.width :] = mean[:, source[layout.width :]]  # nothing for what fills up
        factor[:, 0] /= _ONE if layout.table is None else 1
        weight = np.array([float(each.weight) for each in self.trainings])
        self._mean, self._inverse, self._factor, self._weight = (
            put(each[:, np.newaxis]) for each in (mean, inverse, factor, weight)
        )
        self._source, self._gaps = put(source), put(gaps) if len(gaps) else None
        serves = [[of for of in sets if part not in self.sets[of]] for part in range(layout.parts)]
        self._serves = put(np.repeat(serves, LANES, axis=0))
        self._lanes = put(np.arange(LANES * layout.parts)[:, np.newaxis])
        self._fits = put(np.arange(len(serves[0]))[:, np.newaxis])
        self._targets = put(np.arange(layout.outputs) if layout.outputs > 1 else np.array([1]))
        self.bends = np.array([each.curvature is not None for each in self.trainings])
        self._axes, self._spectra = self._curvature()
        balance = [each.class_weight for each in self.trainings if each.class_weight is not None]
        self._balance = device.cast(put(np.stack(balance)), self.dtype) if balance else None

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """Mean losses of all descents in double, and slopes, both without the penalty.

        ``points`` and slopes are coefficients (descents, size) of standardised columns.
        """
        device, xp = self.device, self.device.xp
        by_set = points.reshape(-1, self.layout.outputs, self.layout.width)
        weights = self._weights(device.cast(by_set, xp.float64))
        largest = xp.amax(xp.abs(weights), (1, 2)).clip(_TINY)
        scale = xp.exp2(xp.floor(xp.log2(largest)))
        pieces = self._pieces(device.cast(weights / scale[:, None, None], self.dtype))
        (lanes, fits), columns = self._serves.shape, weights.shape[2]
        left = pieces[self._serves].reshape(lanes, -1, columns)
        scale = device.cast(scale, self.dtype)[self._serves]
        losses: Array = 0.0
        slopes: Array = 0.0
        rows = self._rows
        for chunk, pixels in enumerate(rows.pixels):
            scores = device.product(left, pixels.swapaxes(1, 2))
            scores = scores.reshape(lanes, fits, *pieces.shape[1:3], -1)
            lost, residuals = self._link(scores, scale, rows.labels[chunk], rows.counts[chunk])
            losses = losses + lost
            residuals = residuals.reshape(lanes, left.shape[1], -1)
            slopes = slopes + device.product(residuals, pixels)
        slopes = self._summed(self._joined(slopes.reshape(lanes, fits, *pieces.shape[1:])))
        slopes = device.cast(self._slopes(slopes), self.dtype).reshape(points.shape)
        return (self._summed(losses) / self._weight).reshape(-1), slopes

    def bend(self, vectors: Array, penalty: Array, penalised: Array) -> Array:
        """Multiply vectors (descents, n, size) by the inverse Hessian at zero, where it is known.

        It is that at each descent's penalty (descents, 1).
        """
        if self._axes is None:
            return vectors
        sets, width = len(self.sets), self.layout.width
        share = 1 / self.layout.outputs if self._is_joint else 1 / 4
        curved = (share * self._spectra)[:, None] + penalty.reshape(sets, -1, 1) * penalised
        scales = self.device.cast(1 / curved, self.dtype)
        along = vectors.reshape(sets, -1, width) @ self._axes
        along = along.reshape(sets, self.descents, -1, width) * scales[:, :, None]
        bent = along.reshape(sets, -1, width) @ self._axes.swapaxes(1, 2)
        return bent.reshape(vectors.shape)

    def _curvature(self) -> tuple[Any, Any]:
        """Eigenvectors of all sets' moments (sets, width, width), and eigenvalues (sets, width).

        The intercept's is beside the features', and has curvature 1. None if no set's is known.
        """
        if not self.bends.any():
            return None, None
        with ThreadPoolExecutor(self.options.threads) as pool, one_blas_thread():
            list(pool.map(partial(find_squares, self.layout), range(self.layout.parts)))
            found = list(pool.map(TrainingSet.spectrum, self.trainings))
        width = self.layout.width
        axes = np.zeros((len(found), width, width), self.options.dtype)
        spectra = np.ones((len(found), width))
        axes[:, 0, 0] = 1
        for own, (values, vectors, varies) in enumerate(found):
            axes[own, 1 + varies[:, np.newaxis], 1 + varies] = vectors
            spectra[own, 1 + varies] = values
        return self.device.array(axes), self.device.array(spectra)

    def _weights(self, coefficients: Array) -> Array:
        """As :meth:`TrainingSet.weights`, filled up with zeros: (sets, outputs, columns)."""
        weights = coefficients * self._inverse
        weights[..., 0] -= (weights * self._mean).sum(2)
        return weights[..., self._source] * self._factor

    def _slopes(self, summed: Array) -> Array:
        """As :meth:`TrainingSet.slopes`, from sums (sets, outputs, columns)."""
        summed = summed * self._factor / self._weight[..., None]
        width = self.layout.width
        slopes = summed[..., :width]
        if self._gaps is not None:
            slopes[..., self._gaps] += summed[..., width : width + len(self._gaps)]
        return (slopes - slopes[..., :1] * self._mean) * self._inverse

    def _pieces(self, values: Array) -> Array:
        """(..., outputs, n) as (..., pieces, outputs, n)."""
        xp, cast = self.device.xp, self.device.cast
        if self.layout.table is not None:
            return xp.stack([values], -3)
        high = cast(values, xp.float16)
        low = cast((values - cast(high, self.dtype)) / LOW, xp.float16)
        return xp.stack([high, low], -3)

    def _joined(self, pieces: Array) -> Array:
        """The inverse, of (lanes, fits, pieces, outputs, n)."""
        high = pieces[:, :, 0]
        return high if self.layout.table is not None else high + pieces[:, :, 1] * LOW

    def _summed(self, by_lane: Array) -> Array:
        """(lanes, fits, ...) added up to (sets, ...), in an order that is always the same."""
        lanes, _, *rest = by_lane.shape
        shape = (lanes, len(self.sets), *rest)
        spread = self.device.zeros(shape, self.device.xp.float64)
        spread[self._lanes, self._serves] = self.device.cast(by_lane, self.device.xp.float64)
        return spread.sum(0)

    def _link(
        self, pieces: Array, scale: Array, labels: Array, counts: Array
    ) -> tuple[Array, Array]:
        """As in :mod:`foldwise.solver.objective`: losses (lanes, fits, n), pieces of residuals."""
        if self._is_joint and self.layout.table is None:
            at_once: tuple[Array, Array] | None = self.device.link(pieces, scale, labels)
            if at_once is not None:
                return at_once
        xp = self.device.xp
        scores = self._joined(pieces) * scale[..., None, None]
        hot = labels[:, None, None] == self._targets[:, None]
        of_label = xp.where(hot, scores, 0.0)
        # One against the rest is a softmax, too, of a score and zero.
        top = xp.amax(scores, 2)[:, :, None] if self._is_joint else scores.clip(0)
        shares = xp.exp(scores - top)
        if self._is_joint:
            total, of_label = (each.sum(2)[:, :, None] for each in (shares, of_label))
        else:
            total = shares + xp.exp(-top)
        losses, residuals = xp.log(total) + top - of_label, shares / total
        counts = counts[:, None, None]
        if self._balance is not None:
            of_class = self._balance[self._serves]
            at = self._lanes[..., None], self._fits, labels[:, None]
            counts = counts * of_class[at][:, :, None]
        losses = (losses * counts).sum(3, dtype=xp.float64)
        residuals = (residuals - self.device.cast(hot, self.dtype)) * counts
        return losses, self._pieces(residuals)


class Numbers(NamedTuple):
    """What is known of each descent (descents,), truth as 1 and falsehood as 0.

    Those of :class:`foldwise.solver.descent.Descent` and its line search have their names there.
    ``stop`` stages are allowed, ``pushes`` counts the pairs, ``bends`` says whether the inverse
    Hessian at zero is still believed, ``status`` is 0 while under way.
    """

    stage: Array
    stop: Array
    pushes: Array
    iterations: Array
    evaluations: Array
    unimproved: Array
    best_value: Array
    best_largest: Array
    bends: Array
    status: Array
    value: Array
    slope: Array
    step: Array
    tries: Array
    low: Array
    low_value: Array
    low_slope: Array
    high: Array


_SEARCH = Numbers._fields.index("slope")
"""From here on they are the line search's."""

CONVERGED, STALLED, EXHAUSTED = 1.0, 2.0, 3.0
"""Of several descents the worst is their fit's."""


class Lockstep:
    """Fits of all training sets at once, one after another where a set has several.

    Parameters
    ----------
    objective : Objective
    shares : array (stages, stages)
        How much of each stage's ``known`` the others start from.
    pairs, tol
        Of the history, and of a fit.
    is_path : bool
        Whether stages follow from one another: start where earlier ones lead, with their history.

    Attributes
    ----------
    known : (descents, stages, size)
        What stages start from; on a path the solutions.
    penalties : (descents, stages)
        Never zero, who isn't under way included: what is by them must be finite.
    solutions : (descents, stages, size)
    told : (descents, stages, 4)
        Of each stage status, iterations, evaluations and value.
    """

    def __init__(
        self, objective: Objective, shares: NDArray[Any], *, pairs: int, tol: float, is_path: bool
    ) -> None:
        device, layout, dtype = objective.device, objective.layout, objective.dtype
        self._objective, self._device, self._xp = objective, device, device.xp
        stages = self._stages = len(shares)
        self._pairs, self._tol, self._is_path = pairs, tol, is_path
        self._max_iter = objective.options.max_iter
        self._eps = float(np.finfo(objective.options.dtype).eps)
        self._look = max(1, LOOK // objective.chunks)
        each = objective.descents
        count, outputs = len(objective.sets) * each, layout.outputs // each
        size, double = outputs * layout.width, device.xp.float64
        zeros = partial(device.zeros, dtype=dtype)
        self._point, self._origin, self._slopes, self._direction = (
            zeros((count, size)) for _ in range(4)
        )
        self._history = zeros((count, outputs, 2 * pairs, layout.width))
        self._products = device.zeros((4, count, pairs, pairs), double)
        self.solutions = zeros((count, stages, size))
        self.told = device.zeros((count, stages, 4), double)
        self.known = self.solutions if is_path else zeros((count, stages, size))
        self._shares = device.cast(device.array(shares), dtype)
        self.penalties = device.zeros((count, stages), double) + 1.0
        names = Numbers._fields
        idle = np.array([[float(name == "status")] for name in names])
        self._numbers = device.array(np.repeat(idle, count, axis=1))
        kept = {"stage", "stop", "pushes"} if is_path else {"stage", "stop"}
        self._forgets = device.array(np.array([[name not in kept] for name in names]))
        far = {"best_value", "best_largest", "high"}
        begun = np.array([[np.inf if name in far else 0.0] for name in names]).repeat(count, 1)
        begun[names.index("bends")] = objective.bends.repeat(each)
        self._begun = device.array(begun)
        free = np.arange(size) % layout.width == 0
        self._penalised = device.cast(device.array(~free), dtype)
        self._at, self._places = device.array(np.arange(count)), device.array(np.arange(pairs))
        self._eye = device.array(np.eye(pairs))
        self._zero = device.zeros((count,), double)
        self._infinity = self._zero + np.inf
        # A number given to `where` would be written to the device each time.
        known = (0.0, 0.5, CONVERGED, STALLED, EXHAUSTED, np.inf)
        self._constants = {value: device.array(np.array(value)) for value in known}
        self._step = device.record(self._advance)

    def run(self, stops: Mapping[int, int], anew: Collection[int]) -> Iterator[int]:
        """Go on to so many stages of each set, ``anew`` from none; yields how many are behind.

        Paths that are there sooner go on meanwhile, as they will have to.
        """
        each, told = self._objective.descents, self._device.host(self._numbers)
        numbers, wanted = Numbers(*told), np.zeros(told.shape[1])
        for place, stop in stops.items():
            own = slice(place * each, (place + 1) * each)
            if place in anew:
                told[:, own] = 0
                numbers.status[own] = CONVERGED
            numbers.stop[own] = self._stages if self._is_path else stop
            wanted[own] = stop
        self._numbers[...] = self._device.array(told)
        done = before = np.minimum(numbers.stage, wanted)
        while (done < wanted).any():
            for _ in range(self._look):
                self._step()
            done = np.minimum(self._device.host(self._numbers[0]), wanted)
            yield int((done - before)[::each].sum())

    def results(self, stages: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Coefficients (sets, stages, outputs, width), what is told (sets, stages, descents, 4)."""
        of, layout = self._objective, self._objective.layout
        solutions, told = (
            self._device.host(kept[:, :stages])
            .reshape(len(of.sets), of.descents, stages, -1)
            .swapaxes(1, 2)
            for kept in (self.solutions, self.told)
        )
        return solutions.reshape(len(of.sets), stages, layout.outputs, layout.width), told

    def _either(self, mask: Array, one: Array | float, other: Array | float) -> Array:
        one, other = (
            self._constants[value] if isinstance(value, float) else value for value in (one, other)
        )
        return self._xp.where(mask, one, other)

    def _advance(self) -> None:
        """One evaluation of all fits, and what follows from it."""
        xp, either, cast = self._xp, self._either, self._device.cast
        n = Numbers(*self._numbers)
        ended = self._ended(n)
        begins = ended & (n.stage < n.stop)
        n = Numbers(*xp.where(begins & self._forgets, self._begun, self._numbers))
        stage = cast(n.stage.clip(0, self._stages - 1), xp.int64)
        start = (self._shares[stage][:, None] @ self.known)[:, 0]
        point = xp.where(begins[:, None], start, self._point)
        penalty = self.penalties[self._at, stage]
        losses, slopes = self._objective(point)
        factor = cast(penalty, slopes.dtype)[:, None] * self._penalised
        gradient = slopes + factor * point
        step, change = point - self._origin, slopes - self._slopes
        changed = change + factor * step
        slope, of_step, of_change, together, penalised = self._sums(
            gradient * self._direction, step * step, changed * changed, step * changed,
            self._penalised * point * point,
        )  # fmt: skip
        value = losses + 0.5 * penalty * penalised
        runs, is_first = n.status == 0, n.evaluations == 0
        takes, fails, n = self._judged(n, runs & ~is_first, value, slope)
        arrives = takes | (runs & is_first)
        tries_on = runs & ~arrives & ~fails

        pushes = takes & (together > self._eps * xp.sqrt(of_step * of_change))
        origin = xp.where(arrives[:, None], point, self._origin)
        slopes = xp.where(arrives[:, None], slopes, self._slopes)
        gradient = slopes + factor * origin
        along = self._remember(pushes, n.pushes, step=step, change=change, gradient=gradient)
        count = n.pushes + pushes
        direction, has_pairs = self._descend(
            n._replace(pushes=count), penalty, gradient, along[:, : self._pairs, 2]
        )
        knows = has_pairs | (n.bends > 0)
        n = self._arrived(n, arrives, takes, value=value, largest=xp.amax(xp.abs(gradient), 1))
        status = either(fails & ~knows, STALLED, n.status)
        sets_out = (arrives | fails) & (status == 0)
        slope, squares = self._sums(gradient * direction, gradient * gradient)
        is_plain = ~knows | fails | ~(slope < 0)
        slope = xp.where(is_plain, -squares, slope)
        first = either(is_plain, 1 / xp.sqrt(squares.clip(_TINY)), 1.0)
        direction = xp.where(is_plain[:, None], -gradient, direction)
        direction = xp.where(sets_out[:, None], direction, self._direction)
        search = [slope, first, self._zero, self._zero, n.value, slope, self._infinity]
        search = xp.where(sets_out, xp.stack(search), xp.stack(list(n[_SEARCH:])))
        moved = origin + cast(search[1], origin.dtype)[:, None] * direction
        self._point[...] = xp.where((sets_out | tries_on)[:, None], moved, point)
        self._origin[...], self._slopes[...], self._direction[...] = origin, slopes, direction
        pushes, bends = (either(sets_out & is_plain, 0.0, each) for each in (count, n.bends))
        n = n._replace(evaluations=n.evaluations + runs, pushes=pushes, bends=bends, status=status)
        finishes = self._ended(n) & (begins | ~ended)
        told = xp.stack([n.status, n.iterations, n.evaluations, n.value], 1)
        for kept, new in ((self.solutions, origin), (self.told, told)):
            kept[self._at, stage] = xp.where(finishes[:, None], new, kept[self._at, stage])
        n = n._replace(stage=n.stage + finishes)
        self._numbers[...] = xp.concatenate([xp.stack(list(n[:_SEARCH])), search], 0)

    def _ended(self, n: Numbers) -> Array:
        """Whether all descents of each one's fit have ended."""
        status = n.status.reshape(-1, self._objective.descents)
        ended = (status > 0).all(1)[:, None]
        return self._xp.broadcast_to(ended, status.shape).reshape(-1)

    def _sums(self, *vectors: Array) -> Array:
        """The entries of each added up in double: (vectors, descents)."""
        return self._xp.stack(list(vectors)).sum(2, dtype=self._xp.float64)

    def _judged(
        self, n: Numbers, searches: Array, value: Array, slope: Array
    ) -> tuple[Array, Array, Numbers]:
        """As :meth:`LineSearch.judge`: who takes the step, who fails, and how the others go on."""
        either = self._either
        rounding = 4 * self._eps * self._xp.abs(n.value)
        fallen = (value <= n.value + FALL * n.step * n.slope) | (
            (value <= n.value + rounding) & (slope <= (2 * FALL - 1) * n.slope)
        )
        tries = n.tries + searches
        takes = searches & fallen & (slope >= RISE * n.slope)
        fails = searches & ~takes & (tries >= MOST_TRIES)
        length = n.step - n.low
        bend = value - n.low_value - n.low_slope * length
        share = either(bend > 0, -n.low_slope * length / (2 * bend), 0.5)
        shorter = n.low + length * share.clip(0.1, 0.9)
        longer = either(n.high == np.inf, GROWTH * n.step, (n.step + n.high) / 2)
        on = searches & ~takes & ~fails
        rises = on & fallen
        return takes, fails, n._replace(
            tries=tries,
            high=either(on & ~fallen, n.step, n.high),
            low=either(rises, n.step, n.low),
            low_value=either(rises, value, n.low_value),
            low_slope=either(rises, slope, n.low_slope),
            step=either(on, either(fallen, longer, shorter), n.step),
        )  # fmt: skip

    def _arrived(
        self, n: Numbers, arrives: Array, takes: Array, *, value: Array, largest: Array
    ) -> Numbers:
        """As :meth:`Descent._arrive`: whether those that have arrived somewhere are to stay."""
        xp, either = self._xp, self._either
        largest, iterations = self._device.cast(largest, value.dtype), n.iterations + takes
        rounding = 4 * self._eps * xp.abs(value)
        improved = (value < n.best_value - rounding) | (largest < 0.99 * n.best_largest)
        unimproved = either(improved, 0.0, n.unimproved + 1)
        stays = either(unimproved > PATIENCE, STALLED, 0.0)
        stays = either(iterations >= self._max_iter, EXHAUSTED, stays)
        there = n._replace(
            value=value,
            iterations=iterations,
            unimproved=unimproved,
            best_value=xp.minimum(n.best_value, value),
            best_largest=xp.minimum(n.best_largest, largest),
            status=either(largest < self._tol, CONVERGED, stays),
        )
        return Numbers(*xp.where(arrives, xp.stack(list(there)), xp.stack(list(n))))

    def _remember(
        self, pushes: Array, count: Array, *, step: Array, change: Array, gradient: Array
    ) -> Array:
        """Put new pairs in the oldest's place; inner products of all pairs with five vectors.

        These are step, change and gradient, then step and change without intercepts: (descents,
        2 pairs, 5), of the steps first.
        """
        xp, pairs, history = self._xp, self._pairs, self._history
        slot = self._device.cast(count, xp.int64) % pairs
        for vector, at in ((step, slot), (change, slot + pairs)):
            kept = history[self._at, :, at]
            new = xp.where(pushes[:, None, None], vector.reshape(kept.shape), kept)
            history[self._at, :, at] = new
        penalised = self._penalised
        vectors = [step, change, gradient, penalised * step, penalised * change]
        along = self._along(xp.stack(vectors, 2))
        steps, changes = along[:, :pairs], along[:, pairs:]
        down = xp.stack([steps[..., 3], steps[..., 4], steps[..., 1], changes[..., 1]])
        across = xp.stack([steps[..., 3], changes[..., 3], changes[..., 0], changes[..., 1]])
        is_new = pushes[:, None] & (self._places == slot[:, None])
        products = xp.where(is_new[:, None], down[..., None], self._products)
        self._products[...] = xp.where(is_new[..., None], across[:, :, None], products)
        return along

    def _descend(
        self, n: Numbers, penalty: Array, gradient: Array, along_steps: Array
    ) -> tuple[Array, Array]:
        """As :meth:`History.descend`, and whether there are pairs: those still curved count."""
        xp, cast, either = self._xp, self._device.cast, self._either
        pairs, at, places = self._pairs, self._at[:, None], self._places
        count, penalty = cast(n.pushes, xp.int64)[:, None], penalty[:, None]
        order = (count + places) % pairs
        of_steps, steps_penalised, steps_changes, inner = self._products[
            :, at[..., None], order[..., None], order[:, None]
        ]
        steps_changes = steps_changes + penalty[..., None] * of_steps
        curved, own, crossed, squares = (
            each[:, places, places] for each in (steps_changes, of_steps, steps_penalised, inner)
        )
        squares = squares + penalty * (2 * crossed + penalty * own)
        known = (places >= pairs - count) & (
            curved > self._eps * xp.sqrt((own * squares).clip(0.0))
        )
        both = known[:, :, None] & known[:, None]
        upper = xp.where(both, xp.triu(steps_changes), self._eye * ~both)
        right = either(known, along_steps[at, order], 0.0)
        p = self._device.solve(upper, right, transposed=False)

        factor = cast(penalty, gradient.dtype)
        slots = (places - count) % pairs
        of_changes = p[at, slots]
        shares = [0 * of_changes, of_changes, penalty * of_changes, 0 * of_changes]
        shares = cast(xp.stack(shares, 1), gradient.dtype).reshape(-1, 1, 2, 2 * pairs)
        sums = shares @ self._history
        whole, steps = (sums[:, :, row].reshape(gradient.shape) for row in (0, 1))
        left = gradient - whole - self._penalised * steps
        newest = (known * (places + 1)).argmax(1)
        slot = order[self._at, newest]
        step, change = (
            self._history[self._at, :, which].reshape(gradient.shape)
            for which in (slot, slot + pairs)
        )
        change = change + factor * self._penalised * step
        vectors = xp.stack([change, left], 1)
        bent = self._objective.bend(vectors, penalty, self._penalised[: self._history.shape[3]])
        bent = xp.where((n.bends > 0)[:, None, None], bent, vectors)
        [of_newest] = self._sums(change * bent[:, 0])
        gamma = either(known.any(1), curved[self._at, newest] / of_newest, 1.0)
        bent = cast(gamma, gradient.dtype)[:, None] * bent[:, 1]

        along = self._along(xp.stack([bent, self._penalised * bent], 2))
        along_changes = along[:, pairs:, 0] + penalty * along[:, :pairs, 1]
        inside = either(known, curved * p - along_changes[at, order], 0.0)
        q = self._device.solve(upper, inside, transposed=True)
        shares = cast(q[at, slots], gradient.dtype)[:, None, None]
        return -bent - (shares @ self._history[:, :, :pairs]).reshape(bent.shape), known.any(1)

    def _along(self, vectors: Array) -> Array:
        """Inner products of all pairs, steps first, with vectors (descents, size, n)."""
        history = self._history
        by_output = history @ vectors.reshape(*history.shape[:2], history.shape[3], -1)
        return by_output.sum(1, dtype=self._xp.float64)
