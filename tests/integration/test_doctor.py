"""What `foldwise init` makes, what `foldwise doctor` says of it, and each of its remedies typed."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from foldwise.app import doctor, prepare
from foldwise.app.cli import main
from foldwise.app.doctor import Finding, examined
from foldwise.errors import FoldwiseError
from foldwise.settings import load_settings
from foldwise.stats.scores import METRICS

ROWS = "age,site,patient,outcome\n" + "".join(
    f"{20 + row % 50},{'abc'[row % 3]},p{row // 2},{('well', 'ill')[row % 2]}\n"
    for row in range(90)
)
IDENTITY = {
    f"GIT_{who}_{what}": "test@localhost"
    for who in ("AUTHOR", "COMMITTER")
    for what in ("NAME", "EMAIL")
}
COMMAND = re.compile(r"run `([^`]*)`")


def typed(command: str, folder: Path) -> str:
    """What a shell says to a command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **IDENTITY}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a table, made and committed once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "visits.csv").write_text(ROWS)
    project, table = folder / "ward", folder / "visits.csv"
    main(["init", str(project), "--table", str(table), "--target", "outcome", "--group", "patient"])
    typed("git add --all && git commit -qm Begin", project)
    return project


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and this environment's Python first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    folder = tmp_path / "ü#1" / "ward"
    shutil.copytree(template, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def wrong(project: Path) -> list[Finding]:
    """What the doctor says must be mended."""
    return [finding for finding in examined(project) if finding.remedy]


def test_a_new_project_reads_its_table_and_git_knows_no_row_of_it(project: Path) -> None:
    read = load_settings(project / "params.yaml").prepare
    told = (read.source, read.name, read.path, read.target, read.group)
    assert told == ("table", "ward", "data/visits.csv", "outcome", "patient")
    assert (project / read.path).read_text() == ROWS
    assert f"# {' | '.join(METRICS)}\n" in (project / "params.yaml").read_text()
    known = typed("git ls-files", project).split()
    assert "data/visits.csv" not in known
    assert {"dvc.yaml", "params.yaml", "README.md", ".gitignore", "data/visits.csv.dvc"} <= {*known}
    assert wrong(project) == []


def test_a_healthy_project_ends_with_0_and_any_other_with_1(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor"])
    assert "nothing of 8 is wrong" in capsys.readouterr().out
    (project / "params.yaml").write_text("seed: -1\n")
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 1
    assert "seed must be an integer" in capsys.readouterr().out


def other_python(project: Path, patch: pytest.MonkeyPatch) -> None:
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "python").write_text("#!/bin/sh\n")
    (project / "elsewhere" / "python").chmod(0o755)
    patch.setenv("PATH", f"{project}/elsewhere{os.pathsep}{os.environ['PATH']}")


def missing_package(project: Path, patch: pytest.MonkeyPatch) -> None:
    (project / "requirements.lock").write_text("nothing-much==1.0 \\\n")
    wheel, facts = project / "nothing_much-1.0-py3-none-any.whl", "nothing_much-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr(
            f"{facts}/METADATA", "Metadata-Version: 2.1\nName: nothing-much\nVersion: 1.0\n"
        )
        packed.writestr(
            f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        packed.writestr(f"{facts}/RECORD", "")
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(project))
    patch.setenv("PIP_TARGET", str(project / "site"))
    patch.syspath_prepend(str(project / "site"))


