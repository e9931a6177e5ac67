"""Whether a model may become champion: a pure function of figures, without store or clock."""

from foldwise.search.mcnemar import McNemar, mcnemar
from foldwise.tracking.promotion.comparison import (
    LOST_ROW,
    Comparison,
    compare,
    comparison_level,
)
from foldwise.tracking.promotion.decision import Contender, Decision, decide
from foldwise.tracking.promotion.paired import PairedBound, paired_bound

__all__ = [
    "LOST_ROW",
    "Comparison",
    "Contender",
    "Decision",
    "McNemar",
    "PairedBound",
    "compare",
    "comparison_level",
    "decide",
    "mcnemar",
    "paired_bound",
]
