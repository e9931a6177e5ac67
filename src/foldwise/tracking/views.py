"""MLflow's pages set up beforehand: shared views, and the links that open them.

MLflow keeps a shared view as an experiment tag; its value was found by trying the UI (3.17) and is
not documented. A view it can't read shows the plain page.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from foldwise.model.scores import METRICS

State = Mapping[str, Any]

_MODE = "workflowType=machine_learning"
_MODELS = "tags.level = 'pipeline'"
_FACETS: State = {
    "searchFilter": "",
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "modelVersionFilter": "All Runs",
    "datasetsFilter": [],
    "runsHiddenMode": "SHOW_ALL",
}


@dataclass(frozen=True, slots=True)
class View:
    """A page set up beforehand: the id in its link, its name in the menu, what it shows."""

    id: str
    name: str
    state: State
    is_chart: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the UI: what it shows, and its path after the server's address."""

    name: str
    path: str


def pipelines_view(metric: str) -> View:
    """All pipeline runs with what they are compared by."""
    columns = (
        f"metrics.`inner_{metric}_mean`",
        f"metrics.`outer_{metric}`",
        f"metrics.`holdout_{metric}`",
        "metrics.`holdout_accuracy`",
        "metrics.`C`",
        "attributes.`Models`",
        "tags.`dvc.experiment`",
        "tags.`git.dirty`",
    )
    return View("pipelines", "Pipelines", _table("tags.level = 'pipeline'", columns))


def studies_view(pipeline: str, metric: str) -> View:
    """The searches of one pipeline as lines: inner score over log10 C, one colour a study."""
    shown = f"search_inner_{metric}"
    line = _card(
        uuid="line",
        type="LINE",
        metricKey=shown,
        selectedMetricKeys=[shown],
        xAxisKey="metric",
        selectedXAxisMetricKey="search_log10_C",
        useGlobalXaxisKey=False,
        displayPoints=True,
        lineSmoothness=0,
        runsCountToCompare=100,
    )
    # Bars begin at zero, where folds look alike; points are drawn on the scale of the scores.
    points = [
        _card(
            uuid=f"by-{across}",
            type="SCATTER",
            xaxis={"key": across, "type": "METRIC"},
            yaxis={"key": f"outer_{metric}", "type": "METRIC"},
            runsCountToCompare=100,
        )
        for across in ("log10_C", f"inner_{metric}_mean")
    ]
    hidden = [name for name in _study_metrics(metric) if name != shown]
    columns = ("metrics.`C`", f"metrics.`inner_{metric}_mean`", f"metrics.`outer_{metric}`")
    return View(
        "studies",
        "Studies of the newest pipeline",
        {
            **_table(_in_pipeline(pipeline, "study"), columns),
            # Not by creation: the UI would fold the studies into their pipeline.
            "orderByKey": "tags.`study`",
            "orderByAsc": True,
            **_charts("Search for C", [line, *points], hidden),
        },
        is_chart=True,
    )


def trials_view(pipeline: str, metric: str) -> View:
    """All trials of one pipeline: inner score over log10 C, best first in the table."""
    shown = f"inner_{metric}_mean"
    scatter = _card(
        uuid="scatter",
        type="SCATTER",
        xaxis={"key": "log10_C", "type": "METRIC"},
        yaxis={"key": shown, "type": "METRIC"},
        runsCountToCompare=100,
    )
    columns = (f"metrics.`{shown}`", "metrics.`C`", "metrics.`inner_accuracy_mean`", "tags.`study`")
    return View(
        "trials",
        "Trials of the newest pipeline",
        {
            **_table(_in_pipeline(pipeline, "trial"), columns),
            "orderByKey": f"metrics.`{shown}`",
            "orderByAsc": True,
            **_charts("Inner scores", [scatter], _trial_metrics()),
        },
        is_chart=True,
    )


def models_view() -> View:
    """The comparison's classifiers with what they are compared by, the most accurate first."""
    columns = (
        "tags.`model`",
        "metrics.`holdout_accuracy`",
        "metrics.`holdout_roc_auc`",
        "metrics.`holdout_log_loss`",
        "metrics.`inner_accuracy_mean`",
        "metrics.`fit_seconds`",
        "metrics.`predict_seconds`",
    )
    table = _table(_MODELS, columns)
    order = {"orderByKey": "metrics.`holdout_accuracy`", "orderByAsc": False}
    return View("models", "Models", {**table, **order})


