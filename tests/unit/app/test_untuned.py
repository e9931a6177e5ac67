"""What the search is compared with: C = 1 on each outer part, by fits that saw no row of it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from foldwise.app.tune import untuned_scores
from foldwise.search.engines.estimator import EstimatorEngine
from foldwise.search.nested import NestedSearch
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.trials import number_of
from foldwise.settings import Between
from foldwise.stats.scores import score

X, LABELS = load_iris(return_X_y=True)
PLAN = Plan.stratified(LABELS, folds=3, seed=1)


def make_model(C: float) -> LogisticRegression:
    return LogisticRegression(C=C, max_iter=5_000, tol=1e-8)


def make_search(*, high: float = 10.0) -> NestedSearch:
    """Logistic regression by scikit-learn, of which nothing is run."""
    space = Space({"C": Between(0.01, high, is_log=True)}, "curve", 2, 1, "log_loss")
    engine = EstimatorEngine(X, LABELS, (0, 1, 2), PLAN, lambda of: make_model(number_of(of, "C")))
    return NestedSearch(LABELS, PLAN, space, 2, engine)


def test_each_outer_part_is_scored_by_a_fit_at_1_on_all_the_others() -> None:
    """In their order, and nothing is shown but progress."""
    heard: list[object] = []
    told = [*untuned_scores(make_search(), heard.append)]
    assert heard == []
    expected = []
    for part in PLAN.parts:
        rows = PLAN.scored_rows(part)
        others = np.setdiff1d(np.arange(len(LABELS)), rows)
        fitted = make_model(1.0).fit(X[others], LABELS[others])
        expected.append(score(fitted.predict_proba(X[rows]), LABELS[rows])["log_loss"])
    assert [scores["log_loss"] for scores in told] == pytest.approx(expected, rel=1e-3)


def test_where_1_lies_outside_the_range_nothing_is_fitted() -> None:
    """Paths don't reach it."""
    search = replace(make_search(high=0.5), engine=None)  # type: ignore[arg-type]
    assert [*untuned_scores(search, print)] == []
