"""scikit-learn's conventions, as scikit-learn checks them."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from foldwise import Between, NestedSearchCV, StandardLogistic


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        StandardLogistic(),
        NestedSearchCV(None, {"C": [0.1]}, cv=3, n_trials=1),
        NestedSearchCV(Ridge(), {}, cv=3, n_trials=1, scoring="r2", error_score="raise"),
        NestedSearchCV(
            DecisionTreeClassifier(random_state=0), {"max_depth": [2]},
            cv=3, n_trials=1, error_score="raise",
        ),
        NestedSearchCV(
            {"own": (StandardLogistic(), {"C": [0.1]}), "theirs": (LogisticRegression(), {})},
            cv=3, n_trials=1, error_score="raise",
        ),
    ]
)  # fmt: skip
def test_scikit_learn_finds_its_conventions_kept(estimator: Any, check: Any) -> None:
    """What an estimator given refuses is a fit that failed, unless that is to be raised."""
    check(estimator)


def test_a_search_is_what_it_searches() -> None:
    """A classifier or a regressor, with the methods that the estimator has."""
    of_ridge = NestedSearchCV(Ridge(), {"alpha": Between(0.1, 1.0, is_log=True)})
    assert is_classifier(NestedSearchCV())
    assert is_regressor(of_ridge)
    assert hasattr(NestedSearchCV(), "predict_proba")
    assert hasattr(of_ridge, "predict")
    assert not hasattr(of_ridge, "predict_proba")
    assert not hasattr(NestedSearchCV(SVC(), {}), "predict_proba")


def test_a_fitted_search_clones_to_the_unfitted_one() -> None:
    X = np.arange(24.0).reshape(12, 2)
    search = NestedSearchCV(cv=3, n_trials=1).fit(X, [0, 1] * 6)
    again = clone(search)
    assert not hasattr(again, "best_estimator_")
    assert again.get_params() == clone(NestedSearchCV(cv=3, n_trials=1)).get_params()


@pytest.mark.parametrize("address", ["postgresql://me:secretword@host/d", "secretword://host"])
def test_a_search_that_is_shown_shows_no_password(address: str) -> None:
    """As text and as a notebook draws it, within whatever holds it; it is kept all the same."""
    search = NestedSearchCV(storage=address)
    later = NestedSearchCV().set_params(storage=address)
    sent = pickle.loads(pickle.dumps(search))  # noqa: S301 - our own
    within = make_pipeline(search), GridSearchCV(search, {}), NestedSearchCV(search)
    for each in (search, clone(search), sent, later, *within):
        shown = f"{each!r} {each._repr_mimebundle_()} {each.get_params()}"
        assert "secretword" not in shown
        assert "storage=" in shown
    assert clone(search).storage == address


@pytest.mark.parametrize("name", ["predict", "predict_proba", "decision_function", "score"])
def test_without_a_refit_nothing_is_predicted_or_scored(name: str) -> None:
    X = np.arange(24.0).reshape(12, 2)
    search = NestedSearchCV(cv=3, n_trials=1, refit=False).fit(X, [0, 1] * 6)
    with pytest.raises(ValueError, match="needs the final model, got refit=False: set refit=True"):
        getattr(search, name)(*([X, [0, 1] * 6] if name == "score" else [X]))
