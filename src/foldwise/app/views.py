"""MLflow's own page of an experiment and the views that its links open.

MLflow's pages set up beforehand: shared views, and the links that open them.

MLflow keeps a shared view as an experiment tag; its value was found by trying the UI (3.17) and is
not documented. A view it can't read shows the plain page.

The experiment's page in MLflow: its shared views, the note above them, and the links to both.
"""

import base64
import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from foldwise.registry.snapshot import Snapshot, model_name
from foldwise.stats.scores import METRICS
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

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


REPORT = "report.html"
_NOTE = "mlflow.note.content"
_ABOUT = """\
A top-level run is one **pipeline**: a nested cross-validation and what came of it. Below it stand \
its **studies**, one for each outer fold and `refit` for the final one, and below those their \
**trials**.

`inner_…` metrics select, `outer_…` estimate, and `holdout_…` were read once, by `evaluate`."""

_COMPARISON = """\
A top-level run is one **classifier**: tuned by its trials, which stand below it, fitted on the \
whole development set, measured on the holdout.

`inner_…` metrics select, `holdout_…` were read once, when it was measured."""


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest top-level run: a pipeline's, or a classifier's of the comparison."""

    run_id: str
    started: int
    metric: str
    has_studies: bool
    has_report: bool
    is_comparison: bool


def refresh_page(store: Store, data_name: str) -> None:
    """Let the experiment's views and note show its newest pipeline and version."""
    experiment_id = store.experiment(data_name)
    with store_faults("setting up the experiment's page"):
        newest = _newest(store, experiment_id)
        if newest is None:
            return
        now = int(time.time() * 1000)
        for rank, view in enumerate(_views(newest)):
            key, value = view_tag(view, created=now - rank)
            store.client.set_experiment_tag(experiment_id, key, value)
        before = store.client.get_experiment(experiment_id).tags.get(_NOTE, "")
        links = _links(store, data_name, experiment_id, newest)
        about = _COMPARISON if newest.is_comparison else _ABOUT
        note = page_note(links, before, about=about)
        store.client.set_experiment_tag(experiment_id, _NOTE, note)


def page_links(store: Store, data_name: str) -> tuple[Link, ...]:
    """Links to the pages people want, the pipelines first; none if nothing was recorded yet."""
    experiment_id = store.find_experiment(data_name)
    if experiment_id is None:
        return ()
    with store_faults("looking up the links"):
        newest = _newest(store, experiment_id)
        return () if newest is None else _links(store, data_name, experiment_id, newest)


def recorded_data(store: Store) -> tuple[str, ...]:
    """Names of the data that pipelines were recorded of, the latest first."""
    with store_faults("looking for pipelines"):
        experiments = store.client.search_experiments()
        newest = [(each.name, _newest(store, each.experiment_id)) for each in experiments]
    found = [(run.started, name) for name, run in newest if run is not None]
    return tuple(name for _, name in sorted(found, reverse=True))


def page_note(links: tuple[Link, ...], before: str, *, about: str = _ABOUT) -> str:
    """The note with today's links in its first line; what people wrote below them stays."""
    line = "Views: " + " · ".join(f"[{link.name}]({link.path})" for link in links)
    first, _, rest = before.partition("\n")
    kept = rest if first.startswith("Views: ") else before
    return f"{line}\n\n{kept.strip() or about}"


def _newest(store: Store, experiment_id: str) -> _Newest | None:
    runs = store.client.search_runs(
        [experiment_id],
        "tags.level = 'pipeline'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    if not runs:
        return None
    [run] = runs
    studies = f"tags.level = 'study' AND tags.pipeline = '{run.info.run_id}'"
    files = store.client.list_artifacts(run.info.run_id)
    return _Newest(
        run_id=run.info.run_id,
        started=run.info.start_time,
        metric=run.data.params.get("tune.metric", "log_loss"),
        has_studies=bool(store.client.search_runs([experiment_id], studies, max_results=1)),
        has_report=any(file.path == REPORT for file in files),
        is_comparison="model" in run.data.tags,
    )


def _views(newest: _Newest) -> tuple[View, ...]:
    if newest.is_comparison:
        return (models_view(), costs_view())
    pipelines = pipelines_view(newest.metric)
    if not newest.has_studies:
        return (pipelines,)
    return (
        pipelines,
        studies_view(newest.run_id, newest.metric),
        trials_view(newest.run_id, newest.metric),
    )


def _links(store: Store, data_name: str, experiment_id: str, newest: _Newest) -> tuple[Link, ...]:
    links = [view_link(experiment_id, view) for view in _views(newest)]
    name = model_name(data_name)
    if versions := Snapshot.read(store, name).versions:
        links.append(version_link(name, str(versions[-1].number)))
    if newest.has_report:
        links.append(artifact_link("Report", experiment_id, newest.run_id, REPORT))
    return tuple(links)
