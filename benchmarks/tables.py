"""NestedSearchCV on tables of floats: `python -m benchmarks.tables`, in its own processes.

Breast cancer against the same nested search by scikit-learn, and with digits against a loop around
R's glmnet where that is installed, in turn; then a large table. TABLE_ROWS takes
fewer rows of that one, and a draft under build/.
"""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import own
from benchmarks.markdown import load_average, table, write_measured

ROWS, COLUMNS, GROUPS, MISSING = 100_000, 100, 20_000, 0.05
SCORERS = ("neg_log_loss", "accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc")
ROUNDS, ROUNDS_OF_DIGITS = 5, 3


def main() -> None:
    """Measure, print and write the section; with a number of classes measure the large table."""
    if len(sys.argv) > 1:
        print(*large(int(sys.argv[1]), _rows()))
        return
    load = load_average()
    lines = [small(), digits(), *(_apart(classes) for classes in (2, 10))]
    header = (
        "table", "foldwise", "scikit-learn, the same values", "ratio",
        "R's glmnet, as many values, log-loss alone", "above the data",
    )  # fmt: skip
    content = table(header, lines)
    command = "python -m benchmarks.tables"
    whole = _rows() == ROWS
    write_measured("benchmarks", {"tables": content}, whole=whole, command=command, load=load)


def _rows() -> int:
    return int(os.environ.get("TABLE_ROWS", ROWS))


def small() -> tuple[str, ...]:
    """Breast cancer, 10 parts, 30 trials a study, all metrics and intervals."""
    X, y = load_breast_cancer(return_X_y=True)
    own.table_search(X, y, cv=10, n_trials=30)  # what is found out once a process
    seconds: list[tuple[float, float]] = []
    peers: list[str] = []
    for _ in range(ROUNDS):
        began = perf_counter()
        found = own.table_search(X, y, cv=10, n_trials=30)
        between = perf_counter()
        by_scikit_learn(X, y, found)
        seconds.append((between - began, perf_counter() - between))
        peers.append(by_glmnet(X, y, found.part_of, values=30))
    ours, theirs = (median(each) for each in zip(*seconds, strict=True))
    name = f"breast cancer, {len(X)} × {X.shape[1]}, 10 parts, 30 trials a study"
    return name, f"{ours:.2f} s", f"{theirs:.1f} s", f"{theirs / ours:.0f}", _told(peers), ""


def digits() -> tuple[str, ...]:
    """Digits, 6 parts, 12 trials a study."""
    X, y = load_digits(return_X_y=True)
    seconds: list[float] = []
    peers: list[str] = []
    for _ in range(ROUNDS_OF_DIGITS):
        began = perf_counter()
        found = own.table_search(X, y)
        seconds.append(perf_counter() - began)
        peers.append(by_glmnet(X, y, found.part_of, values=12))
    name = f"digits, {len(X)} × {X.shape[1]}, 6 parts, 12 trials a study"
    return name, f"{median(seconds):.2f} s", "", "", _told(peers), ""


def by_glmnet(X: NDArray[Any], y: NDArray[Any], part_of: NDArray[Any], *, values: int) -> str:
    """Seconds, and the outer log-loss, of a loop around its paths on these parts; or why not."""
    program = shutil.which("Rscript")
    if program is None:
        return "skipped: no Rscript here"
    with TemporaryDirectory() as folder:
        rows = Path(folder, "table.csv")
        np.savetxt(rows, np.column_stack([part_of, y, X]), delimiter=",", fmt="%.17g")
        script = str(Path(__file__).with_name("glmnet.R"))
        done = subprocess.run(
            [program, script, str(rows), str(values)], capture_output=True, text=True, check=False
        )
    if "there is no package called" in done.stderr:
        return "skipped: R has no glmnet here (Debian's r-cran-glmnet)"
    done.check_returncode()
    return done.stdout.strip()


def _told(peers: list[str]) -> str:
    """The median of the seconds, if they were measured."""
    if peers[0].startswith("skipped"):
        return peers[0]
    return f"{median(float(each.split()[0]) for each in peers):.1f} s"


def by_scikit_learn(X: NDArray[Any], y: NDArray[Any], found: own.TableFound) -> None:
    """The values that each study came upon, on the same parts, on all cores."""
    for outer, strengths in found.strengths.items():
        rows = np.flatnonzero(found.part_of != outer)
        part_of = found.part_of[rows]
        parts = [part_of == part for part in np.unique(part_of)]
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            {"logisticregression__C": strengths},
            cv=[(np.flatnonzero(~part), np.flatnonzero(part)) for part in parts],
            scoring=SCORERS,
            refit="neg_log_loss",
            n_jobs=-1,
        ).fit(X[rows], y[rows])
        scored = found.part_of == outer
        if scored.any():
            for name in SCORERS:
                get_scorer(name)(search, X[scored], y[scored])


def large(classes: int, rows: int) -> tuple[float, float]:
    """Seconds, and mebibytes above the data, of a grouped search with gaps, as it is by default."""
    draws = np.random.default_rng(0)
    X = draws.normal(size=(rows, COLUMNS))
    scores = 0.2 * X @ draws.normal(size=(COLUMNS, classes)) + draws.gumbel(size=(rows, classes))
    X[draws.random(X.shape) < MISSING] = np.nan
    groups = draws.integers(0, GROUPS, rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = perf_counter()
    own.table_search(X, scores.argmax(axis=1), groups=groups)
    seconds = perf_counter() - began
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def _apart(classes: int) -> tuple[str, ...]:
    """The large table in a process of its own, whose memory is then its own."""
    command = [sys.executable, "-m", "benchmarks.tables", str(classes)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, above = map(float, told.split())
    name = f"{_rows():,} × {COLUMNS}, 5 % missing, grouped, {classes} classes, as by default"
    return name, f"{seconds:.1f} s", "", "", "", f"{above:.0f} MiB"


if __name__ == "__main__":
    main()
