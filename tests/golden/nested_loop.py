"""A nested loop of scikit-learn's own, by the textbook: other code than the search's."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Loop:
    """The nested loop: one study's parts are all but ``left_out``."""

    images: NDArray[np.float64]
    labels: NDArray[np.int64]
    parts: tuple[NDArray[np.int64], ...]

    def inner(self, left_out: int | None, C: float) -> dict[int, Scores]:
        """Scores of one C in a study, by the part that is scored."""
        inside = [part for part in range(len(self.parts)) if part != left_out]
        return {
            part: self.scores((other for other in inside if other != part), part, C)
            for part in inside
        }

    def scores(self, trained: Iterable[int], part: int, C: float) -> Scores:
        """Fit on some parts, score on another."""
        rows = np.concatenate([self.parts[each] for each in trained])
        scored = self.parts[part]
        return self.judge(rows, self.images[scored], self.labels[scored], C)

    def judge(
        self,
        rows: NDArray[np.int64],
        images: NDArray[np.float64],
        labels: NDArray[np.int64],
        C: float,
    ) -> Scores:
        """Fit on rows, score on images."""
        # Imported here: a second and more, and every collection of tests would pay it.
        from sklearn import metrics
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=C, tol=1e-7, max_iter=10_000)
        ).fit(self.images[rows], self.labels[rows])
        p, said = model.predict_proba(images), model.predict(images)
        averaged = {"average": "macro", "zero_division": 0}
        return {
            "accuracy": metrics.accuracy_score(labels, said),
            "precision": metrics.precision_score(labels, said, **averaged),
            "recall": metrics.recall_score(labels, said, **averaged),
            "f1": metrics.f1_score(labels, said, **averaged),
            "roc_auc": metrics.roc_auc_score(labels, p, multi_class="ovr", average="macro"),
            "log_loss": metrics.log_loss(labels, p),
        }
