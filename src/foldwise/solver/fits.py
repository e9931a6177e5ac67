"""Fits side by side: each asks for an evaluation, all are evaluated in one pass over the pixels.

Minimised for each fit, over coefficients W (outputs, features) of standardised pixels and
intercepts b, is scikit-learn's objective

    (1/n) sum_i loss(x_i, y_i) + ||W||^2 / (2 C n),

n being the fit's training rows; the intercept is free. A fit ends when the largest absolute entry
of the gradient is below ``tol``, which is scikit-learn's (scipy's ``gtol``) rule. It starts from
zero, or on the path of its own training set (:mod:`foldwise.solver.paths`): never from a
solution that has seen other rows. The hot loop is in :mod:`foldwise.solver.objective`.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Generic, Self, TypeVar

import numpy as np

from foldwise.solver.curvature import Bend, Curvature, find_squares, pays
from foldwise.solver.descent import Descent, History
from foldwise.solver.layout import ClassWeight, Layout
from foldwise.solver.linear import (
    Fit,
    FitOutcome,
    Flags,
    Floats,
    Ints,
    LinearModel,
    Multiclass,
    Real,
    Status,
)
from foldwise.solver.newton import Newton, is_small
from foldwise.solver.objective import Batch, evaluate, sigmoid_link, softmax_link, tiling
from foldwise.threads import one_blas_thread

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SolverOptions:
    """What all fits of a batch share."""

    multiclass: Multiclass = "multinomial"
    tol: float = 1e-4
    max_iter: int = 1000
    threads: int = 1
    double: bool = False
    scale_floor: float = 0.0

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Of the products and of the coefficients while they are looked for."""
        return np.dtype(np.float64 if self.double else np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The rows of all parts but ``left_out``, and what standardising them means.

    Everything linear between a fit and the layout is here. A fit looks for *coefficients*
    (outputs, width) of standardised columns, intercept ``b`` first; the layout takes *weights* of
    raw ones. A score is

        z = w . (x - mean) / scale + b  =  u . x + c,   u = w / scale,  c = b - u . mean,

    so the data need no standardised copy, and by the chain rule the gradient comes back as
    ``dL/dw = (dL/du - mean * dL/dc) / scale``, ``dL/db = dL/dc``.

    Attributes
    ----------
    mean, scale : float64 arrays (features,)
        Of these rows. The scale is the standard deviation, but no less than the floor times the
        range of their pixels, in a table of the column's values: one lit in a single row would
        there be worth the square root of their number. It is 1 where that is 0.
    inverse : float64 array (features,)
        1 / scale, but 0 for a constant pixel, whose coefficient so stays 0.
    weight : float
        Of all rows, by which the mean loss is taken; their number if all count alike.
    class_weight : float64 array (classes,), optional
        How much losses of each class count.
    gaps : int array (gaps,)
        Features with gap columns. What is missing stands for the mean, so that its standardised
        value is 0: a gap column's weight is ``u mean``, and its gradient counts ``mean`` times
        towards ``dL/du``.
    is_table : bool
        Weights are in double precision: raw values may have any mean, as pixels have not.
    signed : arrays (rows, width) and (rows,), optional
        Of a small table the rows as :class:`Newton` takes them, and their counts.
    curvature : Curvature, optional
        What is known of it before any step, where that pays.
    """

    left_out: frozenset[int]
    rows: int
    mean: Floats
    scale: Floats
    inverse: Floats
    weight: float
    class_weight: Floats | None
    gaps: Ints
    is_table: bool
    signed: tuple[Real, Real] | None = None
    curvature: Curvature | None = None

    @classmethod
    def of(cls, layout: Layout, left_out: frozenset[int], floor: float) -> Self:
        """Measure mean and deviation on these rows alone."""
        if (left_out, floor) not in layout.known:
            layout.known[left_out, floor] = cls._measured(layout, left_out, floor)
        known: Self = layout.known[left_out, floor]
        return known

    @classmethod
    def _measured(cls, layout: Layout, left_out: frozenset[int], floor: float) -> Self:
        mean, spread, rows = layout.standardisation(left_out)
        scale = np.maximum(spread, floor * layout.value_range(left_out))
        scale = np.where(scale > 0, scale, 1.0)
        inverse = np.where(spread > 0, 1 / scale, 0.0)
        weight, class_weight = _weighing(layout, left_out, rows)
        gaps = np.arange(0) if layout.table is None else layout.table.gaps
        is_table = layout.table is not None
        training = cls(left_out, rows, mean, scale, inverse, weight, class_weight, gaps, is_table)
        if is_small(layout):
            return replace(training, signed=training._signed(layout))
        if not pays(layout, rows):
            return training
        parts = [part for part in range(layout.parts) if part not in left_out]
        curvature = Curvature(layout.squares, parts, rows, mean=mean, inverse=inverse)
        return replace(training, curvature=curvature)

    def _signed(self, layout: Layout) -> tuple[Real, Real]:
        linear = self.weights(np.eye(layout.width))
        rows, counts = [], []
        for part, lanes in enumerate(layout.lanes):
            if part in self.left_out:
                continue
            of_part = linear[:, layout.columns[part]].T
            for block in (block for lane in lanes for block in lane):
                signs = 1.0 - 2 * block.labels[:, np.newaxis]
                rows.append(signs * (layout.raw(part, block) @ of_part))
                own = np.ones(len(block.labels)) if block.weights is None else block.weights
                of_class = 1.0 if self.class_weight is None else self.class_weight[block.labels]
                counts.append(own * of_class / self.weight)
        return np.concatenate(rows), np.concatenate(counts)

    def weights(self, coefficients: Real) -> Real:
        """The weights that compute what the coefficients do (outputs, width and gaps)."""
        weights = coefficients.astype(np.float64 if self.is_table else coefficients.dtype)
        weights[:, 1:] *= self.inverse
        weights[:, 0] -= weights[:, 1:] @ self.mean
        if len(self.gaps):
            of_gaps = weights[:, 1 + self.gaps] * self.mean[self.gaps]
            return np.concatenate([weights, of_gaps], axis=1)
        return weights

    def slopes(self, gradient: Real) -> Real:
        """Slopes of the mean loss in the coefficients, from those of the sum in the weights."""
        slopes = np.asarray(gradient / gradient.dtype.type(self.weight))
        if count := len(self.gaps):
            slopes, of_gaps = slopes[:, :-count].copy(), slopes[:, -count:]
            slopes[:, 1 + self.gaps] += of_gaps * self.mean[self.gaps]
        slopes[:, 1:] -= np.outer(slopes[:, 0], self.mean)
        slopes[:, 1:] *= self.inverse
        return slopes

    def penalty(self, C: float) -> float:
        """Factor of half the squared coefficients in the mean loss: 1 / (C n)."""
        return 1 / (C * self.weight)

    def bend(self, C: float, options: SolverOptions, outputs: int) -> Bend | None:
        """The inverse Hessian that a fit's descents begin with, if one is known."""
        if self.curvature is None:
            return None
        share = 1 / outputs if outputs > 1 and options.multiclass == "multinomial" else 1 / 4
        return self.curvature.at(self.penalty(C), share=share, dtype=options.dtype)

    def spectrum(self) -> tuple[Floats, Real, Ints]:
        """As :meth:`Curvature.spectrum`; of no column where that isn't known."""
        if self.curvature is None:
            return np.zeros(0), np.zeros((0, 0)), np.zeros(0, dtype=np.int64)
        return self.curvature.spectrum()

    def model(self, coefficients: Real, C: float, multiclass: Multiclass) -> LinearModel:
        """The coefficients in scikit-learn's terms."""
        exact = coefficients.astype(np.float64)
        return LinearModel(C, multiclass, self.mean, self.scale, exact[:, 1:], exact[:, 0])


SINGLE_FROM = 1_000_000
"""Values of a table whose products are worth single precision: a smaller one is as soon done."""

SINGLE_TOLERANCE = 1e-5
"""Single precision's own noise in a gradient is some 1e-7."""


def pays_in_single(values: int, classes: int, tol: float) -> bool:
    """Whether a table of so many values is sooner fitted in single precision, and as exactly.

    Where tiles are wide, two classes would fill one with nothing. Ask with BLAS set to one thread.
    """
    outputs = 1 if classes == 2 else classes
    return (
        values >= SINGLE_FROM
        and tol >= SINGLE_TOLERANCE
        and tiling(np.dtype(np.float32)).width <= 2 * outputs
    )


def arranged(
    X: Real,
    labels: Ints,
    parts: Sequence[Ints],
    options: SolverOptions,
    *,
    classes: int,
    is_scaled: Flags,
    weights: Floats | None = None,
    class_weight: ClassWeight = None,
) -> tuple[Layout, SolverOptions]:
    """A table's rows arranged by ``parts`` in the precision that pays, and the options to fit it.

    As :meth:`Layout.of_table` has them.
    """
    # Somebody's own weights may be of any size, which single precision hasn't.
    is_single = weights is None and not isinstance(class_weight, np.ndarray)
    with one_blas_thread():
        is_single &= pays_in_single(X.size, classes, options.tol)
    layout = Layout.of_table(
        X, labels, parts, classes=classes, is_scaled=is_scaled, weights=weights,
        class_weight=class_weight, is_single=is_single,
    )  # fmt: skip
    return layout, replace(options, double=not is_single)


def _weighing(layout: Layout, left_out: frozenset[int], rows: int) -> tuple[float, Floats | None]:
    """The weight of all rows not left out, and that of each class (classes,) if there is one.

    "balanced" is scikit-learn's: all weight over the classes' number times the class's weight.
    """
    table = layout.table
    if table is None or not (table.is_weighted or table.class_weight is not None):
        return rows, None
    by_class = np.sum([moments.by_class for moments in layout.used(left_out)], axis=0)
    if table.class_weight is None:
        return float(by_class.sum()), None
    if isinstance(table.class_weight, str):
        even = by_class.sum() / layout.classes
        of_class = np.divide(even, by_class, out=np.zeros_like(by_class), where=by_class > 0)
    else:
        of_class = table.class_weight
    return float(by_class @ of_class), of_class


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A fit under way; ``descents`` has one over all outputs (softmax), or one per output."""

    training: TrainingSet
    C: float
    descents: tuple[Descent, ...]

    @classmethod
    def begun(
        cls,
        training: TrainingSet,
        C: float,
        options: SolverOptions,
        *,
        start: Real,
        histories: Sequence[History],
    ) -> Self:
        """Begin at ``start`` (outputs, width), with what is known of the curvature there."""
        starts = start.astype(options.dtype).reshape(len(histories), -1)
        bend = training.bend(C, options, len(start))
        descents = (
            Descent(*begun, tol=options.tol, max_iter=options.max_iter, bend=bend)
            for begun in zip(starts, histories, strict=True)
        )
        return cls(training, C, tuple(descents))

    @property
    def ended(self) -> bool:
        """Whether no descent wants another evaluation."""
        return all(descent.status for descent in self.descents)

    @property
    def coefficients(self) -> Real:
        """Where the descents are: (outputs, width)."""
        width = len(self.training.mean) + 1
        return np.concatenate([d.point.reshape(-1, width) for d in self.descents])

    @property
    def outcome(self) -> FitOutcome:
        """How it ended."""
        statuses = {descent.status for descent in self.descents}
        return FitOutcome(
            status=next(status for status in _WORST if status in statuses),
            iterations=max(descent.iterations for descent in self.descents),
            evaluations=sum(descent.evaluations for descent in self.descents) / len(self.descents),
            objective=sum(descent.value for descent in self.descents),
        )

    def finish(self) -> None:
        """Take a small table's fit to its end."""
        if self.training.signed is None:
            raise TypeError("only a small table's rows are at hand")
        penalty = self.training.penalty(self.C)
        Newton(*self.training.signed, penalty, pairs=PAIRS).finish(*self.descents)

    def weights(self) -> Real:
        """Where the layout is to evaluate it."""
        return self.training.weights(self.coefficients)

    def receive(self, losses: Floats, gradient: Real) -> None:
        """Take summed losses (descents,) and their gradient in the weights."""
        weight, penalty = self.training.weight, self.training.penalty(self.C)
        slopes = self.training.slopes(gradient)
        by_descent = slopes.reshape(len(self.descents), -1, slopes.shape[1])
        for descent, loss, slope in zip(self.descents, losses.tolist(), by_descent, strict=True):
            if descent.status is None:
                penalised = descent.point.reshape(slope.shape)[:, 1:]
                slope[:, 1:] += penalised.dtype.type(penalty) * penalised
                squares = np.einsum("ij,ij->", penalised, penalised, dtype=np.float64)
                value = loss / weight + 0.5 * penalty * float(squares)
                descent.receive(value, slope.ravel().astype(descent.point.dtype, copy=False))


_WORST: tuple[Status, ...] = ("exhausted", "stalled", "converged")


def no_histories(layout: Layout, options: SolverOptions, pairs: int) -> list[History]:
    """Empty ones, a descent each: the softmax is one function of all outputs, sigmoids one each."""
    count = 1 if options.multiclass == "multinomial" else layout.outputs
    size = layout.outputs * layout.width // count
    return [History(pairs, size, options.dtype) for _ in range(count)]


def origin(layout: Layout, options: SolverOptions) -> Real:
    """All coefficients zero: (outputs, width)."""
    return np.zeros((layout.outputs, layout.width), dtype=options.dtype)


Course = Generator[Running, None, T]
"""Fits that follow from one another: yields each to be run to its end; returns what they gave."""


def side_by_side(
    layout: Layout, courses: Iterable[Course[T]], options: SolverOptions, *, most_columns: int
) -> Iterator[T | None]:
    """Run many courses, every evaluation shared by all fits under way.

    Whenever a fit ends, yields what its course has come to, or None while that goes on. At most
    ``most_columns`` outputs are under way; the other courses wait. Neither the number of threads
    nor the other courses change a fit, to the bit. A small table's are run one after another, in
    this thread, which is sooner. Set the BLAS library itself to one thread
    (threadpoolctl), or its threads and these get in each other's way.
    """
    if is_small(layout):
        for under in map(_Under, courses):
            while under.result is None:
                under.running.finish()
                under.go_on()
                yield under.result
        return
    waiting = map(_Under, courses)
    active: list[_Under[T]] = []
    most = max(1, most_columns // layout.outputs)
    with ThreadPoolExecutor(options.threads) if options.threads > 1 else _Here() as pool:
        if pays(layout, sum(moments.rows for moments in layout.moments)):
            list(pool.map(partial(find_squares, layout), range(layout.parts)))
        while active := [*active, *islice(waiting, most - len(active))]:
            _advance(layout, [each.running for each in active], options, pool)
            ended = [each for each in active if each.running.ended]
            list(pool.map(_Under.go_on, ended))
            yield from (each.result for each in ended)
            active = [each for each in active if each.result is None]


class _Here(Executor):
    """A pool of no threads: small tables are done sooner than they are handed over."""

    def map(self, fn: Callable[..., S], *iterables: Iterable[Any], **_: Any) -> Iterator[S]:
        """Do it when it is asked for."""
        return map(fn, *iterables)


class _Under(Generic[T]):
    """A course under way."""

    def __init__(self, course: Course[T]) -> None:
        self._course = course
        self.running = next(course)
        self.result: T | None = None

    def go_on(self) -> None:
        """Set out for the course's next fit, if there is one."""
        try:
            self.running = next(self._course)
        except StopIteration as end:
            self.result = end.value


def _advance(
    layout: Layout, active: Sequence[Running], options: SolverOptions, pool: Executor
) -> None:
    """Evaluate all fits where they are, and let each move on."""
    weights = np.stack(list(pool.map(Running.weights, active)))
    trains_on = np.array(
        [
            [part not in running.training.left_out for running in active]
            for part in range(layout.parts)
        ]
    )
    joint = weights.shape[1] > 1 and options.multiclass == "multinomial"
    link = softmax_link if joint else sigmoid_link
    balance = [each.training.class_weight for each in active]
    class_weight = None if balance[0] is None else np.stack(balance).astype(weights.dtype)  # type: ignore[arg-type]  # all or none
    batch = Batch(weights, trains_on, class_weight)
    losses, gradients = evaluate(layout, batch, link, pool)
    list(pool.map(Running.receive, active, losses, gradients))


MOST_COLUMNS = 1280
"""Outputs of all fits in one product: past this, memory grows and speed doesn't."""

PAIRS = 40
"""More correction pairs mean fewer evaluations; past 40 the history costs what it saves."""


@dataclass(frozen=True, slots=True)
class FitRequest:
    """A fit to make: on all parts but ``left_out``, at inverse regularisation strength ``C``.

    ``start`` (outputs, width) is where its training set's path leads; without it the fit starts
    from zero. It is no part of what the fit is: requests are equal whatever their starts.
    """

    left_out: frozenset[int]
    C: float
    start: Real | None = field(default=None, compare=False, repr=False)


def solve(layout: Layout, requests: Sequence[FitRequest], options: SolverOptions) -> Iterator[Fit]:
    """Make every requested fit; yield each as it ends: by evaluations, then as requested."""
    courses = (_fit(layout, request, options) for request in requests)
    for fit in side_by_side(layout, courses, options, most_columns=MOST_COLUMNS):
        if fit is not None:
            yield fit


def _fit(layout: Layout, request: FitRequest, options: SolverOptions) -> Course[Fit]:
    training = TrainingSet.of(layout, request.left_out, options.scale_floor)
    start = origin(layout, options) if request.start is None else request.start
    histories = no_histories(layout, options, PAIRS)
    running = Running.begun(training, request.C, options, start=start, histories=histories)
    yield running
    model = training.model(running.coefficients, request.C, options.multiclass)
    return Fit(request.left_out, model, running.outcome)
