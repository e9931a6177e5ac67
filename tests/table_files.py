"""Tables as people have them: gaps, categories, groups; and values by which a leak is found."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_wine

NUMBER = 987.6543210123
"""Stands in one cell of the first row."""
RARE = "Xyzzyville"
"""A category's value that two rows have."""
PERSON = "Plugh"
"""What the names of all groups begin with."""
PARAMETERS = {
    "source": "table",
    "path": "data/table.csv",
    "target": "finding",
    "group": "person",
    "columns": {"ward": "category"},
}


def cancer() -> pd.DataFrame:
    """Breast cancer: 569 rows of two classes, ten numbers, two categories, about 250 people."""
    data = load_breast_cancer(as_frame=True)
    return _odd(data.data.iloc[:, :10], data.target.map({0: "malignant", 1: "benign"}))


def wine() -> pd.DataFrame:
    """Wine: 178 rows of three classes."""
    data = load_wine(as_frame=True)
    return _odd(data.data, data.target)


def _odd(X: Any, y: Any) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = X.mask(rng.random(X.shape) < 0.05)
    towns = pd.Series(rng.choice(["Aberystwyth", "Bern", "Cork"], len(X)))
    towns[rng.random(len(X)) < 0.1] = None
    frame["town"] = towns
    frame["ward"] = rng.choice([1, 2, 7], len(X))
    frame["person"] = [f"{PERSON}{number}" for number in rng.integers(0, len(X) // 2, len(X))]
    frame["finding"] = y
    frame.loc[0, X.mean().idxmax()] = NUMBER  # where it is like the others
    # Both rows of one person, whichever part they come to lie in; and one of another.
    frame.loc[[0, 1, 2], "town"] = RARE
    frame.loc[[0, 1], "person"] = f"{PERSON}0"
    return frame


def write(frame: pd.DataFrame, folder: Path) -> Path:
    """Write it where `PARAMETERS` look for it."""
    path = folder / PARAMETERS["path"]  # type: ignore[operator]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)
    return path
