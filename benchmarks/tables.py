"""NestedSearchCV on tables of floats: `python -m benchmarks.tables`.

Breast cancer against the same nested search by scikit-learn, and with digits against a loop around
R's glmnet where that is installed, in turn; then a large table in processes of their own.
"""

import shutil
import subprocess
import sys
from pathlib import Path
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
from benchmarks.clock import alternated, apart, high_water, seconds_of
from benchmarks.markdown import table, write_measured
from benchmarks.work import Size

ROWS, COLUMNS, GROUPS, MISSING = 100_000, 100, 20_000, 0.05
SCORERS = ("neg_log_loss", "accuracy", "precision_macro", "recall_macro", "f1_macro", "roc_auc")


def main() -> None:
    """Measure, print and write the section; with a number of classes measure the large table."""
    size = Size.from_environment()
    rows = ROWS if size.is_whole else size.rows
    if len(sys.argv) > 1:
        print(*large(int(sys.argv[1]), rows))
        return
    lines = [
        small("breast cancer", load_breast_cancer(return_X_y=True), 5, cv=10, n_trials=30),
        small("digits", load_digits(return_X_y=True), 3, cv=6, n_trials=12),
    ]
    for classes in (2, 10):
        told = apart("-m", "benchmarks.tables", str(classes))[1].split()
        name = f"{rows:,} × {COLUMNS}, 5 % missing, grouped, {classes} classes, as by default"
        lines.append((name, f"{float(told[0]):.1f} s", "", "", "", f"{float(told[1]):.0f} MiB"))
    header = (
        "table", "foldwise", "scikit-learn, the same values", "ratio",
        "R's glmnet, as many values, log-loss alone", "above the data",
    )  # fmt: skip
    content = {"tables": table(header, lines)}
    write_measured("benchmarks", content, whole=size.is_whole, command=size.command("tables"))


def small(
    name: str, data: tuple[Any, Any], rounds: int, *, cv: int, n_trials: int
) -> tuple[str, ...]:
    """All metrics and intervals; medians, in turn; by scikit-learn if there are two classes."""
    X, y = data

    def search() -> own.TableFound:
        return own.table_search(X, y, cv=cv, n_trials=n_trials)

    found = search()  # and what is found out once a process
    peer = by_glmnet(X, y, found.part_of, values=n_trials)
    works = [lambda: seconds_of(search)]
    if is_compared := len(np.unique(y)) == 2:
        works.append(lambda: seconds_of(lambda: by_scikit_learn(X, y, found)))
    if is_there := not peer.startswith("skipped"):
        works.append(lambda: float(by_glmnet(X, y, found.part_of, values=n_trials).split()[0]))
    ours, *others = alternated(works, rounds)
    theirs = (f"{others[0]:.1f} s", f"{others[0] / ours:.0f}") if is_compared else ("", "")
    told = f"{others[-1]:.1f} s" if is_there else peer
    size = f"{len(X)} × {X.shape[1]}, {cv} parts, {n_trials} trials a study"
    return f"{name}, {size}", f"{ours:.2f} s", *theirs, told, ""


def by_glmnet(X: NDArray[Any], y: NDArray[Any], part_of: NDArray[Any], *, values: int) -> str:
    """Seconds, and the outer log-loss, of a loop around its paths on these parts; or why not."""
    program = shutil.which("Rscript")
    if program is None:
        return "skipped: no Rscript here"
    with TemporaryDirectory() as folder:
        rows = Path(folder, "table.csv")
        np.savetxt(rows, np.column_stack([part_of, y, X]), delimiter=",", fmt="%.17g")
        command = [program, str(Path(__file__).with_name("glmnet.R")), str(rows), str(values)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        return "skipped: R has no glmnet here (Debian's r-cran-glmnet)"
    done.check_returncode()
    return done.stdout.strip()


def by_scikit_learn(X: NDArray[Any], y: NDArray[Any], found: own.TableFound) -> None:
    """The values that each study came upon, on the same parts, on all cores."""
    for outer, strengths in found.strengths.items():
        scored = found.part_of == outer
        rows, part_of = np.flatnonzero(~scored), found.part_of[~scored]
        parts = [part_of == part for part in np.unique(part_of)]
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            {"logisticregression__C": strengths},
            cv=[(np.flatnonzero(~part), np.flatnonzero(part)) for part in parts],
            scoring=SCORERS,
            refit="neg_log_loss",
            n_jobs=-1,
        ).fit(X[rows], y[rows])
        for name in SCORERS if scored.any() else ():
            get_scorer(name)(search, X[scored], y[scored])


def large(classes: int, rows: int) -> tuple[float, float]:
    """Seconds, and mebibytes above the data, of a grouped search with gaps, as it is by default."""
    draws = np.random.default_rng(0)
    X = draws.normal(size=(rows, COLUMNS))
    scores = 0.2 * X @ draws.normal(size=(COLUMNS, classes)) + draws.gumbel(size=(rows, classes))
    X[draws.random(X.shape) < MISSING] = np.nan
    groups = draws.integers(0, GROUPS, rows)
    before, began = high_water(), perf_counter()
    own.table_search(X, scores.argmax(axis=1), groups=groups)
    return perf_counter() - began, (high_water() - before) / 2**20


if __name__ == "__main__":
    main()
