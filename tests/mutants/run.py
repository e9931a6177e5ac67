"""Seeded faults: each breaks one promise in a copy of the project, and a named test must see it.

``python -m tests.mutants.run [ID ...]`` runs those faults of faults.toml, or all of them. A fault
counts as caught only by tests that pass without it and fail, instead of not starting, with it.
"""

import importlib
import os
import resource
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).with_name("faults.toml")
_PASSED, _FAILED = 0, 1  # of pytest's exit statuses; the others say that no test was judged
_PYTEST = ("-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist")
_OURS = ("foldwise", "tests", "benchmarks", "docs")
# What takes seconds to import, none of it ours: once here, and every run of tests has it.
_SLOW = ("hypothesis", "mlflow.sklearn", "optuna", "skops.io", "sklearn.pipeline", "scipy.stats")
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
_WHERE = "import foldwise; print(foldwise.__file__)"
# A child of a child, elsewhere: as the tests start processes.
_PROBE = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_WHERE!r}], check=True)"


class MutantError(Exception):
    """The list doesn't fit the code, or the copy can't be judged."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One change of one file, the promise that it breaks, the tests that see it."""

    id: str
    promise: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """The file's text with the fault in it."""
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (found := text.count(self.before)) != 1:
            raise MutantError(
                f"{self.id}: its text must occur once in {self.file}, got {found} times:"
                f" the anchor moved, mend tests/mutants/{FAULTS.name}"
            )
        return text.replace(self.before, self.after)


def read_faults() -> tuple[Fault, ...]:
    """All faults, in the file's order."""
    told = tomllib.loads(FAULTS.read_text(encoding="utf-8"))["fault"]
    return tuple(Fault(**fault | {"tests": tuple(fault["tests"])}) for fault in told)


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the working tree: a repository of its own, because tests ask git what there is."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with TemporaryDirectory(prefix="foldwise-mutants-") as folder:
        copy = Path(folder).resolve() / "foldwise"
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file() or (ROOT / name).is_symlink():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
        me = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        for command in ("init --quiet", "add --all", "commit --quiet --message=Copied"):
            subprocess.run(["git", *me, *command.split()], cwd=copy, check=True)
        _check_imported(copy)
        yield copy


def _environment(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy / "src")}


def _check_imported(copy: Path) -> None:
    probe = [sys.executable, "-c", _PROBE]
    where = subprocess.run(
        probe, cwd=copy.parent, env=_environment(copy), capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(where).is_relative_to(copy):
        raise MutantError(f"foldwise must be imported from {copy}, got {where}: unset PYTHON*")


def judge(copy: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Run tests in the copy: whether all passed, and the first that didn't."""
    with TemporaryFile("w+") as said:
        process = get_context("fork").Process(target=_run_pytest, args=(copy, tests, said.fileno()))
        process.start()
        process.join()
        said.seek(0)
        lines = said.read().splitlines()
    if process.exitcode not in (_PASSED, _FAILED):
        raise MutantError(f"pytest ended with {process.exitcode}:\n" + "\n".join(lines))
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return process.exitcode == _PASSED, " ".join(failed).partition(" - ")[0]


def _run_pytest(copy: Path, tests: Sequence[str], output: int) -> NoReturn:
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    os.environ |= _environment(copy)
    sys.path[:] = [str(copy / "src"), *(p for p in sys.path if Path(p) not in (ROOT, ROOT / "src"))]
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    sys.exit(pytest.main([*_PYTEST, *tests]))


def seed(copy: Path, fault: Fault) -> tuple[bool, str]:
    """Whether the tests survive a fault, and which one doesn't; the copy is whole afterwards."""
    path = copy / fault.file
    whole = path.read_text(encoding="utf-8")
    try:
        _write(path, fault.applied(copy))
        return judge(copy, fault.tests)
    finally:
        _write(path, whole)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Compiled code is known by its source's size and second: too coarse for changes this quick.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)


def _say(*cells: str) -> None:
    sys.stdout.write("  ".join(cells).rstrip() + "\n")
    sys.stdout.flush()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(ids: Sequence[str]) -> int:
    """Seed the faults named, or all; 1 if one survives."""
    faults = read_faults()
    if unknown := set(ids) - {fault.id for fault in faults}:
        raise MutantError(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in faults if not ids or fault.id in ids]
    width = max(len(fault.id) for fault in chosen)
    survived = 0
    os.environ |= _QUIET
    for name in _SLOW:
        importlib.import_module(name)
    with copied() as copy:
        passed, failed = judge(copy, sorted({test for fault in chosen for test in fault.tests}))
        if not passed:
            raise MutantError(f"without any fault the tests must pass, but {failed}")
        _say("fault".ljust(width), "CPU s", "caught by")
        for fault in chosen:
            before = _cpu_seconds()
            passed, failed = seed(copy, fault)
            survived += passed
            spent = f"{_cpu_seconds() - before:5.1f}"
            _say(fault.id.ljust(width), spent, f"SURVIVED: {fault.promise}" if passed else failed)
    _say(f"{len(chosen) - survived} of {len(chosen)} caught, {_cpu_seconds():.0f} CPU seconds")
    return int(survived > 0)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except MutantError as error:
        raise SystemExit(f"mutants: {error}") from error
