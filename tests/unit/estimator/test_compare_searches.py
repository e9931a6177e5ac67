"""Fitted searches are compared from Python as the command line compares a project's."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge

from foldwise import NestedSearchCV, compare_searches, write_report
from foldwise.errors import InputError, SearchError
from foldwise.report.versus import headline, tables

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X, y = X.iloc[:200, :6], y.iloc[:200]


def fitted(X: pd.DataFrame = X, **of: object) -> NestedSearchCV:
    """A small search."""
    groups = of.pop("groups", None)
    search = NestedSearchCV(**{"cv": 3, "n_trials": 2, **of})
    return search.fit(X, y, groups=groups)


@pytest.fixture(scope="module")
def whole() -> NestedSearchCV:
    """All columns."""
    return fitted()


def test_a_search_of_fewer_columns_is_found_worse(whole: NestedSearchCV) -> None:
    """With a table."""
    found = compare_searches(whole, fitted(X[["mean smoothness"]]))
    assert found.rivals[0].verdict == "worse"
    table = found.frame().set_index("metric")
    means = [each.outer_summary_["mean"] for each in (whole,)]
    assert table.loc["log_loss", "reference"] == pytest.approx(-means[0]["neg_log_loss"])
    assert (table["low"] <= table["difference"]).all()
    assert found.differing() == (("features", "columns", ("6", "1")),)


def test_the_page_of_a_comparison_shows_no_row(whole: NestedSearchCV, tmp_path: Path) -> None:
    """Nor does it send a notebook to a project."""
    pytest.importorskip("matplotlib")
    found = compare_searches(whole, fitted(X[["mean smoothness"]]))
    page = write_report(found, tmp_path / "page.html").read_text()
    assert "Next:" not in page  # its commands are those of a project
    assert "search 2 is worse than search 1" in page
    assert "by number" not in page
    assert not re.search("foldwise promote</code> alone|report.rows", page)


def test_other_parts_become_the_same_by_what_the_comparison_says(whole: NestedSearchCV) -> None:
    """The remedy is tried as it is written."""
    other = fitted(random_state=7)
    found = compare_searches(whole, other)
    assert found.rivals[0].verdict is None

    told = re.search(r"cv=first\.result_\.(\S+) it", headline(found, found.rivals[0]))
    assert told is not None
    assert told[1] == "plan.part_of[0]"
    again = fitted(random_state=7, cv=whole.result_.plan.part_of[0])
    assert compare_searches(whole, again).rivals[0].verdict is not None


def test_a_comparison_is_shown_by_a_notebook_in_a_line(whole: NestedSearchCV) -> None:
    """What a cell ends with is its answer, not the arrays that it was made of."""
    shown = repr(compare_searches(whole, fitted(X[["mean smoothness"]])))
    assert "verdict='worse'" in shown
    assert len(shown) < 500


def test_folds_of_several_partitions_are_named_by_repeat_and_fold() -> None:
    """Of the first partition as of the others."""
    found = compare_searches(fitted(n_repeats=2), fitted(X[["mean smoothness"]], n_repeats=2))
    (folds,) = (of for of in tables(found, tells_rows=False) if of.title.startswith("Outer folds"))
    assert [row[0] for row in folds.rows][2:4] == ["repeat 0, fold 2", "repeat 1, fold 0"]


def test_a_page_of_something_else_is_refused_in_a_line_that_tells_no_row(tmp_path: Path) -> None:
    """A frame would be written out whole by what asks whether it is fitted."""
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match=r"^a search must be a fitted .*, got a DataFrame: pass"):
        write_report(X, tmp_path / "page.html")


def test_groups_that_were_given_cluster_the_variances() -> None:
    """Rows of one group are drawn together."""
    groups = np.arange(len(y)) // 4
    first, other = fitted(groups=groups), fitted(X[["mean smoothness"]], groups=groups)
    clustered = compare_searches(first, other).rivals[0].differences["log_loss"]
    first.groups_ = None
    alone = compare_searches(first, other).rivals[0].differences["log_loss"]
    assert clustered.value == alone.value
    assert clustered.interval.low != alone.interval.low


def test_what_can_not_be_compared_is_refused_in_one_line(whole: NestedSearchCV) -> None:
    """Regressors, thresholds, other data, one search alone."""
    regressor = NestedSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=3, n_trials=2, scoring="r2")
    regressor.fit(X, X.iloc[:, 0])
    with pytest.raises(InputError, match=r"of classifiers, without a threshold.*Ridge as search 2"):
        compare_searches(whole, regressor)
    cut = fitted(threshold="balanced_accuracy")
    with pytest.raises(InputError, match=r"got threshold='balanced_accuracy'.*fit it without one"):
        compare_searches(cut, whole)
    other = NestedSearchCV(cv=3, n_trials=2).fit(X, 1 - y)
    with pytest.raises(SearchError, match="of the same data"):
        compare_searches(whole, other)
    with pytest.raises(SearchError, match="needs two searches, got 1"):
        compare_searches(whole)


def test_any_classifier_can_enter_with_what_it_took(whole: NestedSearchCV) -> None:
    """An estimator that isn't batched tells its seconds; without probabilities accuracy decides."""
    plain = NestedSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=3, n_trials=2)
    found = compare_searches(whole, plain.fit(X, y))
    assert found.entrants[0].seconds is None
    seconds = found.entrants[1].seconds
    assert seconds is not None
    assert seconds > 0
