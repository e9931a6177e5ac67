"""What NestedSearchCV hands to the estimator that it is given, and what it searches of its own."""

from datetime import date
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, csr_matrix
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from foldwise import NestedSearchCV, StandardLogistic
from tests.unit.estimator.table_cases import seeded

pa: Any = pytest.importorskip("pyarrow")
TABLE = seeded(rows=60)
NUMBERS = TABLE.X[["whole", "constant"]]


class Recorder(DecisionTreeClassifier):  # type: ignore[misc]  # has no types
    """A tree that remembers what it was given."""

    given: ClassVar[list[Any]] = []

    def fit(self, X: Any, y: Any) -> "Recorder":
        self.given.append(X)
        return super().fit(_numbers(X), y)  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Any:
        self.given.append(X)
        return super().predict_proba(_numbers(X))


def _numbers(X: Any) -> Any:
    if isinstance(X, list):
        return [[len(cells)] for cells in X]
    return X.to_pandas() if hasattr(X, "to_pandas") else X[["whole", "constant"]]


def test_a_frame_reaches_the_estimator_as_it_is() -> None:
    """With all columns, their types, and text."""
    X = TABLE.X.assign(text=[f"row {row}" for row in range(60)], day=pd.Timestamp("2026-01-01"))
    Recorder.given.clear()
    NestedSearchCV(Recorder(), {"max_depth": [2]}, cv=3, n_trials=1, n_jobs=1).fit(X, TABLE.y)
    assert len(Recorder.given) > 10
    for given in Recorder.given:
        pd.testing.assert_frame_equal(given, X.loc[given.index])


def test_lists_in_cells_reach_the_estimator_and_count() -> None:
    """The same cells are the same search, whoever holds them; others are another one."""
    seen = []
    for last in (3, 3, 4):
        cells = [[row, {"on": date(2026, 1, 1 + row % 28)}] for row in range(59)]
        X = TABLE.X.assign(cells=[*cells, [59, {"on": date(2026, 1, last)}]])
        Recorder.given.clear()
        search = NestedSearchCV(Recorder(), {"max_depth": [2]}, cv=3, n_trials=1, n_jobs=1)
        seen.append(search.fit(X, TABLE.y).search_key_)
        for given in Recorder.given:
            pd.testing.assert_frame_equal(given, X.loc[given.index])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(
    ("X", "kind"),
    [
        (pa.Table.from_pandas(NUMBERS, preserve_index=False), pa.Table),
        ([["word"] * (row % 5 + 1) for row in range(60)], list),
    ],
    ids=["arrow", "texts"],
)
def test_other_kinds_of_rows_stay_what_they_are(X: Any, kind: type) -> None:
    Recorder.given.clear()
    search = NestedSearchCV(Recorder(), {"max_depth": [2]}, cv=3, n_trials=1, n_jobs=1)
    search.fit(X, TABLE.y)
    assert {type(given) for given in Recorder.given} == {kind}
    assert len(search.outer_predictions_) == 60


@pytest.mark.parametrize("kind", [csr_matrix, csr_array])
def test_sparse_rows_go_through_the_estimator_engine(kind: Any) -> None:
    """And give what dense ones do."""
    scaled = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=10_000))
    sparse, dense = (
        NestedSearchCV(scaled, {"logisticregression__C": [0.1, 1.0]}, cv=3, n_trials=2).fit(
            X, TABLE.y
        )
        for X in (kind(NUMBERS.to_numpy(np.float64)), NUMBERS.to_numpy(np.float64))
    )
    assert sparse.engine_ == "estimator"
    pd.testing.assert_frame_equal(sparse.outer_scores_, dense.outer_scores_)


@pytest.mark.parametrize(
    ("estimator", "searched"),
    [
        (None, None),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            {"logisticregression__C": [0.1, 1.0]},
        ),
    ],
)
def test_the_batched_engine_refuses_sparse_rows_in_one_line(estimator: Any, searched: Any) -> None:
    """And its remedy helps."""
    X = csr_matrix(NUMBERS.to_numpy(np.float64))
    search = NestedSearchCV(estimator, searched, cv=3, n_trials=1)
    with pytest.raises(TypeError, match=r"Sparse data was passed .* Use '.toarray\(\)'") as caught:
        search.fit(X, TABLE.y)
    assert "\n" not in str(caught.value)
    assert search.fit(X.toarray(), TABLE.y).engine_ == "batched"


def test_all_parameters_of_the_default_estimator_are_searched() -> None:
    """Other ones than C by fits of its own, which say what batched ones do."""
    wide = {
        "C": [0.5], "indicators": [False, True], "class_weight": [None, "balanced"],
        "scale_floor": [0.0, 0.2],
    }  # fmt: skip
    search = NestedSearchCV(param_distributions=wide, cv=3, n_trials=12).fit(TABLE.X, TABLE.y)
    assert search.engine_ == "estimator"
    for name in ("indicators", "class_weight", "scale_floor"):
        assert len({str(each[name]) for each in search.cv_results_["params"]}) == 2
    assert search.best_estimator_.get_params().items() >= search.best_params_.items()
    rest = {name: of for name, of in search.best_params_.items() if name != "C"}
    batched = NestedSearchCV(
        StandardLogistic(**rest), {"C": [0.5]}, cv=3, n_trials=1
    ).fit(TABLE.X, TABLE.y)  # fmt: skip
    assert batched.engine_ == "batched"
    assert batched.best_score_ == pytest.approx(search.best_score_, abs=1e-3)


def test_elastic_net_goes_through_the_estimator_engine() -> None:
    net = LogisticRegression(solver="saga", tol=1e-3, max_iter=10_000, random_state=0)
    search = NestedSearchCV(
        make_pipeline(StandardScaler(), net),
        {"logisticregression__C": loguniform(0.1, 1), "logisticregression__l1_ratio": [0.2, 0.8]},
        cv=3, n_trials=3,
    ).fit(NUMBERS, TABLE.y)  # fmt: skip
    assert search.engine_ == "estimator"
    assert search.best_estimator_[-1].l1_ratio in (0.2, 0.8)
    fixed = net.set_params(l1_ratio=0.5)
    alone = NestedSearchCV(
        make_pipeline(StandardScaler(), fixed), {"logisticregression__C": [0.1]}, cv=3, n_trials=1
    )
    assert alone.fit(NUMBERS, TABLE.y).engine_ == "estimator"
