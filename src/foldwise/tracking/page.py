"""The experiment's page in MLflow: its shared views, the note above them, and the links to both."""

import time
from dataclasses import dataclass

from foldwise.tracking.faults import store_faults
from foldwise.tracking.registry import all_versions, model_name
from foldwise.tracking.store import Store
from foldwise.tracking.views import (
    Link,
    View,
    artifact_link,
    costs_view,
    models_view,
    pipelines_view,
    studies_view,
    trials_view,
    version_link,
    view_link,
    view_tag,
)

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
    if versions := all_versions(store, name):
        links.append(version_link(name, str(versions[-1].number)))
    if newest.has_report:
        links.append(artifact_link("Report", experiment_id, newest.run_id, REPORT))
    return tuple(links)
