"""The colours of folds and classes: the same in every figure and in MLflow.

After Okabe and Ito (2008) and Tol (2021): told apart with any common colour blindness. In grey
they are told apart by marker and line style, so use ``FOLD_MARKERS`` beside them.
"""

FOLD_COLOURS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#882255",
    "#999933",
    "#332288",
    "#44aa99",
)
FINAL_COLOUR = "#222222"
FOLD_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")


def fold_colour(fold: int | None) -> str:
    """Colour of an outer fold as ``#rrggbb``, ten in turn; ``None`` is the final study."""
    return FINAL_COLOUR if fold is None else FOLD_COLOURS[fold % len(FOLD_COLOURS)]


def fold_marker(fold: int | None) -> str:
    """Matplotlib's marker of an outer fold, ten in turn; ``None`` is the final study."""
    return "*" if fold is None else FOLD_MARKERS[fold % len(FOLD_MARKERS)]
