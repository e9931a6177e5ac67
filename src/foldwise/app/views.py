"""The pages of MLflow's UI that people want: views set up beforehand, links to them, the note.

An address can set a page's filter, order and mode, but neither its columns nor its charts. Those
MLflow keeps as a shared view, an experiment tag whose JSON was found by trying the UI (3.17); a
view that it can't read shows the plain page.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from foldwise.registry.snapshot import Snapshot, model_name
from foldwise.stats.scores import metric_label
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

REPORT = "report.html"
LOCAL = "http://127.0.0.1:5000"
"""Where `foldwise ui` listens unless it is told otherwise."""
MODE = "workflowType=machine_learning"
_PIPELINES = "tags.level = 'pipeline'"
_NEWEST_FIRST = "attributes.start_time DESC"
_VIEW = "mlflow.sharedViewState."
_NOTE = "mlflow.note.content"
_NAME, _MODELS = "attributes.`Run Name`", "attributes.`Models`"
_WIDTHS = {_NAME: 240, _MODELS: 170}
_COMPARED = 30  # runs whose parameters get columns
_ABOUT = """\
A top-level run is one **pipeline**: a nested cross-validation and what came of it. Below it stand \
its **studies**, one for each outer fold and the `final study`, and below those their \
**trials**.

`inner_…` metrics select (of a trial `inner_…_mean`; beside it MLflow shows the last fold's), \
`outer_…` estimate (`by_outer_fold/…`: each fold's, whose number is *Step*), and `holdout_…` were \
read once, by `evaluate`. The plain list of runs has no column of any score: the view *Pipelines* \
has."""
_COMPARISON = """\
A top-level run is one **classifier**: tuned by its trials, which stand below it, fitted on the \
whole development set, measured on the holdout.

`inner_…` metrics select, `holdout_…` were read once, when it was measured."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of two metrics: a point a run or, in a section of this title, a run's steps' line."""

    across: str
    up: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A page set up beforehand, by an id in its link, a name in MLflow's menu.

    ``search`` and ``order``: which runs, in MLflow's words. With ``charts`` it opens with these in
    place of the table.
    """

    id: str
    name: str
    search: str
    order: str
    columns: tuple[str, ...]
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the UI: what it shows, and its path after the server's address."""

    name: str
    path: str


def pipeline_views(pipeline: str, metric: str) -> tuple[View, View, View]:
    """All pipelines with what they are compared by; one's studies; one's trials."""
    inner, outer = f"inner_{metric}_mean", f"outer_{metric}"
    curve = f"Inner {metric_label(metric)} over log10 C, a line a study"
    scores = _metrics("C", "holdout_accuracy", outer, f"holdout_{metric}")
    columns = ("tags.`dvc.experiment`", *scores, _MODELS)
    # Ordered by creation, the UI would fold studies and trials into their pipeline.
    return (
        View("pipelines", "Pipelines", _PIPELINES, _NEWEST_FIRST, columns),
        View(
            "studies",
            "Studies of the newest pipeline",
            f"tags.level = 'study' AND tags.pipeline = '{pipeline}'",
            "tags.`study` ASC",
            _metrics("C", inner, outer),
            (
                Chart("search_log10_C", f"search_inner_{metric}", curve),
                Chart("log10_C", outer),
                Chart(inner, outer),
            ),
        ),
        View(
            "trials",
            "Trials of the newest pipeline",
            f"tags.level = 'trial' AND tags.pipeline = '{pipeline}'",
            f"metrics.`{inner}` ASC",
            (*_metrics(inner, "C", "inner_accuracy_mean"), "tags.`study`"),
            (Chart("log10_C", inner),),
        ),
    )


