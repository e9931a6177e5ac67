"""What a message tells to type is typed as it stands, in the state that shows it, and mends it."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.project import DIGITS, Ended, Project, commit, make_project
from tests.e2e.reproduced import client_of

pytestmark = pytest.mark.e2e

VERIFY, DRAW = "foldwise verify challenger", "foldwise draw"
COMPARE = "foldwise compare workspace another"
TUNE, EVALUATE = (f"python -m foldwise.app.{stage}" for stage in ("tune", "evaluate"))


@pytest.fixture(scope="module")
def digits(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Digits, reproduced; each test leaves the project as well as it found it."""
    folder = tmp_path_factory.mktemp("remedies") / "project"
    params = {**DIGITS, "tune": {"folds": 3, "trials": 2, "startup_trials": 2}}
    project = commit(make_project(folder, params, commands=commands))
    done = project.dvc("repro")
    assert done.status == 0, done.errors
    return project


def _delete_version(project: Project) -> None:
    client = client_of(project)
    for version in client.search_model_versions("name = 'digits-classifier'"):
        client.delete_model_version(version.name, version.version)


def _delete_database(project: Project) -> None:
    """Runs and versions are gone, and nothing is stale."""
    (project.folder / "mlruns" / "mlflow.db").unlink()


def _lose_files(project: Project) -> None:
    """All of a version's, which the store still lists."""
    for path in [*(project.folder / "mlruns" / "artifacts").rglob("model.skops")]:
        shutil.rmtree(path.parent)


def _delete_data(project: Project) -> None:
    for path in (project.folder / "data" / "prepared" / "holdout").iterdir():
        path.unlink()


