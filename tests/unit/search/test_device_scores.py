"""Scores of a device are those of the cores."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.search.engines.scoring import Cores, DeviceScores
from foldwise.solver.linear import LinearModel, Multiclass, probabilities
from foldwise.stats.scores import METRIC, METRICS, score
from tests.unit.solver.numpy_device import device_at_hand

GENERATOR = np.random.default_rng(5)
IMAGES = GENERATOR.integers(0, 256, (300, 12)).astype(np.uint8)
TABLE = np.where(GENERATOR.random((300, 12)) < 0.1, np.nan, GENERATOR.normal(size=(300, 12)))


def model(outputs: int, multiclass: Multiclass = "multinomial", size: float = 1) -> LinearModel:
    """Some model; with a large ``size`` so sure of itself that many rows are level."""
    mean, scale = GENERATOR.normal(size=12), GENERATOR.uniform(1, 2, 12)
    coefficients = size * GENERATOR.normal(size=(outputs, 12))
    return LinearModel(1.0, multiclass, mean, scale, coefficients, GENERATOR.normal(size=outputs))


def assert_same_scores(
    models: list[LinearModel], images: NDArray[np.generic], labels: NDArray[np.int64], classes: int
) -> None:
    scorer = DeviceScores(device_at_hand(), [(images[:0], labels[:0]), (images, labels)], classes)
    for one, told in zip(models, scorer(models, 1), strict=True):
        expected = score(probabilities(one, images), labels)
        assert set(told) == set(METRICS)
        assert told == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("images", [IMAGES, TABLE], ids=["bytes", "numbers with gaps"])
@pytest.mark.parametrize(
    ("outputs", "multiclass"), [(4, "multinomial"), (4, "ovr"), (1, "multinomial")]
)
@pytest.mark.parametrize("size", [0.01, 30])
def test_all_metrics_are_the_cores(
    images: NDArray[np.generic], outputs: int, multiclass: Multiclass, size: float
) -> None:
    """Level rows count half in the curve; probabilities made equal by rounding are told apart."""
    classes = max(2, outputs)
    labels = GENERATOR.integers(0, classes, 300)
    models = [model(outputs, multiclass, size) for _ in range(3)]
    assert_same_scores(models, images, labels, classes)


@pytest.mark.parametrize("labels", [[0, 2], [1]], ids=["a class lacks", "one class alone"])
def test_classes_without_rows_have_no_curve(labels: list[int]) -> None:
    assert_same_scores([model(4)], IMAGES, GENERATOR.choice(labels, 300), 4)


def test_a_metric_that_the_table_has_besides_is_scored_from_the_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever adds one needn't know of devices."""
    added = replace(METRIC["log_loss"], of=lambda rows: rows.probabilities[:, 0] @ rows.labels)
    monkeypatch.setitem(METRIC, "added", added)
    models, labels = [model(4), model(4)], GENERATOR.integers(0, 4, 300)
    told = DeviceScores(device_at_hand(), [(IMAGES, labels)], 4)(models, 0)
    alone = [score(probabilities(each, IMAGES), labels)["added"] for each in models]
    assert [scores["added"] for scores in told] == pytest.approx(alone)


class Full(Cores):
    """A device that takes no array more."""

    def array(self, _: NDArray[Any]) -> NDArray[Any]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 46.00 MiB.\nSee documentation")


def test_rows_that_a_device_has_no_room_for_are_one_line() -> None:
    with pytest.raises(SearchError, match=r"^numpy must go on .* out of memory. Tried .*: run"):
        DeviceScores(Full(), [(IMAGES, GENERATOR.integers(0, 4, 300))], 4)


@pytest.mark.parametrize(("rows", "together"), [(IMAGES, 8), (TABLE, 8), (TABLE, 0)])
@pytest.mark.parametrize("classes", [2, 4, 30])
def test_a_models_scores_do_not_depend_on_how_many_are_scored(
    rows: NDArray[np.generic], together: int, classes: int
) -> None:
    """To the bit, more of them than are scored at a time, too."""
    labels = GENERATOR.integers(0, classes, 300)
    models = [model(classes if classes > 2 else 1) for _ in range(11)]
    device = device_at_hand() if together else Cores()
    scorer = DeviceScores(device, [(rows, labels)], classes, together=together)
    assert scorer(models, 0) == [scorer([each], 0)[0] for each in models]


def test_rows_are_scored_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit beside the others, without a seam."""
    monkeypatch.setattr("foldwise.search.engines.scoring._SCORED_ROWS", 128)
    assert_same_scores([model(4)], IMAGES, GENERATOR.integers(0, 4, 300), 4)
