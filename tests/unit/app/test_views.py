"""Shared views of MLflow's UI, as tags and links."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from foldwise.app.views import (
    Link,
    View,
    artifact_link,
    comparison_views,
    page_note,
    pipeline_views,
    run_links,
    version_link,
    view_link,
    view_tag,
)
from foldwise.runs.tree import RunNode, study_node, trial_node
from foldwise.stats.scores import METRICS
from tests.factories import make_result, outer

_LONGEST_TAG = 5_000  # a column of MLflow's database


def _state(view: View) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(json.loads(view_tag(view, created=1)[1])["state"])
    return state


def _logged(record: RunNode) -> set[str]:
    return {point.key for point in record.points}


@pytest.mark.parametrize("metric", METRICS)
def test_every_view_fits_into_a_tag_and_shows_all_its_runs(metric: str) -> None:
    """MLflow refuses longer tags, and hides all runs but ten unless told otherwise."""
    for view in (*pipeline_views("r" * 32, metric), *comparison_views()):
        key, value = view_tag(view, created=7)
        assert key == f"mlflow.sharedViewState.{view.id}"
        assert len(value) < _LONGEST_TAG
        assert json.loads(value)["createdAt"] == 7
        assert _state(view)["runsHiddenMode"] == "SHOW_ALL"


@pytest.mark.parametrize("view", [*pipeline_views("r", "f1")[1:], comparison_views()[1]])
def test_charts_that_nobody_asked_for_are_folded_up(view: View) -> None:
    """The UI draws a bar chart for each metric that has no card, into its own section."""
    *ours, rest = _state(view)["compareRunSections"]
    assert [each["display"] for each in (*ours, rest)] == [True] * len(ours) + [False]
    assert rest["isGenerated"]
    placed = {card["metricSectionId"] for card in _state(view)["compareRunCharts"]}
    assert placed == {each["uuid"] for each in ours}


def test_the_curves_stand_first_under_words_and_as_wide_as_the_page() -> None:
    """MLflow titles a chart by its metric's key; a narrow one's legend names two of the studies."""
    first, *_ = _state(pipeline_views("r", "log_loss")[1])["compareRunSections"]
    assert first["name"] == "Inner log-loss over log10 C, a line a study"
    assert first["columns"] == 1


@pytest.mark.parametrize("metric", METRICS)
def test_the_axes_of_every_chart_are_metrics_that_are_logged(metric: str) -> None:
    """A misspelt axis is an empty chart."""
    result = make_result(metric=metric)
    trials = result.study_trials(outer(0))
    _, studies, trial_view = pipeline_views("r", metric)
    for view, record in (
        (studies, study_node("k:1", result.outer[0], trials, result.space)),
        (trial_view, trial_node("k:1", trials[0], result.space)),
    ):
        shown = _state(view)["compareRunCharts"]
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
    for view, level in zip(pipeline_views("abc", "f1")[1:], ("study", "trial"), strict=True):
        expected = f"tags.level = '{level}' AND tags.pipeline = 'abc'"
        assert _state(view)["searchFilter"] == expected


def test_the_pipelines_columns_fit_a_window() -> None:
    """Of 1,440 pixels the menu, the boxes before the names and *Created* leave 960.

    What no run has gets no column: without an experiment the model's name is in sight, too.
    """
    state = _state(pipeline_views("r", "log_loss")[0])
    experiment, model = state["columnOrder"][1], state["columnOrder"][-1]
    assert (experiment, model) == ("tags.`dvc.experiment`", "attributes.`Models`")
    for missing in (experiment, model):
        assert sum(state["columnWidths"].values()) - state["columnWidths"][missing] <= 960


def test_only_the_pipelines_are_sorted_by_creation() -> None:
    """Sorted by creation, the UI folds runs into their parents and shows those."""
    for view in pipeline_views("r", "log_loss")[1:]:
        assert "start_time" not in _state(view)["orderByKey"]


def test_links_open_in_the_mode_that_shows_models() -> None:
    """The UI starts in the mode for language models unless told otherwise."""
    links = (
        view_link("7", pipeline_views("r", "f1")[0]),
        view_link("7", pipeline_views("r", "f1")[2]),
        version_link("my data-classifier", 3),
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


@pytest.mark.parametrize(
    ("uri", "home"),
    [("sqlite:////a/b.db", "http://127.0.0.1:5000"), ("https://ml.test/x", "https://ml.test/x")],
)
def test_a_page_links_to_its_runs_where_their_server_shows_them(uri: str, home: str) -> None:
    """Whole addresses: the page is a file. A store without a server is where `foldwise ui` is."""
    store: Any = SimpleNamespace(tracking_uri=uri, experiment=lambda name: f"7-{name}")
    (_, run), (_, below) = run_links(store, "toy", "abc")
    assert run.startswith(f"{home}/#/experiments/7-toy/runs/abc?")
    assert below.startswith(f"{home}/#/experiments/7-toy/runs?")
    assert "tags.pipeline%20%3D%20%27abc%27" in below