def without(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def remove(project: Path, _: pytest.MonkeyPatch) -> None:
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def without_commit(project: Path, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(project / ".git")
    typed("git init -q", project)


@pytest.mark.parametrize(
    ("rule", "spoil", "told"),
    [
        ("the stages' python is foldwise's", other_python, r"run `export PATH="),
        ("versions are those of requirements.lock", missing_package, "run `python -m pip install"),
        (
            "a commit, which experiments begin at",
            without_commit,
            "run `git add --all && git commit",
        ),
        ("a DVC project", without(".dvc"), "run `dvc init`"),
        (
            "the data can be read",
            without("data/visits.csv"),
            "run `dvc checkout data/visits.csv`",
        ),
    ],
)
def test_what_the_doctor_tells_to_type_mends_it(
    rule: str,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    told: str,
    *,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One thing is wrong, its remedy is typed as told, and nothing is wrong any more."""
    spoil(project, monkeypatch)
    (finding,) = wrong(project)
    assert finding.rule == rule
    assert finding.remedy.startswith(told)
    found = COMMAND.match(finding.remedy)
    assert found
    now = typed(f"{found[1]} && command -v python", project).splitlines()[-1]
    if spoil is other_python:
        assert Path(now).parent == Path(sys.executable).parent
        return
    assert wrong(project) == []


def test_without_git_two_things_are_wrong_and_their_remedies_in_order_mend_both(
    project: Path,
) -> None:
    shutil.rmtree(project / ".git")
    for rule in ("a git repository", "a commit, which experiments begin at"):
        finding = wrong(project)[0]
        assert finding.rule == rule
        found = COMMAND.match(finding.remedy)
        assert found
        typed(found[1], project)
    assert wrong(project) == []


def test_a_key_that_dvc_reads_by_name_is_missed_though_it_has_a_default(project: Path) -> None:
    """DVC itself would end before any stage runs."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    del params["seed"], params["evaluate"]["confidence"]
    path.write_text(yaml.safe_dump(params))
    (finding,) = wrong(project)
    assert finding.value == "no evaluate.confidence, seed"
    params["seed"], params["evaluate"] = 1, {"confidence": 0.95}
    path.write_text(yaml.safe_dump(params))
    assert wrong(project) == []


def test_parameters_and_store_are_told_with_their_own_remedies(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("folds: 6 ", "folds: 2 "))
    (params, data) = wrong(project)
    assert params.remedy == f"edit {path}"
    assert data.remedy == "mend params.yaml first"
    path.write_text(before)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    (store,) = wrong(project)
    assert store.rule == "MLflow's store answers"
    assert store.remedy == "start it, or correct MLFLOW_TRACKING_URI"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert wrong(project) == []


@pytest.mark.parametrize(
    ("head", "cell", "told"),
    [
        ("day", "2024-01-{:02}", "column 'day' has a date"),
        ("age", "20", "columns 1 and 5 are both called 'age'"),
        ("x", "", "column 'x' has no value"),
    ],
)
def test_the_doctor_says_of_a_table_what_prepare_would_refuse(
    project: Path, head: str, cell: str, told: str
) -> None:
    """In the same words, remedy and all: the check is the same."""
    first, *rows = ROWS.splitlines()
    rows = [f"{row},{cell.format(1 + number % 28)}" for number, row in enumerate(rows)]
    table = project / "data" / "visits.csv"
    table.unlink()
    table.write_text("\n".join([f"{first},{head}", *rows]))
    assert told in refusal(project)


def refusal(project: Path) -> str:
    """The one thing that the doctor finds wrong, which must be what `prepare` says there."""
    (finding,) = wrong(project)
    assert finding.rule == "the data can be read"
    with pytest.raises(FoldwiseError) as refused:
        prepare.main()
    told = f"{finding.value}: {finding.remedy}".removeprefix(f"{project}/")
    assert told == str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("limit", "row", "told"),
    [
        (
            None,
            "30,a,p90,odd",
            "each class must have rows in both splits, got none of 'odd' in",
        ),
        (1000, "30,a,p90,ill", "prepare.limit must be at most the development set's 7"),
    ],
)
def test_the_doctor_says_what_would_only_show_when_rows_are_divided(
    project: Path, limit: int | None, row: str, told: str
) -> None:
    """And after the remedy, which names the row's file or the parameter, nothing is wrong."""
    table, path = project / "data" / "visits.csv", project / "params.yaml"
    table.unlink()
    table.write_text(f"{ROWS}{row}\n")
    change(path, limit=limit)
    assert told in refusal(project)
    table.write_text(ROWS)
    change(path, limit=None)
    assert wrong(project) == []


def test_a_second_file_that_dvc_would_not_follow_is_told(project: Path) -> None:
    (project / "data" / "later.csv").write_text(re.sub(r",p(\d)", r",q\1", ROWS))
    change(project / "params.yaml", holdout={"file": "data/later.csv"})
    assert "dvc.yaml must name prepare.holdout's file among" in refusal(project)
    pipeline = project / "dvc.yaml"
    pipeline.write_text(
        pipeline.read_text().replace(
            "- ${prepare.path}\n", "- ${prepare.path}\n      - ${prepare.holdout.file}\n", 1
        )
    )
    assert wrong(project) == []
    kept = pipeline.read_bytes()
    pipeline.write_bytes(b"\xff" + kept)
    told = refusal(project)
    assert "dvc.yaml must be a text that can be read, got UnicodeDecodeError" in told
    found = COMMAND.search(told)
    assert found
    typed(found[1], project)
    assert "dvc.yaml must name prepare.holdout's file among" in refusal(project)


def change(path: Path, /, **parameters: object) -> None:
    """Set parameters of the stage prepare."""
    params = yaml.safe_load(path.read_text())
    params["prepare"].update(parameters)
    path.write_text(yaml.safe_dump(params))


def test_of_data_at_openml_the_doctor_reads_the_parameters_alone(project: Path) -> None:
    """Where prepare would refuse one, in the same words; nothing is downloaded."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["prepare"] = {"source": "openml", "name": "digits", "path": "data/raw"}
    path.write_text(yaml.safe_dump(params))
    assert wrong(project) == []
    assert Finding("the data can be read", "openml, not asked") in examined(project)
    change(path, path="data/visits.csv")
    assert "prepare.path must be data/raw when prepare.source is openml" in refusal(project)
    change(path, path="data/raw", name="mnist")
    assert "prepare.name must not be mnist when prepare.source is openml" in refusal(project)


def test_a_disk_that_fails_while_it_is_read_is_a_finding(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the rules after it are looked at, too."""

    def failing(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(doctor, "check_data", failing)
    (finding,) = wrong(project)
    assert finding.rule == "the data can be read"
    assert finding.value == "data/visits.csv: Input/output error"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["full"], "a project begins in a folder that is empty or not there yet, full is neither"),
        (["-x"], "No such option"),
        (["a?b/new"], "path may not contain '?', got '"),
        (["a%2Fb/new"], "path may not contain '%', got '"),
        (["/".join(["x" * 200] * 3)], "a database's path must be at most 490 bytes long"),
        (["ä"], "prepare.name must be text of letters"),
        (
            ["new", "--target", "y"],
            "--target names a column of a table, got no table: give --table",
        ),
        (["new", "--table", "full/there.csv"], "--table needs the column of classes, got none"),
        (["new", "--table", "no.csv", "--target", "y"], "--table must be a CSV or Parquet file"),
        (
            ["new", "--table", "full/there.csv", "--target", "z"],
            "--target must name one of its columns, got 'z' (it has ",
        ),
        (
            ["new", "--table", "full/there.csv", "--target", "outcome", "--group", "patiens"],
            "--group must name one of its columns, got 'patiens' (did you mean 'patient'?): name",
        ),
        (
            ["new", "--table", "full/there.csv", "--target", "age", "--group", "age"],
            "--group must name another column than --target, both name 'age': leave it out",
        ),
    ],
)
def test_a_project_that_cannot_begin_is_told_in_one_line_and_nothing_is_made(
    arguments: list[str],
    told: str,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "there.csv").write_text(ROWS)
    with pytest.raises(SystemExit) as ended:
        main(["init", *arguments])
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["there.csv"]
