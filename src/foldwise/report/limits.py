"""What the figures do not say: the limits that card and page state in the same words."""

from fractions import Fraction

_LIMITS = """
The outer folds estimate the procedure trained on {outer} of the development rows; the final model
is trained on all of them and is usually a little better.

The intervals are conditional on the partition that the seed gave. Folds are shuffled, so that
related images, those by one writer say, may stand on both sides of a fold: new writers can be
harder.

The best C depends on the number of training rows: the final C is chosen by fits on {outer} of
them, each outer fold's C by fits on {inner}. How far apart these C's lie also tells how finely the
search looked: it is no interval for the best one.

The corrected interval of the outer mean (Nadeau and Bengio) is conservative. The pooled one takes
all rows as independent and leaves out that the folds share training rows.

The bootstrap intervals of the holdout take the model as given: they hold how the holdout was
drawn, not how training could have come out.

The holdout is a budget: each further model scored on it makes the next comparison on it worth less.
"""


def limits(folds: int) -> tuple[str, ...]:
    """Word the limits of a nested search with ``folds`` outer folds, a paragraph each."""
    text = _LIMITS.format(outer=Fraction(folds - 1, folds), inner=Fraction(folds - 2, folds))
    return tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
