"""`make bench`: the contenders in alternation, judged by how far they converged; and their page."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter

from benchmarks import growth, own, solver
from benchmarks.clock import alternated
from benchmarks.contenders import Contender, Line, Rounds, contenders
from benchmarks.markdown import duration, machine, table, write_measured
from benchmarks.work import Size, Work

LESS_CONVERGED = 2.0
"""A gap so many times scikit-learn's float64 one is no rounding: the fits stopped earlier."""

Tell = Callable[[str], None]


def measure(size: Size, tell: Tell, *, gemm_edge: int = growth.EDGE) -> dict[str, str]:
    """The sections of the page."""
    work = solver.load(size)
    tell("foldwise's search, whose values of C everyone gets")
    first = own.search(work)
    lines, searched = compare(first, contenders(first), tell)
    tell("the machine's limit, memory, rows, fits and threads")
    return {
        "setting": _setting(work),
        "contenders": _contenders(lines, searched),
        **growth.sections(work, searched, gemm_edge),
    }


def _setting(work: Work) -> str:
    size = work.size
    return (
        "\n".join(f"- {line}" for line in machine())
        + f"\n\nOne nested search for `C` on MNIST's first {size.rows:,} images: {size.folds} outer"
        f" folds with\n{size.folds - 1} inner folds each and a final study, {size.trials} trials a"
        f" study, tolerance\n{size.tol:g}, on {work.threads} threads."
    )


def _contenders(lines: Sequence[Line], searched: solver.Searched) -> str:
    strengths = ", ".join(f"{fit.C:.2g}" for fit in searched.task.sampled[:-1])
    loss = own.estimates(searched)["log_loss"].mean
    return (
        f"{tabled(lines)}\n\nMedians of {searched.task.work.size.repeats}. Extrapolated from inner"
        f" fits at C = {strengths}. Mean log-loss over foldwise's outer folds: {loss:.4f}."
    )


def compare(
    searched: solver.Searched, everyone: Sequence[Contender], tell: Tell
) -> tuple[list[Line], solver.Searched]:
    """Time all in turn, ``repeats`` times round, and judge them; the last of foldwise's searches.

    ``searched`` is the search whose values of C everyone gets.
    """
    task, lines = searched.task, dict[int, Line]()

    def timed(at: int) -> float:
        lines[at] = everyone[at].line(task)
        tell(f"{lines[at].name}: {lines[at].seconds:.1f} s")
        return lines[at].seconds

    every = [partial(timed, at) for at in range(len(everyone))]
    medians = enumerate(alternated(every, task.work.size.repeats))
    told = [replace(lines[at], seconds=seconds) for at, seconds in medians]
    last = next(each.searched for each in everyone if isinstance(each, Rounds))
    return [*told, _unshared(told[-1], last)], last


def _unshared(in_one_go: Line, searched: solver.Searched) -> Line:
    """As if every study of foldwise's made its own paths and fits, by passes over rows."""
    task, work = searched.task, searched.task.work
    rows = {left_out: len(work.training_rows(left_out)) for left_out in work.training_sets}
    once = sum(times * rows[left_out] for left_out, times in searched.evaluations)
    sets = [of for study in work.studies for of in (study, *(of for of, _ in work.inner(study)))]
    often = 0.0 + sum(searched.paths[left_out].evaluations * rows[left_out] for left_out in sets)
    often += sum(
        searched.fits[fit[:2]].outcome.evaluations * rows[fit.left_out] for fit in task.wanted
    )
    return replace(
        in_one_go,
        name="foldwise in one go, every study for itself",
        seconds=in_one_go.seconds * often / once,
        fits=in_one_go.logical,
        note="computed from the evaluations",
    )


def tabled(lines: Sequence[Line]) -> str:
    """The table of contenders; ratios are to foldwise's search in rounds."""
    mine = next(line for line in lines if line.name.startswith("**foldwise**"))
    header = (
        "", "wall time", "ratio", "fits", "evaluations per fit", "objective gap", "outer log-loss",
        "timed",
    )  # fmt: skip
    rows = (
        (
            line.name,
            duration(line.seconds),
            f"{line.seconds / mine.seconds:.2f}",
            str(line.fits) if line.fits == line.logical else f"{line.fits} for {line.logical}",
            f"{line.evaluations:.0f}",
            f"{line.gap:.1e}" + (" †" if line.gap > LESS_CONVERGED * lines[0].gap else ""),
            f"{line.log_loss:.4f}",
            line.note,
        )
        for line in lines
    )
    return table(header, rows, numbers=True)


def main() -> None:
    """Measure with progress on standard error, and write the page."""
    began = perf_counter()

    def tell(what: str) -> None:
        print(f"{perf_counter() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    size = Size.from_environment()
    write_measured("benchmarks", measure(size, tell), whole=size.is_whole)


if __name__ == "__main__":
    main()
