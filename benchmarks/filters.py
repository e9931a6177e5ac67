"""The nested search on filter features, and predictions by them: `python -m benchmarks.filters`.

foldwise's search is timed whole, features included; scikit-learn's is extrapolated from fits at a
few values of C that foldwise's search came upon. Images are predicted by what would be registered
and by the comparison's SVM in turn.
"""

import json
from time import process_time

import numpy as np
from sklearn.svm import SVC

from benchmarks import own, solver
from benchmarks.clock import ROOT, alternated, seconds_of
from benchmarks.contenders import Stock, extrapolated
from benchmarks.markdown import duration, table, write_measured
from benchmarks.work import Parts, Size, Work

SVM = ROOT / "comparison" / "reports" / "svm.json"
PREDICTED = 10_000
BY_SVM = 1_000
"""It is asked for fewer, which take it as long each."""
ROUNDS = 5


def main() -> None:
    """Measure, print and write the sections."""
    size, used = Size.from_environment(), process_time()
    work, seconds = own.filtered(size)
    used = process_time() - used
    searched = own.search_filters(work)
    tables = searches(searched, seconds), predictions(solver.load(size), searched)
    told = {"benchmarks": "\n\n".join(tables), "how-to": estimate(searched, used)}
    for page, content in told.items():
        of = {"filters": content}
        write_measured(page, of, whole=size.is_whole, command=size.command("filters"))


def searches(searched: solver.Searched, seconds: float) -> str:
    """Both searches, a line each, and what scikit-learn's is extrapolated from."""
    task, logical = searched.task, len(searched.task.wanted)
    sample = Stock("").made(task)[:-1]
    theirs, note = extrapolated(task, sample)
    ratio, fits = f"{theirs / searched.seconds['whole']:.1f}", f"{len(searched.fits)} for {logical}"
    header = ("", "features", "search", "ratio", "fits", "timed")
    rows = (
        ("scikit-learn, float64", "", duration(theirs), ratio, str(logical), note),
        (
            "**foldwise**",
            duration(seconds),
            duration(searched.seconds["whole"]),
            "1.0",
            fits,
            "whole",
        ),
    )
    made = ", ".join(
        f"{fit.wanted.C:.2g} ({fit.evaluations:.0f} iterations, {duration(fit.seconds)})"
        for fit in sample
    )
    return (
        f"{table(header, rows, numbers=True)}\n\n{task.work.images.shape[1]:,} features of"
        f" {task.work.size.rows:,} images, {task.work.size.folds} outer folds; foldwise's search"
        f" takes {duration(searched.seconds['processor'])}"
        " of processor time. Measured once, and scikit-learn's time is no search that was"
        f" run: it is extrapolated from inner fits at C = {made}."
    )


def predictions(raw: Work, searched: solver.Searched) -> str:
    """The registered model and the SVM, a line each."""
    best = json.loads(SVM.read_text(encoding="utf-8"))["best"]
    svm = SVC(**best, cache_size=1000).fit(raw.images / 255, raw.labels)
    filters = own.registered(searched.task.work, searched.task.best[Parts()])
    # As many as are asked for, whatever there are.
    images = np.resize(raw.images, (PREDICTED, raw.images.shape[1])).astype(np.float64)
    few, one = images[:BY_SVM] / 255, images[:1]
    by_svm, by_filters, one_by_svm, one_by_filters = alternated(
        [
            lambda: seconds_of(lambda: svm.predict(few)) * PREDICTED / BY_SVM,
            lambda: seconds_of(lambda: filters(images)),
            lambda: seconds_of(lambda: svm.predict(one / 255)),
            lambda: seconds_of(lambda: filters(one)),
        ],
        ROUNDS,
    )
    name = f"SVM, {svm.n_support_.sum():,} support vectors"
    ratio = f"{by_svm / by_filters:.0f}"
    rows = (
        (name, duration(by_svm), f"{one_by_svm * 1000:.1f} ms", ratio),
        (
            "**filters**, as registered",
            duration(by_filters),
            f"{one_by_filters * 1000:.1f} ms",
            "1",
        ),
    )
    return (
        f"{table(('', f'{PREDICTED:,} images', 'one image', 'ratio'), rows, numbers=True)}\n\n"
        f"Medians of {ROUNDS}, in turn. The SVM has the comparison's values, and is timed on"
        f" {BY_SVM:,} images."
    )


def estimate(searched: solver.Searched, used: float) -> str:
    """What the search says of the bank."""
    accuracy, loss = (
        f"{each.mean:.4f} ({each.interval.low:.4f} to {each.interval.high:.4f})"
        for each in map(own.estimates(searched).__getitem__, ("accuracy", "log_loss"))
    )
    chosen = sorted(C for study, C in searched.task.best.items() if study)
    return (
        f"A whole search with the bank as shipped has an outer accuracy of {accuracy} and log-loss"
        f" of {loss}, with C between {chosen[0]:.2g} and {chosen[-1]:.2g}; it takes"
        f" {searched.seconds['processor']:.0f} seconds of processor time, and the features of the"
        f" {searched.task.work.size.rows:,} images {used:.0f}."
    )


if __name__ == "__main__":
    main()
