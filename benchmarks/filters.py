"""The nested search on filter features, and predictions by them: `python -m benchmarks.filters`.

foldwise's search is timed whole, features included; scikit-learn's is extrapolated from fits at a
few values of C that foldwise's search came upon. Images are predicted by what would be registered
and by the comparison's SVM in turn. BENCH_ROWS takes fewer rows, and drafts under build/.
"""

import json
from time import process_time

import numpy as np
from sklearn.svm import SVC

from benchmarks import own
from benchmarks.comparison import duration
from benchmarks.contenders import Stock
from benchmarks.markdown import load_average, table, write_measured
from benchmarks.work import ROOT, Size, Work, alternated, seconds_of

SVM = ROOT / "comparison" / "reports" / "svm.json"
PREDICTED = 10_000
BY_SVM = 1_000
"""It is asked for fewer, which take it as long each."""
ROUNDS = 5


def main() -> None:
    """Measure, print and write the sections."""
    size, load = Size.from_environment(), load_average()
    command = "python -m benchmarks.filters"
    work, seconds, used = features(size)
    searched = own.search_filters(work)
    tables = searches(searched, seconds), predictions(own.load(size), work, searched)
    told = {"benchmarks": "\n\n".join(tables), "how-to": estimate(searched, used)}
    for page, content in told.items():
        of = {"filters": content}
        write_measured(page, of, whole=size.is_whole, command=command, load=load)


def features(size: Size) -> tuple[Work, float, float]:
    """The features, and the seconds and processor seconds that they take."""
    used = process_time()
    work, seconds = own.filtered(size)
    return work, seconds, process_time() - used


def searches(searched: own.Searched, seconds: float) -> str:
    """Both searches, a line each, and what scikit-learn's is extrapolated from."""
    task, count = searched.task, searched.task.work.images.shape[1]
    size = task.work.size
    stock = Stock("scikit-learn, float64").suit(task)
    sample = stock.sample(task)
    theirs = stock.seconds(task, sample)
    header = ("", "features", "search", "ratio", "fits", "timed")
    logical, ratio = len(task.wanted), f"{theirs / searched.seconds:.1f}"
    fits = f"{len(searched.fits)} for {logical}"
    rows = (
        (stock.name, "", duration(theirs), ratio, str(logical), stock.note),
        ("**foldwise**", duration(seconds), duration(searched.seconds), "1.0", fits, "whole"),
    )
    made = ", ".join(
        f"{fit.wanted.C:.2g} ({fit.evaluations:.0f} iterations, {duration(fit.seconds)})"
        for fit in sample.inner
    )
    return (
        f"{table(header, rows, numbers=True)}\n\n{count:,} features of {size.rows:,} images,"
        f" {size.folds} outer folds; foldwise's search takes {duration(searched.processor_seconds)}"
        " of processor time. Measured once, and scikit-learn's time is no search that was"
        f" run: it is extrapolated from inner fits at C = {made}."
    )


def predictions(raw: Work, work: Work, searched: own.Searched) -> str:
    """The registered model and the SVM, a line each."""
    best = json.loads(SVM.read_text(encoding="utf-8"))["best"]
    svm = SVC(**best, cache_size=1000).fit(raw.images / 255, raw.labels)
    filters = own.registered(work, searched.task.best[frozenset()])
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
    header = ("", f"{PREDICTED:,} images", "one image", "ratio")
    name = f"SVM, {svm.n_support_.sum():,} support vectors"
    rows = (
        (name, duration(by_svm), _thousandths(one_by_svm), f"{by_svm / by_filters:.0f}"),
        ("**filters**, as registered", duration(by_filters), _thousandths(one_by_filters), "1"),
    )
    return (
        f"{table(header, rows, numbers=True)}\n\nMedians of {ROUNDS}, in turn. The SVM has the"
        f" comparison's values, and is timed on {BY_SVM:,} images."
    )


def _thousandths(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def estimate(searched: own.Searched, used: float) -> str:
    """What the search says of the bank."""
    accuracy, loss = (
        f"{each.mean:.4f} ({each.interval.low:.4f} to {each.interval.high:.4f})"
        for each in map(searched.estimates.__getitem__, ("accuracy", "log_loss"))
    )
    chosen = sorted(C for study, C in searched.task.best.items() if study)
    return (
        f"A whole search with the bank as shipped has an outer accuracy of {accuracy} and log-loss"
        f" of {loss}, with C between {chosen[0]:.2g} and {chosen[-1]:.2g}; it takes"
        f" {searched.processor_seconds:.0f} seconds of processor time, and the features of the"
        f" {searched.task.work.size.rows:,} images {used:.0f}."
    )


if __name__ == "__main__":
    main()
