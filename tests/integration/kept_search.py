"""``python -m tests.integration.kept_search STORAGE RESULT WAIT``: a search that may be stopped.

At its fit number WAIT, if it isn't 0, it says so and does nothing more until Ctrl-C.
"""

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV


class Tree(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
    """A tree on frames with a column of lists, whose lengths it reads."""

    fits: ClassVar[int] = 0
    wait: ClassVar[int] = 0

    def fit(self, X: Any, y: Any) -> "Tree":
        Tree.fits += 1
        if Tree.fits == Tree.wait:
            sys.stdout.write("waiting\n")
            sys.stdout.flush()
            time.sleep(600)
        return super().fit(_numbers(X), y)  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(_numbers(X))


def _numbers(X: pd.DataFrame) -> pd.DataFrame:
    return X.assign(words=X["words"].map(len))


def searched(storage: str | None) -> tuple[str, int]:
    """All trials and predictions, to the last digit, and how many fits they took."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    X["words"] = [["word"] * (row % 5) for row in range(len(X))]
    depths = {"max_depth": [1, 2, 3, 4]}
    Tree.fits = 0
    search = NestedSearchCV(Tree(random_state=0), depths, cv=3, n_trials=4, storage=storage)
    search.fit(X, y)
    found = search.inner_results_.to_csv(), search.outer_predictions_.to_csv()
    return "\n".join(found), Tree.fits


if __name__ == "__main__":
    storage, result, wait = sys.argv[1:]
    Tree.wait = int(wait)
    told, fits = searched(storage)
    Path(result).write_text(f"{fits}\n{told}")
