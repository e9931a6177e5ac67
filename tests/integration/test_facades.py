"""What a notebook leaves: the page, and the run tree in a real store and on a real server."""

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import foldwise
from foldwise import facades
from foldwise.errors import MissingError
from foldwise.frames import Profile
from foldwise.report.wording import signed
from foldwise.store.open import Store, open_store, search_runs
from tests.unit.estimator.table_cases import BALANCED

ROWS = 60


def table() -> tuple[pd.DataFrame, pd.Series, list[str]]:
    """Two columns, a class that one of them nearly tells, and patients of two rows each."""
    draw = np.random.default_rng(5)
    X = pd.DataFrame(draw.normal(size=(ROWS, 2)), columns=["age", "dose"])
    y = pd.Series(np.where(X["age"] + draw.normal(size=ROWS) / 2 > 0, "ill", "well"))
    return X, y, [f"patient-{row // 2:03d}" for row in range(ROWS)]


@pytest.fixture(scope="module")
def search() -> Any:
    """Two partitions in groups."""
    X, y, patients = table()
    return foldwise.NestedSearchCV(cv=3, n_trials=2, n_repeats=2).fit(X, y, groups=patients)


DRAWN: dict[tuple[str, Any], Any] = {}


@pytest.fixture
def _drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search's pictures are the same each time, and take a second: they are drawn once."""
    draw = facades._pictures

    def kept(search: Any) -> Any:
        key = search.search_key_, search.threshold
        return DRAWN[key] if key in DRAWN else DRAWN.setdefault(key, draw(search))

    monkeypatch.setattr(facades, "_pictures", kept)


def logged(store: Store, experiment_name: str = "ward") -> dict[str, dict[str, Any]]:
    """The runs of an experiment by name: parent, status, metrics, what else is told."""
    experiment = store.find_experiment(experiment_name)
    assert experiment is not None
    runs = search_runs(store.client, experiment, "")
    names = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(names.values())) == len(runs)
    return {
        name: {
            "parent": names.get(run.data.tags.get("mlflow.parentRunId", "")),
            "status": run.info.status,
            "metrics": run.data.metrics,
            "told": str([run.data.params, run.data.tags]),
        }
        for run, name in zip(runs, names.values(), strict=True)
    }


@pytest.mark.usefixtures("_drawn_once")
def test_a_search_is_the_same_tree_of_runs_in_a_file_and_on_a_server_however_often_it_is_logged(
    search: Any, team_store: Store, tmp_path: Path
) -> None:
    """A run, below it six outer studies and the final one, below each its trials: all ended."""
    on_server = foldwise.log_to_mlflow(search, "ward")
    database = f"sqlite:///{tmp_path}/own/mlflow.db"
    run_id = foldwise.log_to_mlflow(search, "ward", tracking_uri=database)
    assert foldwise.log_to_mlflow(search, "ward", tracking_uri=database) == run_id
    for store, run in ((team_store, on_server), (open_store(tmp_path, uri=database), run_id)):
        runs = logged(store)
        (top,) = (name for name, told in runs.items() if told["parent"] is None)
        studies = {name for name, told in runs.items() if told["parent"] == top}
        assert studies == {f"outer-{of}" for of in ("0", "1", "2", "1.0", "1.1", "1.2")} | {
            "final study"
        }
        assert len(runs) == 1 + 7 + 7 * 2
        assert {told["status"] for told in runs.values()} == {"FINISHED"}
        mean = search.outer_summary_.loc["accuracy", "mean"]
        assert runs[top]["metrics"]["outer_accuracy"] == pytest.approx(mean, abs=1e-6)
        assert "patient-" not in str(runs)
        files = {file.path for file in store.client.list_artifacts(run)}
        assert {"report.html", "outer_summary.csv", "figures"} <= files
        (final,) = (n for n in runs if n.startswith("final·t00"))
        inner = store.client.get_metric_history(_id(store, final), "inner_accuracy")
        assert [point.step for point in inner] == [0, 1, 2, 3, 4, 5]


def _id(store: Store, name: str) -> str:
    experiment = store.find_experiment("ward")
    assert experiment is not None
    (run,) = search_runs(store.client, experiment, f"attributes.run_name = '{name}'")
    return str(run.info.run_id)


