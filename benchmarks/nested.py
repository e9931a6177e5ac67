"""`make bench`: time the nested search, and write docs/benchmarks.md and its picture."""

import sys
from collections.abc import Sequence
from time import perf_counter

from benchmarks import limit, memory, own, scaling
from benchmarks.comparison import Line, Tell, compare, tabled
from benchmarks.contenders import contenders
from benchmarks.markdown import DOCS, DRAFTS, machine, write_measured
from benchmarks.work import Size, Work


def measure(size: Size, tell: Tell, *, gemm_edge: int = limit.EDGE) -> tuple[dict[str, str], bytes]:
    """The sections of the page, and its picture."""
    work = own.load(size)
    tell("foldwise's search, whose values of C everyone gets")
    first = own.search(work)
    lines, searched = compare(first, contenders(first), tell)
    tell("the machine's limit")
    limits = limit.section(work, searched, gemm_edge)
    tell("memory, scaling")
    grown = scaling.measure(work, searched)
    sections = {
        "setting": _setting(work),
        "contenders": _contenders(lines, searched),
        "limit": limits,
        "memory": memory.section(work),
        **{name: each.tabled() for name, each in grown.items()},
    }
    return sections, scaling.draw(list(grown.values()))


def _setting(work: Work) -> str:
    size = work.size
    return (
        "\n".join(f"- {line}" for line in machine())
        + f"\n\nOne nested search for `C` on MNIST's first {size.rows:,} images: {size.folds} outer"
        f" folds with\n{size.folds - 1} inner folds each and a final study, {size.trials} trials a"
        f" study, tolerance\n{size.tol:g}, on {work.threads} threads."
    )


def _contenders(lines: Sequence[Line], searched: own.Searched) -> str:
    size = searched.task.work.size
    strengths = ", ".join(f"{fit.C:.2g}" for fit in searched.task.sampled[:-1])
    return (
        f"{tabled(lines)}\n\nMedians of {size.repeats}. Extrapolated from inner fits at"
        f" C = {strengths}. Mean log-loss over foldwise's outer folds: {searched.outer_loss:.4f}."
    )


def main() -> None:
    """Measure with progress on standard error, write the page and its picture."""
    began = perf_counter()

    def tell(what: str) -> None:
        print(f"{perf_counter() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    size = Size.from_environment()
    sections, picture = measure(size, tell)
    folder = DOCS if size.is_whole else DRAFTS
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    (folder / "pictures" / "benchmarks.svg").write_bytes(picture)
    write_measured("benchmarks", sections, whole=size.is_whole)


if __name__ == "__main__":
    main()
