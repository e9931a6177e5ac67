"""The contenders side by side: timed in alternation, judged by how far they converged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

from benchmarks import own
from benchmarks.contenders import Contender, Rounds, Sample
from benchmarks.markdown import table
from benchmarks.work import Task

LESS_CONVERGED = 2.0
"""A gap so many times scikit-learn's float64 one is no rounding: the fits stopped earlier."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A contender in the table: of the whole search seconds, fits made, and those they stand for.

    ``gap`` is the judged fits' largest relative excess over the tight solutions' objectives.
    """

    name: str
    seconds: float
    fits: int
    logical: int
    evaluations: float
    gap: float
    log_loss: float
    note: str


def compare(
    searched: own.Searched, everyone: Sequence[Contender], tell: Tell
) -> tuple[list[Line], own.Searched]:
    """Time all in turn, ``repeats`` times round, and judge them; the last of foldwise's searches.

    ``searched`` is the search whose values of C everyone gets.
    """
    task, repeats = searched.task, searched.task.work.size.repeats
    suited = [each.suit(task) for each in everyone]
    seconds: dict[str, list[float]] = {each.name: [] for each in suited}
    samples: dict[str, Sample] = {}
    for repeat in range(repeats):
        for each in suited:
            if repeat == 0 or not each.once:
                tell(f"{repeat + 1} of {repeats}: {each.name}")
                samples[each.name] = each.sample(task)
                seconds[each.name].append(each.seconds(task, samples[each.name]))
    tell("tight reference solutions")
    lines = [_line(each, task, median(seconds[each.name]), samples[each.name]) for each in suited]
    last = next(each.searched for each in suited if isinstance(each, Rounds))
    return [*lines, _unshared(lines[-1], last)], last


def _line(each: Contender, task: Task, seconds: float, sample: Sample) -> Line:
    work = task.work
    tight = own.tight(work, tuple(made.wanted for made in sample.judged), sample.scaled_outside)
    return Line(
        each.name,
        seconds,
        sample.count,
        len(task.wanted),
        mean(made.evaluations for made in sample.inner),
        max(work.gap(m.model, tight[m.wanted], m.wanted.left_out) for m in sample.judged),
        work.mean_loss(sample.outer.model, work.scored_rows(0)),
        each.note,
    )


def _unshared(in_one_go: Line, searched: own.Searched) -> Line:
    """As if every study of foldwise's made its own paths and fits, by passes over rows."""
    task, work = searched.task, searched.task.work
    rows = {left_out: len(work.training_rows(left_out)) for left_out in work.training_sets}
    paths = {left_out: times * rows[left_out] for left_out, times in searched.paths.items()}
    fits = {key: times * rows[key[0]] for key, times in searched.fits.items()}
    own_paths = [left_out for study in work.studies
                 for left_out in (study, *(inner for inner, _ in work.inner(study)))]  # fmt: skip
    often = sum(paths[left_out] for left_out in own_paths)
    often += sum(fits[fit.left_out, fit.C] for fit in task.wanted)
    return replace(
        in_one_go,
        name="foldwise in one go, every study for itself",
        seconds=in_one_go.seconds * often / (sum(paths.values()) + sum(fits.values())),
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


def duration(seconds: float) -> str:
    """Seconds, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 100 else f"{minutes} min {rest} s"
