"""The evidence of a version: whole, exact, and the same for the same evaluation."""

import json
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.data.dataset import DataInfo
from foldwise.errors import StoreError
from foldwise.registry.evidence import (
    Evidence,
    evidence_digest,
    gather_evidence,
    labels_digest,
    shared_rows,
)
from foldwise.report.judged import Judged
from foldwise.search.trials import SearchResult
from foldwise.settings import Between, Dimension, OneOf, Settings
from foldwise.stats.scores import METRIC, calibration_error, published, score
from tests.factories import make_result, make_space

RESULT = make_result(folds=4)
DATA = DataInfo("blobs", ("a", "b", "c"), (4, 4), 36, "d" * 64, 50, "h" * 64)
RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.ones(3), 50)
LABELS = RNG.integers(0, 3, 50)


RESULT_CHOSEN = tuple(
    trial.values for trial in (*(f.best for f in RESULT.outer), RESULT.final.best)
)


def make_evidence(
    settings: Settings = Settings(),  # noqa: B008 - frozen
    result: SearchResult = RESULT,
) -> Evidence:
    judged = Judged(None, LABELS, PROBABILITIES, ("a", "b", "c"), DATA.image_shape)
    return gather_evidence(result, settings, DATA, judged=judged, shared_rows=2)


def test_evidence_holds_what_search_and_holdout_showed() -> None:
    """Each outer fold's C, then the final one; the scores of the folds and of the holdout."""
    searched = replace(RESULT, space=make_space(low=1e-3, high=1.0))
    evidence = make_evidence(result=searched)
    best = (*(fold.best for fold in RESULT.outer), RESULT.final.best)
    assert evidence.chosen == tuple(trial.values for trial in best)
    assert evidence.outer == tuple(fold.scores for fold in RESULT.outer)
    assert evidence.holdout == published(score(PROBABILITIES, LABELS))
    assert evidence.space == {"C": Between(1e-3, 1.0, is_log=True)}
    assert (evidence.fits, evidence.final_status) == (RESULT.fits, "converged")
    assert evidence.classes == ("a", "b", "c")
    assert evidence.shared_rows == 2


@pytest.mark.parametrize("classes", [("a", "b", "c"), (0, 1, 2)])
def test_evidence_comes_back_to_the_last_bit(
    classes: tuple[str, ...] | tuple[int, ...],
) -> None:
    """Floats keep every bit, tuples stay tuples, ints stay ints, whatever was searched."""
    space: dict[str, Dimension] = {
        "depth": Between(1, 9, is_log=False),
        "kind": OneOf(("a", None, 3, 0.5, True)),
    }
    chosen = ({"depth": 3, "kind": None}, *({"kind": True},) * 4)
    data = replace(DATA, classes=classes)
    evidence = replace(make_evidence(), data=data, space=space, chosen=chosen)
    again = Evidence.from_bytes(evidence.to_bytes())
    assert again == evidence
    assert again.to_bytes() == evidence.to_bytes()
    assert [type(value) for value in again.chosen[0].values()] == [int, type(None)]


def test_a_score_that_is_not_a_number_comes_back_as_such() -> None:
    """A part without one of the classes has no ROC curve."""
    evidence = make_evidence()
    holdout = {**evidence.holdout, "roc_auc": float("nan")}
    again = Evidence.from_bytes(replace(evidence, holdout=holdout).to_bytes())
    assert math.isnan(again.holdout["roc_auc"])
    assert again.says_what(replace(evidence, holdout=holdout))
    assert not again.says_what(evidence)


def test_evidence_counts_the_originals_where_there_are_copies() -> None:
    """Outer parts are scored on these alone; evidence that doesn't count them says the same."""
    is_scored = np.arange(len(RESULT.plan.is_scored)) % 4 == 0
    copied = replace(RESULT, plan=replace(RESULT.plan, is_scored=is_scored))
    now, before = make_evidence(result=copied), make_evidence()
    assert (now.originals, before.originals) == (is_scored.sum(), None)
    assert b"originals" not in before.to_bytes()
    assert Evidence.from_bytes(now.to_bytes()) == now
    assert before.says_what(now)
    assert not replace(now, originals=7).says_what(now)


@pytest.mark.parametrize("changed", [field.name for field in fields(Evidence)])
def test_the_bytes_depend_on_every_field(changed: str) -> None:
    """Evidence can't be changed unnoticed; in what schema it says the same, is another matter."""
    others: dict[str, Any] = {
        "data": replace(DATA, name="other"),
        "fits": replace(RESULT.fits, stalled=7),
        "holdout": RESULT.outer[0].scores,
        "outer": (),
        "chosen": ({"C": 1.0},),
        "space": {},
    }
    evidence = make_evidence()
    other = replace(evidence, **{changed: others.get(changed, 12345)})
    assert evidence_digest(other.to_bytes()) != evidence_digest(evidence.to_bytes())
    assert other.says_what(evidence) == (changed == "schema")


@pytest.mark.parametrize("stored", [b"", b"{", b"null", b"[]", b"{}", b'{"data": 3}', b"\xff"])
def test_damaged_evidence_is_one_clear_error(stored: bytes) -> None:
    """With the remedy in it."""
    with pytest.raises(StoreError, match=r"evidence\.json must be .*: put the model's files back"):
        Evidence.from_bytes(stored)


