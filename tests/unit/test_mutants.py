"""The list of seeded faults fits the code and its tests; `make mutants` seeds them."""

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from subprocess import run

from tests.mutants.run import ROOT, read_faults
from tests.unit.test_promises import names_of_tests

FAULTS = read_faults()


@cache
def named_in(place: str) -> set[str]:
    """Names of the tests in a file; none if there is no such file."""
    return names_of_tests(ROOT / place) if (ROOT / place).is_file() else set()


def exists(test: str) -> bool:
    """Whether a file, or the test in it, is there."""
    place, *names = test.partition("[")[0].split("::")
    found = named_in(place)
    return names[-1] in found if names else bool(found)


def test_every_fault_can_be_seeded() -> None:
    """Its text occurs once, something else takes its place, and it is still a program."""
    for fault in FAULTS:
        broken = fault.applied(ROOT)
        assert fault.before != fault.after, fault.id
        if fault.file.endswith(".py"):
            ast.parse(broken, fault.id)


def test_no_fault_is_a_name_that_nobody_defined(tmp_path: Path) -> None:
    """It would fail every test that comes by, and so tell nothing of the one that it names."""
    for fault in FAULTS:
        if fault.file.endswith(".py"):
            tmp_path.joinpath(f"{fault.id}.py").write_text(fault.applied(ROOT), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821"]
    done = run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_fault_names_tests_that_exist() -> None:
    """At least one, each by its file and its own name."""
    assert all(fault.tests for fault in FAULTS)
    assert not [test for fault in FAULTS for test in fault.tests if not exists(test)]


def test_no_two_faults_have_one_name() -> None:
    """Or one could not be seeded alone."""
    assert not [name for name, count in Counter(f.id for f in FAULTS).items() if count > 1]
