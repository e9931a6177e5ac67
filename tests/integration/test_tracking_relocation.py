"""A store whose folder was moved or copied: noticed at once, mended by one command."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from sklearn.linear_model import LogisticRegression

from foldwise.app import commands
from foldwise.errors import StoreError
from foldwise.runs.recorder import Recorder
from foldwise.store.database import relocate
from foldwise.store.open import Store, open_store
from tests.factories import make_result
from tests.integration.conftest import copied, without_outside_settings
from tests.run_tree import make_lineage, record_search, run_tree

REPOSITORY = Path(__file__).parents[2]
LINEAGE, RESULT = make_lineage(), make_result(folds=2, trials=1)
X = np.arange(6.0).reshape(6, 1)
Y = np.array([0, 0, 0, 1, 1, 1])


def _register(store: Store) -> None:
    """A model as the registry holds it: logged below a run, and named."""
    import mlflow

    with store.as_default(), Recorder.open(store, LINEAGE) as recorder:
        with mlflow.start_run(run_id=recorder.run_id):
            mlflow.sklearn.log_model(
                LogisticRegression().fit(X, Y),
                name="model",
                registered_model_name="blobs-classifier",
                pip_requirements=["scikit-learn"],
            )
        store.client.set_registered_model_alias("blobs-classifier", "champion", "1")


def _mentions(database: Path, text: str) -> list[str]:
    """Every column of the database that holds the text anywhere."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for column in connection.execute(f"PRAGMA table_info({table})").fetchall():
                query = f"SELECT count(*) FROM {table} WHERE instr({column[1]}, ?)"
                if connection.execute(query, (text,)).fetchone()[0]:
                    found.append(f"{table}.{column[1]}")
    return found


def test_the_sources_of_another_folder_are_said_to_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copied environment's paths lead to the old folder; what is told to type is there."""
    (store.root / "dvc.yaml").touch()
    monkeypatch.chdir(store.root)
    commands.relocate()
    assert "the sources that run" not in capsys.readouterr().out
    (store.root / "src" / "foldwise").mkdir(parents=True)
    commands.relocate()
    said = capsys.readouterr().out
    assert f"the sources that run are those in {Path(commands.__file__).parents[1]}: run `" in said
    command = said.split("`")[1].split()
    dry = [command[0], "--dry-run", "--directory", str(REPOSITORY), *command[1:]]
    told = subprocess.run(dry, capture_output=True, text=True, check=True).stdout
    assert "rm -rf .venv" in told


