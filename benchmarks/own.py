"""foldwise's own lines: in rounds, in one go, and in one go without sharing."""

from statistics import median

from benchmarks import batched, reference
from benchmarks.measured import Line, seconds_of
from benchmarks.task import Task
from benchmarks.workload import LogicalFit
from foldwise.model.linear import LinearModel


class Own:
    """Times the searches, and tells what they took."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rounds: list[float] = []
        self._one_go: list[float] = []
        self.last = task.first

    def repeat(self, *, first: bool) -> None:
        """Time the search, of which the first settled the values of C, and all in one go."""
        work = self._task.workload, self._task.wanted
        self._one_go.append(seconds_of(lambda: batched.in_one_go(*work)))
        if not first:
            self.last = batched.search(self._task.workload)
        self._rounds.append(self.last.seconds)

    def lines(self, tight: dict[LogicalFit, LinearModel]) -> tuple[Line, ...]:
        """The three of them."""
        task = self._task
        once, often = _work(self.last, task)
        wanted = (*task.inner, task.outer)
        engine = batched.engine(task.workload)
        # The same bits as in the search: a fit doesn't depend on its company.
        asked = {(fit.left_out, fit.C) for fit in wanted}
        made = list(engine.solve(batched.on_paths(engine, task.workload, asked)))
        models = {(fit.left_out, fit.model.C): fit.model for fit in made}
        gap = max(
            reference.relative_gap(models[w.left_out, w.C], tight[w], w, task.workload)
            for w in wanted
        )
        loss = task.log_loss(models[task.outer.left_out, task.outer.C])
        distinct, logical = len({(f.left_out, f.model.C) for f in self.last.fits}), len(task.wanted)
        evaluations = sum(times for _, times in self.last.made) / distinct

        def line(name: str, seconds: float, fits: int, note: str) -> Line:
            return Line(name, seconds, fits, logical, evaluations, gap, loss, note)

        return (
            line(
                "**foldwise**, rounds as Optuna proposes", median(self._rounds), distinct, "whole"
            ),
            line("foldwise, all C known, in one go", median(self._one_go), distinct, "whole"),
            line(
                "foldwise in one go, every study for itself",
                median(self._one_go) * often / once,
                logical,
                "computed from the evaluations",
            ),
        )


def _work(searched: batched.Searched, task: Task) -> tuple[float, float]:
    """Passes over rows: as they were made, and if every study made its own paths and fits."""
    workload, plan = task.workload, task.workload.plan
    path_cost = {
        left_out: path.evaluations * len(workload.training_rows(left_out))
        for left_out, path in searched.paths.items()
    }
    fit_cost = {
        (fit.left_out, fit.model.C): fit.outcome.evaluations
        * len(workload.training_rows(fit.left_out))
        for fit in searched.fits
    }
    once = sum(path_cost.values()) + sum(fit_cost.values())
    own_paths = (
        left_out
        for study in plan.studies
        for left_out in (study.refit, *(inner.left_out for inner in study.inner))
    )
    often = sum(path_cost[left_out] for left_out in own_paths)
    return once, often + sum(fit_cost[fit.left_out, fit.C] for fit in task.wanted)