def test_a_field_that_a_later_version_adds_orphans_nothing() -> None:
    """The digest is of the bytes stored, so such a version goes on to verify."""
    told = json.loads(make_evidence().to_bytes())
    told["data"]["more"] = told["more"] = 1
    assert Evidence.from_bytes(json.dumps(told).encode()) == make_evidence()


@pytest.mark.parametrize(
    "changed",
    [{"outer": (), "chosen": ()}, {"outer": ()}, {"chosen": RESULT_CHOSEN[:-1]}],
)
def test_evidence_without_what_was_estimated_is_one_clear_error(changed: dict[str, Any]) -> None:
    """Each outer fold has its choice and its scores, and the final model its choice."""
    with pytest.raises(StoreError, match=r"as foldwise wrote it, reading gave \d choices"):
        Evidence.from_bytes(replace(make_evidence(), **changed).to_bytes())


def test_a_field_that_is_missing_is_one_clear_error() -> None:
    """Nothing is guessed."""
    told = json.loads(make_evidence().to_bytes())
    del told["fits"]
    with pytest.raises(StoreError):
        Evidence.from_bytes(json.dumps(told).encode())


def test_evidence_of_0_1_is_understood() -> None:
    """It knew C alone, and bore no schema: it is of the first."""
    told = json.loads(make_evidence().to_bytes())
    del told["schema"], told["space"]
    told |= {"c_low": 1e-4, "c_high": 10.0, "chosen": [each["C"] for each in told["chosen"]]}
    assert Evidence.from_bytes(json.dumps(told).encode()) == replace(make_evidence(), schema=1)


def test_evidence_of_before_a_parameter_was_added_says_the_same() -> None:
    """By the digest that the parameters had then, and none but that; nobody counted duplicates."""
    now = replace(make_evidence(), data=replace(DATA, development_duplicates=3))
    earlier = replace(make_evidence(), parameters_digest="0" * 64)
    assert earlier.says_what(now, ("1" * 64, "0" * 64))
    assert not earlier.says_what(now, ("1" * 64,))
    assert not earlier.says_what(now)
    counted = replace(now, data=replace(DATA, development_duplicates=4))
    assert not counted.says_what(now)


@pytest.mark.parametrize(("factor", "same"), [(1 + 1e-12, True), (1 + 1e-3, False)])
def test_evidence_says_the_same_whatever_the_last_bits(factor: float, *, same: bool) -> None:
    """Another processor's kernels sum in another order."""
    evidence = make_evidence()
    holdout = {name: score * factor for name, score in evidence.holdout.items()}
    outer = tuple({name: score * factor for name, score in each.items()} for each in evidence.outer)
    assert replace(evidence, holdout=holdout, outer=outer).says_what(evidence) == same


def test_evidence_tells_of_the_holdout_three_decimals_and_whole_counts() -> None:
    """Who reads it before a decision can't climb by small steps."""
    evidence, exact = make_evidence(), score(PROBABILITIES, LABELS)
    for metric, told in evidence.holdout.items():
        shown = exact[metric] if METRIC[metric].counts else round(exact[metric], 3)
        assert told == shown
    assert [name for name in METRIC if not METRIC[name].counts] == ["roc_auc", "log_loss"]
    assert evidence.calibration_error == round(calibration_error(PROBABILITIES, LABELS), 3)


def test_what_is_told_misses_nothing_by_rounding_alone() -> None:
    """Up to half of the last decimal; beyond it, and in counts, all that is wrong is seen."""
    evidence, exact = make_evidence(), dict(score(PROBABILITIES, LABELS))
    error = calibration_error(PROBABILITIES, LABELS)
    assert evidence.misses(exact, error) < 1e-12
    told = evidence.holdout
    for metric, by in (("log_loss", 0.001), ("accuracy", 1e-6), ("f1", 1e-6)):
        forged = replace(evidence, holdout={**told, metric: told[metric] + by})
        assert forged.misses(exact, error) > 4e-7
    forged = replace(evidence, calibration_error=evidence.calibration_error + 0.001)
    assert forged.misses(exact, error) > 4e-4
    assert evidence.misses({**exact, "log_loss": math.nan}, error) == math.inf


def test_evidence_of_the_first_schema_has_all_digits() -> None:
    """It is held to them, and not to a calibration error that was defined in another way."""
    exact, error = score(PROBABILITIES, LABELS), calibration_error(PROBABILITIES, LABELS)
    old = replace(make_evidence(), schema=1, holdout=exact, calibration_error=error + 0.1)
    assert old.misses(exact, error) == 0
    nearly = {**exact, "log_loss": exact["log_loss"] + 1e-5}
    assert replace(old, holdout=nearly).misses(exact, error) == pytest.approx(1e-5)
    assert old.says_what(make_evidence())
    assert make_evidence().says_what(old)
    other = {**exact, "accuracy": exact["accuracy"] + 0.02}
    assert not replace(old, holdout=other).says_what(make_evidence())


def test_a_metric_that_only_one_of_two_knows_makes_no_other_evidence() -> None:
    """Evaluated again by a foldwise that has one more, a run doesn't get a second version."""
    evidence = make_evidence()
    more = replace(
        evidence,
        holdout={**evidence.holdout, "specificity": 0.5},
        outer=tuple({**each, "specificity": 0.5} for each in evidence.outer),
    )
    assert more.says_what(evidence)
    assert evidence.says_what(more)


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
