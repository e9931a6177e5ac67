"""Fitting on all rows and asking about the holdout; the result on disk."""

import math
from pathlib import Path

import numpy as np
import pytest

from foldwise.app import compare
from foldwise.app.display import Display
from foldwise.app.entries import build
from foldwise.app.results import read_result, save_result
from foldwise.errors import SearchError
from foldwise.files import encode
from foldwise.report.contest import EntryResult
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.jobs import Predictions
from foldwise.search.trials import Event, Progress
from tests.unit.app.entry_cases import entry_search, make_entry, make_split, shipped_entries
from tests.unit.app.result_cases import make_judged, make_result
from tests.unit.search.search_cases import Memory, finished


class Shown(Display):
    """Keeps what it is to show."""

    def __init__(self) -> None:
        super().__init__("compare")
        self.events: list[Event] = []

    def show(self, event: Event, **_how: object) -> None:
        self.events.append(event)


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("name", ["svm", "knn"])
def test_predictions_in_blocks_are_those_of_one_call(
    name: str, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the rows' order, whoever was faster, and progress is told to the last of them."""
    monkeypatch.setenv("FOLDWISE_THREADS", threads)
    entry, split = shipped_entries()[name], make_split(400)
    holdout = np.tile(make_split(600).images[400:], (12, 1))
    fitted = build(entry, {}, seed=1).fit(split.images.astype(np.float32), split.labels)
    model, display = FittedEstimator(fitted), Shown()
    found = compare._predict(model, holdout, display)
    expected = model.predict(holdout)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6, atol=1e-9)
    assert found.are_probabilities == expected.are_probabilities
    assert display.events[-1] == Progress(2400, 2400, "images predicted")


def test_decision_scores_have_no_log_loss() -> None:
    """Everything else they have."""
    values = np.array([[2.0, -1.0], [-3.0, 1.0], [0.5, 0.1]])
    scores = Predictions(values, are_probabilities=False).scores(np.array([0, 1, 1]))
    assert math.isnan(scores["log_loss"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert not math.isnan(scores["roc_auc"])


@pytest.mark.parametrize("are_probabilities", [False, True])
def test_a_result_comes_back_from_disk_as_it_was(
    tmp_path: Path, *, are_probabilities: bool
) -> None:
    """To the last bit, NaN included."""
    result = make_result(are_probabilities=are_probabilities)
    said = Predictions(make_judged().probabilities, are_probabilities)
    save_result(tmp_path, result, said)
    found, predictions = read_result(EntryResult, tmp_path, "")
    assert encode(found) == encode(result)  # NaN equals nothing
    np.testing.assert_array_equal(predictions.values, said.values)
    assert predictions.are_probabilities is are_probabilities


@pytest.mark.parametrize("name", ["result.json", "holdout.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_result_is_refused_in_one_line(tmp_path: Path, name: str, damage: str) -> None:
    """With the command that makes it anew."""
    save_result(tmp_path, make_result(), Predictions(make_judged().probabilities))
    whole = (tmp_path / name).read_bytes()
    if damage == "cut":
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    else:
        (tmp_path / name).unlink()
    with pytest.raises(SearchError, match=r"run `dvc repro`"):
        read_result(EntryResult, tmp_path, "run `dvc repro`")


def test_one_seed_predicts_the_same_every_time() -> None:
    """A tree draws which of equal splits it takes."""
    split = make_split(300)
    first, second = (
        finished(entry_search(make_entry(trials=2), Memory(), split=split)) for _ in range(2)
    )
    np.testing.assert_array_equal(
        first.final.model.predict(split.images).values,
        second.final.model.predict(split.images).values,
    )
    assert first.final.model.digest(range(10)) == second.final.model.digest(range(10))
    assert float(first.final.facts["seconds"]) > 0
