"""`make bench`: time the nested search, and write docs/benchmarks.md and its picture."""

import sys
from pathlib import Path
from time import perf_counter

from benchmarks import limit, machine, memory, plot, report, scaling, startup
from benchmarks.comparison import Tell, compare
from benchmarks.workload import ROOT, Size, load
from foldwise.files import write_bytes, write_text
from foldwise.model.solver import MOST_COLUMNS

EVALUATED = (22, 42, 105)


def measure(size: Size, tell: Tell, *, gemm_edge: int = limit.EDGE) -> report.Findings:
    """Everything, in the order of the page."""
    workload = load(size)
    compared = compare(workload, tell)
    tell("the machine's limit")
    # Before and after the evaluations: the machine's speed drifts.
    before = limit.best_gemm_rate(workload.threads, size.repeats, gemm_edge)
    evaluated = limit.evaluations(workload, EVALUATED, [workload.threads])
    after = limit.best_gemm_rate(workload.threads, size.repeats, gemm_edge)
    tell("memory")
    peak_fits = MOST_COLUMNS // workload.layout.classes
    peak = memory.measure(workload, peak_fits)
    tell("scaling")
    return report.Findings(
        size=size,
        machine=machine.description(),
        threads=workload.threads,
        features=len(workload.layout.columns),
        comparison=compared,
        gemm=(before + after) / 2,
        evaluated=evaluated,
        solved=limit.operations_of_all(workload.layout, compared.searched.made),
        peak=peak,
        peak_fits=peak_fits,
        scaling=scaling.measure(workload, compared.searched),
        help_seconds=startup.help_seconds(size.repeats),
    )


def write(found: report.Findings, docs: Path) -> None:
    """The page and its picture."""
    write_bytes(docs / report.PICTURE, plot.draw(found.scaling))
    write_text(docs / "benchmarks.md", report.page(found))


def main() -> None:
    """Measure with progress on standard error, write the page, print the table."""
    started = perf_counter()

    def tell(what: str) -> None:
        print(f"{perf_counter() - started:6.0f} s  {what}", file=sys.stderr, flush=True)

    size = Size.from_environment()
    found = measure(size, tell)
    # Only the full size makes the page: figures for a part of the rows would mislead.
    docs = ROOT / "docs" if size.rows == Size().rows else ROOT / "build" / "benchmarks"
    write(found, docs)
    print(report.contenders(found.comparison.lines))
    tell(f"written: {docs / 'benchmarks.md'}")


if __name__ == "__main__":
    main()