def comparison_views(searched: Iterable[str] = ()) -> tuple[View, View]:
    """The comparison's classifiers, the most accurate first; their accuracy against their cost.

    ``searched`` names the parameters that any of them was tuned by; those that are numbers show.
    """
    costs = ("fit_seconds", "predict_seconds")
    scores = _metrics(*(f"holdout_{name}" for name in ("accuracy", "roc_auc", "log_loss")))
    columns = ("tags.`model`", *scores, *_metrics("inner_accuracy_mean", *costs, *searched))
    charts = tuple(Chart(seconds, "holdout_accuracy") for seconds in costs)
    order = "metrics.`holdout_accuracy` DESC"
    return (
        View("models", "Models", _PIPELINES, order, columns),
        View("costs", "Accuracy and time", _PIPELINES, order, columns, charts),
    )


def view_tag(view: View, *, created: int) -> tuple[str, str]:
    """Key and value of the tag that keeps a view; ``created`` in milliseconds orders the menu."""
    key, _, direction = view.order.rpartition(" ")
    heads = {each: len(each.partition(".")[2].strip("`")) for each in (_NAME, *view.columns)}
    # Pixels that its head needs: MLflow cuts it otherwise.
    widths = {each: _WIDTHS.get(each, max(100, 40 + 7 * long)) for each, long in heads.items()}
    state = {
        "searchFilter": view.search,
        "orderByKey": key,
        "orderByAsc": direction == "ASC",
        "runsHiddenMode": "SHOW_ALL",  # else ten
        "selectedColumns": view.columns,
        "columnOrder": [*heads],
        "columnWidths": widths,
    }
    if view.charts:
        state["compareRunCharts"] = [_card(chart) for chart in view.charts]
        state["compareRunSections"] = [
            *(_section(of.up, of.line, columns=1, cardHeight=400) for of in view.charts if of.line),
            _section("ours", view.name, columns=min(len(view.charts), 2), cardHeight=400),
            # Every other metric gets a chart by itself: here, folded up.
            _section("rest", "Model metrics", display=False, isGenerated=True),
        ]
        state["isAccordionReordered"] = True
    value = {"name": view.name, "createdAt": created, "state": json.dumps(state)}
    return f"{_VIEW}{view.id}", json.dumps(value)


def view_link(experiment_id: str, view: View) -> Link:
    """Where a view opens."""
    mode = "&compareRunsMode=CHART" if view.charts else ""
    path = f"#/experiments/{experiment_id}/runs?{MODE}{mode}&viewStateShareKey={view.id}"
    return Link(view.name, path)


def artifact_link(name: str, experiment_id: str, run_id: str, path: str) -> Link:
    """Where a run's file is shown."""
    place = f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{quote(path)}?{MODE}"
    return Link(name, place)


def run_links(store: Store, data_name: str, run_id: str) -> tuple[tuple[str, str], ...]:
    """Names and whole addresses of a pipeline's run, its studies and trials: a page's, as a file.

    A store without a server is shown where `foldwise ui` shows it.
    """
    home = store.tracking_uri if store.tracking_uri.startswith("http") else LOCAL
    place = f"{home}/#/experiments/{store.experiment(data_name)}/runs"
    found = quote(f"tags.pipeline = '{run_id}'")
    return (
        ("this run", f"{place}/{run_id}?{MODE}"),
        ("its studies and trials", f"{place}?{MODE}&searchFilter={found}"),
    )


def version_link(model: str, number: int) -> Link:
    """Where a version of a registered model is described."""
    return Link(f"Version {number}", f"#/models/{quote(model)}/versions/{number}?{MODE}")


def refresh_page(store: Store, data_name: str) -> None:
    """Let the experiment's views and note show its newest pipeline and version."""
    experiment_id = store.experiment(data_name)
    with store_faults("setting up the experiment's page"):
        views, links, about = _page(store, data_name, experiment_id)
        if not views:
            return
        now = int(time.time() * 1000)
        for rank, view in enumerate(views):
            store.client.set_experiment_tag(experiment_id, *view_tag(view, created=now - rank))
        before = store.client.get_experiment(experiment_id).tags.get(_NOTE, "")
        store.client.set_experiment_tag(experiment_id, _NOTE, page_note(links, before, about=about))


