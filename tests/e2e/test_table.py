"""A table from its file to a served champion, by the real commands, and without foldwise."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from foldwise.data.dataset import load
from foldwise.search.archive import restore
from foldwise.store.open import open_store
from tests import table_files
from tests.e2e.project import Project, commit, make_project
from tests.e2e.served import post, serving_here
from tests.e2e.without_foldwise import predict_elsewhere

pytestmark = pytest.mark.e2e

PARAMS: dict[str, dict[str, Any]] = {
    "prepare": {**table_files.PARAMETERS, "name": "people"},
    "tune": {"folds": 3, "trials": 5, "startup_trials": 3, "c_high": 100.0},
    "promotion": {"min_accuracy": 0.5, "max_log_loss": 5.0, "max_calibration_error": 0.5},
}


@pytest.fixture(scope="module")
def project(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Breast cancer with gaps, categories and people, reproduced and promoted."""
    folder = tmp_path_factory.mktemp("table") / "project"
    project = make_project(folder, PARAMS, commands=commands)
    table_files.write(table_files.cancer(), project.folder)
    commit(project)
    look = ("python", "-m", "foldwise.app.prepare", "--look")
    for command in (look, ("dvc", "repro"), ("foldwise", "promote")):
        ended = project.run(*command)
        assert ended.status == 0, ended.errors
    return project


@pytest.fixture(scope="module")
def address(project: Project) -> Iterator[str]:
    """A server of the champion."""
    with open_store(project.folder).as_default():
        model = mlflow.pyfunc.load_model("models:/people-classifier@champion")
    with serving_here(model) as address:
        yield address


def test_the_served_model_answers_as_the_solver_does_whatever_json_holds(
    project: Project, address: str
) -> None:
    """Columns in any order, whole numbers, nulls and unknown values; a missing column is 400."""
    frame = load("holdout", project.folder / "data" / "prepared").images.head(8)
    model = restore(project.folder / "models" / "tuned").final.model
    rows = json.loads(frame.to_json(orient="records"))
    assert any(value is None for row in rows for value in row.values())
    rounded = [
        {name: round(of) if isinstance(of, float) else of for name, of in reversed(row.items())}
        for row in rows
    ]
    empty = dict.fromkeys(rows[0])
    strange = {**rows[0], "town": "elsewhere", "ward": 99, "more": 1}
    for given in (rows, rounded, [empty], [strange], [rows[0], empty]):
        answer = post(address, {"dataframe_records": given})
        assert answer.status_code == 200, answer.text
        expected = model.predict(pd.DataFrame(given)[list(frame)].pipe(typed, frame)).values
        np.testing.assert_allclose(answer.json()["predictions"], expected, rtol=0, atol=1e-9)
    page = unescape((project.folder / "reports" / "report.html").read_text())
    typed_there = re.search(r"curl .*/invocations", page)
    assert typed_there is not None
    told = project.shell(typed_there[0].replace("http://127.0.0.1:8000", address)).output
    alone = post(address, {"dataframe_records": [empty]}).json()
    assert json.loads(told) == alone
    lacking = [{name: of for name, of in rows[0].items() if name != "ward"}]
    for body in (
        {"dataframe_records": lacking},
        {"dataframe_records": [{**rows[0], "mean area": "large"}]},
        {"inputs": [list(rows[0].values())]},
    ):
        assert post(address, body).status_code == 400


def test_the_model_of_a_table_predicts_without_foldwise(project: Project) -> None:
    frame = load("holdout", project.folder / "data" / "prepared").images.head(8)
    expected = restore(project.folder / "models" / "tuned").final.model.predict(frame).values
    found = predict_elsewhere(project.folder, "models:/people-classifier@champion", frame)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def typed(given: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """As a data frame has the columns that were prepared."""
    return pd.DataFrame(
        {
            name: given[name].astype(float)
            if of.dtype == "float64"
            else pd.Categorical(given[name])
            for name, of in like.items()
        }
    )
