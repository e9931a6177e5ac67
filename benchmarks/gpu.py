"""``make gpu``: the default search on a GPU, checked against the cores' and measured.

Needs numpy, scipy, scikit-learn and torch, no installing: the rows are ``data/raw``'s. A search
begins at the C that ``reports/trials.csv`` begins at; what it asks then follows from its own
losses. Without a GPU it says so, and does nothing.
"""

import argparse
import csv
import gzip
import math
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.markdown import table, with_section
from foldwise.errors import SearchError
from foldwise.search.curve import Point, next_place, starts, walk
from foldwise.search.engines.gpu import Cuda, DeviceBackend, found
from foldwise.search.engines.scoring import DeviceScores
from foldwise.solver.fits import FitRequest, SolverOptions, TrainingSet, solve
from foldwise.solver.layout import Layout, PartMoments
from foldwise.solver.linear import Fit, LinearModel, probabilities
from foldwise.solver.lockstep import Rows
from foldwise.solver.paths import RegularisationPath, Stretch, Traced, anchors, trace
from foldwise.stats.scores import Scores, score

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gpu.md"
LOW, HIGH, TOLERANCE, FLOOR = 1e-4, 10.0, 1e-4, 0.16
FOLDS, TRIALS, CLASSES, SIDE = 6, 12, 10, 28
COPIES = (1, 20, 135)
SAMPLED = 5

Parts = frozenset[int]
Solver = Any
"""Something with the batched engine's backend's two methods."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """MNIST's development images, and the part of each."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    parts: tuple[NDArray[np.int64], ...]

    @classmethod
    def load(cls, folder: Path) -> "Images":
        """Read them, and deal each class's, shuffled, to the parts in turn."""

        def read(name: str, header: int) -> NDArray[np.uint8]:
            content = gzip.decompress((folder / f"train-{name}-ubyte.gz").read_bytes())
            return np.frombuffer(content, np.uint8, offset=header)

        pixels = read("images-idx3", 16).reshape(-1, SIDE * SIDE)
        labels = read("labels-idx1", 8).astype(np.int64)
        shuffled = np.random.default_rng(1).permutation(len(labels))
        ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
        parts = tuple(np.sort(ordered[part::FOLDS]) for part in range(FOLDS))
        return cls(pixels, labels, parts)

    @property
    def layout(self) -> Layout:
        """As the solver on cores arranges them."""
        return Layout.build(self.pixels, self.labels, self.parts, classes=CLASSES)

    @property
    def scored(self) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Rows and labels of each part."""
        return [(self.pixels[rows], self.labels[rows]) for rows in self.parts]


def reported() -> dict[Parts, list[float]]:
    """The values of C that each study has asked for; the final one leaves none out."""
    asked: dict[Parts, list[float]] = {}
    with (ROOT / "reports" / "trials.csv").open(newline="") as told:
        for row in csv.DictReader(told):
            own = asked.setdefault(frozenset(map(int, row["study"].split("-")[1:])), [])
            if int(row["trial"]) == len(own):
                own.append(float(row["C"]))
    return asked


def proposed(tried: Sequence[tuple[float, Sequence[float]]]) -> float:
    """The C that a study asks after these, each with its inner folds' losses, as ``tune`` does."""
    points = [Point(_place(C), tuple(losses)) for C, losses in tried]
    return float(LOW * (HIGH / LOW) ** next_place(points, _walk(), is_stepped=False))


@cache
def _walk() -> tuple[float, ...]:
    """The walk of the report's search."""
    count = starts(TRIALS)
    return walk(count, count * _place(reported()[frozenset()][0]))


def _place(C: float) -> float:
    return math.log(C / LOW) / math.log(HIGH / LOW)


@dataclass(frozen=True, slots=True, eq=False)
class Cores:
    """The solver on this machine's cores."""

    layout: Layout
    options: SolverOptions

    def trace(self, stretches: Sequence[Stretch]) -> Iterator[Traced | RegularisationPath]:
        """Trace paths further."""
        return trace(self.layout, stretches, self.options)

    def solve(self, requests: Sequence[FitRequest]) -> Iterator[Fit]:
        """Make fits."""
        return solve(self.layout, requests, self.options)


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A search: its fits, the score of each on each part asked, and each study's best C."""

    fits: Mapping[tuple[Parts, float], Fit]
    scores: Mapping[tuple[Parts, float, int], Scores]
    best: Mapping[Parts, float]
    seconds: Mapping[str, float]

    @property
    def losses(self) -> dict[tuple[Parts, float, int], float]:
        """Inner and outer log-losses."""
        return {at: scores["log_loss"] for at, scores in self.scores.items()}

    def told(self, study: Parts) -> list[float]:
        """The inner log-loss of a study at its best C, and the outer one if it has one."""
        C, losses = self.best[study], self.losses
        inner = float(np.mean([losses[study | {part}, C, part] for part in _inner(study)]))
        return [inner, *(losses[study, C, part] for part in study)]


