"""What a search and a holdout give to look at: tables as text and figures, by file name."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from foldwise.model.linear import LinearModel
from foldwise.model.scores import confusion, roc_curve_points
from foldwise.report import figures, tables
