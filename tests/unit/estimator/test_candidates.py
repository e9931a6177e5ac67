"""Which kind of model is taken is chosen inside the folds, with its parameters."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform, randint
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV, StandardLogistic
from foldwise.errors import InputError
from foldwise.files import Value
from foldwise.search.nested import MemoryBook
from foldwise.search.space import Space
from foldwise.search.trials import FINAL, InnerFold, Part, Trial
from foldwise.settings import Between
from tests.factories import make_scores

X, Y = load_iris(return_X_y=True)
NEARLY_EQUAL, X = X[:, :2], X[:, [0, 2]]  # so that it isn't clear who is best
TREE, DEPTHS = DecisionTreeClassifier(random_state=0), {"max_depth": randint(1, 5)}
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())
STRENGTHS = {"logisticregression__C": loguniform(1e-3, 10)}
CANDIDATES = {
    "logistic": (PIPELINE, STRENGTHS),
    "tree": (TREE, DEPTHS),
    "chance": (DummyClassifier(), {}),
}
ASKED: dict[str, Any] = {"cv": 4, "n_trials": 7, "scoring": "accuracy", "random_state": 3}


@pytest.fixture(scope="module")
def search() -> NestedSearchCV:
    return NestedSearchCV(CANDIDATES, **ASKED).fit(X, Y)


@pytest.fixture(scope="module")
def alone() -> dict[str, NestedSearchCV]:
    return {name: NestedSearchCV(*CANDIDATES[name], **ASKED).fit(X, Y) for name in CANDIDATES}


def test_each_candidate_is_searched_as_if_it_were_alone(
    search: NestedSearchCV, alone: dict[str, NestedSearchCV]
) -> None:
    """With its own trials and its own engine, to the bit."""
    assert search.engine_ == {"logistic": "batched", "tree": "estimator", "chance": "estimator"}
    told = search.inner_results_
    for name, one in alone.items():
        own = told[told["candidate"] == name].reset_index(drop=True)
        np.testing.assert_array_equal(own["accuracy"], one.inner_results_["accuracy"])
        for parameter in one.best_params_:
            column = own[f"{name}.{parameter}"]
            np.testing.assert_array_equal(column, one.inner_results_[parameter])


def test_each_fold_is_estimated_by_the_winner_of_its_own_study(
    search: NestedSearchCV, alone: dict[str, NestedSearchCV]
) -> None:
    """Whoever is best on the inner folds, whatever the outer part says of it."""
    inner = {
        name: one.inner_results_.groupby(["fold", "trial"])["accuracy"].mean().groupby("fold").max()
        for name, one in alone.items()
    }
    winners = pd.DataFrame(inner).idxmax(axis=1).tolist()
    assert search.selected_.tolist()[:-1] == winners
    assert len({*winners}) > 1
    for fold, name in enumerate(winners):
        expected = alone[name].outer_scores_.loc[fold, "accuracy"]
        assert search.outer_scores_.loc[fold, "accuracy"] == expected
        assert search.outer_params_[fold] == alone[name].outer_params_[fold]
        assert type(search.outer_estimators_[fold]) is type(CANDIDATES[name][0])
    final = search.selected_["final"]
    assert type(search.best_estimator_) is type(CANDIDATES[final][0])
    np.testing.assert_array_equal(search.predict(X), alone[final].predict(X))


def test_the_table_says_how_each_did_and_what_it_cost(search: NestedSearchCV) -> None:
    """Inner scores alone, a row for each study and candidate; nothing to search is tried once."""
    table = search.candidates_
    assert len(table) == 5 * 3
    assert table.groupby(table["fold"].fillna(-1))["won"].sum().tolist() == [1] * 5
    assert table[table["won"]]["candidate"].tolist() == search.selected_.tolist()
    best = table.groupby(table["fold"].fillna(-1))["accuracy"].transform("max")
    assert (table[table["won"]]["accuracy"] == best[table["won"]]).all()
    outer = table[table["fold"].notna()]
    fits = {name: {*own["fits"]} for name, own in outer.groupby("candidate")}
    assert fits == {"logistic": {21}, "tree": {21}, "chance": {3}}
    assert (table["seconds"] > 0).all()
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    best_of_all = search.cv_results_["params"][search.best_index_]
    assert best_of_all["candidate"] == search.selected_["final"]
    assert search.cv_results_["param_tree.max_depth"].mask.sum() == 7 + 1


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True),
        KFold(3, shuffle=True, random_state=np.random.RandomState(0)),
        KFold(3, shuffle=True, random_state=0).split(X),
    ],
    ids=["unseeded splitter", "splitter with a RandomState", "iterator"],
)
def test_all_candidates_have_the_parts_that_were_drawn_or_given_once(cv: Any) -> None:
    """An outer model is judged on the rows that it was not trained on, whoever won."""
    candidates: dict[str, Any] = {name: (GaussianNB(), {}) for name in ("first", "second")}
    search = NestedSearchCV(candidates, cv=cv, n_trials=1, scoring="accuracy").fit(X, Y)
    (part_of,) = search.result_.plan.part_of
    scores = search.inner_results_.groupby("candidate")["accuracy"]
    first, second = (scores.get_group(name).to_numpy() for name in candidates)
    np.testing.assert_array_equal(first, second)
    for fold, told in enumerate(search.outer_scores_["accuracy"]):
        here = part_of == fold
        assert told == GaussianNB().fit(X[~here], Y[~here]).score(X[here], Y[here])


@pytest.fixture
def _interruptible() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_after_ctrl_c_all_candidates_go_on(
    search: NestedSearchCV, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, kept = MemoryBook.add, []

    def stop(book: MemoryBook, trial: Trial) -> None:
        add(book, trial)
        kept.append(trial)
        if len(kept) == 40:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(MemoryBook, "add", stop)
    again = NestedSearchCV(CANDIDATES, **ASKED)
    with pytest.raises(KeyboardInterrupt):
        again.fit(X, Y)
    again.fit(X, Y)
    assert len(kept) == 5 * (7 + 7 + 1)
    pd.testing.assert_frame_equal(again.inner_results_, search.inner_results_, check_exact=True)
    assert again.selected_.equals(search.selected_)


def test_storage_groups_repeats_and_weights_hold_for_candidates(tmp_path: Path) -> None:
    """A longer search goes on from the shorter one's trials."""
    two = Y > 0
    groups, weights = np.arange(100) // 2, np.where(Y[two] == 1, 2.0, 1.0)
    strengths = {"C": loguniform(1e-3, 10)}
    candidates = {"own": (StandardLogistic(), strengths), "chance": (DummyClassifier(), {})}
    asked = ASKED | {"cv": 3, "n_repeats": 2, "storage": tmp_path / "trials.db"}

    def told(n_trials: int) -> NestedSearchCV:
        search = NestedSearchCV(candidates, **asked | {"n_trials": n_trials})
        return search.fit(X[two], Y[two], groups=groups, sample_weight=weights)

    few = told(12).inner_results_
    strengths["C"].rvs()  # what a distribution would draw next is no matter
    more = told(13)
    both = more.inner_results_.merge(few, on=[*few.columns])
    assert (len(both), len(more.inner_results_)) == (len(few), 6 * (13 + 1) * 2 + (13 + 1) * 6)
    assert [*more.outer_scores_["repeat"]] == [0, 0, 0, 1, 1, 1]
    for part_of in more.result_.plan.part_of:
        assert all(len({*part_of[groups == group]}) == 1 for group in range(50))