Scorer = Callable[[Sequence[LinearModel], int], Sequence[Scores]]


class Search:
    """The rounds of the default search, as the batched engine makes them."""

    def __init__(self, solver: Solver, scorer: Scorer, images: Images) -> None:
        self._solver, self._scorer, self._kept = solver, scorer, images.scored
        every = anchors(LOW, HIGH)
        self._sets = [frozenset(of) for of in _sets()]
        self._paths = {of: RegularisationPath(of, every) for of in self._sets}
        self._fits: dict[tuple[Parts, float], Fit] = {}
        self._scores: dict[tuple[Parts, float, int], Scores] = {}
        self._seconds = dict.fromkeys(("paths", "fits", "scores"), 0.0)

    def run(self) -> Searched:
        """Rounds of a trial a study, each by the study's own losses, then the studies' models."""
        studies = [frozenset[int](), *(frozenset({part}) for part in range(FOLDS))]
        tried: dict[Parts, list[float]] = {study: [] for study in studies}
        for _ in range(TRIALS):
            for study, of in tried.items():
                of.append(proposed([(C, self._losses(study, C)) for C in of]))
            self._round(
                {(study | {part}, of[-1], part) for study, of in tried.items()
                 for part in _inner(study)}
            )  # fmt: skip
        best = {study: min(of, key=partial(self._mean, study)) for study, of in tried.items()}
        self._round({(study, C, min(study, default=-1)) for study, C in best.items()})
        self._predict(best)
        return Searched(self._fits, self._scores, best, self._seconds)

    def _predict(self, best: Mapping[Parts, float]) -> None:
        """What is kept of the outer models is predicted by cores, as the models will be."""
        began = perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool, threadpool_limits(1, user_api="blas"):
            models = [(self._fits[study, C].model, study) for study, C in best.items() if study]
            list(pool.map(lambda of: probabilities(of[0], self._kept[min(of[1])][0]), models))
        self._seconds["scores"] += perf_counter() - began

    def _mean(self, study: Parts, C: float) -> float:
        return float(np.mean(self._losses(study, C)))

    def _losses(self, study: Parts, C: float) -> list[float]:
        return [self._scores[study | {part}, C, part]["log_loss"] for part in _inner(study)]

    def _round(self, wanted: set[tuple[Parts, float, int]]) -> None:
        began = perf_counter()
        jobs = sorted({(left_out, C) for left_out, C, _ in wanted}, key=_by_name)
        largest = max(C for _, C in jobs)
        new = [of for of in self._sets if len(of) < 2 and not self._paths[of].solutions]
        stretches: dict[Parts, Stretch] = {}
        for left_out, C in sorted([*jobs, *((of, largest) for of in new)], key=_by_name):
            path = self._paths[left_out]
            if path.reach(C) > len(path.solutions):
                stretches[left_out] = Stretch(path, path.reach(C))
        for event in self._solver.trace(tuple(stretches.values())):
            if isinstance(event, RegularisationPath):
                self._paths[event.left_out] = event
        traced = perf_counter()
        asked = [FitRequest(of, C, self._paths[of].at(C)) for of, C in jobs]
        made = {(fit.left_out, fit.model.C): fit for fit in self._solver.solve(asked)}
        self._fits |= made
        solved = perf_counter()
        for part in range(FOLDS):
            own = sorted({(of, C) for of, C, on in wanted if on == part}, key=_by_name)
            if own:
                told = self._scorer([made[job].model for job in own], part)
                self._scores |= {(*job, part): each for job, each in zip(own, told, strict=True)}
        for name, seconds in zip(
            self._seconds,
            (traced - began, solved - traced, perf_counter() - solved),
            strict=True,
        ):
            self._seconds[name] += seconds


def _sets() -> list[Parts]:
    return [frozenset({a, b}) for a in range(FOLDS) for b in range(a, FOLDS)] + [frozenset()]


