"""Scoring fits on the parts that they left out, some at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.model.linear import Fit, probabilities
from foldwise.model.scores import Scores, score
from foldwise.search.folds import FoldPlan

ScoredFit = tuple[Fit, dict[int, Scores]]


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """The development set, to judge fits by.

    Attributes
    ----------
    images : uint8 array (rows, features)
    labels : int array (rows,)
        Class codes.
    plan : FoldPlan
        Which rows a part is scored by.
    threads : int
        Fits scored at a time.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    plan: FoldPlan
    threads: int

    def score(self, fit: Fit, part: int) -> tuple[Scores, NDArray[np.float64]]:
        """A fit's scores on a part, and the probabilities (part's rows, classes) behind them."""
        rows = self.plan.scored_rows(part)
        predicted = probabilities(fit.model, self.images[rows])
        return score(predicted, self.labels[rows]), predicted

    def score_all(
        self, fits: Iterable[Fit], parts_of: Callable[[Fit], Iterable[int]]
    ) -> Iterator[ScoredFit]:
        """Each fit, in their order, with its scores on its parts; scored while others are made."""
        with ThreadPoolExecutor(self.threads) as pool:
            scoring: deque[Future[ScoredFit]] = deque()
            for fit in fits:
                scoring.append(pool.submit(self._score_parts, fit, parts_of(fit)))
                while len(scoring) > self.threads:
                    yield scoring.popleft().result()
            while scoring:
                yield scoring.popleft().result()

    def _score_parts(self, fit: Fit, parts: Iterable[int]) -> ScoredFit:
        return fit, {part: self.score(fit, part)[0] for part in parts}
