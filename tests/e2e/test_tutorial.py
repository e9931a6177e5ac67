"""The tutorial's commands, run as they are written."""

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.project import REPOSITORY, Project, commit, make_project

pytestmark = pytest.mark.e2e

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
def clone(commands: Path, tmp_path: Path) -> Project:
    """The project as a newcomer gets it: nothing was run, nothing was edited."""
    project = make_project(tmp_path / "clone", params={}, commands=commands)
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
        assert not [line for line in shown if not is_said(line, said)], f"{command}: {said}"


def is_said(shown: str, said: str) -> bool:
    """Whether a line stands in the output; an ellipsis is for what differs between machines."""
    return re.search(".*".join(map(re.escape, shown.split("…"))), said) is not None


def test_a_line_that_was_not_said_is_noticed() -> None:
    """An ellipsis stands within a line, not for one."""
    assert is_said("fails … of 8", "version 1 fails 3 of 8 checks")
    assert not is_said("fails … of 8", "version 1 fails 3 of 9 checks")
    assert not is_said("fails … of 8", "fails\n3 of 8")
