"""What the first search settles for everyone: all fits, the sampled ones, how one is judged."""

from dataclasses import dataclass

from benchmarks import batched, reference
from benchmarks.measured import SampledFit
from benchmarks.workload import LogicalFit, Workload, logical_fits, sampled_strengths
from foldwise.model.linear import LinearModel, probabilities
from foldwise.model.scores import score


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The fits to be made.

    Attributes
    ----------
    first : the search that came upon the values of C
    wanted : all of its logical fits
    inner, outer : inner fits of one fold at the sampled C's, and the first outer fold's model
    """

    workload: Workload
    first: batched.Searched
    wanted: tuple[LogicalFit, ...]
    inner: tuple[LogicalFit, ...]
    outer: LogicalFit

    @classmethod
    def settle(cls, workload: Workload) -> "Task":
        """Search once, and take the values of C from there."""
        first = batched.search(workload)
        strengths = sampled_strengths(first.result, workload.size.sampled)
        inner = tuple(LogicalFit(frozenset({0, 1}), C, 1) for C in strengths)
        outer = LogicalFit(frozenset({0}), first.result.outer[0].best.C, 0)
        return cls(workload, first, logical_fits(first.result), inner, outer)

    def gap(self, fit: SampledFit, tight: LinearModel) -> float:
        """Relative excess of a fit's objective over that of its tight solution."""
        return reference.relative_gap(fit.model, tight, fit.wanted, self.workload)

    def log_loss(self, model: LinearModel) -> float:
        """Of the first outer fold's model on its part."""
        rows = self.workload.plan.scored_rows(0)
        predicted = probabilities(model, self.workload.images[rows])
        return score(predicted, self.workload.labels[rows]).log_loss
