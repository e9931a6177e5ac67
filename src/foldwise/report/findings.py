"""All that a version's card and page are made of."""

from dataclasses import dataclass

from foldwise.data.dataset import DataInfo
from foldwise.report.holdout import HoldoutSummary
from foldwise.report.origin import Origin
from foldwise.report.reference import Reference
from foldwise.report.summary import SearchSummary
from foldwise.report.wording import chosen, counted, metric_label, number, percent, span, strength

_MODELS = {
    "multinomial": "Logistic regression (softmax)",
    "ovr": "Logistic regression (a sigmoid a class, one against the rest)",
}
_SAMPLERS = {
    "tpe": "drawn by TPE on a logarithmic scale",
    "random_uniform": "drawn at random on a linear scale, as the reference report did",
}


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """One version's data, search, holdout scores and origin; published numbers, if there are.

    ``data_change`` says in a sentence how the data differ from the version before's.
    """

    data: DataInfo
    search: SearchSummary
    holdout: HoldoutSummary
    origin: Origin
    data_change: str = ""
    reference: Reference | None = None

    def headline(self) -> str:
        """The result in one line of plain text."""
        scores, spans = self.holdout.scores, self.holdout.intervals
        accuracy, loss = spans["accuracy"], spans["log_loss"]
        return (
            f"{self.data.name}: accuracy {number(scores.accuracy)} "
            f"({span(accuracy)}), log-loss {number(scores.log_loss)} "
            f"({span(loss)}) on {counted(self.holdout.rows, 'held-out image')}; "
            f"C = {strength(self.search.C)}"
        )

    def procedure(self) -> str:
        """How the model was chosen, in a few sentences."""
        search, folds, fits = self.search, len(self.search.folds), self.search.fits
        return (
            f"{_MODELS[search.multiclass]} on standardised pixels. Nested cross-validation: "
            f"{folds} outer folds estimate; within each, {folds - 1} inner folds select C by mean "
            f"{metric_label(search.metric)} over [{search.low:g}, {search.high:g}], "
            f"{_SAMPLERS[search.sampler]}. A final study over all {folds} "
            f"parts chose C = {strength(search.C)}, with which the final model was fitted on the "
            f"whole development set. {counted(search.trials, 'trial')}, "
            f"{counted(fits.distinct, 'distinct fit')}: {fits.converged:,} converged, "
            f"{fits.stalled:,} stalled at the limit of the precision, "
            f"{fits.exhausted:,} exhausted."
        )

    def answer(self) -> str:
        """What the search found, with its uncertainty, in two sentences."""
        search = self.search
        strengths = [fold.C for fold in search.folds]
        estimate = search.outer[search.metric]
        interval = estimate.corrected
        return (
            f"All {len(strengths)} outer folds choose {chosen(strengths)}, the final study "
            f"{strength(search.C)}. A model chosen in this way has an outer "
            f"{metric_label(search.metric)} of {number(estimate.mean)} "
            f"({percent(interval.confidence, digits=0)} interval {span(interval)}, corrected and "
            "conservative)."
        )

    def cautions(self) -> tuple[str, ...]:
        """What went wrong quietly, and what to do about it; empty if nothing did."""
        search = self.search
        edge = search.is_at_edge or any(fold.is_at_edge for fold in search.folds)
        texts = {
            "A chosen C lies at an edge of the range: widen tune.c_low or tune.c_high.": edge,
            f"{search.fits.exhausted} of {search.fits.distinct} fits ended at tune.max_iter before "
            "they converged: raise it, their scores mislead.": search.fits.exhausted > 0,
        }
        quiet = tuple(text for text, applies in texts.items() if applies)
        return (self.data_change, *quiet) if self.data_change else quiet
