"""The tutorial's commands, run as they are written."""

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import REPOSITORY, Project, commit, make_project

# Behind `make soak` until it has been seen to pass on a quiet machine.
pytestmark = [pytest.mark.e2e, pytest.mark.soak]

TUTORIAL = (REPOSITORY / "docs" / "tutorial.md").read_text()


def console_steps(text: str) -> list[tuple[str, list[str]]]:
    """Each command of the ``console`` blocks, with the lines that stand below it."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line.removeprefix("$ "), []))
            else:
                steps[-1][1].append(line)
    return steps


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """The project as a newcomer gets it: nothing was run, nothing was edited."""
    project = make_project(tmp_path / "clone", params={})
    shutil.copytree(
        REPOSITORY / "data" / "raw", project.folder / "data" / "raw", dirs_exist_ok=True
    )
    return commit(project)


def test_the_tutorial_works_as_written(clone: Project) -> None:
    """Every command ends well and says what the tutorial shows of its output."""
    steps = console_steps(TUTORIAL)
    assert len(steps) > 10
    for command, shown in steps:
        ended = clone.run("bash", "-c", command)
        assert ended.status == 0, f"{command}: {ended.errors}"
        said = ended.output + ended.errors
        assert not [line for line in shown if line not in said], f"{command}: {said}"
