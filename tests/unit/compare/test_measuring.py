"""Fitting on all rows and asking about the holdout; the result on disk."""

import math
from pathlib import Path

import numpy as np
import pytest

from foldwise.compare.archive import archive, restore
from foldwise.compare.estimators import build
from foldwise.compare.measuring import Measured, measure
from foldwise.compare.predictions import Predictions, predict
from foldwise.errors import SearchError
from foldwise.search.trials import Progress
from tests.unit.compare.entry_cases import make_entry, make_split, shipped_entries
from tests.unit.compare.result_cases import make_result


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", ["svm", "knn"])
def test_predictions_in_blocks_are_those_of_one_call(name: str, threads: int) -> None:
    """In the rows' order, whoever was faster; the model has seen all development rows."""
    entry, development = shipped_entries()[name], make_split(400)
    holdout = np.tile(make_split(600).images[400:], (12, 1))
    *progress, measured = measure(entry, {}, development, holdout, seed=1, threads=threads)
    assert isinstance(measured, Measured)
    expected = build(entry, {}, seed=1)
    expected.fit(development.images.astype(np.float32), development.labels)
    np.testing.assert_allclose(
        measured.predictions.values, predict(expected, holdout).values, rtol=1e-6, atol=1e-9
    )
    assert progress[-1] == Progress(2400, 2400)
    assert measured.fit_seconds > 0
    assert measured.predict_seconds > 0


def test_decision_scores_have_no_log_loss() -> None:
    """Everything else they have."""
    values = np.array([[2.0, -1.0], [-3.0, 1.0], [0.5, 0.1]])
    scores = Predictions(values, are_probabilities=False).scored(np.array([0, 1, 1]))
    assert math.isnan(scores.log_loss)
    assert scores.accuracy == pytest.approx(2 / 3)
    assert not math.isnan(scores.roc_auc)


@pytest.mark.parametrize("are_probabilities", [False, True])
def test_a_result_comes_back_from_disk_as_it_was(
    tmp_path: Path, *, are_probabilities: bool
) -> None:
    """To the last bit, NaN included."""
    result = make_result(are_probabilities=are_probabilities)
    for name, content in archive(result).items():
        (tmp_path / name).write_bytes(content)
    found = restore(tmp_path)
    assert archive(found) == archive(result)
    assert found.best_trial.values == {"C": 1.5, "kind": "a"}
    np.testing.assert_array_equal(found.predictions.values, result.predictions.values)


@pytest.mark.parametrize("name", ["result.json", "holdout.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_result_is_refused_in_one_line(tmp_path: Path, name: str, damage: str) -> None:
    """With the command that makes it anew."""
    for each, content in archive(make_result()).items():
        (tmp_path / each).write_bytes(content)
    whole = (tmp_path / name).read_bytes()
    if damage == "cut":
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    else:
        (tmp_path / name).unlink()
    with pytest.raises(SearchError, match=r"dvc repro comparison/dvc\.yaml"):
        restore(tmp_path)


def test_one_seed_predicts_the_same_every_time() -> None:
    """A tree draws which of equal splits it takes."""
    development = make_split(300)
    first, second = (
        list(measure(make_entry(), {}, development, development.images, seed=4, threads=2))[-1]
        for _ in range(2)
    )
    assert isinstance(first, Measured)
    assert isinstance(second, Measured)
    np.testing.assert_array_equal(first.predictions.values, second.predictions.values)