def costs_view() -> View:
    """Their accuracy against the time to fit and to predict."""
    cards = [
        _card(
            uuid=f"by-{seconds}",
            type="SCATTER",
            xaxis={"key": seconds, "type": "METRIC"},
            yaxis={"key": "holdout_accuracy", "type": "METRIC"},
            runsCountToCompare=100,
        )
        for seconds in ("fit_seconds", "predict_seconds")
    ]
    columns = ("tags.`model`", "metrics.`holdout_accuracy`")
    charts = _charts("Accuracy against seconds", cards, _model_metrics())
    return View("costs", "Accuracy and time", {**_table(_MODELS, columns), **charts}, is_chart=True)


def view_tag(view: View, *, created: int) -> tuple[str, str]:
    """Key and value of the tag that keeps a view; ``created`` in milliseconds orders the menu."""
    state = json.dumps({**_FACETS, **view.state}).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(state, 9)).decode()
    value = json.dumps({"name": view.name, "createdAt": created, "state": packed})
    return f"mlflow.sharedViewState.{view.id}", value


def view_link(experiment_id: str, view: View) -> Link:
    """Where a view opens."""
    mode = "&compareRunsMode=CHART" if view.is_chart else ""
    path = f"#/experiments/{experiment_id}/runs?{_MODE}{mode}&viewStateShareKey={view.id}"
    return Link(view.name, path)


def artifact_link(name: str, experiment_id: str, run_id: str, path: str) -> Link:
    """Where a run's file is shown."""
    place = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{quote(path)}?{_MODE}"
    return Link(name, place)


def version_link(model: str, number: str) -> Link:
    """Where a version of a registered model is described."""
    return Link(f"Version {number}", f"#/models/{quote(model)}/versions/{number}?{_MODE}")


def _in_pipeline(pipeline: str, level: str) -> str:
    return f"tags.level = '{level}' AND tags.pipeline = '{pipeline}'"


def _table(search: str, columns: tuple[str, ...]) -> State:
    return {
        "searchFilter": search,
        "selectedColumns": list(columns),
        "columnOrder": ["attributes.`Run Name`", *columns, "runDateAndNestInfo", "duration"],
        "columnWidths": {column: _width(column) for column in columns},
    }


def _width(column: str) -> int:
    # Pixels that show the whole name, and a figure of six decimals below it.
    name = column.split("`")[1]
    return max(100, 26 + 7 * len(name))


def _charts(title: str, cards: list[State], hidden: list[str]) -> State:
    # A metric without a card gets one by itself, so each is given one that is deleted.
    unwanted = [_card(uuid=f"x-{n}", type="BAR", metricKey=n, deleted=True) for n in hidden]
    section = {
        "uuid": "s1",
        "name": title,
        "display": True,
        "isReordered": True,
        "columns": min(len(cards), 2),
        "cardHeight": 400,
    }
    return {
        "isAccordionReordered": True,
        "compareRunSections": [section],
        "compareRunCharts": [*cards, *unwanted],
    }


def _card(**settings: object) -> State:
    return {"metricSectionId": "s1", "isGenerated": False, "deleted": False, **settings}


def _trial_metrics() -> list[str]:
    scores = [name for m in METRICS for name in (f"inner_{m}", f"inner_{m}_mean")]
    return ["C", "log10_C", *scores, "iterations_max", "fits_not_converged"]


def _study_metrics(metric: str) -> list[str]:
    scores = [name for m in METRICS for name in (f"outer_{m}", f"inner_{m}_mean")]
    series = ["search_log10_C", f"search_inner_{metric}"]
    return ["C", "log10_C", *scores, *series, "iterations", "trials"]


def _model_metrics() -> list[str]:
    holdout = [f"holdout_{m}{end}" for m in METRICS for end in ("", "_low", "_high")]
    inner = [f"inner_{m}_mean" for m in METRICS]
    return [*holdout, *inner, "holdout_calibration_error", "trials"]
