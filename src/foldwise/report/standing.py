"""Where a version stands: what checks remark, what promotion asks, what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from foldwise.report.wording import digits_told, number
from foldwise.stats.scores import is_loss, metric_label

Matters = Literal["yes", "a little", "no"]


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check of the search or its data saw, whether it matters, and what to do if it does."""

    name: str
    saw: str
    matters: Matters
    remedy: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands when it is registered; what becomes of it, the registry tells.

    Attributes
    ----------
    gate : tuple of (check, figure, bound, verdict)
        What promotion asks, but for the champion; nothing without a holdout.
    looks, comparison : int
        Models scored on this holdout, this one among them; the number that a comparison with the
        champion has on it.
    errors : three floats
        Standard errors that a gain must show in the first comparison on a holdout, in this one, and
        in the next.
    champion, champion_scores : str, mapping
        Which it is, or why it isn't compared with; what it is registered with, of this holdout.
    untuned : tuple of mapping
        Scores of each outer fold at C = 1.
    links : tuple of (name, address)
        Its runs in MLflow.
    same : str
        Which earlier version has the very same model, if one has.
    """

    model: str
    gate: tuple[tuple[str, str, str, str], ...] = ()
    looks: int = 0
    comparison: int = 0
    errors: tuple[float, float, float] = (0.0, 0.0, 0.0)
    champion: str = ""
    champion_scores: Mapping[str, float] = field(default_factory=dict)
    untuned: tuple[Mapping[str, float], ...] = ()
    duration: str = ""
    links: tuple[tuple[str, str], ...] = ()
    same: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that fail."""
        return tuple(name for name, _, _, verdict in self.gate if verdict == "fail")


def compared(
    name: str, where: str, metric: str, *figures: float, note: str = ""
) -> tuple[str, ...]:
    """With what the model is compared, by what, its figure and the model's, and which is better.

    They are of rows of the "outer" folds, or of the "holdout".
    """
    digits, (theirs, ours) = digits_told(metric) if where == "holdout" else 4, figures
    word = "better" if is_better(metric, ours, theirs) else "not better"
    told = (number(of, digits=digits) for of in figures)
    return (name, f"{where} {metric_label(metric)}", *told, word + note)


def is_better(metric: str, ours: float, theirs: float) -> bool:
    """Whether a score is better than another one, by what the metric means."""
    return ours < theirs if is_loss(metric) else ours > theirs
