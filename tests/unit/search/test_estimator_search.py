"""The nested search by any classifier: with outer folds, rows in reserve, and decision scores."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from foldwise.runs.tree import outcome_node, study_node
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.plan import RESERVE
from foldwise.search.space import Space
from foldwise.search.trials import FINAL, FinalModel, OuterFold, SearchResult, Trial, Values
from foldwise.settings import Between
from tests.unit.search.search_cases import Memory, estimator_search, finished, untimed
from tests.unit.solver.solver_cases import digits

SPACE = Space({"max_depth": Between(1, 9, is_log=False)}, "tpe", 2, seed=5, metric="accuracy")
STRENGTHS = Space({"C": Between(1e-4, 1.0, is_log=True)}, "tpe", 2, seed=5, metric="accuracy")


def _tree(values: Values) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(random_state=1, **values)


def _margin(values: Values) -> LinearSVC:
    return LinearSVC(random_state=1, **values)


@pytest.fixture(scope="module")
def whole() -> SearchResult:
    return finished(estimator_search(_tree, SPACE, Memory(), reserve=30))


def test_no_row_in_reserve_is_scored_or_trained_on_before_the_final_model(
    whole: SearchResult,
) -> None:
    """An outer model is made of the other parts' rows alone."""
    case = digits(240)
    for fold in whole.outer:
        part_of = whole.plan.part_of[0]
        rows = np.flatnonzero((part_of != RESERVE) & (part_of != fold.fold))
        assert (rows < 210).all()
        expected = _tree(fold.best.values).fit(case.images[rows], case.labels[rows])
        np.testing.assert_array_equal(fold.rows, np.flatnonzero(part_of == fold.fold))
        np.testing.assert_array_equal(
            fold.predictions.values, expected.predict_proba(case.images[fold.rows])
        )


def test_the_final_model_is_made_of_all_rows(whole: SearchResult) -> None:
    """Those in reserve, too."""
    case = digits(240)
    expected = _tree(whole.final.best.values).fit(case.images, case.labels)
    found = whole.final.model.predict(case.images)
    np.testing.assert_array_equal(found.values, expected.predict_proba(case.images))


def test_studies_share_the_fits_that_are_equal(whole: SearchResult) -> None:
    """The first two trials are every study's: (o, i) is (i, o), {o} is the final study's."""
    assert whole.fits.logical == 5 * 9 + 4
    assert whole.fits.distinct <= 2 * 6 + 3 * 9 + 4
    drawn = {
        tuple(trial.values["max_depth"] for trial in whole.study_trials(plan.study)[:2])
        for plan in whole.plan.studies
    }
    assert len(drawn) == 1


def test_a_cut_search_goes_on_as_if_it_had_never_stopped(whole: SearchResult) -> None:
    """In the order that trials were kept in, whoever was faster."""
    kept: list[Trial] = []
    for cut in (1, 9, 13, 20):
        book = Memory(kept[:cut])
        result = finished(estimator_search(_tree, SPACE, book, reserve=30))
        assert list(map(untimed, result.trials)) == list(map(untimed, whole.trials))
        assert book.added == 20 - len(kept[:cut])
        assert [fold.scores for fold in result.outer] == [fold.scores for fold in whole.outer]
        assert result.fits == whole.fits
        kept = book.trials


def test_decision_scores_are_told_as_such_and_have_no_log_loss_anywhere() -> None:
    """Neither as a score nor as a metric of a run: NaN would stand in charts."""
    result = finished(estimator_search(_margin, STRENGTHS, Memory(), trials=3))
    assert not any(fold.predictions.are_probabilities for fold in result.outer)
    assert all(np.isnan(fold.scores["log_loss"]) for fold in result.outer)
    records = [outcome_node("k:1", result)]
    finals: tuple[OuterFold | FinalModel, ...] = (*result.outer, result.final)
    for ended in finals:
        trials = result.study_trials(ended.best.study)
        records.append(study_node("k:1", ended, trials, result.space))
    points = [point for record in records for point in record.points]
    assert not [point.key for point in points if "log_loss" in point.key]
    assert not [point.key for point in points if np.isnan(point.value)]
    assert {"outer_accuracy", "inner_accuracy_mean"} <= {point.key for point in points}


def test_a_fit_that_fails_ends_the_search_and_loses_no_trial() -> None:
    """What was kept before it is there; nothing waits for the others."""

    class Fails(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, *_: object) -> Any:
            raise FloatingPointError("too deep")

    def build(values: Values) -> Any:
        return Fails() if values["max_depth"] == deepest else _tree(values)

    drawn = [SPACE.propose(FINAL, number, [])["max_depth"] for number in range(2)]
    deepest = drawn[1]
    assert drawn[0] != deepest
    book = Memory()
    search = estimator_search(build, SPACE, book, threads=1)
    with pytest.raises(FloatingPointError):
        for _ in search.run():
            pass
    assert {trial.number for trial in book.trials} <= {0}
    kept = len(book.trials)
    assert len(finished(estimator_search(_tree, SPACE, book)).trials) == 20
    assert book.added == 20
    assert kept <= 4


def test_a_model_answers_only_the_classes_it_was_fitted_on(whole: SearchResult) -> None:
    model = whole.outer[0].model
    assert isinstance(model, FittedEstimator)
    assert model.estimator(range(10)) is model.fitted
    with pytest.raises(ValueError, match="the model answers"):
        model.estimator("abcdefghij")
