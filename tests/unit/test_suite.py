"""How the suite itself runs: what is made for many tests is made once."""

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
_TESTS = """
import os
import pytest

@pytest.fixture
def {fixture}() -> None: ...

@pytest.mark.parametrize("number", range(4))
def test_it(number: int, {fixture}: None) -> None:
    with open({seen!r}, "a") as seen:
        seen.write("{name} " + os.environ["PYTEST_XDIST_WORKER"] + "\\n")
"""


def test_a_file_s_tests_go_to_one_worker_and_so_do_those_that_share_what_is_costly(
    tmp_path: Path,
) -> None:
    """Whatever xdist and pytest agree on: a fixture of a module would be made twice."""
    shutil.copy(CONFTEST, tmp_path)
    seen = tmp_path / "seen"
    for name, fixture in {"a": "own", "b": "own", "c": "commands", "d": "commands"}.items():
        told = _TESTS.format(fixture=fixture, seen=str(seen), name=name)
        (tmp_path / f"test_{name}.py").write_text(told)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    workers: dict[str, set[str]] = defaultdict(set)
    for line in seen.read_text().splitlines():
        name, worker = line.split()
        workers[name].add(worker)
    assert [len(workers[name]) for name in "abcd"] == [1, 1, 1, 1]
    assert workers["c"] == workers["d"]
    assert len(seen.read_text().splitlines()) == 16
