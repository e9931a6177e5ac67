"""The stage's command: what it says of its result, and what it refuses."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from foldwise.app.prepare import look, main
from foldwise.errors import DataError, FoldwiseError, SettingsError

REPOSITORY = Path(__file__).parents[3]
SRC = REPOSITORY / "src"
DIGITS = "prepare: {source: digits, name: digits}\n"


def test_the_stage_says_what_it_has_prepared(tmp_path: Path) -> None:
    """Rows, shape, classes and digests; run as DVC would."""
    (tmp_path / "params.yaml").write_text(DIGITS)
    done = subprocess.run(
        [sys.executable, "-m", "foldwise.app.prepare"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SRC), "FOLDWISE_QUIET": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = "prepared digits: 1,500 development and 297 holdout images of 8x8 pixels, 10 classes"
    assert done.stdout.startswith(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "params.yaml", "reports"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (None, "params.yaml must be a readable file"),
        ("tune: {folds: 2}", "tune.folds must be an integer from 3 to 100, got 2"),
        ("{}", "data/raw must be a folder of four IDX files: check prepare.path"),
        (DIGITS.replace("}", ", limit: 9999}"), "prepare.limit must be at most the"),
    ],
)
def test_what_can_not_be_prepared_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: str | None, said: str
) -> None:
    """By an error of ours, which ends a stage in one line."""
    monkeypatch.chdir(tmp_path)
    if params is not None:
        (tmp_path / "params.yaml").write_text(params)
    with pytest.raises(FoldwiseError) as refused:
        main()
    assert str(refused.value).startswith(said)
    assert not {"data", "reports"} & {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_can_not_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder belongs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(DIGITS)
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(FoldwiseError, match="data must be a folder, it is a file: move it"):
        main()


def test_a_second_file_that_dvc_does_not_follow_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the stage names it, by its path or by the parameter, as the line says."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("prepare: {holdout: {file: data/late.csv}}")
    pipeline = tmp_path / "dvc.yaml"
    look()
    before = "stages:\n  prepare:\n    deps:\n      - ${prepare.path}\n"
    pipeline.write_text(before)
    with pytest.raises(SettingsError) as caught:
        look()
    assert str(caught.value) == (
        "dvc.yaml must name prepare.holdout's file among the stage prepare's dependencies, or DVC"
        " would miss its changes, got no data/late.csv: add - ${prepare.holdout.file} to them"
    )
    for name in ("${prepare.holdout.file}", "data/late.csv"):
        pipeline.write_text(f"{before}      - {name}\n")
        look()


def test_a_table_is_looked_for_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in its place is none."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "visits.csv"
    path.mkdir()
    (tmp_path / "params.yaml").write_text("prepare: {source: table, path: visits.csv}")
    with pytest.raises(DataError, match=r"must be a file of the project, got visits\.csv: make it"):
        look()
    path.rmdir()
    path.touch()
    look()


@pytest.mark.skipif(shutil.which("make") is None, reason="make isn't installed")
@pytest.mark.parametrize(
    ("target", "params", "path"),
    [
        ("repro", "prepare: {name: toys, path: data/toys}\n", "data/toys"),
        ("classifiers", DIGITS, "data/raw"),
    ],
)
def test_make_tells_a_missing_data_folder_before_dvc(
    tmp_path: Path, target: str, params: str, path: str
) -> None:
    """In one line, whatever the source; once it is made, as the line says, DVC's turn comes."""
    (tmp_path / "params.yaml").write_text(params)
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    for name in ("dvc", "foldwise"):
        (bin_folder / name).write_text(f"#!/bin/sh\necho {name} $*\n")
        (bin_folder / name).chmod(0o755)
    (bin_folder / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (bin_folder / "python").chmod(0o755)

    def make() -> subprocess.CompletedProcess[str]:
        command = ["make", "-s", "-f", str(REPOSITORY / "Makefile"), "-o", "install", target]
        # Below `make test`, another make would say its level.
        own = {
            name: of for name, of in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
        }
        environment = {**own, "PYTHONPATH": str(SRC)}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    told = make()
    line = f"foldwise: prepare.path must be a folder of the project, got {path}: make it"
    assert (told.returncode, told.stdout) == (2, "")
    ours, makes = told.stderr.splitlines()
    assert ours.startswith(line)
    assert makes.startswith("make: ***")
    (tmp_path / path).mkdir(parents=True)
    told = make()
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("dvc repro" if target == "repro" else "dvc repro prepare")