def _by_name(job: tuple[Parts, float]) -> tuple[list[int], float]:
    return sorted(job[0]), job[1]


def on_cores(images: Images) -> Callable[[Sequence[LinearModel], int], list[Scores]]:
    """Scores as the engine for cores computes them."""
    scored, pool = images.scored, ThreadPoolExecutor(os.cpu_count())

    def scores(models: Sequence[LinearModel], part: int) -> list[Scores]:
        rows, labels = scored[part]
        return list(pool.map(lambda model: score(probabilities(model, rows), labels), models))

    return scores


def shifted(device: Cuda, images: Images, copies: int) -> tuple[Layout, Rows]:
    """Each image with copies shifted by some pixels, made and measured on the device."""
    import torch

    within = range(-6, 7)
    shifts = sorted(
        ((a, b) for a in within for b in within), key=lambda by: by[0] ** 2 + by[1] ** 2
    )
    moments, held = [], [len(rows) * copies for rows in images.parts]
    bare = [PartMoments(rows, np.zeros(0), np.zeros(0)) for rows in held]
    empty = Layout(((),) * FOLDS, tuple(bare), ((),) * FOLDS, SIDE * SIDE, CLASSES)  # type: ignore[arg-type]  # nobody asks
    chunks, lanes, rows, _ = shape = Rows.shape(empty)
    pixels = torch.zeros(shape, dtype=torch.float16, device="cuda")
    labels = torch.full((chunks, lanes, rows), -1, device="cuda")
    each = lanes // FOLDS
    for part, own in enumerate(images.parts):
        at = torch.arange(len(own), device="cuda")
        told = device.array(images.labels[own])
        square = device.array(images.pixels[own]).reshape(-1, SIDE, SIDE)
        total, squares = (
            torch.zeros(SIDE * SIDE, dtype=torch.float64, device="cuda") for _ in "ab"
        )
        for shift in shifts[:copies]:
            moved = torch.roll(square, shift, (1, 2)).reshape(len(own), -1)
            there = at // (each * rows), part * each + at // rows % each, at % rows
            pixels[*there, 0] = 128
            pixels[*there, 1 : 1 + SIDE * SIDE] = moved.half()
            labels[there] = told
            total += moved.double().sum(0)
            squares += moved.double().square().sum(0)
            at = at + len(own)
        moments.append(PartMoments(held[part], total.cpu().numpy(), squares.cpu().numpy(), 0, 255))
    layout = Layout(empty.lanes, tuple(moments), empty.columns, empty.features, CLASSES)
    return layout, Rows(pixels, labels, (labels >= 0).float())


def largest_gradients(
    rows: Rows, layout: Layout, fits: Sequence[Fit], options: SolverOptions
) -> list[float]:
    """The largest entry of each fit's gradient, from the definition, in double."""
    import torch

    found_of, each = [], rows.labels.shape[1] // FOLDS
    for fit in fits:
        training = TrainingSet.of(layout, fit.left_out, options.scale_floor)
        put = partial(torch.as_tensor, device="cuda", dtype=torch.float64)
        coefficients, intercepts = put(fit.model.coefficients), put(fit.model.intercepts)
        mean, inverse = put(training.mean), put(training.inverse)
        slopes, offsets = torch.zeros_like(coefficients), torch.zeros_like(intercepts)
        for part in set(range(FOLDS)) - fit.left_out:
            lanes = slice(part * each, (part + 1) * each)
            own = rows.pixels[:, lanes].flatten(0, 1), rows.labels[:, lanes].flatten(0, 1)
            for pixels, told in zip(*own, strict=True):
                real = told >= 0
                x = (pixels[real, 1 : 1 + SIDE * SIDE].double() - mean) * inverse
                residuals = torch.softmax(x @ coefficients.T + intercepts, 1)
                residuals[torch.arange(len(x), device="cuda"), told[real]] -= 1
                slopes += residuals.T @ x
                offsets += residuals.sum(0)
        slopes = slopes / training.rows + training.penalty(fit.model.C) * coefficients
        found_of.append(
            max(float(slopes.abs().max()), float((offsets / training.rows).abs().max()))
        )
    return found_of


