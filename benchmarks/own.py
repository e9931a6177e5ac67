"""foldwise's own lines: in rounds, in one go, and in one go without sharing."""

from collections.abc import Sequence
from statistics import mean, median

from benchmarks import batched, reference
from benchmarks.measured import Line, seconds_of
from benchmarks.task import Task
from benchmarks.workload import LogicalFit
from foldwise.model.linear import Fit, LinearModel
from foldwise.model.solver import FitRequest


class Own:
    """Times the searches, and tells what they took."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rounds: list[float] = []
        self._one_go = 0.0
        self.last = task.first

    def repeat(self, *, first: bool) -> None:
        """Time the search, of which the first settled the values of C; once, all in one go."""
        work = self._task.workload, self._task.wanted
        if first:
            self._one_go = seconds_of(lambda: batched.in_one_go(*work))
        else:
            self.last = batched.search(self._task.workload)
        self._rounds.append(self.last.seconds)

    def lines(self, tight: dict[LogicalFit, LinearModel]) -> tuple[Line, ...]:
        """The three of them."""
        task = self._task
        once, often = _work(self.last.fits, task)
        wanted = (*task.inner, task.outer)
        engine = batched.engine(task.workload)
        # The same bits as in the search: a fit doesn't depend on its company.
        made = list(engine.solve([FitRequest(fit.left_out, fit.C) for fit in wanted]))
        models = {(fit.left_out, fit.model.C): fit.model for fit in made}
        gap = max(
            reference.relative_gap(models[w.left_out, w.C], tight[w], w, task.workload)
            for w in wanted
        )
        loss = task.log_loss(models[task.outer.left_out, task.outer.C])
        distinct, logical = len({(f.left_out, f.model.C) for f in self.last.fits}), len(task.wanted)
        evaluations = mean(fit.outcome.evaluations for fit in self.last.fits)

        def line(name: str, seconds: float, fits: int, note: str) -> Line:
            return Line(name, seconds, fits, logical, evaluations, gap, loss, note)

        return (
            line(
                "**foldwise**, rounds as Optuna proposes", median(self._rounds), distinct, "whole"
            ),
            line("foldwise, all C known, in one go", self._one_go, distinct, "whole, once"),
            line(
                "foldwise in one go, equal fits made again",
                self._one_go * often / once,
                logical,
                "computed from the evaluations",
            ),
        )


def _work(fits: Sequence[Fit], task: Task) -> tuple[float, float]:
    """Passes over rows: of the distinct fits, and with each counted as often as it is wanted."""
    cost = {
        (fit.left_out, fit.model.C): fit.outcome.evaluations
        * len(task.workload.training_rows(fit.left_out))
        for fit in fits
    }
    return sum(cost.values()), sum(cost[fit.left_out, fit.C] for fit in task.wanted)
