"""What was measured as a page of Markdown: tables, and how to read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.comparison import Comparison
from benchmarks.limit import Evaluated, Operations
from benchmarks.measured import Line
from benchmarks.memory import Peak
from benchmarks.scaling import Scaling
from benchmarks.workload import Size

PICTURE = "pictures/benchmarks.svg"
LESS_CONVERGED = 2.0
"""A gap so many times scikit-learn's float64 one is no rounding: the fits stopped earlier."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that a run of the benchmark measured.

    ``gemm`` is operations per second; ``solved`` the operations of all fits of the search, done
    in ``comparison.searched.solve_seconds``; ``help_seconds`` None where there is no command.
    """

    size: Size
    machine: tuple[str, ...]
    threads: int
    features: int
    comparison: Comparison
    gemm: float
    evaluated: tuple[Evaluated, ...]
    solved: Operations
    peak: Peak
    peak_fits: int
    scaling: Scaling
    help_seconds: float | None


def page(found: Findings) -> str:
    """The whole page."""
    sections = (
        _introduction(found),
        _contenders(found),
        _limit(found),
        _memory(found),
        _scaling(found),
    )
    return "\n\n".join(sections) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    ruler = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ruler, *rows))


def contenders(lines: Sequence[Line]) -> str:
    """The table of contenders; ratios are to foldwise's search in rounds."""
    own = next(line for line in lines if line.name.startswith("**foldwise**"))
    header = (
        "", "wall time", "ratio", "fits", "evaluations per fit", "objective gap", "outer log-loss",
        "timed",
    )  # fmt: skip
    rows = (
        (
            line.name,
            duration(line.seconds),
            f"{line.seconds / own.seconds:.2f}",
            str(line.fits) if line.fits == line.logical else f"{line.fits} for {line.logical}",
            f"{line.evaluations:.0f}",
            f"{line.gap:.1e}" + (" †" if is_less_converged(line, lines) else ""),
            f"{line.log_loss:.4f}",
            line.note,
        )
        for line in lines
    )
    return table(header, rows)


def is_less_converged(line: Line, lines: Sequence[Line]) -> bool:
    """Whether a line's fits end clearly further from the optimum than scikit-learn's in float64."""
    return line.gap > LESS_CONVERGED * lines[0].gap


def duration(seconds: float) -> str:
    """Seconds, or minutes and seconds, or hours and minutes."""
    whole = round(seconds)
    if seconds < 100:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _introduction(found: Findings) -> str:
    machine = "\n".join(f"- {line}" for line in found.machine)
    size = found.size
    return f"""# Benchmarks

Written by `make bench`; do not edit. `BENCH_ROWS=6000 make bench` takes fewer rows, and leaves
this page alone.

{machine}

One nested search for `C` on MNIST's first {size.rows:,} images: {size.folds} outer folds with
{size.folds - 1} inner folds each and a final study, {size.trials} trials a study, tolerance
{size.tol:g}, on {found.threads} threads. Everyone gets the values of `C` that foldwise's search
came upon, and so makes the same fits."""