def _damage(name: str) -> Callable[[Project], None]:
    def damage(project: Project) -> None:
        path = project.folder / name
        content = path.read_bytes()
        path.unlink()  # DVC may have linked it to its cache
        path.write_bytes(content[: len(content) // 2])

    return damage


def _damage_tracked(name: str) -> Callable[[Project], None]:
    def damage(project: Project) -> None:
        commit(project)
        _damage(name)(project)

    return damage


def _delete(name: str) -> Callable[[Project], None]:
    return lambda project: (project.folder / name).unlink()


def _name_another_search(project: Project) -> None:
    path = project.folder / "models" / "run.json"
    told = json.loads(path.read_text())
    path.unlink()  # DVC may have linked it to its cache
    path.write_text(json.dumps(told | {"search_key": "0123abcd" * 4}))


def _delete_predictions(project: Project) -> None:
    """As those of an earlier version of foldwise; there is another search, which has them."""
    for path in (project.folder / "mlruns" / "artifacts").glob("digits/*/artifacts/search/*"):
        path.unlink()
    tuned = project.shell("dvc exp run --quiet --temp --name another tune -S tune.c_high=5")
    assert tuned.status == 0, tuned.errors


def _link(name: str) -> Callable[[Project], None]:
    def link(project: Project) -> None:
        place, elsewhere = project.folder / name, project.folder.with_name("elsewhere")
        place.rename(elsewhere)
        place.symlink_to(elsewhere)

    return link


@dataclass(frozen=True, slots=True)
class Fault:
    """How a state comes about, what shows it, and what is told to type."""

    make: Callable[[Project], None]
    shown_by: str
    told: str


FAULTS = {
    "a version that was deleted": Fault(
        _delete_version, VERIFY, "dvc repro && dvc repro --force --single-item evaluate"
    ),
    "a database that was deleted": Fault(
        _delete_database, VERIFY, "dvc repro && dvc repro --force --single-item evaluate"
    ),
    "the files of a version that are lost": Fault(
        _lose_files, VERIFY, "dvc repro && dvc repro --force --single-item evaluate"
    ),
    "data that are gone": Fault(_delete_data, VERIFY, "dvc repro prepare"),
    "data that are damaged": Fault(
        _damage("data/prepared/holdout/labels.npy"), VERIFY, "dvc repro -f prepare"
    ),
    "a search that is damaged": Fault(_damage("models/tuned/arrays.npz"), DRAW, "dvc repro tune"),
    "a result that is damaged": Fault(_damage("models/evaluated/holdout.npz"), DRAW, "dvc repro"),
    "a damaged record of versions": Fault(
        _damage_tracked("reports/registered.json"), VERIFY, "git restore "
    ),
    "no word of which search it was": Fault(_delete("models/run.json"), EVALUATE, "dvc repro tune"),
    "the word of another search": Fault(_name_another_search, EVALUATE, "dvc repro tune"),
    "a search without predictions": Fault(_delete_predictions, COMPARE, "dvc repro -f tune"),
    "a link where pictures go": Fault(_link("reports/figures/tune"), TUNE, "rm "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_message_tells_to_type_mends_what_it_tells_of(digits: Project, name: str) -> None:
    """As long as there is a message its command is typed; then the first command ends well."""
    fault = FAULTS[name]
    fault.make(digits)
    ended = digits.shell(fault.shown_by)
    assert _command(ended).startswith(fault.told), ended.errors
    for _ in range(3):
        typed = digits.shell(_command(ended))
        assert typed.status == 0, typed.errors
        ended = digits.shell(fault.shown_by)
        if ended.status == 0:
            break
    assert ended.status == 0, ended.errors
    whole = digits.shell(f"dvc repro && {VERIFY}")
    assert whole.status == 0, whole.output + whole.errors


def _command(ended: Ended) -> str:
    """The first command that the message names, but one that only shows something."""
    assert ended.status == 1, ended.output
    [line] = ended.said
    found: list[str] = [
        command for command in re.findall("`([^`]+)`", line) if command != "foldwise history"
    ]
    assert found, line
    return found[0]


def test_a_forced_run_with_fresh_begins_an_open_search_anew(digits: Project) -> None:
    """Also where every stage is up to date but evaluate, and DVC alone would run nothing else."""
    story = "dvc repro --quiet --force tune && dvc repro --quiet tune"
    assert digits.shell(story).status == 0
    open_attempt = _attempts(digits.folder)
    done = digits.shell("FOLDWISE_FRESH=yes dvc repro --force")
    assert done.status == 0, done.errors
    assert _attempts(digits.folder) == open_attempt + 1


def _attempts(folder: Path) -> int:
    """How often the search was begun."""
    with closing(sqlite3.connect(folder / "mlruns" / "optuna.db")) as connection:
        names = connection.execute("SELECT study_name FROM studies").fetchall()
    return max(int(name.split(".")[1]) for (name,) in names)


def test_only_the_keys_that_dvc_reads_by_name_must_stand_in_params_yaml(digits: Project) -> None:
    """The first lines of params.yaml and the reference say which."""
    path = digits.folder / "params.yaml"
    before = path.read_text()
    path.write_text(
        "seed: 1\nprepare: {path: data/raw, source: digits, name: digits}\n"
        "tune: {folds: 3}\nevaluate: {confidence: 0.95}\n"
    )
    try:
        assert digits.shell("dvc status").status == 0
        planned = digits.shell("dvc repro --dry --force")
        assert planned.status == 0, planned.errors
    finally:
        path.write_text(before)


def test_the_commands_for_the_main_job_never_ask_for_the_comparison(digits: Project) -> None:
    """It was never made here, and its lock is of another folder's run."""
    done = digits.shell(
        "git add --all . && git commit --quiet -m Results"
        " && dvc status && dvc checkout && dvc exp save --name kept && dvc exp apply kept"
        f" && dvc remote add --force -d shared {digits.folder.with_name('shared')}"
        " && dvc push && dvc pull && dvc status"
    )
    assert done.status == 0, done.output + done.errors
    assert "comparison" not in done.output


def test_a_search_runs_on_the_parts_of_another_by_what_compare_tells(digits: Project) -> None:
    """On others there are estimates alone; the command that is told leads to a verdict."""
    assert digits.shell("dvc repro && git add --all . && git commit -qm Same").status == 0
    other = "-S tune.folds=4 -S tune.trials=3"
    tuned = digits.shell(f"dvc exp run --quiet --temp --name other tune {other}")
    assert tuned.status == 0, tuned.errors
    first = digits.shell("foldwise compare workspace other")
    assert first.status == 0, first.errors
    assert "other has other parts than workspace: estimates alone" in first.output
    typed = re.findall("`(dvc exp run [^`]+)`", first.output)[0]
    assert digits.shell(f"{typed} --name again").status == 0
    again = digits.shell("foldwise compare workspace again")
    assert again.status == 0, again.errors
    assert "Nadeau-Bengio" in again.output
    assert re.search(r"tune\.trials +2 +3", again.output)


def test_after_an_experiment_of_other_data_the_advice_is_about_its_model(digits: Project) -> None:
    """Typed here it shows that result, whose parameters and model aren't this folder's."""
    asked = "-S prepare.name=others -S prepare.limit=300 -S tune.folds=4"
    done = digits.shell(f"dvc exp run --temp --name elsewhere {asked}")
    assert done.status == 0, done.errors
    typed = re.findall("next: `([^`]+)`", done.output)[0]
    assert typed == "foldwise show --model others-classifier"
    shown = digits.shell(typed)
    assert shown.status == 0, shown.errors
    assert shown.output.startswith("others: 300 development images and 900 holdout images, 10 ")
    assert max(map(len, shown.output.splitlines())) <= 80
    told = " ".join(shown.output.split())
    assert "prepare.limit = 300" in told
    assert "tune.folds = 4" in told
    assert "version 1 is the challenger" in told
    assert "next `dvc exp apply elsewhere`, then `foldwise promote --dry-run`" in told
    own = digits.shell("foldwise show").output
    assert own.startswith("digits: 897 development images")
    assert digits.shell("foldwise show --model digits-classifier").output == own
