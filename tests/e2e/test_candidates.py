"""The kind of model is chosen inside the folds: the reference report's four on digits."""

import json
from pathlib import Path

import pytest

from foldwise.registry.snapshot import Snapshot
from foldwise.store.open import open_store
from tests.e2e.project import DIGITS, Project, make_project

pytestmark = pytest.mark.e2e

KINDS = ("logistic", "svm", "knn", "decision_tree")


@pytest.fixture(scope="module")
def project(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Tuned, evaluated and registered, with a range of C in which logistic regression loses."""
    tune = {"trials": 2, "startup_trials": 1, "c_high": 0.001, "candidates": [*KINDS[1:]]}
    settings = DIGITS | {"prepare": DIGITS["prepare"] | {"limit": 240}}
    settings["tune"] = DIGITS["tune"] | tune
    folder = tmp_path_factory.mktemp("candidates") / "project"
    made = make_project(folder, settings, commands=commands)
    for stage in ("prepare", "tune", "evaluate"):
        done = made.stage(stage)
        assert done.status == 0, done.errors
    return made


def test_each_study_says_who_has_won(project: Project) -> None:
    """Whoever is best by its inner score; the one without probabilities is calibrated."""
    told = json.loads((project.folder / "reports" / "tuning.json").read_text())
    rows = told["candidates"]
    studies = [*(f"outer-{fold['fold']}" for fold in told["folds"]), "final"]
    assert [row["study"] for row in rows] == [study for study in studies for _ in KINDS]
    winners = [fold["candidate"] for fold in told["folds"]] + [told["candidate"]]
    for study, winner in zip(studies, winners, strict=True):
        own = {row["candidate"]: row for row in rows if row["study"] == study}
        assert tuple(own) == KINDS
        assert winner == min(own, key=lambda kind: own[kind]["inner_log_loss"])
        assert [kind for kind, row in own.items() if row["won"]] == [winner]
    assert told["candidate"] == "svm"
    assert told["trials"] == 4 * 4 * 2
    assert told["outer_log_loss"] == pytest.approx(
        sum(fold["outer_log_loss"] for fold in told["folds"]) / 3, abs=1e-6
    )


def test_the_winner_is_registered_and_verifies(project: Project) -> None:
    """Its fit is made again to be registered: nothing but its values was kept."""
    store = open_store(project.folder)
    (version,) = Snapshot.read(store, "digits-classifier").versions
    assert version.number == 1
    done = project.run("foldwise", "verify", "1")
    assert done.status == 0, done.output
    page = (project.folder / "reports" / "report.html").read_text()
    assert "svm won in " in page
    assert "the best of logistic, svm, knn, decision_tree" in page
    assert "What it looks at" not in page