@pytest.mark.usefixtures("_drawn_once")
def test_the_page_tells_the_estimate_and_no_row_or_group(search: Any, tmp_path: Path) -> None:
    page = foldwise.write_report(search, tmp_path / "report.html").read_text()
    assert f"{search.outer_summary_.loc['accuracy', 'mean']:.4f}" in page
    assert all(name in page for name in ("ill", "well", search.search_key_))
    assert all(f">repeat {repeat}, fold {fold}</th>" in page for repeat, fold in ((0, 0), (1, 2)))
    assert "<dt>Outer ROC AUC</dt>" in page
    X, _, patients = table()
    assert "patient-" not in page
    assert not any(repr(value) in page for value in X["age"])
    assert patients[0] not in page
    assert "of 30 groups, none of them parted" in page


@pytest.mark.parametrize("estimator", ["batched", "estimator", "candidate"])
def test_the_page_shows_the_coefficients_the_gaps_and_no_rare_category(
    estimator: str, tmp_path: Path
) -> None:
    """Of a StandardLogistic, whoever fits it; a fold whose rows lack a value has no point there."""
    X, y, _ = table()
    X.loc[::4, "dose"] = np.nan
    X["ward"] = pd.Categorical(["rare" if row == 7 else "often" for row in range(ROWS)])
    own, C = foldwise.StandardLogistic(indicators=True), {"C": foldwise.OneOf((0.5,))}
    asked: tuple[Any, Any] = {
        "batched": (own, C),
        "estimator": (own, {**C, "class_weight": foldwise.OneOf(("balanced",))}),
        "candidate": ({"own": (own, C), "none": (DummyClassifier(), {})}, None),
    }[estimator]
    search = foldwise.NestedSearchCV(*asked, cv=3, n_trials=1, threshold=BALANCED).fit(X, y)
    page = foldwise.write_report(search, tmp_path / "report.html").read_text()
    model = search.best_estimator_.estimator_
    names = ("age", "dose", "ward: often", "ward: a rare value", "dose is missing")
    for name, coefficient in zip(names, model.coef_[0], strict=True):
        assert f"<title>{name}: {signed(coefficient)}</title>" in page
    assert "ward_rare" not in page
    assert "ward: rare" not in page
    assert "60 rows of 2 classes, 3 columns, 2 of them without gaps" in page
    outer = search.profile_.coefficients[1:]
    assert outer.shape == (3, 1, 5)
    assert np.isnan(outer[:, 0, 3]).sum() == (1 if estimator == "estimator" else 0)
    for found, fitted in zip(outer, search.outer_estimators_, strict=True):
        told = found[:, ~np.isnan(found[0])]
        np.testing.assert_array_equal(told, fitted.estimator_.coef_)


def test_a_candidate_with_other_columns_has_points_where_the_final_model_has_columns() -> None:
    """Indicators of gaps are columns of one of them alone, and it wins in a fold or at the end."""
    X, y, _ = table()
    X.loc[::4, "dose"] = np.nan
    plain, gaps = foldwise.StandardLogistic(), foldwise.StandardLogistic(indicators=True)
    fitted = [plain.fit(X, y), gaps.fit(X, y)]
    for final, other in (fitted, fitted[::-1]):
        profile = Profile.of(final, [other], X)
        assert profile is not None
        own, theirs = profile.coefficients
        np.testing.assert_array_equal(own, final.coef_)
        shared = min(own.shape[1], other.coef_.shape[1])
        np.testing.assert_array_equal(theirs[:, :shared], other.coef_[:, :shared])
        assert np.isnan(theirs[:, shared:]).all()


def test_the_page_of_another_estimator_has_no_coefficients(tmp_path: Path) -> None:
    X, y, _ = table()
    tree = DecisionTreeClassifier(random_state=0)
    search = foldwise.NestedSearchCV(tree, {"max_depth": [1, 2]}, cv=3, n_trials=1).fit(X, y)
    page = foldwise.write_report(search, tmp_path / "report.html").read_text()
    assert search.profile_ is None
    assert "What the final model looks at" not in page
    assert "What the table holds" not in page


@pytest.mark.usefixtures("_drawn_once")
def test_the_address_of_a_search_s_storage_is_told_nowhere(
    search: Any, root: Path, tmp_path: Path
) -> None:
    """It may hold a password."""
    kept = copy(search).set_params(storage="postgresql://me:secretword@host/trials")
    page = foldwise.write_report(kept, tmp_path / "report.html").read_text()
    database = f"sqlite:///{root}/mlruns/mlflow.db"
    foldwise.log_to_mlflow(kept, "kept", tracking_uri=database)
    told = str(logged(open_store(root, uri=database), "kept"))
    assert "n_trials" in page
    assert "n_trials" in told
    assert "secretword" not in page + told