def _contenders(found: Findings) -> str:
    compared, size = found.comparison, found.size
    strengths = ", ".join(f"{C:.2g}" for C in compared.sampled)
    absent = "".join(f"\n- {name} is not installed here: no line." for name in compared.left_out)
    seconds = found.help_seconds
    command = "" if seconds is None else f"\n\n`foldwise --help` answers in {seconds:.2f} s."
    return f"""## The nested search

{contenders(compared.lines)}

- *Ratio*: wall time over that of foldwise's search as it is run, rounds included. Medians of
  {size.repeats}, taken in turn; `LogisticRegressionCV` is timed once. One fit per core or one fit
  on all cores: whichever was quicker in a short trial.
- *Extrapolated*: the whole would take over {duration(size.longest)}. Timed is a sample, inner fits
  at C = {strengths} (the middles of {len(compared.sampled)} equal shares of all inner fits by
  their `C`), scaled by training rows; no worker is ever idle and nothing but fits is counted.
  `LogisticRegressionCV`: one study's whole path on two of its folds, and its last fit.
- *Fits*: each standardises its own training rows, `LogisticRegressionCV` its whole study's.
  foldwise alone shares: studies with a training set in common share its path, and equal fits are
  made once. Its last line is what it would be without.
- *Evaluations per fit*: passes over the training rows; foldwise's are those of all its paths and
  fits, over its distinct fits. For the others, iterations of the sampled fits, which are slightly
  fewer than passes.
- *Objective gap*: the largest relative excess of the sampled fits' objectives (mean loss plus
  penalty) over a float64 solution at a hundredth of the tolerance. † marks more than
  {LESS_CONVERGED:g} times the gap of the first line: not the same quality. scikit-learn-intelex
  tests the summed gradient, not the mean, and so gets the tolerance times the rows.
- *Outer log-loss*: of the first outer fold's model. The mean over foldwise's outer folds is
  {compared.outer_loss:.4f}.{absent}{command}"""


def _limit(found: Findings) -> str:
    searched = found.comparison.searched
    rows = [
        (f"evaluations, {each.fits} fits at once", *_shares(each.operations, each.seconds, found))
        for each in found.evaluated
    ]
    solved = _shares(found.solved, searched.solve_seconds, found)
    rows.append(("the search's solver, whole", *solved))
    header = ("GFLOP/s", "needed", "share", "multiplied", "share")
    return f"""## Against the machine's limit

A large float32 matrix product runs at {found.gemm / 1e9:.0f} GFLOP/s here, on {found.threads}
threads. An evaluation of a fit *needs* 4 · rows · features · classes operations; {found.features}
pixels are lit somewhere, the other {784 - found.features} are not counted. Rows are sorted by the
rarest pixel they light, so that most of the dark ones are skipped and fewer are *multiplied*: the
first share may pass what the machine can do.

{table(header, rows)}

The solver had {duration(searched.solve_seconds)} of the search's {duration(searched.seconds)}; the
rest is scoring and Optuna."""


def _shares(operations: Operations, seconds: float, found: Findings) -> tuple[str, ...]:
    needed, performed = operations.needed / seconds, operations.performed / seconds
    rates = (needed, needed / found.gemm, performed, performed / found.gemm)
    return tuple(f"{x:.0%}" if i % 2 else f"{x / 1e9:.0f}" for i, x in enumerate(rates))


def _memory(found: Findings) -> str:
    peak = found.peak
    return f"""## Memory

The images take {peak.images / 1e6:.0f} MB. A process that maps them from the disk, traces all
paths and solves {found.peak_fits} fits at once, the most there ever are, peaks
{peak.solver / 1e6:.0f} MB above the interpreter and its libraries, the mapped images included."""


def _scaling(found: Findings) -> str:
    scaling = found.scaling
    rows = [(f"{n:,}", f"{s:.2f}", f"{1e6 * s / n:.0f}") for n, s in scaling.rows]
    batches = [(str(e.fits), _each(e)) for e in scaling.batches]
    threads = [(str(e.threads), _each(e)) for e in scaling.threads]
    trials = [(str(n), f"{s:.1f}") for n, s in scaling.trials]
    each = "ms per fit and evaluation"
    return f"""## Scaling

![Time against rows, fits in the batch, trials and threads]({PICTURE})

The paths of all training sets up to C = 0.01, by rows:

{table(("rows", "seconds", "microseconds per row"), rows)}

Evaluations, by the number of fits that share them:

{table(("fits at once", each), batches)}

Evaluations of 42 fits, by threads:

{table(("threads", each), threads)}

The whole search, by trials; first come the paths, then the start-up trials, made together:

{table(("trials of each study", "seconds"), trials)}"""


def _each(evaluated: Evaluated) -> str:
    return f"{1e3 * evaluated.seconds / evaluated.fits:.2f}"
