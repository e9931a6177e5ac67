"""What `make gpu` has made and measured on the card itself, by torch."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clock import seconds_of
from benchmarks.solver import HIGH, LOW, Searched, search
from benchmarks.work import Parts, Work
from foldwise.search.engines.gpu import Cuda, DeviceBackend
from foldwise.search.engines.scoring import DeviceScores
from foldwise.solver.fits import SolverOptions, TrainingSet
from foldwise.solver.layout import Layout, PartMoments
from foldwise.solver.linear import Fit
from foldwise.solver.lockstep import Device, Rows
from foldwise.solver.paths import RegularisationPath, Stretch, anchors

try:
    import torch
except ImportError:
    torch: Any = None  # type: ignore[no-redef]  # `make gpu` says so

FLOOR = 0.16


class Measured(NamedTuple):
    """A search of so many rows on the device."""

    rows: int
    seconds: Mapping[str, float]
    memory: float
    steps: int
    step_seconds: float
    rate: float
    card_rate: float
    gradient: float

    def cells(self) -> tuple[str, ...]:
        """As the page has it."""
        whole, parts = self.seconds["whole"], [self.seconds[of] for of in ("paths", "fits")]
        return (
            f"{self.rows:,}", f"**{whole:.2f}**", *(f"{of:.2f}" for of in parts),
            f"{whole - sum(parts):.2f}", f"{self.steps}", f"{1000 * self.step_seconds:.2f}",
            f"{self.memory:.1f}", f"{self.rate / 1e12:.0f}", f"{self.card_rate / 1e12:.0f}",
            f"{100 * self.rate / self.card_rate:.0f} %", f"{self.gradient:.1e}",
        )  # fmt: skip


class Watched(Cuda):
    """The device, counting the steps that are replayed on it; the last one is kept."""

    steps = 0
    replay: Callable[[], None]

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Capture the step, and count whenever it is replayed."""
        self.replay = replay = super().record(step)

        def counted() -> None:
            self.steps += 1
            replay()

        return counted


def card() -> str:
    """Its name."""
    return str(torch.cuda.get_device_name())


def engine(
    work: Work, device: Device, layout: Layout, rows: Rows | None = None
) -> tuple[DeviceBackend, DeviceScores]:
    """What makes fits and what scores them there; the originals are scored."""
    options = SolverOptions(tol=work.size.tol, scale_floor=FLOOR)
    scored = [(work.images[part], work.labels[part]) for part in work.parts]
    backend = DeviceBackend(layout, options, device, rows)
    return backend, DeviceScores(device, scored, work.classes)