def test_a_page_of_two_classes_tells_the_positive_one_and_the_thresholds(tmp_path: Path) -> None:
    """Chosen in each fold, and for the final model."""
    X, y, _ = table()
    search = foldwise.NestedSearchCV(cv=3, n_trials=2, threshold=BALANCED, pos_label="ill").fit(
        X, y
    )
    page = foldwise.write_report(search, tmp_path / "report.html").read_text()
    assert "for ill against well" in page
    assert "Average precision" in page
    assert f"always the commonest class: {max(np.mean(y == each) for each in set(y)):.4f}" in page
    assert "inner ones know none. Columns by" in " ".join(page.split())
    for threshold in (search.threshold_, *search.outer_thresholds_):
        assert f">{threshold:.4f}<" in page


@pytest.mark.usefixtures("_drawn_once")
def test_with_thresholds_page_and_run_tell_the_scores_of_the_answers(
    root: Path, tmp_path: Path
) -> None:
    """As ``outer_scores_`` and ``outer_predictions_`` have them; without, it is another run."""
    X, _, _ = table()
    y = np.where(X["age"] + X["dose"] ** 2 > 1.2, "ill", "well")
    asked: dict[str, Any] = {"cv": 3, "n_trials": 2, "scoring": "accuracy"}
    plain = foldwise.NestedSearchCV(**asked).fit(X, y)
    search = foldwise.NestedSearchCV(**asked, threshold=BALANCED).fit(X, y)
    scores = search.outer_scores_["accuracy"]
    assert (scores != plain.outer_scores_["accuracy"]).any()
    page = foldwise.write_report(search, tmp_path / "report.html").read_text()
    counts = pd.crosstab(y, search.outer_predictions_["prediction"].to_numpy()).stack()
    for (actual, answer), count in counts.items():
        assert f"{actual} taken for {answer}: {count}," in page
    for fold, score in enumerate(scores):
        assert f"outer-{fold}, outer: {score:.4f}" in page
    database = f"sqlite:///{root}/mlruns/mlflow.db"
    ids = {foldwise.log_to_mlflow(each, "cut", tracking_uri=database) for each in (plain, search)}
    store = open_store(root, uri=database)
    metrics = [store.client.get_run(each).data.metrics for each in sorted(ids)]
    expected = [each.outer_summary_.loc["accuracy", "mean"] for each in (plain, search)]
    told = sorted(each["outer_accuracy"] for each in metrics)
    assert told == pytest.approx(sorted(expected), abs=1e-6)


@pytest.mark.usefixtures("_drawn_once")
def test_candidates_and_regressors_have_a_page_and_a_tree_too(root: Path, tmp_path: Path) -> None:
    """What one kind of model alone has is shown of its trials; a scorer of one's own is a score."""
    X, y, _ = table()
    kinds = {
        "line": (foldwise.StandardLogistic(), {"C": foldwise.Between(0.01, 1.0, is_log=True)}),
        "tree": (DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}),
    }
    searches = {
        "kinds": foldwise.NestedSearchCV(kinds, cv=3, n_trials=2).fit(X, y),
        "dose": foldwise.NestedSearchCV(
            DecisionTreeRegressor(random_state=0), {"max_depth": [1, 2]},
            cv=[f"ward-{row % 3}" for row in range(ROWS)], n_trials=2, scoring="r2",
        ).fit(X, X["age"] + X["dose"]),
    }  # fmt: skip
    database = f"sqlite:///{root}/mlruns/mlflow.db"
    for name, search in searches.items():
        page = foldwise.write_report(search, tmp_path / f"{name}.html").read_text()
        assert f"{search.outer_summary_.iloc[0]['mean']:.4f}".lstrip("-") in page
        assert "ward-" not in page
        assert (">lost<" in page) == (name == "kinds"), "candidates that lost are told, too"
        foldwise.log_to_mlflow(search, name, tracking_uri=database)
        (top,) = (
            told
            for told in logged(open_store(root, uri=database), name).values()
            if told["parent"] is None
        )
        metric = "outer_score" if name == "dose" else "outer_accuracy"
        assert metric in top["metrics"]


def test_a_page_without_what_draws_it_names_the_extra(
    search: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingError, match=r"a report needs matplotlib.*\[report\]"):
        foldwise.write_report(search, tmp_path / "report.html")
