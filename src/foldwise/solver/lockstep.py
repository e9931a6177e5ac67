"""Descents in lockstep: a fit of every training set at once, each step the same for all of them.

What :mod:`foldwise.solver.descent` decides fit by fit is decided here by masks: objective, line
search, directions and stopping rule are the same. So nothing has to leave the device, and a step
can be recorded once and replayed. Arrays are those of a namespace, numpy's or torch's; what these
do differently is a :class:`Device`'s.

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

    S Y' = S Y + l S P S,    Y' Y' = Y Y + l (S P Y + (S P Y)^T) + l^2 S P S,

whatever C the pairs were found at.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.solver.descent import FALL, GROWTH, MOST_TRIES, PATIENCE, RISE
from foldwise.solver.fits import SolverOptions, TrainingSet
from foldwise.solver.layout import Layout

Array = Any
"""Of the device's namespace."""

CHUNK = 16_384
"""Rows of each part in one product."""

LOOK = 4
"""Chunks multiplied between two looks at whether all have arrived: a look makes the device wait."""

LOW = 2.0**-11
_ONE = 128
_TINY = 1e-300


class Device(Protocol):
    """A place for arrays: ``xp`` are their functions, ``name`` is told of what it computed."""

    xp: Any
    name: str

    def array(self, values: NDArray[Any]) -> Array:
        """Bring an array there."""
        ...

    def host(self, values: Array) -> NDArray[Any]:
        """Bring an array back."""
        ...

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Make an array of zeros."""
        ...

    def cast(self, values: Array, dtype: Any) -> Array:
        """Convert to another type."""
        ...

    def product(self, left: Array, right: Array) -> Array:
        """Multiply batches of matrices: half precision with sums in single, others in their own."""
        ...

    def solve(self, upper: Array, right: Array, *, transposed: bool) -> Array:
        """Solve a batch of upper triangular systems (n, m, m) of right-hand sides (n, m)."""
        ...

    def link(self, scores: Array, scale: Array, labels: Array) -> tuple[Array, Array] | None:
        """The softmax's losses and pieces of residuals in one go; None where that can't be."""
        ...

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Make a step cheap to repeat; it may be run meanwhile, with nobody under way."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows on a device, those of each part filled up with zeros to the same number.

    Attributes
    ----------
    pixels : (chunks, parts, rows, columns)
        Ones, the features, gap columns; zeros up to a multiple of eight.
    labels : int (chunks, parts, rows)
        -1 for rows that are none.
    counts : (chunks, parts, rows)
        How much each row's loss counts.
    """

    pixels: Array
    labels: Array
    counts: Array

    @staticmethod
    def shape(layout: Layout) -> tuple[int, int, int, int]:
        """Chunks, parts, rows and columns."""
        most = max(moments.rows for moments in layout.moments)
        chunks = -(-most // CHUNK)
        rows = -(-most // (8 * chunks)) * 8
        gaps = 0 if layout.table is None else len(layout.table.gaps)
        return chunks, layout.parts, rows, -(-(layout.width + gaps) // 8) * 8

    @classmethod
    def of(cls, device: Device, layout: Layout, dtype: Any) -> Self:
        """Bring a layout's rows to a device, part by part."""
        chunks, parts, rows, columns = shape = cls.shape(layout)
        pixels = device.zeros(shape, device.xp.float16 if layout.table is None else dtype)
        labels = np.full((chunks, parts, rows), -1)
        counts = np.zeros(labels.shape)
        for part, lanes in enumerate(layout.lanes):
            blocks = [block for lane in lanes for block in lane]
            dense = np.zeros((chunks * rows, columns), blocks[0].pixels.dtype)
            told, counted, at = labels[:, part].ravel(), counts[:, part].ravel(), 0
            for block in blocks:
                own = slice(at, at := at + len(block.labels))
                dense[own, layout.columns[part][: block.pixels.shape[1]]] = block.pixels
                told[own] = block.labels
                counted[own] = 1.0 if block.weights is None else block.weights
            if layout.table is None:
                dense[:, 0] *= _ONE
            pixels[:, part] = device.cast(device.array(dense), pixels.dtype).reshape(
                chunks, rows, columns
            )
            labels[:, part], counts[:, part] = told.reshape(chunks, -1), counted.reshape(chunks, -1)
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
        self._mean = put(np.stack([each.mean for each in self.trainings])[:, np.newaxis])
        self._inverse = put(np.stack([each.inverse for each in self.trainings])[:, np.newaxis])
        self.weight = put(np.array([float(each.weight) for each in self.trainings]))
        serves = [[of for of in sets if part not in self.sets[of]] for part in range(layout.parts)]
        self._serves = put(np.array(serves))
        self._parts = put(np.arange(layout.parts)[:, np.newaxis])
        self._fits = put(np.arange(len(serves[0]))[:, np.newaxis])
        self._targets = put(np.arange(layout.outputs) if layout.outputs > 1 else np.array([1]))
        self._one = _ONE if layout.table is None else 1
        self._gaps = None if layout.table is None else put(layout.table.gaps)
        balance = [each.class_weight for each in self.trainings if each.class_weight is not None]
        self._balance = device.cast(put(np.stack(balance)), self.dtype) if balance else None

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """Mean losses (sets, descents) in double and slopes, both without the penalty.

        ``points`` and slopes are coefficients (sets, outputs, width) of standardised columns.
        """
        device, xp = self.device, self.device.xp
        weights = self._weights(device.cast(points, xp.float64))
        largest = xp.amax(xp.abs(weights), (1, 2)).clip(_TINY)
        scale = xp.exp2(xp.floor(xp.log2(largest)))
        pieces = self._pieces(device.cast(weights / scale[:, None, None], self.dtype))
        parts, fits, columns = *self._serves.shape, weights.shape[2]
        left = pieces[self._serves].reshape(parts, -1, columns)
        scale = device.cast(scale, self.dtype)[self._serves]
        losses, slopes = 0.0, 0.0
        rows = self._rows
        for chunk, pixels in enumerate(rows.pixels):
            scores = device.product(left, pixels.swapaxes(1, 2))
            scores = scores.reshape(parts, fits, *pieces.shape[1:3], -1)
            lost, residuals = self._link(scores, scale, rows.labels[chunk], rows.counts[chunk])
            losses = losses + lost
            residuals = residuals.reshape(parts, left.shape[1], -1)
            slopes = slopes + device.product(residuals, pixels)
        slopes = self._joined(slopes.reshape(parts, fits, *pieces.shape[1:]))
        return (
            self._summed(losses) / self.weight[:, None],
            device.cast(self._slopes(self._summed(slopes)), self.dtype),
        )

    def _weights(self, coefficients: Array) -> Array:
        """As :meth:`TrainingSet.weights`, filled up with zeros: (sets, outputs, columns)."""
        xp = self.device.xp
        weights = coefficients[..., 1:] * self._inverse
        offset = coefficients[..., :1] - (weights * self._mean).sum(2)[..., None]
        columns = [offset / self._one, weights]
        if self._gaps is not None:
            columns.append((weights * self._mean)[..., self._gaps])
        missing = self._rows.pixels.shape[3] - sum(each.shape[2] for each in columns)
        columns.append(self.device.zeros((*weights.shape[:2], missing), xp.float64))
        return xp.concatenate(columns, 2)

    def _slopes(self, summed: Array) -> Array:
        """As :meth:`TrainingSet.slopes`, from sums (sets, outputs, columns)."""
        width = self.layout.width
        summed = summed / self.weight[:, None, None]
        offset, slopes = summed[..., :1] / self._one, summed[..., 1:width]
        if self._gaps is not None:
            of_gaps = summed[..., width : width + len(self._gaps)]
            slopes[..., self._gaps] += of_gaps * self._mean[..., self._gaps]
        return self.device.xp.concatenate(
            [offset, (slopes - offset * self._mean) * self._inverse], 2
        )

    def _pieces(self, values: Array) -> Array:
        """(..., outputs, n) as (..., pieces, outputs, n)."""
        xp, cast = self.device.xp, self.device.cast
        if self.layout.table is not None:
            return xp.stack([values], -3)
        high = cast(values, xp.float16)
        low = cast((values - cast(high, self.dtype)) / LOW, xp.float16)
        return xp.stack([high, low], -3)

    def _joined(self, pieces: Array) -> Array:
        """The inverse, of (parts, fits, pieces, outputs, n)."""
        if self.layout.table is not None:
            return pieces[:, :, 0]
        return pieces[:, :, 0] + pieces[:, :, 1] * LOW

    def _summed(self, by_part: Array) -> Array:
        """(parts, fits, ...) added up to (sets, ...), in an order that is always the same."""
        parts, _, *rest = by_part.shape
        shape = (parts, len(self.sets), *rest)
        spread = self.device.zeros(shape, self.device.xp.float64)
        spread[self._parts, self._serves] = self.device.cast(by_part, self.device.xp.float64)
        return spread.sum(0)

    def _link(
        self, pieces: Array, scale: Array, labels: Array, counts: Array
    ) -> tuple[Array, Array]:
        """As in :mod:`foldwise.solver.objective`: losses (parts, fits, n), pieces of residuals."""
        if self._is_joint and self.layout.table is None:
            at_once = self.device.link(pieces, scale, labels)
            if at_once is not None:
                return at_once
        xp = self.device.xp
        scores = self._joined(pieces) * scale[..., None, None]
        hot = labels[:, None, None] == self._targets[:, None]
        of_label = xp.where(hot, scores, 0.0)
        if self._is_joint:
            top = xp.amax(scores, 2)[:, :, None]
            residuals = xp.exp(scores - top)
            total = residuals.sum(2)[:, :, None]
            losses = xp.log(total) + top - of_label.sum(2)[:, :, None]
            residuals = residuals / total
        else:
            tail = xp.exp(-xp.abs(scores))
            losses = scores.clip(0) - of_label + xp.log1p(tail)
            residuals = xp.where(scores >= 0, 1.0, tail) / (1 + tail)
        counts = counts[:, None, None]
        if self._balance is not None:
            of_class = self._balance[self._serves]
            at = self._parts[..., None], self._fits, labels[:, None]
            counts = counts * of_class[at][:, :, None]
        losses = (losses * counts).sum(3, dtype=xp.float64)
        residuals = (residuals - self.device.cast(hot, self.dtype)) * counts
        return losses, self._pieces(residuals)


class Numbers(NamedTuple):
    """What is known of each descent (descents,), truth as 1 and falsehood as 0.

    Those of :class:`foldwise.solver.descent.Descent` and its line search have their names there.
    ``stop`` stages are asked for; ``has_ended`` is a descent's at this stage, ``is_idle`` its whole
    fit's; before an evaluation at the stage's start it ``is_fresh``. ``pushes`` counts the pairs.
    """

    stage: Array
    stop: Array
    is_idle: Array
    has_ended: Array
    is_fresh: Array
    pushes: Array
    value: Array
    slope: Array
    step: Array
    tries: Array
    low: Array
    low_value: Array
    low_slope: Array
    high: Array
    iterations: Array
    evaluations: Array
    best_value: Array
    best_largest: Array
    unimproved: Array
    status: Array


CONVERGED, STALLED, EXHAUSTED = 1.0, 2.0, 3.0
"""Of several descents the worst is their fit's."""


class Lockstep:
    """Fits of all training sets at once, one after another where a set has several.

    Parameters
    ----------
    objective : Objective
    stages : int
        Fits of one set at most.
    pairs, tol
        Of the history, and of a fit.
    is_path : bool
        Whether stages follow from one another: start where earlier ones lead, with their history.
    """

    def __init__(
        self, objective: Objective, stages: int, *, pairs: int, tol: float, is_path: bool
    ) -> None:
        device, layout = objective.device, objective.layout
        self._objective, self._device, self._xp = objective, device, device.xp
        self._pairs, self._stages, self._tol, self._is_path = pairs, stages, tol, is_path
        self._max_iter = objective.options.max_iter
        self._eps = float(np.finfo(objective.options.dtype).eps)
        each = objective.descents
        count, size = len(objective.sets) * each, layout.outputs * layout.width // each
        free = np.arange(size) % layout.width == 0
        self._penalised = device.cast(device.array(~free), objective.dtype)
        self._look = max(1, LOOK // objective.chunks)
        self._at = device.array(np.arange(count))
        self._places = device.array(np.arange(pairs))
        self._eye = device.array(np.eye(pairs))

        def zeros(*shape: int, dtype: Any = objective.dtype) -> Array:
            return device.zeros((count, *shape), dtype)

        double = device.xp.float64
        self._point, self._origin, self._slopes, self._direction = (zeros(size) for _ in range(4))
        self._history = zeros(2 * pairs, size)
        self._products = device.zeros((4, count, pairs, pairs), double)
        self.solutions, self.told = zeros(stages, size), zeros(stages, 4, dtype=double)
        self.known = self.solutions if is_path else zeros(stages, size)
        self.shares, self.penalties = zeros(stages, stages), zeros(stages, dtype=double)
        self._numbers = device.array(np.repeat(_idle(0)[:, np.newaxis], count, axis=1))
        self._step = device.record(self._advance)

    def run(self, stops: Mapping[int, int], anew: Set[int]) -> Iterator[int]:
        """Go on to so many stages of each set, ``anew`` from none; yields how many are behind."""
        each = self._objective.descents
        numbers = self._device.host(self._numbers).copy()
        for place, stop in stops.items():
            own = slice(place * each, (place + 1) * each)
            numbers[1, own] = stop
            if place in anew:
                numbers[:, own] = _idle(stop)[:, np.newaxis]
        before = int(numbers[0, ::each].sum())
        self._numbers[...] = self._device.array(numbers)
        wanted = int(numbers[1, ::each].sum()) - before
        done = 0
        while done < wanted:
            for _ in range(self._look):
                self._step()
            done = int(self._device.host(self._numbers[0])[::each].sum()) - before
            yield done

    def _advance(self) -> None:
        """One evaluation of all fits, and what follows from it."""
        xp = self._xp
        n = Numbers(*self._numbers)
        begins = (n.is_idle > 0) & (n.stage < n.stop)
        stage = self._device.cast(n.stage.clip(0, self._stages - 1), xp.int64)
        start = (self.shares[self._at, stage][:, None] @ self.known)[:, 0]
        point = xp.where(begins[:, None], start, self._point)
        n = self._begun(n, begins)
        penalty = self.penalties[self._at, stage]
        value, slopes = self._evaluated(point, penalty)
        factor = self._device.cast(penalty, slopes.dtype)[:, None] * self._penalised
        gradient = slopes + factor * point
        slope = (gradient * self._direction).sum(1, dtype=xp.float64)
        runs = (n.is_idle == 0) & (n.has_ended == 0)
        n = n._replace(evaluations=xp.where(runs, n.evaluations + 1, n.evaluations))
        takes, fails, n = self._judged(n, runs & (n.is_fresh == 0), value, slope)
        arrives = takes | (runs & (n.is_fresh > 0))
        tries_on = runs & ~arrives & ~fails

        step, change = point - self._origin, slopes - self._slopes
        pushes = takes & self._is_curved(step, change + factor * step)
        origin = xp.where(arrives[:, None], point, self._origin)
        slopes = xp.where(arrives[:, None], slopes, self._slopes)
        gradient = slopes + factor * origin
        along = self._remember(pushes, n.pushes, step=step, change=change, gradient=gradient)
        n = n._replace(pushes=n.pushes + pushes)
        direction, has_pairs = self._descend(n.pushes, penalty, gradient, along)
        largest = self._device.cast(xp.amax(xp.abs(gradient), 1), xp.float64)
        n = self._arrived(n, arrives, takes, value=value, largest=largest)

        ends_here = fails & ~has_pairs
        status = xp.where(ends_here, STALLED, n.status)
        sets_out = (arrives | fails) & (status == 0)
        slope = (gradient * direction).sum(1, dtype=xp.float64)
        plain = ~has_pairs | fails | ~(slope < 0)
        direction = xp.where(plain[:, None], -gradient, direction)
        squares = (gradient * gradient).sum(1, dtype=xp.float64)
        slope = xp.where(plain, -squares, slope)
        first = xp.where(plain, 1 / xp.sqrt(squares.clip(_TINY)), 1.0)
        direction = xp.where(sets_out[:, None], direction, self._direction)
        length = xp.where(sets_out, first, n.step)
        moved = origin + self._device.cast(length, origin.dtype)[:, None] * direction
        point = xp.where((sets_out | tries_on)[:, None], moved, point)
        n = n._replace(
            status=status,
            has_ended=xp.where(status > 0, 1.0, n.has_ended),
            is_fresh=xp.where(arrives, 0.0, n.is_fresh),
            pushes=xp.where(sets_out & plain, 0.0, n.pushes),
            slope=xp.where(sets_out, slope, n.slope),
            step=length,
            tries=xp.where(sets_out, 0.0, n.tries),
            low=xp.where(sets_out, 0.0, n.low),
            low_value=xp.where(sets_out, n.value, n.low_value),
            low_slope=xp.where(sets_out, slope, n.low_slope),
            high=xp.where(sets_out, np.inf, n.high),
        )
        self._point[...], self._origin[...] = point, origin
        self._slopes[...], self._direction[...] = slopes, direction
        self._numbers[...] = xp.stack(list(self._finished(n, stage, origin)))

    def _begun(self, n: Numbers, begins: Array) -> Numbers:
        """Those that begin a stage know nothing of it; off a path they forget the history."""
        at_first = Numbers(*_idle(0))
        kept = {"stage", "stop"} | ({"pushes"} if self._is_path else set())
        at_first = at_first._replace(is_idle=0.0)
        return Numbers(
            *(
                old if name in kept else self._xp.where(begins, float(new), old)
                for name, old, new in zip(Numbers._fields, n, at_first, strict=True)
            )
        )

    def _evaluated(self, point: Array, penalty: Array) -> tuple[Array, Array]:
        """Objective in double and the loss's slopes of each descent."""
        sets, layout = len(self._objective.sets), self._objective.layout
        losses, slopes = self._objective(point.reshape(sets, layout.outputs, layout.width))
        penalised = (self._penalised * point * point).sum(1, dtype=self._xp.float64)
        return losses.reshape(-1) + 0.5 * penalty * penalised, slopes.reshape(point.shape)

    def _judged(
        self, n: Numbers, searches: Array, value: Array, slope: Array
    ) -> tuple[Array, Array, Numbers]:
        """As :meth:`LineSearch.judge`: who takes the step, who fails, and how the others go on."""
        xp = self._xp
        rounding = 4 * self._eps * xp.abs(n.value)
        fallen = (value <= n.value + FALL * n.step * n.slope) | (
            (value <= n.value + rounding) & (slope <= (2 * FALL - 1) * n.slope)
        )
        tries = xp.where(searches, n.tries + 1, n.tries)
        takes = searches & fallen & (slope >= RISE * n.slope)
        fails = searches & ~takes & (tries >= MOST_TRIES)
        length = n.step - n.low
        bend = value - n.low_value - n.low_slope * length
        share = xp.where(bend > 0, -n.low_slope * length / (2 * bend), 0.5)
        shorter = n.low + length * share.clip(0.1, 0.9)
        longer = xp.where(n.high == np.inf, GROWTH * n.step, (n.step + n.high) / 2)
        on = searches & ~takes & ~fails
        rises = on & fallen
        return takes, fails, n._replace(
            tries=tries,
            high=xp.where(on & ~fallen, n.step, n.high),
            low=xp.where(rises, n.step, n.low),
            low_value=xp.where(rises, value, n.low_value),
            low_slope=xp.where(rises, slope, n.low_slope),
            step=xp.where(rises, longer, xp.where(on, shorter, n.step)),
        )  # fmt: skip

    def _arrived(
        self, n: Numbers, arrives: Array, takes: Array, *, value: Array, largest: Array
    ) -> Numbers:
        """Whether those that have arrived somewhere are to stay, and why."""
        xp = self._xp
        value = xp.where(arrives, value, n.value)
        iterations = n.iterations + takes
        rounding = 4 * self._eps * xp.abs(value)
        improved = (value < n.best_value - rounding) | (largest < 0.99 * n.best_largest)
        unimproved = xp.where(arrives, xp.where(improved, 0.0, n.unimproved + 1), n.unimproved)
        stays = xp.where(
            largest < self._tol,
            CONVERGED,
            xp.where(
                iterations >= self._max_iter,
                EXHAUSTED,
                xp.where(unimproved > PATIENCE, STALLED, 0.0),
            ),
        )
        return n._replace(
            value=value,
            iterations=iterations,
            unimproved=unimproved,
            best_value=xp.where(arrives, xp.minimum(n.best_value, value), n.best_value),
            best_largest=xp.where(arrives, xp.minimum(n.best_largest, largest), n.best_largest),
            status=xp.where(arrives, stays, n.status),
        )

    def _is_curved(self, step: Array, change: Array) -> Array:
        xp = self._xp
        together, of_step, of_change = (
            (one * other).sum(1, dtype=xp.float64)
            for one, other in ((step, change), (step, step), (change, change))
        )
        return together > self._eps * xp.sqrt(of_step * of_change)

    def _remember(
        self, pushes: Array, count: Array, *, step: Array, change: Array, gradient: Array
    ) -> Array:
        """Put new pairs in the oldest's place; inner products of all with six vectors.

        These are step, change and gradient, each whole and without intercepts (descents, 2 pairs,
        6), of the steps first.
        """
        xp, pairs = self._xp, self._pairs
        slot = self._device.cast(count, xp.int64) % pairs
        for vector, at in ((step, slot), (change, slot + pairs)):
            kept = self._history[self._at, at]
            self._history[self._at, at] = xp.where(pushes[:, None], vector, kept)
        whole = xp.stack([step, change, gradient], 2)
        vectors = xp.concatenate([whole, whole * self._penalised[:, None]], 2)
        along = self._device.cast(self._history @ vectors, xp.float64)
        steps, changes = along[:, :pairs], along[:, pairs:]
        down = xp.stack([steps[..., 3], steps[..., 4], steps[..., 1], changes[..., 1]])
        across = xp.stack([steps[..., 3], changes[..., 3], changes[..., 0], changes[..., 1]])
        new = pushes[:, None] & (self._places == slot[:, None])
        products = xp.where(new[:, None], down[..., None], self._products)
        self._products[...] = xp.where(new[..., None], across[:, :, None], products)
        return along

    def _descend(
        self, pushes: Array, penalty: Array, gradient: Array, along: Array
    ) -> tuple[Array, Array]:
        """As :meth:`History.descend`, and whether there are pairs: those still curved count."""
        xp, cast, pairs = self._xp, self._device.cast, self._pairs
        count = cast(pushes, xp.int64)[:, None]
        at, order = self._at[:, None], (count + self._places) % pairs
        products = self._products[:, at[..., None], order[..., None], order[:, None]]
        of_steps, penalised, steps_changes, inner = products
        factor = penalty[:, None, None]
        steps_changes = steps_changes + factor * of_steps
        inner = inner + factor * (penalised + penalised.swapaxes(1, 2) + factor * of_steps)
        curved, squares, own = (
            each[:, self._places, self._places] for each in (steps_changes, inner, of_steps)
        )
        known = self._places >= pairs - count
        known = known & (curved > self._eps * xp.sqrt((own * squares).clip(0.0)))
        newest = (known * (self._places + 1)).argmax(1)
        gamma = (curved[self._at, newest] / squares[self._at, newest].clip(_TINY))[:, None]
        upper = xp.where(known[:, :, None] & known[:, None], xp.triu(steps_changes), 0.0)
        upper = upper + xp.where(known[:, :, None], 0.0, self._eye)

        along_steps = along[:, :pairs, 2][at, order]
        along_changes = along[:, pairs:, 2] + penalty[:, None] * along[:, :pairs, 5]
        p = self._device.solve(upper, xp.where(known, along_steps, 0.0), transposed=False)
        moved = (inner @ p[..., None])[..., 0] - along_changes[at, order]
        inside = xp.where(known, curved * p + gamma * moved, 0.0)
        q = self._device.solve(upper, inside, transposed=True)
        slots = (self._places - count) % pairs
        p, q = p[at, slots], q[at, slots]
        shares = xp.stack(
            [xp.concatenate([q, -gamma * p], 1), xp.concatenate([-factor[..., 0] * gamma * p, 0 * p], 1)], 1
        )
        sums = cast(shares, gradient.dtype) @ self._history
        moved = sums[:, 0] + self._penalised * sums[:, 1]
        return -(cast(gamma, gradient.dtype) * gradient + moved), known.any(1)

    def _finished(self, n: Numbers, stage: Array, origin: Array) -> Numbers:
        """Write down what fits all of whose descents have ended have come to, and let them rest."""
        xp, each = self._xp, self._objective.descents
        ended = (n.has_ended > 0).reshape(-1, each)
        together = (ended.all(1)[:, None] & (ended | ~ended)).reshape(-1)
        finishes = together & (n.is_idle == 0)
        told = xp.stack([n.status, n.iterations, n.evaluations, n.value], 1)
        for kept, new in ((self.solutions, origin), (self.told, told)):
            kept[self._at, stage] = xp.where(finishes[:, None], new, kept[self._at, stage])
        return n._replace(
            stage=n.stage + finishes, is_idle=xp.where(finishes, 1.0, n.is_idle)
        )


def _idle(stop: int) -> NDArray[np.float64]:
    """The numbers of a descent that has done nothing yet."""
    none = dict.fromkeys(Numbers._fields, 0.0)
    best = {"best_value": np.inf, "best_largest": np.inf, "high": np.inf}
    told = none | best | {"is_idle": 1.0, "is_fresh": 1.0, "stop": float(stop)}
    return np.array(list(told.values()))