def test_one_without_probabilities_may_win() -> None:
    """There is no log-loss then, for any."""
    candidates = {"chance": (DummyClassifier(), {}), "svm": (SVC(), {"C": loguniform(0.1, 10)})}
    search = NestedSearchCV(candidates, cv=3, n_trials=2, scoring="accuracy").fit(X, Y)
    assert {*search.selected_} == {"svm"}
    assert "neg_log_loss" not in search.outer_summary_.index


def test_one_standard_error_prefers_the_first_candidate() -> None:
    """Where the lead of the best one is no larger than its score's standard error."""
    simple_first = {name: CANDIDATES[name] for name in ("tree", "logistic")}
    search = NestedSearchCV(simple_first, **ASKED, select="one_se").fit(NEARLY_EQUAL, Y)
    leaders = []
    for study, inner in search.inner_results_.groupby(search.inner_results_["fold"].fillna(4)):
        scores = inner.groupby(["candidate", "trial"])["accuracy"].agg(["mean", "sem"])
        leader = scores["mean"].idxmax()
        leaders.append(leader[0])
        is_near = (
            scores.loc["tree", "mean"].max()
            >= scores.loc[leader].sum() - 2 * (scores.loc[leader, "sem"])
        )
        assert search.selected_.iloc[int(study)] == ("tree" if is_near else "logistic")
    assert leaders != search.selected_.tolist()


