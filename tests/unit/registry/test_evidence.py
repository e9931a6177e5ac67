"""The evidence of a version: whole, exact, and the same for the same evaluation."""

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.dataset import DataInfo
from foldwise.errors import StoreError
from foldwise.registry.evidence import Evidence, gather_evidence, labels_digest, shared_rows
from foldwise.search.trials import SearchResult
from foldwise.settings import Settings
from foldwise.stats.scores import score
from tests.factories import make_result, make_space

RESULT = make_result(folds=4)
DATA = DataInfo("blobs", ("a", "b", "c"), (4, 4), 36, "d" * 64, 50, "h" * 64)
RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(3), 50)
LABELS = RNG.integers(0, 3, 50)


def make_evidence(
    settings: Settings = Settings(),  # noqa: B008 - frozen
    result: SearchResult = RESULT,
) -> Evidence:
    return gather_evidence(
        result, settings, DATA, probabilities=PROBABILITIES, labels=LABELS, shared_rows=2
    )


def test_evidence_holds_what_search_and_holdout_showed() -> None:
    """Each outer fold's C, then the final one; the scores of the folds and of the holdout."""
    searched = replace(RESULT, space=make_space(low=1e-3, high=1.0))
    evidence = make_evidence(result=searched)
    best = (*(fold.best for fold in RESULT.outer), RESULT.final.best)
    assert evidence.chosen == tuple(trial.values["C"] for trial in best)
    assert evidence.outer == tuple(fold.scores for fold in RESULT.outer)
    assert evidence.holdout == score(PROBABILITIES, LABELS)
    assert (evidence.c_low, evidence.c_high) == (1e-3, 1.0)
    assert (evidence.fits, evidence.final_status) == (RESULT.fits, "converged")
    assert evidence.classes == ("a", "b", "c")
    assert evidence.shared_rows == 2


@pytest.mark.parametrize("classes", [("a", "b", "c"), (0, 1, 2)])
def test_evidence_comes_back_from_json_to_the_last_bit(
    classes: tuple[str, ...] | tuple[int, ...],
) -> None:
    """Floats keep every bit, tuples stay tuples, ints stay ints."""
    evidence = replace(make_evidence(), data=replace(DATA, classes=classes))
    again = Evidence.from_json(evidence.to_json())
    assert again == evidence
    assert again.to_json() == evidence.to_json()
    assert again.digest == evidence.digest


def test_the_same_evaluation_gives_the_same_digest() -> None:
    """No time, path or commit is in it."""
    assert make_evidence().digest == make_evidence().digest


@pytest.mark.parametrize("changed", [field.name for field in fields(Evidence)])
def test_the_digest_depends_on_every_field(changed: str) -> None:
    """Evidence can't be changed unnoticed."""
    others: dict[str, Any] = {
        "data": replace(DATA, name="other"),
        "fits": replace(RESULT.fits, stalled=7),
        "holdout": RESULT.outer[0].scores,
        "outer": (),
        "chosen": (1.0,),
    }
    evidence = make_evidence()
    assert replace(evidence, **{changed: others.get(changed, 12345)}).digest != evidence.digest


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"data": 3}'])
def test_damaged_evidence_is_one_clear_error(text: str) -> None:
    """With the remedy in it."""
    with pytest.raises(StoreError, match=r"evidence\.json must be .*: put the model's files back"):
        Evidence.from_json(text)


def test_evidence_of_another_foldwise_is_one_clear_error() -> None:
    """A field more or less isn't guessed at."""
    told = json.loads(make_evidence().to_json())
    for changed in (told | {"more": 1}, {k: v for k, v in told.items() if k != "fits"}):
        with pytest.raises(StoreError):
            Evidence.from_json(json.dumps(changed))


def test_the_labels_digest_sees_one_changed_label_and_nothing_else() -> None:
    """Probabilities may move; the predicted classes may not."""
    base = labels_digest(PROBABILITIES)
    assert labels_digest(PROBABILITIES**2) == base
    other = PROBABILITIES.copy()
    other[7] = np.roll(other[7], 1)
    assert labels_digest(other) != base


@given(st.integers(0, 20), st.integers(1, 20))
def test_shared_rows_are_counted_pixel_by_pixel(shared: int, own: int) -> None:
    """Images of the holdout that stand in the development set, wherever they stand there."""
    development = np.arange(40 * 3, dtype=np.uint8).reshape(40, 3)
    mine = np.full((own, 3), 255, dtype=np.uint8)
    holdout = np.concatenate([development[40 - shared :][::-1], mine])
    assert shared_rows(development, holdout) == shared