def measure(work: Work, copies: int, space: Any) -> tuple[Measured, Searched, Searched]:
    """Search so many copies, compiled before; twice, if it takes no time."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    device = Watched()
    layout, rows = shifted(device, work, copies)
    backend, scorer = engine(work, device, layout, rows)
    list(backend.trace([Stretch(RegularisationPath(Parts(), anchors(LOW, HIGH)), 4)]))  # compiles
    before = search(work, space, backend, scorer) if copies == 1 else None
    device.steps = 0
    searched = search(work, space, backend, scorer)
    torch.cuda.synchronize()
    steps, memory = device.steps, torch.cuda.max_memory_reserved() / 1e9
    step = device_seconds(device.replay, times=10)
    outputs = work.classes * sum(0 not in of for of in work.training_sets)
    held = sum(moments.rows for moments in layout.moments)
    fits = list(searched.fits.values())
    judged = fits if copies == 1 else fits[:: len(fits) // 3][:3]
    gradient = max(largest_gradient(rows, layout, fit) for fit in judged)
    rate = 8 * held * rows.pixels.shape[3] * outputs / step
    own = halves(rows, outputs)
    made = Measured(held, searched.seconds, memory, steps, step, rate, own, gradient)
    print(made, flush=True)
    return made, searched, before or searched


def device_seconds(work: Callable[[], object], *, times: int) -> float:
    """Seconds of device time that a call takes."""
    work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in "ab")
    begin.record()
    for _ in range(times):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1000 / times


def shifted(device: Cuda, work: Work, copies: int) -> tuple[Layout, Rows]:
    """Each image with copies shifted by some pixels, made and measured on the device."""
    within, folds, (_, width) = range(-6, 7), work.size.folds, work.images.shape
    shifts = sorted(
        ((a, b) for a in within for b in within), key=lambda by: by[0] ** 2 + by[1] ** 2
    )
    moments, products, held = [], {}, [len(rows) * copies for rows in work.parts]
    bare = [PartMoments(rows, np.zeros(0), np.zeros(0)) for rows in held]
    empty = Layout(((),) * folds, tuple(bare), ((),) * folds, width, work.classes)  # type: ignore[arg-type]  # nobody asks
    chunks, lanes, rows, _ = shape = Rows.shape(empty)
    pixels = torch.zeros(shape, dtype=torch.float16, device="cuda")
    labels = torch.full((chunks, lanes, rows), -1, device="cuda")
    each, side = lanes // folds, round(width**0.5)
    for part, own in enumerate(work.parts):
        at = torch.arange(len(own), device="cuda")
        told = device.array(work.labels[own])
        square = device.array(work.images[own]).reshape(-1, side, side)
        total = torch.zeros(width, dtype=torch.float64, device="cuda")
        squares = torch.zeros((width, width), dtype=torch.float64, device="cuda")
        for shift in shifts[:copies]:
            moved = torch.roll(square, shift, (1, 2)).reshape(len(own), -1)
            there = at // (each * rows), part * each + at // rows % each, at % rows
            pixels[*there, 0] = 128
            pixels[*there, 1 : 1 + width] = moved.half()
            labels[there] = told
            exact = moved.double()
            total += exact.sum(0)
            squares += exact.T @ exact
            at = at + len(own)
        products[part] = squares.cpu().numpy()
        of_squares = products[part].diagonal()
        moments.append(PartMoments(held[part], total.cpu().numpy(), of_squares, 0, 255))
    layout = Layout(empty.lanes, tuple(moments), empty.columns, empty.features, work.classes)
    layout.squares.update(products)
    return layout, Rows(pixels, labels, (labels >= 0).float())


def largest_gradient(rows: Rows, layout: Layout, fit: Fit) -> float:
    """The largest entry of a fit's gradient, from the definition, in double."""
    each = rows.labels.shape[1] // layout.parts
    training = TrainingSet.of(layout, fit.left_out, FLOOR)
    put = partial(torch.as_tensor, device="cuda", dtype=torch.float64)
    coefficients, intercepts = put(fit.model.coefficients), put(fit.model.intercepts)
    mean, inverse = put(training.mean), put(training.inverse)
    slopes, offsets = torch.zeros_like(coefficients), torch.zeros_like(intercepts)
    for part in set(range(layout.parts)) - fit.left_out:
        lanes = slice(part * each, (part + 1) * each)
        own = rows.pixels[:, lanes].flatten(0, 1), rows.labels[:, lanes].flatten(0, 1)
        for pixels, told in zip(*own, strict=True):
            real = told >= 0
            x = (pixels[real, 1 : 1 + layout.features].double() - mean) * inverse
            residuals = torch.softmax(x @ coefficients.T + intercepts, 1)
            residuals[torch.arange(len(x), device="cuda"), told[real]] -= 1
            slopes += residuals.T @ x
            offsets += residuals.sum(0)
    slopes = slopes / training.rows + training.penalty(fit.model.C) * coefficients
    return max(float(slopes.abs().max()), float((offsets / training.rows).abs().max()))


def halves(rows: Rows, outputs: int) -> float:
    """Half-precision operations a second that the card makes of products of these shapes."""
    pixels = rows.pixels[0]
    parts, count, columns = pixels.shape
    weights = torch.randn(parts, 2 * outputs, columns, device="cuda").half()
    residuals = torch.randn(parts, 2 * outputs, count, device="cuda").half()

    def both() -> None:
        torch.bmm(weights, pixels.swapaxes(1, 2), out_dtype=torch.float32)
        torch.bmm(residuals, pixels, out_dtype=torch.float32)

    return float(4 * weights.numel() * count / device_seconds(both, times=20))


def by_scikit_learn(work: Work, strengths: Sequence[float]) -> list[float]:
    """Seconds of its fit without two parts at each C, in single precision, after one to warm up."""
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    rows = work.training_rows(frozenset({0, 1}))
    x, y = (torch.as_tensor(of[rows], device="cuda") for of in (work.images, work.labels))
    x = x.float()
    x = (x - x.mean(0)) / torch.clamp(x.std(0, correction=0), min=FLOOR * 255)

    def fit(C: float) -> None:
        LogisticRegression(C=C, tol=work.size.tol, max_iter=1000).fit(x, y)
        torch.cuda.synchronize()

    with config_context(array_api_dispatch=True):
        return [seconds_of(partial(fit, C)) for C in [strengths[0], *strengths]][1:]