def halves(rows: Rows, fits: int) -> float:
    """Half-precision operations a second that the card makes of products of these shapes."""
    import torch

    pixels = rows.pixels[0]
    parts, count, columns = pixels.shape
    weights = torch.randn(parts, 2 * CLASSES * fits, columns, device="cuda").half()
    residuals = torch.randn(parts, 2 * CLASSES * fits, count, device="cuda").half()

    def both() -> None:
        torch.bmm(weights, pixels.swapaxes(1, 2), out_dtype=torch.float32)
        torch.bmm(residuals, pixels, out_dtype=torch.float32)

    return float(4 * weights.numel() * count / device_seconds(both, times=20))


def device_seconds(work: Callable[[], object], *, times: int) -> float:
    """Seconds of device time that a call takes."""
    import torch

    work()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in "ab")
    begin.record()
    for _ in range(times):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1000 / times


class Watched(Cuda):
    """The device, counting the steps that are replayed on it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.replay: Callable[[], None] = lambda: None

    def record(self, step: Callable[[], None]) -> Callable[[], None]:
        """Capture the step, and count whenever it is replayed; the last one is kept."""
        self.replay = replay = super().record(step)

        def counted() -> None:
            self.steps += 1
            replay()

        return counted


@dataclass(frozen=True, slots=True)
class Measured:
    """A search of so many rows on the device."""

    rows: int
    seconds: float
    parts: Mapping[str, float]
    memory: float
    steps: int
    step_seconds: float
    rate: float
    card_rate: float
    statuses: Mapping[str, int]
    gradient: float


def measure(images: Images, copies: int) -> tuple[Measured, Searched, Searched]:
    """Search so many copies, compiled before; twice, if it takes no time."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    device, began = Watched(), perf_counter()
    layout, rows = shifted(device, images, copies)
    options = SolverOptions(tol=TOLERANCE, scale_floor=FLOOR)
    solver = DeviceBackend(layout, options, device, rows)
    scorer = DeviceScores(device, images.scored, CLASSES)
    first = Stretch(RegularisationPath(frozenset(), anchors(LOW, HIGH)), 4)
    list(solver.trace([first]))  # compiles it
    say(f"{copies} copies made and compiled in {perf_counter() - began:.1f} s")
    before = Search(solver, scorer, images).run() if copies == 1 else None
    device.steps, began = 0, perf_counter()
    searched = Search(solver, scorer, images).run()
    torch.cuda.synchronize()
    seconds, steps, memory = (
        perf_counter() - began, device.steps, torch.cuda.max_memory_reserved() / 1e9,
    )  # fmt: skip
    say(f"searched in {seconds:.3f} s, {dict(searched.seconds)}, {steps} steps")
    step = device_seconds(device.replay, times=10)
    fits = 1 + (FOLDS - 1) * FOLDS // 2  # of the sets those that train on a part
    held = sum(moments.rows for moments in layout.moments)
    work = 8 * held * rows.pixels.shape[3] * CLASSES * fits
    every = list(searched.fits.values())
    sample = every if copies == 1 else every[:: len(every) // 3][:3]
    statuses = [fit.outcome.status for fit in every]
    made = Measured(
        held, seconds, searched.seconds, memory, steps, step, work / step, halves(rows, fits),
        {status: statuses.count(status) for status in sorted(set(statuses))},
        max(largest_gradients(rows, layout, sample, options)),
    )  # fmt: skip
    say(repr(made))
    return made, searched, before or searched


def differences(one: Searched, other: Searched) -> tuple[float, float, float]:
    """The largest: relative of a chosen C, of a study's log-loss there, of any log-loss of both.

    A fit with little penalty is free to go far within the tolerance, and its log-loss with it.
    """
    chosen, told = [0.0], [0.0]
    for study, C in one.best.items():
        chosen.append(abs(C / other.best[study] - 1))
        told += [abs(a - b) for a, b in zip(one.told(study), other.told(study), strict=True)]
    both = one.losses.keys() & other.losses.keys()
    return max(chosen), max(told), max(abs(one.losses[at] - other.losses[at]) for at in both)


def is_same(one: Searched, other: Searched, at: tuple[Parts, float]) -> bool:
    """Whether a fit and all its scores came out with the same bits in two searches."""
    if at not in other.fits:  # other bits have led to another C
        return False
    mine, theirs = (searched.fits[at].model.coefficients for searched in (one, other))
    scores = {(*at, part) for part in (-1, *range(FOLDS))} & one.scores.keys()
    return np.array_equal(mine, theirs) and all(
        one.scores[a] == other.scores.get(a) for a in scores
    )


def by_scikit_learn(images: Images) -> float:
    """Seconds of all fits by scikit-learn on the card, in single precision, from a sample.

    At the C's in the middle of equal shares of all inner fits; others by their rows.
    """
    import torch
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    inner = sorted(
        (C, FOLDS - 1 - len(study))
        for study, asked in reported().items()
        for C in asked
        for _ in _inner(study)
    )
    trained = [parts for _, parts in inner] + [FOLDS - 1] * FOLDS + [FOLDS]
    strengths = [inner[(2 * at + 1) * len(inner) // (2 * SAMPLED)][0] for at in range(SAMPLED)]
    used = np.concatenate(images.parts[2:])
    x = torch.as_tensor(images.pixels[used].astype(np.float32), device="cuda")
    scale = torch.clamp(x.std(0, correction=0), min=FLOOR * 255)
    x, y = (x - x.mean(0)) / scale, torch.as_tensor(images.labels[used], device="cuda")
    seconds = []
    with config_context(array_api_dispatch=True):
        for C in [strengths[0], *strengths]:  # the first warms up
            model = LogisticRegression(C=C, tol=TOLERANCE, max_iter=1000)
            torch.cuda.synchronize()
            began = perf_counter()
            model.fit(x, y)
            torch.cuda.synchronize()
            seconds.append(perf_counter() - began)
            say(f"scikit-learn, C = {C:.4g}: {seconds[-1]:.3f} s, {model.n_iter_[0]} iterations")
    return float(np.mean(seconds[1:])) * sum(trained) / (FOLDS - 2)


def _inner(study: Parts) -> list[int]:
    return [part for part in range(FOLDS) if part not in study]


def cold(data: Path) -> None:
    """The search and nothing else, in a process of its own."""
    began = perf_counter()
    images, device = Images.load(data), Cuda()
    layout = images.layout
    arranged = perf_counter()
    options = SolverOptions(tol=TOLERANCE, scale_floor=FLOOR)
    solver = DeviceBackend(layout, options, device)
    scorer = DeviceScores(device, images.scored, CLASSES)
    compiled = perf_counter()
    Search(solver, scorer, images).run()
    say(
        f"loaded and arranged in {arranged - began:.1f} s, on the device and compiled in"
        f" {compiled - arranged:.1f} s, searched in {perf_counter() - compiled:.1f} s"
    )


def in_a_new_process(part: str, data: Path) -> tuple[float, str]:
    """Seconds of a part of this program in a process of its own, and what it says last."""
    began = perf_counter()
    command = [sys.executable, "-m", "benchmarks.gpu", f"--{part}", "--data", str(data)]
    # Set before scipy is loaded, or scikit-learn dispatches no arrays.
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    told = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = perf_counter() - began
    say(f"{part}, a process of {seconds:.1f} s: {told.stdout.strip()}")
    return seconds, told.stdout.split()[-1]


def reference(images: Images) -> tuple[Searched, float]:
    """The same search by the cores, and its seconds."""
    options = SolverOptions(tol=TOLERANCE, threads=os.cpu_count() or 1, scale_floor=FLOOR)
    solver, began = Cores(images.layout, options), perf_counter()
    with threadpool_limits(limits=1, user_api="blas"):
        searched = Search(solver, on_cores(images), images).run()
    seconds = perf_counter() - began
    say(f"by {os.cpu_count()} cores in {seconds:.1f} s, {dict(searched.seconds)}")
    return searched, seconds


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, flush=True)


Figures = dict[str, Any]
"""What the parts of the program found, by name; those that failed are missing."""


def agreement(found_by: Figures) -> tuple[str, bool]:
    """What must hold as a table, and whether it does."""
    measured, one, two = found_by["60,000 rows"]
    chosen, loss, any_loss = differences(one, found_by["cores"][0])
    other = sum(not is_same(one, two, at) for at in one.fits)
    unconverged = sum(measured.statuses.values()) - measured.statuses.get("converged", 0)
    rows = [
        ("largest difference of a chosen C", f"{100 * chosen:.2g} %", "1 %", chosen <= 0.01),
        (
            "largest difference of a study's inner or outer log-loss",
            f"{loss:.1e}", "1e-4", loss <= 1e-4,
        ),
        ("largest difference of any fit's log-loss", f"{any_loss:.1e}", "", None),
        (
            f"largest gradient entry of the {len(one.fits)} fits, in double",
            f"{measured.gradient:.1e}", f"{TOLERANCE:.0e}", measured.gradient < TOLERANCE,
        ),
        ("fits that did not converge", str(unconverged), "0", unconverged == 0),
        ("fits and scores of other bits when searched again", str(other), "0", other == 0),
    ]  # fmt: skip
    words = {True: "yes", False: "**no**", None: ""}
    lines = [(what, told, most, words[holds]) for what, told, most, holds in rows]
    header = ("the device against the cores", "found", "at most", "holds")
    return table(header, lines), all(holds is not False for *_, holds in rows)


def sizes(found_by: Figures) -> str:
    """What each number of rows took."""
    header = (
        "rows", "search, s", "of it paths", "fits", "scores", "steps", "ms a step", "memory, GB",
        "TFLOP/s", "the card's own", "share", "largest gradient",
    )  # fmt: skip
    lines = [
        (
            f"{of.rows:,}", f"**{of.seconds:.2f}**", *(f"{part:.2f}" for part in of.parts.values()),
            str(of.steps), f"{1000 * of.step_seconds:.2f}", f"{of.memory:.1f}",
            f"{of.rate / 1e12:.0f}", f"{of.card_rate / 1e12:.0f}",
            f"{100 * of.rate / of.card_rate:.0f} %", f"{of.gradient:.1e}",
        )
        for of, *_ in (found_by[name] for name in found_by if name.endswith("rows"))
    ]  # fmt: skip
    return table(header, lines, numbers=True)


def others(found_by: Figures) -> str:
    """The same search by others, and in a new process."""
    here = found_by["60,000 rows"][0].seconds
    lines = [("this card, compiled before", f"{here:.2f}", "1")]
    names = {
        "cold process": "this card in a new process: imports, loading, compiling, searching",
        "cores": f"this machine's {os.cpu_count()} cores, the solver on processors",
        "scikit-learn": "scikit-learn on this card, from a sample of its fits",
    }
    for name, told in names.items():
        if name in found_by:
            seconds = found_by[name][1] if name == "cores" else found_by[name]
            lines.append((told, f"{seconds:.1f}", f"{seconds / here:.0f}"))
    return table(("60,000 rows, by", "seconds", "times as long"), lines, numbers=True)


def machine() -> str:
    """The card, versions and date."""
    import torch

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn"))
    return (
        f"`make gpu`: {torch.cuda.get_device_name()}, {os.cpu_count()} cores;"
        f" Python {platform.python_version()}, {versions}; {datetime.now(UTC):%Y-%m-%d}."
    )


def write(found_by: Figures) -> bool:
    """Put what there is into the page; whether what must hold does, as far as it is known."""
    sections, holds = {"machine": machine()}, True
    if "60,000 rows" in found_by:
        sections |= {"sizes": sizes(found_by), "others": others(found_by)}
        if "cores" in found_by:
            sections["agreement"], holds = agreement(found_by)
    text = PAGE.read_text(encoding="utf-8")
    for name, content in sections.items():
        text = with_section(text, name, content)
        say(f"\n{content}")
    PAGE.write_text(text, encoding="utf-8")
    return holds


def main() -> None:
    """Check, measure, write the page; ends with status 1 if what must hold doesn't."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "raw")
    parser.add_argument("--cold", action="store_true", help="search once, and no more")
    parser.add_argument("--stock", action="store_true", help="time scikit-learn, and no more")
    told = parser.parse_args()
    try:
        found("cuda")
    except SearchError as error:
        say(f"skipped: {error}")
        return
    if told.cold:
        cold(told.data)
        return
    images = Images.load(told.data)
    if told.stock:
        say(f"{by_scikit_learn(images):.1f}")
        return
    works: dict[str, Callable[[], Any]] = {
        "cold process": lambda: in_a_new_process("cold", told.data)[0],
        **{f"{len(images.labels) * by:,} rows": partial(measure, images, by) for by in COPIES},
        "scikit-learn": lambda: float(in_a_new_process("stock", told.data)[1]),
        "cores": lambda: reference(images),
    }
    found_by: Figures = {}
    holds = False
    for name, work in works.items():
        try:
            found_by[name] = work()
        except Exception:  # noqa: BLE001  # the other parts are worth having
            traceback.print_exc()
        holds = write(found_by)
    if not holds or len(found_by) < len(works):
        sys.exit(1)


if __name__ == "__main__":
    main()