def page_links(store: Store, data_name: str) -> tuple[Link, ...]:
    """Links to the pages people want, the pipelines first; none if nothing was recorded yet."""
    experiment_id = store.find_experiment(data_name)
    if experiment_id is None:
        return ()
    with store_faults("looking up the links"):
        return _page(store, data_name, experiment_id)[1]


def recorded_data(store: Store) -> tuple[str, ...]:
    """Names of the data that pipelines were recorded of, the latest first."""
    with store_faults("looking for pipelines"):
        found = [
            (run.info.start_time, experiment.name)
            for experiment in store.client.search_experiments()
            for run in _first(store, experiment.experiment_id, _PIPELINES)
        ]
    return tuple(name for _, name in sorted(found, reverse=True))


def page_note(links: tuple[Link, ...], before: str, *, about: str = _ABOUT) -> str:
    """The note with today's links in its first line; what people wrote below them stays."""
    line = "Views: " + " · ".join(f"[{link.name}]({link.path})" for link in links)
    first, _, rest = before.partition("\n")
    kept = rest if first.startswith("Views: ") else before
    return f"{line}\n\n{kept.strip() or about}"


def _page(
    store: Store, data_name: str, experiment_id: str
) -> tuple[tuple[View, ...], tuple[Link, ...], str]:
    """Views, links and the note's words, as the newest top-level run has them; none without one.

    It is a pipeline's, or a classifier's of the comparison.
    """
    if not (models := _first(store, experiment_id, _PIPELINES, most=_COMPARED)):
        return (), (), ""
    newest, name = models[0], model_name(data_name)
    run_id, about, views = newest.info.run_id, _ABOUT, tuple[View, ...]()
    if "model" in newest.data.tags:
        about, views = _COMPARISON, comparison_views(_searched(models))
    else:
        views = pipeline_views(run_id, newest.data.params.get("tune.metric", "log_loss"))
        views = views if _first(store, experiment_id, views[1].search) else views[:1]
    links = [view_link(experiment_id, view) for view in views]
    if versions := Snapshot.read(store, name).versions:
        links.append(version_link(name, versions[-1].number))
    if any(file.path == REPORT for file in store.client.list_artifacts(run_id)):
        links.append(artifact_link("Report", experiment_id, run_id, REPORT))
    return views, tuple(links), about


def _first(store: Store, experiment_id: str, search: str, *, most: int = 1) -> list[Any]:
    """The newest runs that are found."""
    order = [_NEWEST_FIRST]
    return list(store.client.search_runs([experiment_id], search, max_results=most, order_by=order))


def _searched(models: Iterable[Any]) -> dict[str, None]:
    keys = ((run, key) for run in models for key in run.data.params if key.startswith("space."))
    names = ((run, key.removeprefix("space.")) for run, key in keys)
    return dict.fromkeys(name for run, name in names if name in run.data.metrics)


def _metrics(*names: str) -> tuple[str, ...]:
    return tuple(f"metrics.`{name}`" for name in names)


def _section(uuid: str, name: str, **settings: object) -> dict[str, object]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, **settings}


def _card(chart: Chart) -> dict[str, object]:
    # MLflow titles a chart by its metric's key alone: what it shows, its section's name says.
    section = chart.up if chart.line else "ours"
    placed = {"uuid": f"{chart.across}-{chart.up}", "metricSectionId": section}
    common = {**placed, "isGenerated": False, "deleted": False, "runsCountToCompare": 100}
    if not chart.line:
        xaxis, yaxis = ({"key": key, "type": "METRIC"} for key in (chart.across, chart.up))
        return {**common, "type": "SCATTER", "xaxis": xaxis, "yaxis": yaxis}
    return {
        **common,
        "type": "LINE",
        "metricKey": chart.up,
        "selectedMetricKeys": [chart.up],
        "xAxisKey": "metric",
        "selectedXAxisMetricKey": chart.across,
        "useGlobalXaxisKey": False,
        "displayPoints": True,
        "lineSmoothness": 0,
    }
