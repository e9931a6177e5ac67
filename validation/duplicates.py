"""What images that stand twice do to the outer folds, apart and kept together."""

from collections.abc import Iterator

import numpy as np

from validation.own import SCALE_FLOOR, Codes, Data, outer_folds

SHARE = 0.3


def doubled(data: Data, seed: int) -> Iterator[tuple[str, list[float]]]:
    """The default search on the data, and on the data with a share of the rows doubled.

    Yields a name, then mean accuracy and log-loss over the outer folds.
    """
    images, labels = data
    rows = np.arange(len(labels))
    twice = np.random.default_rng(seed).permutation(rows)[: round(SHARE * len(rows))]
    original: Codes = np.concatenate([rows, twice])
    more = images[original], labels[original]
    for name, searched, groups in (
        ("none doubled", data, None),
        ("doubled, wherever they fall", more, None),
        ("doubled, equal images in one part", more, original),
    ):
        folds = outer_folds(searched, SCALE_FLOOR, seed, groups)
        found = [
            np.mean([fold.scores[each] for fold in folds]) for each in ("accuracy", "log_loss")
        ]
        yield name, [float(each) for each in found]