@pytest.fixture(scope="module")
def left(store_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a project with runs, figures and a model lay, before its folder was renamed."""
    old = copied(store_template, tmp_path_factory.mktemp("left") / "project")
    with without_outside_settings():
        store = open_store(old)
        record_search(store, LINEAGE, RESULT)
        _register(store)
    old.rename(old.with_name("renamed project"))
    return old


@pytest.fixture
def moved(left: Path, tmp_path: Path) -> Path:
    """The project as it lies now, of this test's own."""
    _artifact_repos_cache.clear()
    return shutil.copytree(left.with_name("renamed project"), tmp_path / "renamed project")


def test_a_moved_store_is_refused_before_anything_is_written(moved: Path, left: Path) -> None:
    """MLflow would write new files to the old place without a word."""
    before = (moved / "mlruns" / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match=rf"moved or copied from {left}/mlruns: run `foldwise rel"):
        open_store(moved)
    assert (moved / "mlruns" / "mlflow.db").read_bytes() == before
    assert not left.exists()


def test_relocating_leaves_no_mention_of_the_old_place(moved: Path, left: Path) -> None:
    """Experiments, runs, models and versions all point to where the files are."""
    database = moved / "mlruns" / "mlflow.db"
    assert set(_mentions(database, str(left))) == {
        "experiments.artifact_location",
        "runs.artifact_uri",
        "logged_models.artifact_location",
        "model_versions.storage_location",
    }
    relocation = relocate(moved)
    assert _mentions(database, str(left)) == []
    assert relocation.old == (f"{left}/mlruns/artifacts",)
    assert relocation.changed == 2 + 7 + 1 + 1  # as above


def test_a_relocated_store_reads_old_files_and_writes_new_ones_in_its_new_place(
    moved: Path, left: Path
) -> None:
    """Figures open, the champion loads, and another search is recorded here."""
    import mlflow

    relocate(moved)
    store = open_store(moved)
    record_search(store, make_lineage(attempt=2), RESULT)
    tree = run_tree(moved)
    assert len(tree) == 2 * 7
    assert all(run.files for key, run in tree.items() if key.count("/") < 2)
    with store.as_default():
        champion = mlflow.sklearn.load_model("models:/blobs-classifier@champion")
    assert list(champion.predict(X)) == list(Y)
    assert not left.exists()


def test_the_database_before_relocation_is_kept(moved: Path, left: Path) -> None:
    """Whoever relocates by mistake can go back."""
    before = _mentions(moved / "mlruns" / "mlflow.db", str(left))
    backup = relocate(moved).backup
    assert backup is not None
    assert _mentions(backup, str(left)) == before


def test_a_copy_is_refused_though_the_old_place_is_still_there(
    store: Store, tmp_path: Path
) -> None:
    """Both copies would write to one place, and neither would be whole."""
    record_search(store, LINEAGE, RESULT)
    copy = tmp_path / "copy"
    shutil.copytree(store.root, copy)
    with pytest.raises(StoreError, match="run `foldwise relocate`"):
        open_store(copy)
    relocate(copy)
    record_search(open_store(copy), make_lineage(attempt=2), RESULT)
    assert len(run_tree(store.root)) == 7
    assert open_store(store.root).root == store.root


def test_a_place_whose_name_begins_alike_is_left_alone(store: Store) -> None:
    """`/a/artifacts` is no beginning of `/a/artifacts-of-others/x`."""
    store.experiment("blobs")
    beside = f"{store.artifacts}-of-others/x"
    store.client.create_experiment("others", artifact_location=beside)
    new = store.root.parent / "renamed"
    store.root.rename(new)
    relocate(new)
    experiment = open_store(new).client.get_experiment_by_name("others")
    assert experiment is not None
    assert experiment.artifact_location == beside


def test_relocating_in_place_changes_nothing(store: Store) -> None:
    """The command may be run at any time."""
    store.experiment("blobs")
    before = (store.root / "mlruns" / "mlflow.db").read_bytes()
    relocation = relocate(store.root)
    assert relocation.old == ()
    assert relocation.backup is None
    assert (store.root / "mlruns" / "mlflow.db").read_bytes() == before


def test_without_a_database_or_with_a_server_there_is_nothing_to_relocate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says so."""
    with pytest.raises(StoreError, match="no tracking database"):
        relocate(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="names a server"):
        relocate(tmp_path)


def test_through_a_symbolic_link_the_store_is_the_same(store: Store) -> None:
    """A link is no move."""
    store.experiment("blobs")
    link = store.root.parent / "link"
    link.symlink_to(store.root)
    assert open_store(link).find_experiment("blobs") == "1"


def test_no_backup_is_overwritten_nor_written_through_a_link(moved: Path) -> None:
    """The database before the first move is the one that a mistake is mended from."""
    mlruns, theirs = moved / "mlruns", moved.parent / "theirs.db"
    theirs.write_text("mine")
    (mlruns / "mlflow.db.before-relocation-1").symlink_to(theirs)
    (mlruns / "mlflow.db.before-relocation-2").symlink_to(moved.parent / "nowhere")
    first = relocate(moved).backup
    assert first is not None
    kept = first.read_bytes()
    again = moved.rename(moved.parent / "renamed again")
    second = relocate(again).backup
    assert second is not None
    assert (first.name[-2:], second.name[-2:]) == ("-3", "-4")
    assert (again / "mlruns" / first.name).read_bytes() == kept
    assert theirs.read_text() == "mine"
    assert not (moved.parent / "nowhere").exists()
