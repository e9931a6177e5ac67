"""Measured tables in the documents: Markdown, the sections they stand in, the machine's line."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from benchmarks.clock import ROOT

DOCS = ROOT / "docs"
DRAFTS = ROOT / "build" / "benchmarks"
LOAD = os.getloadavg()[0]
"""Before the work begins: wall times depend on it."""

_PACKAGES = (
    "foldwise", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "optuna", "torch",
)  # fmt: skip


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    """A Markdown table; of ``numbers``, all columns but the first are aligned right."""
    ruler = [":--", *["--:"] * (len(header) - 1)] if numbers else ["---"] * len(header)
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ruler, *rows))


def with_section(text: str, name: str, content: str) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``."""
    section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    written, count = section.subn(lambda found: f"{found[1]}{content.strip()}\n{found[2]}", text)
    if count != 1:
        raise SystemExit(f"a document must have the section {name} once, it has it {count} times")
    return written


def write_measured(
    page: str, sections: Mapping[str, str], *, whole: bool, command: str = ""
) -> None:
    """Print sections of a page in docs/, and put them there.

    Below each stands the line that places its figures, where there is a command. Into a draft, if
    the work isn't ``whole``: figures of a part of it would mislead.
    """
    path = (DOCS if whole else DRAFTS) / f"{page}.md"
    text = (path if path.exists() else DOCS / path.name).read_text(encoding="utf-8")
    if command:
        line = f"`{command}`: {'; '.join(machine())}; load average before it {LOAD:.1f}."
        sections = {name: f"{content}\n\n{line}" for name, content in sections.items()}
    for name, content in sections.items():
        print(f"{content}\n", flush=True)
        text = with_section(text, name, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"written: {path}", flush=True)


def duration(seconds: float) -> str:
    """Seconds, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 100 else f"{minutes} min {rest} s"


def machine() -> tuple[str, ...]:
    """Processor, cores, BLAS kernels, versions and date, one each."""
    installed = {each.name: each.version for each in distributions()}
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    processor = next(names, platform.processor() or platform.machine())
    return (
        f"{processor}, {os.cpu_count()} cores",
        f"{platform.system()}, Python {platform.python_version()}",
        f"BLAS: {_blas()}",
        ", ".join(f"{name} {installed[name]}" for name in _PACKAGES if name in installed),
        f"{datetime.now(UTC):%Y-%m-%d}",
    )


def _blas() -> str:
    """NumPy's BLAS library, its version and the kernels it chose for this processor."""
    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    numpys = [info for info in found if Path(np.__file__).parent.name in info["filepath"]]
    first = (numpys or found)[0]
    return f"{first['internal_api']} {first['version']}, {first.get('architecture', '?')} kernels"
