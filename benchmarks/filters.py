"""The nested search on filter features: `python -m benchmarks.filters`.

foldwise's is timed whole, features included; scikit-learn's is extrapolated from fits at a few
values of C that foldwise's search came upon. BENCH_ROWS takes fewer rows, and a draft under build/.
"""

from benchmarks import own
from benchmarks.comparison import duration
from benchmarks.contenders import Stock
from benchmarks.markdown import load_average, table, write_measured
from benchmarks.work import Size


def main() -> None:
    """Measure, print and write the section."""
    size, load = Size.from_environment(), load_average()
    command = "python -m benchmarks.filters"
    sections = {"filters": measured(size)}
    write_measured("benchmarks", sections, whole=size.is_whole, command=command, load=load)


def measured(size: Size) -> str:
    """Both searches, a line each, and what scikit-learn's is extrapolated from."""
    work, seconds = own.filtered(size)
    searched = own.search(work)
    task, count = searched.task, work.images.shape[1]
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
        f" {size.folds} outer folds. Measured once, and scikit-learn's time is no search that was"
        f" run: it is extrapolated from inner fits at C = {made}."
    )


if __name__ == "__main__":
    main()
