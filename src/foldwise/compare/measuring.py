"""An entry with its best values: fitted on all development rows, timed, asked about the holdout."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.compare.cores import one_core_threads
from foldwise.compare.estimators import build
from foldwise.compare.predictions import Predictions, joined, predict_in_blocks
from foldwise.data.dataset import Split
from foldwise.search.trials import Progress, Values
from foldwise.settings import Entry


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Predictions on the holdout, and what they cost in wall-clock seconds.

    ``fit_seconds`` are for all development rows, ``predict_seconds`` for all of the holdout.
    """

    predictions: Predictions
    fit_seconds: float
    predict_seconds: float


def measure(
    entry: Entry,
    values: Values,
    development: Split,
    holdout_images: NDArray[np.uint8],
    *,
    seed: int,
    threads: int,
) -> Iterator[Progress | Measured]:
    """Fit, then predict with ``threads`` blocks of rows at once; tell how far it is, then all."""
    model = build(entry, values, seed=seed)
    with threadpool_limits(limits=threads):
        began = perf_counter()
        model.fit(development.images.astype(np.float32), development.labels)
        fitted = perf_counter()
        yield Progress(0, len(holdout_images))
        blocks: list[Predictions] = []
        rows = 0
        with threadpool_limits(limits=1, user_api="blas"), one_core_threads(threads) as pool:
            for block in predict_in_blocks(model, holdout_images, pool):
                blocks.append(block)
                rows += len(block.values)
                yield Progress(rows, len(holdout_images))
        ended = perf_counter()
    yield Measured(joined(blocks), fitted - began, ended - fitted)