def trial(number: int, losses: tuple[float, ...], **values: Value) -> Trial:
    inner = (InnerFold(Part(0, at), make_scores(loss)) for at, loss in enumerate(losses))
    return Trial(FINAL, number, values, tuple(inner))


STRENGTH = Space({"C": Between(1e-4, 10.0, is_log=True)}, "curve", 3, seed=1, metric="log_loss")
NEAR, BEST, FAR = (0.31, 0.41, 0.51), (0.3, 0.4, 0.5), (0.4, 0.5, 0.6)


def test_of_equals_the_first_candidate_wins() -> None:
    """Whichever was tried first."""
    dimensions = {"depth": Between(1, 9, is_log=False)}
    space = STRENGTH.among({"simple": STRENGTH.dimensions, "tree": dimensions})
    own: dict[str, Value] = {"candidate": "simple", "simple.C": 1.0}
    other: dict[str, Value] = {"candidate": "tree", "tree.depth": 3}
    trials = [trial(1, BEST, **other), trial(2, BEST, **own)]
    assert space.chosen(trials).number == 2
    assert space.chosen([*trials, trial(3, NEAR, **own)]).number == 2


def test_one_standard_error_prefers_the_smallest_c() -> None:
    """The error of (0.3, 0.4, 0.5) is 0.1 / sqrt(3): 0.058."""
    trials = [trial(0, FAR, C=0.01), trial(1, NEAR, C=0.1), trial(2, BEST, C=1.0)]
    assert STRENGTH.chosen(trials, "best").number == 2
    assert STRENGTH.chosen(trials, "one_se").number == 1
    unclear = [trial(0, (0.357, 0.457, 0.557), C=0.01), *trials[1:]]
    assert STRENGTH.chosen(unclear, "one_se").number == 0


def test_one_standard_error_keeps_the_best_where_nothing_is_simpler() -> None:
    space = Space({"depth": Between(1, 9, is_log=False)}, "tpe", 3, seed=1, metric="log_loss")
    assert space.chosen([trial(0, NEAR, depth=1), trial(1, BEST, depth=9)], "one_se").number == 1


@pytest.mark.parametrize(
    ("estimator", "more", "told"),
    [
        ({"a.b": (TREE, DEPTHS)}, {}, "name must be text without dots, got 'a.b': rename"),
        ({"tree": TREE}, {}, r"an estimator and its param_distributions, .* for 'tree': write"),
        ({}, {}, "estimator must name a candidate at least, got {}"),
        (CANDIDATES, {"param_distributions": DEPTHS}, "must be None where estimator names"),
        ({"tree": (TREE, {"depth": [1]})}, {}, "candidate 'tree': .* got 'depth': name some"),
        ({"svm": (SVC(), {"C": [1.0]})}, {"scoring": "neg_log_loss"}, "'svm': .* predict_proba"),
        (
            {"tree": (TREE, DEPTHS), "ridge": (Ridge(), {})},
            {"scoring": lambda *_: 1.0},
            "must all be classifiers, or all regressors, tree and ridge are some of each",
        ),
        (CANDIDATES, {"select": "first"}, "select must be 'best' or 'one_se', got 'first'"),
    ],
)
def test_candidates_that_can_not_be_searched_are_one_line(
    estimator: Any, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        NestedSearchCV(estimator, **ASKED | more).fit(X, Y)
    assert "\n" not in str(caught.value)
