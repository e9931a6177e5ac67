"""The small searches whose results are pinned: parameters and data, nothing of how they are run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.idx_files import STEMS, idx_bytes

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One project folder's worth of input.

    Attributes
    ----------
    name : str
        Also the data's name.
    params : dict
        Content of params.yaml, section by section; what is left out has its default.
    make : callable or None
        Writes the IDX files, or the table, into a folder; None for scikit-learn's digits.
    classifiers : dict
        Entries of the comparison. A case with entries runs these, one without the search itself.
    is_evaluated : bool
        Whether the search's model is judged and registered, too.
    """

    name: str
    params: dict[str, Params]
    make: Callable[[Path], None] | None = None
    classifiers: dict[str, Params] = field(default_factory=dict)
    is_evaluated: bool = False

    @property
    def metric(self) -> str:
        """What the search selects by."""
        return str(self.params["tune"].get("metric", "log_loss"))


def _begun(
    folder: Path, seed: int, shape: tuple[int, ...]
) -> tuple[np.random.Generator, NDArray[np.int64]]:
    """The folder, what draws, and the middles of classes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    return rng, rng.integers(40, 120, shape)


@dataclass(frozen=True, slots=True)
class Blobs:
    """Classes that overlap, in small images of which every pixel is dark in some rows.

    Whole numbers are drawn and no others, so that each machine draws the same. Pixel ``j`` is lit
    in about ``1 / (1 + j % 5)`` of the rows; the last one in every 1,000th row.
    """

    rows: tuple[int, int]
    shape: tuple[int, int]
    classes: int
    seed: int
    noise: int

    def write(self, folder: Path) -> None:
        """Write four IDX files."""
        rng, centres = _begun(folder, self.seed, (self.classes, *self.shape))
        for prefix, rows in zip(("train", "t10k"), self.rows, strict=True):
            labels = rng.integers(0, self.classes, rows, dtype=np.uint8)
            images = self._images(rng, centres[labels])
            for kind, array in (("images", images), ("labels", labels)):
                (folder / STEMS[prefix, kind]).write_bytes(idx_bytes(array))

    def _images(self, rng: np.random.Generator, centres: NDArray[np.int64]) -> NDArray[np.uint8]:
        images = centres + rng.integers(0, self.noise, centres.shape)
        rarity = 1 + np.arange(centres[0].size).reshape(self.shape) % 5
        images[rng.integers(0, rarity, centres.shape) > 0] = 0
        images[:, -1, -1] = 0
        images[1::1000, -1, -1] = 200
        return images.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Columns:
    """Classes that overlap, in a CSV table of floats that are drawn as whole numbers.

    Divided by powers of two, they are the same on each machine, and so is what is written of them.
    Of column ``j`` one cell in ``5 + j`` is empty.
    """

    rows: int
    columns: int
    classes: int
    seed: int
    noise: int

    def write(self, folder: Path) -> None:
        """Write ``table.csv``."""
        rng, centres = _begun(folder, self.seed, (self.classes, self.columns))
        labels = rng.integers(0, self.classes, self.rows)
        values = centres[labels] + rng.integers(0, self.noise, (self.rows, self.columns))
        cells = (values / 2.0 ** np.arange(self.columns)).astype(str)
        cells[rng.integers(0, 5 + np.arange(self.columns), values.shape) == 0] = ""
        names = [*(f"x{number}" for number in range(self.columns)), "kind"]
        rows = (",".join([*row, f"k{of}"]) for row, of in zip(cells, labels, strict=True))
        (folder / "table.csv").write_text("\n".join([",".join(names), *rows, ""]))


# The ranges of C are where scores are steep, and `tol` is small: so trials differ by more than
# another processor's kernels move them, and the order of trials, TPE's draws and choices stay. No
# C is so small that a class is hardly ever predicted: one row would then move its precision far.
_QUICK = {"bootstrap": 50}
_TABLE = {"source": "table", "path": "data/raw/table.csv", "target": "kind"}

CASES = (
    Case(
        "softmax-on-digits",
        {
            "prepare": {"source": "digits", "holdout": 897},
            "tune": {
                "folds": 4,
                "trials": 5,
                "startup_trials": 3,
                "search": "tpe",
                "c_low": 1e-3,
                "c_high": 0.1,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
        is_evaluated=True,
    ),
    Case(
        "two-classes",
        {
            "tune": {
                "folds": 3,
                "trials": 4,
                "startup_trials": 2,
                "search": "tpe",
                "c_low": 2e-3,
                "c_high": 0.03,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
        Blobs(rows=(600, 200), shape=(4, 4), classes=2, seed=5, noise=130).write,
    ),
    Case(
        "one-vs-rest",
        {
            "tune": {
                "folds": 3,
                "trials": 3,
                "startup_trials": 3,
                "search": "tpe",
                "c_low": 1e-3,
                "c_high": 0.1,
                "tol": 1e-5,
                "multiclass": "ovr",
                "metric": "roc_auc",
            },
            "evaluate": _QUICK,
        },
        Blobs(rows=(900, 200), shape=(4, 4), classes=3, seed=6, noise=130).write,
        is_evaluated=True,
    ),
    Case(
        "shifted-copies",
        {
            "prepare": {"source": "digits", "holdout": 1497, "augment": 3},
            "tune": {
                "folds": 3,
                "trials": 3,
                "startup_trials": 2,
                "search": "tpe",
                "c_low": 2e-3,
                "c_high": 0.1,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
    ),
    Case(
        "several-blocks",
        {
            "tune": {
                "folds": 3,
                "trials": 3,
                "startup_trials": 2,
                "search": "tpe",
                "c_low": 1e-5,
                "c_high": 1e-3,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
        Blobs(rows=(7700, 500), shape=(5, 6), classes=3, seed=7, noise=130).write,
    ),
    Case(
        "minima-of-the-curve",
        {
            "prepare": {"source": "digits", "holdout": 897},
            "tune": {
                "folds": 4,
                "trials": 5,
                "startup_trials": 4,
                "search": "curve",
                "c_low": 1e-3,
                "c_high": 0.3,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
    ),
    Case(
        "table-of-two-classes",
        {
            "prepare": _TABLE,
            "tune": {
                "folds": 3,
                "trials": 4,
                "startup_trials": 2,
                "search": "tpe",
                "c_low": 1e-3,
                "c_high": 0.03,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
        Columns(rows=600, columns=6, classes=2, seed=9, noise=130).write,
        is_evaluated=True,
    ),
    Case(
        "table-of-ten-classes",
        {
            "prepare": _TABLE,
            "tune": {
                "folds": 3,
                "trials": 3,
                "startup_trials": 2,
                "search": "tpe",
                "c_low": 1e-3,
                "c_high": 0.1,
                "tol": 1e-5,
            },
            "evaluate": _QUICK,
        },
        Columns(rows=1500, columns=9, classes=10, seed=10, noise=60).write,
    ),
    Case(
        "decision-tree",
        {
            "prepare": {"source": "digits", "holdout": 897},
            "tune": {"folds": 3},
            "evaluate": _QUICK,
        },
        classifiers={
            "decision_tree": {
                "estimator": "sklearn.tree.DecisionTreeClassifier",
                "pixels": "raw",
                "rows": 900,
                "trials": 4,
                "startup_trials": 2,
                "space": {
                    "max_depth": {"integer": [3, 12]},
                    "ccp_alpha": {"log": [0.0001, 0.1]},
                },
            }
        },
    ),
)

AGAINST_SCIKIT_LEARN = Case(
    "against-scikit-learn",
    {
        "prepare": {"source": "digits", "holdout": 1497},
        "tune": {
            "folds": 3,
            "trials": 3,
            "startup_trials": 2,
            "c_low": 1e-3,
            "c_high": 0.1,
            "tol": 1e-6,
            "scale_floor": 0,  # scikit-learn's scaler has none
        },
        "evaluate": _QUICK,
    },
    is_evaluated=True,
)
"""Not pinned: a nested loop of scikit-learn's says what must come out."""
