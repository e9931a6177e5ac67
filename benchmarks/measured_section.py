"""A measured section of docs/scaling.md: what was found, by which command, where and when."""

import os
from pathlib import Path

from benchmarks import machine
from docs.fill import with_section

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scaling.md"
DRAFT = ROOT / "build" / "benchmarks" / "scaling.md"


def load_average() -> str:
    """How busy the machine is, to be asked before the work begins: wall times depend on it."""
    return f"{os.getloadavg()[0]:.1f}"


def origin(command: str, load: str) -> str:
    """The line below a table that places its figures."""
    return f"`{command}`: {'; '.join(machine.description())}; load average before it {load}."


def write(name: str, content: str, *, whole: bool) -> Path:
    """Put a section into the page, or into a draft: figures of a part of the work would mislead."""
    written = with_section(PAGE.read_text(encoding="utf-8"), name, content)
    path = PAGE if whole else DRAFT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written, encoding="utf-8")
    return path
