"""Shared views of MLflow's UI, as tags and links."""

import base64
import json
import zlib
from typing import Any

import pytest

from foldwise.app.views import (
    Link,
    View,
    artifact_link,
    page_note,
    pipelines_view,
    studies_view,
    trials_view,
    version_link,
    view_link,
    view_tag,
)
from foldwise.runs.tree import RunNode, study_node, trial_node
from foldwise.search.trials import FINAL
from foldwise.stats.scores import METRICS
from tests.factories import make_result, outer

_LONGEST_TAG = 20_000


def _state(view: View) -> dict[str, Any]:
    packed = json.loads(view_tag(view, created=1)[1])["state"]
    unpacked = zlib.decompress(base64.b64decode(packed.removeprefix("deflate;")))
    state: dict[str, Any] = json.loads(unpacked)
    return state


def _charted(view: View) -> set[str]:
    return {card["metricKey"] for card in _state(view)["compareRunCharts"] if card.get("metricKey")}


def _logged(record: RunNode) -> set[str]:
    return {point.key for point in record.points}


@pytest.mark.parametrize("metric", METRICS)
def test_every_view_fits_into_a_tag_and_has_all_facets(metric: str) -> None:
    """MLflow refuses longer tags, and a page without its facets shows the wrong runs."""
    for view in (pipelines_view(metric), studies_view("r", metric), trials_view("r", metric)):
        key, value = view_tag(view, created=7)
        assert key == f"mlflow.sharedViewState.{view.id}"
        assert len(value) < _LONGEST_TAG
        assert json.loads(value)["createdAt"] == 7
        assert {"searchFilter", "orderByKey", "startTime", "runsHiddenMode"} <= _state(view).keys()


@pytest.mark.parametrize("metric", METRICS)
def test_no_metric_gets_a_chart_that_nobody_asked_for(metric: str) -> None:
    """The UI draws a bar chart for each metric that has no card."""
    result = make_result(metric=metric)
    trials = result.study_trials(outer(0))
    fold = study_node("k:1", result.outer[0], trials, result.space)
    final = study_node("k:1", result.final, result.study_trials(FINAL), result.space)
    assert _logged(fold) | _logged(final) <= _charted(studies_view("r", metric))
    assert _logged(trial_node("k:1", trials[0], result.space)) <= _charted(trials_view("r", metric))


@pytest.mark.parametrize("metric", METRICS)
def test_the_axes_of_every_chart_are_metrics_that_are_logged(metric: str) -> None:
    """A misspelt axis is an empty chart."""
    result = make_result(metric=metric)
    trials = result.study_trials(outer(0))
    for view, record in (
        (studies_view("r", metric), study_node("k:1", result.outer[0], trials, result.space)),
        (trials_view("r", metric), trial_node("k:1", trials[0], result.space)),
    ):
        shown = [card for card in _state(view)["compareRunCharts"] if not card["deleted"]]
        assert shown
        for card in shown:
            axes = {
                card.get("metricKey"),
                card.get("selectedXAxisMetricKey"),
                card.get("xaxis", {}).get("key"),
                card.get("yaxis", {}).get("key"),
            }
            assert axes - {None} <= _logged(record)


def test_a_pipelines_views_show_its_own_runs_only() -> None:
    """Studies of several pipelines in one chart would be taken for one search."""
    assert _state(studies_view("abc", "f1"))["searchFilter"] == (
        "tags.level = 'study' AND tags.pipeline = 'abc'"
    )
    assert "tags.pipeline = 'abc'" in _state(trials_view("abc", "f1"))["searchFilter"]


def test_only_the_pipelines_are_sorted_by_creation() -> None:
    """Sorted by creation, the UI folds runs into their parents and shows those."""
    for view in (studies_view("r", "log_loss"), trials_view("r", "log_loss")):
        assert "start_time" not in _state(view)["orderByKey"]


def test_links_open_in_the_mode_that_shows_models() -> None:
    """The UI starts in the mode for language models unless told otherwise."""
    links = (
        view_link("7", pipelines_view("f1")),
        view_link("7", trials_view("r", "f1")),
        version_link("my data-classifier", "3"),
        artifact_link("Report", "7", "r", "figures/a b.html"),
    )
    mode = "workflowType=machine_learning"
    assert [link.path for link in links] == [
        f"#/experiments/7/runs?{mode}&viewStateShareKey=pipelines",
        f"#/experiments/7/runs?{mode}&compareRunsMode=CHART&viewStateShareKey=trials",
        f"#/models/my%20data-classifier/versions/3?{mode}",
        f"#/experiments/7/runs/r/artifacts/figures/a%20b.html?{mode}",
    ]


def test_the_note_begins_with_the_links() -> None:
    """The first line stays visible when the note is collapsed."""
    note = page_note((Link("Pipelines", "#/a"), Link("Report", "#/b")), "")
    assert note.splitlines()[0] == "Views: [Pipelines](#/a) · [Report](#/b)"
    assert "outer" in note


def test_what_people_wrote_into_the_note_stays() -> None:
    """Only the line of links is ours."""
    first = page_note((Link("A", "#/old"),), "Ask before deleting runs.")
    again = page_note((Link("A", "#/new"),), first)
    assert again == "Views: [A](#/new)\n\nAsk before deleting runs."
