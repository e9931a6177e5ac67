"""Searches are held against the first by rules that can be said in a sentence each."""

import re
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from foldwise.errors import SearchError, SettingsError
from foldwise.report.album import versus_pictures
from foldwise.report.page import render_versus
from foldwise.report.rivals import Entrant, SearchComparison, compare, verdict
from foldwise.report.versus import headline, meaning, next_step, note, tables
from foldwise.search.jobs import Predictions
from foldwise.search.plan import Plan
from foldwise.search.trials import SearchResult
from foldwise.stats.intervals import Interval
from foldwise.stats.scores import score
from tests.factories import CLASSES, make_outer_fold, make_result

pytestmark = pytest.mark.usefixtures("sketched")


def result_of(sureness: float, *, noise: int = 1, folds: int = 3, shift: int = 0) -> SearchResult:
    """A search whose models state the label with so much of the probability, more or less.

    ``shift`` turns as many rows of each fold to another class.
    """
    result, outer = make_result(folds=folds), []
    for each in result.outer:
        fold = make_outer_fold(each.fold, each.best, rows=36 // folds)  # of 36 rows, whatever K
        random = np.random.default_rng((noise, fold.fold))
        stated = random.dirichlet(np.ones(CLASSES), len(fold.labels))
        names = fold.labels.copy()
        names[:shift] = (names[:shift] + 1) % CLASSES
        stated = sureness * np.eye(CLASSES)[names] + (1 - sureness) * stated
        scores = score(stated, fold.labels)
        outer.append(replace(fold, predictions=Predictions(stated), scores=scores))
    return replace(result, outer=tuple(outer))


def entrant(name: str, sureness: float = 0.6, **of: int) -> Entrant:
    """A search of the factory's data."""
    facts = {
        "parameters": {"seed": "1", "tune.folds": str(of.get("folds", 3)), "tune.trials": name},
        "data": {"prepare.path": "raw"},
    }
    return Entrant(name, result_of(sureness, **of), facts=facts, digest="d", seconds=12.0)


def words(found: SearchComparison, *, tells_rows: bool = True) -> str:
    """All that is told."""
    lines = [headline(found, rival) for rival in found.rivals]
    for table in tables(found, tells_rows=tells_rows):
        lines += [
            table.title,
            *table.head,
            *(cell for row in table.rows for cell in row),
            table.note,
        ]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("accuracy", 0.02, 0.05, "better"),
        ("log_loss", 0.02, 0.05, "worse"),
        ("log_loss", -0.05, -0.02, "better"),
        ("accuracy", -0.005, 0.009, "equivalent"),
        ("accuracy", 0.001, 0.009, "equivalent"),
        ("accuracy", -0.005, 0.02, "can't tell"),
        ("accuracy", -0.02, -0.001, "worse"),
    ],
)
def test_a_verdict_follows_from_the_interval_and_the_margin(
    metric: str, low: float, high: float, expected: str
) -> None:
    """Inside of the margin is equivalent, whatever 0 says; beyond it the side of 0 counts."""
    assert verdict(metric, Interval(low, high, 0.95, "influence"), 0.01) == expected


def test_by_default_the_margin_is_a_hundredth_of_what_the_first_loses() -> None:
    """Of its loss, or of what its score lacks of 1."""
    pair = [entrant("A"), entrant("B", 0.7)]
    assert compare(pair).margin == pytest.approx(pair[0].mean("log_loss") / 100)
    by_area = compare(pair, metric="roc_auc")
    assert by_area.margin == pytest.approx((1 - pair[0].mean("roc_auc")) / 100)


def test_the_better_one_is_said_to_be_so_by_the_metric_that_it_was_chosen_by() -> None:
    """Six metrics are told; one decides."""
    found = compare([entrant("A", 0.3), entrant("B", 0.9)])
    assert found.metric == "log_loss"
    assert len(found.metrics) == 6
    assert found.rivals[0].verdict == "better"
    assert headline(found, found.rivals[0]).startswith("B is better than A: log-loss ")
    assert compare([entrant("B", 0.9), entrant("A", 0.3)]).rivals[0].verdict == "worse"
    assert set(found.frame()["metric"]) == set(found.metrics)


def test_of_several_one_metric_is_told_more_strictly() -> None:
    """Bonferroni for the intervals, Holm for the p-values, against one reference."""
    three = [entrant("A", 0.5), entrant("B", 0.6), entrant("C", 0.5, noise=2)]
    found = compare(three)
    assert found.metrics == ("log_loss",)
    alone = [compare([three[0], each]).rivals[0].differences["log_loss"] for each in three[1:]]
    for rival in found.rivals:
        assert rival.differences["log_loss"].interval.confidence == pytest.approx(0.975)
    small, large = sorted(each.p for each in alone)
    assert sorted(each.p for each in found.rivals) == pytest.approx(
        [2 * small, max(2 * small, large)]
    )
    assert "97.5 %" in words(found)


def test_other_parts_get_estimates_and_the_way_to_the_same_ones() -> None:
    """No interval of a difference, no verdict; the command names the first one's parts."""
    found = compare([entrant("A"), entrant("B", folds=4), entrant("C", noise=3)])
    assert [each.verdict is None for each in found.rivals] == [True, False]
    assert found.rivals[1].differences["log_loss"].interval.confidence == 0.95
    told = words(found)
    assert "B has other parts than A: estimates alone" in told
    assert "`dvc exp run --temp tune -S tune.folds=3 -S tune.trials=B`" in told
    table = found.frame().set_index("search")
    assert [*table.index] == ["B", "C"]
    assert table["mean"].notna().all()
    assert table["difference"].notna().tolist() == [False, True]


def test_what_a_command_sets_is_written_as_dvc_reads_it() -> None:
    """Lists, nothing and truth; what the first one lacks; a shell leaves it whole."""
    first, other = entrant("A"), entrant("B", folds=4)
    own = {"tune.candidates": "('svm', 'knn')", "prepare.limit": "None", "filters.size": "7"}
    facts = {**other.facts["parameters"], **own}
    first.facts["parameters"]["prepare.limit"] = "300"  # type: ignore[index]
    found = compare([first, replace(other, facts={**other.facts, "parameters": facts})])
    told = headline(found, found.rivals[0])
    assert "-S tune.folds=3 -S tune.trials=B -S prepare.limit=300" in told
    assert """-S 'tune.candidates=["svm", "knn"]' -S filters.size=7""" in told


def test_the_command_that_is_told_deals_the_rows_as_the_first_one_s() -> None:
    """Its options, as DVC would set them, are all that parts follow from."""
    labels = np.arange(60) % 3
    pair = [entrant("A"), entrant("B", folds=4)]
    for each, seed in zip(pair, ("5", "2"), strict=True):
        each.facts["parameters"]["seed"] = seed  # type: ignore[index]
    found = compare(pair)
    told = dict(re.findall(r"-S (\S+?)=(\w+)", headline(found, found.rivals[0])))
    plan = Plan.stratified(labels, folds=int(told["tune.folds"]), seed=int(told["seed"]))
    first = Plan.stratified(labels, folds=3, seed=5)
    np.testing.assert_array_equal(plan.part_of, first.part_of)


FILTERS = {"tune.features": "filters", "filters.size": "7"}
BY_COLUMN = {"prepare.columns.age": "drop"}


def _relabelled(result: SearchResult) -> SearchResult:
    fold = result.outer[0]
    labels = (fold.labels + 1) % CLASSES
    return replace(result, outer=(replace(fold, labels=labels), *result.outer[1:]))


def test_other_data_are_refused() -> None:
    """Other labels, whatever the digest; other content, unless it was prepared otherwise.

    Another path is another file, and other features are made of the same images.
    """
    first, other = entrant("A"), entrant("B", 0.7)
    for wrong in (
        replace(other, result=_relabelled(other.result)),
        replace(other, digest="e"),
        replace(other, digest="e", facts={**other.facts, "data": {"prepare.path": "elsewhere"}}),
        replace(other, digest="e", facts={**other.facts, "features": FILTERS}),
    ):
        with pytest.raises(SearchError, match=r"of the same data.*search again on the data of A"):
            compare([first, wrong])
    for prepared in ({"prepare.drop": "('age',)"}, {"prepare.augment": "2"}, BY_COLUMN):
        facts = {**other.facts, "features": prepared}
        assert compare([first, replace(other, digest="e", facts=facts)]).rivals[0].verdict
    assert compare([first, replace(other, digest="")]).rivals[0].verdict
    by_filters = replace(other, facts={**other.facts, "features": FILTERS})
    assert compare([first, by_filters]).rivals[0].verdict


def test_rows_that_one_alone_has_right_are_counted_and_named() -> None:
    """Those that matter most come first; of a table they aren't named unless it is asked for."""
    found = compare([entrant("A", 0.8, shift=2), entrant("B", 0.8, shift=0)])
    rival = found.rivals[0]
    assert sorted(rival.won.tolist()) == [0, 1, 12, 13, 24, 25]
    assert rival.lost.tolist() == []
    losses = [_loss(entrant("A", 0.8, shift=2).result, row) for row in rival.won]
    gains = np.array(losses) - [_loss(entrant("B", 0.8).result, row) for row in rival.won]
    assert (np.diff(gains) <= 0).all()
    shown = ", ".join(map(str, rival.won.tolist()))
    assert shown in words(found)
    hidden = words(found, tells_rows=False)
    assert shown not in hidden
    assert "report.rows" in hidden
    back = compare([entrant("B", 0.8), entrant("A", 0.8, shift=2)]).rivals[0]
    assert back.lost.tolist() == rival.won.tolist()


def _loss(result: SearchResult, row: int) -> float:
    for fold in result.outer:
        place = int(np.searchsorted(fold.rows, row))
        if place < len(fold.rows) and fold.rows[place] == row:
            return float(-np.log(fold.predictions.values[place, fold.labels[place]]))
    raise AssertionError(row)


@pytest.mark.parametrize(
    ("names", "heads"),
    [
        (("champion", "cv-2026-11-27-77ab.1"), ("champion", "cv-2026-11-…")),
        (("cv-2026-11-27-1d0e.1", "cv-2026-11-27-77ab.1"), ("cv-…7-1d0e.1", "cv-…7-77ab.1")),
        (("a-long-name-1-of-this-one", "a-long-name-2-of-this-one"),) * 2,
    ],
)
def test_two_searches_never_have_one_name_in_a_table(
    names: tuple[str, str], heads: tuple[str, str]
) -> None:
    """Long names are cut at the end, else in the middle, else not at all."""
    found = compare([entrant(names[0]), entrant(names[1], 0.7)])
    (differing,) = (of for of in tables(found, tells_rows=True) if of.title == "What differs")
    assert differing.head[2:] == heads
    assert all(any(head in of.head for of in tables(found, tells_rows=True)) for head in heads)


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (
            ("A", 0.5),
            ("a fox", 0.9),
            "next: take its parameters, an experiment's by `dvc exp apply 'a fox'`",
        ),
        (("A", 0.5), ("workspace", 0.9), "next: `dvc repro` registers it and `foldwise promote"),
        (("A", 0.5), ("3", 0.9), "next: `foldwise promote 3 --dry-run`"),
        (("A", 0.5), ("challenger", 0.9), "next: `foldwise promote challenger --dry-run`"),
        (("A", 0.5), ("champion", 0.9), "next: by this nothing is to be promoted"),
        (("A", 0.9), ("B", 0.5), "next: by this nothing is to be promoted"),
        (("challenger", 0.9), ("champion", 0.5), "next: `foldwise promote challenger --dry-run`"),
        (("champion", 0.9), ("B", 0.5), "next: by this nothing is to be promoted"),
    ],
)
def test_a_comparison_ends_with_what_to_do_next(
    first: tuple[str, float], then: tuple[str, float], told: str
) -> None:
    """By what the better one is called; on the page, too."""
    found = compare([entrant(*first), entrant(*then)])
    assert next_step(found).startswith(told)
    page = render_versus(found, (), tells_rows=True, next_step=next_step(found))
    assert "<strong>Next:</strong>" in page
    assert page.count("<code>") >= 2


def test_on_other_parts_the_next_step_is_to_search_on_the_same() -> None:
    """By the line that the answer has."""
    found = compare([entrant("A"), entrant("B", folds=4)])
    assert next_step(found) == "next: run it on the same parts, as said above"


def test_what_can_not_be_asked_is_told_in_one_line() -> None:
    """With what to do instead."""
    pair = [entrant("A"), entrant("B")]
    with pytest.raises(SearchError, match="needs two searches, got 1: name another one"):
        compare(pair[:1])
    with pytest.raises(SettingsError, match=r"margin must be at least 0, got -1"):
        compare(pair, margin=-1)
    with pytest.raises(SettingsError, match=r"between 0 and 1, got 95: take 0.95"):
        compare(pair, confidence=95)
    with pytest.raises(SearchError, match="different ones, got A twice: name another"):
        compare([pair[0], *pair])
    with pytest.raises(SettingsError, match=r"accuracy, .*got 'brier': name one of these"):
        compare(pair, metric="brier")
    bare = entrant("A").result
    unsure = replace(
        bare,
        outer=tuple(
            replace(fold, scores={**fold.scores, "log_loss": float("nan")}) for fold in bare.outer
        ),
    )
    scored = [replace(pair[0], result=unsure), pair[1]]
    assert compare(scored).metric == "accuracy"
    with pytest.raises(SettingsError, match="got 'log_loss'"):
        compare(scored, metric="log_loss")


def test_what_differs_is_told_by_kind() -> None:
    """And nothing that is alike."""
    found = compare([entrant("A"), entrant("B")])
    assert found.differing() == (("parameters", "tune.trials", ("A", "B")),)


def test_the_page_says_what_it_means_and_asks_nobody_for_anything() -> None:
    """One file, pictures inside, and the words that keep a reader from trusting it too much."""
    found = compare([entrant("A", 0.5, shift=1), entrant("B", 0.6)])
    images = np.zeros((36, 16), np.uint8)
    drawn = versus_pictures(found, images, ("a", "b", "c"), (4, 4))
    assert [each.name for each in drawn] == ["versus", "rows_apart"]
    page = render_versus(found, drawn, tells_rows=True)
    assert "http" not in page
    assert page.count("<figure>") == 2
    assert page.count('role="img"') + page.count('<img src="data:image/') == 2
    for part in ("rows that both have learned from", "2/3 of the data", "tried before", "promote"):
        assert part in meaning(found)
    assert "2/3 of the data" in page


@pytest.mark.parametrize("kind", ["many", "alone"])
def test_pictures_are_drawn_of_any_number_of_rivals(kind: Literal["many", "alone"]) -> None:
    """Of other parts there is nothing to be drawn."""
    many = compare([entrant("A"), *(entrant(name, noise=2) for name in ("B", "C", "D", "E"))])
    alone = compare([entrant("A"), entrant("B", folds=4)])
    found = {"many": many, "alone": alone}[kind]
    assert len(versus_pictures(found)) == (kind == "many")
    assert render_versus(found, versus_pictures(found), tells_rows=False)


def test_a_note_is_markdown_in_which_no_name_is_markup() -> None:
    """Names come from whoever made the run."""
    found = compare([entrant("A"), entrant("<b>*B*</b>", 0.9)])
    assert "<b>" not in note(found, found.rivals[0])


def _groups(result: SearchResult) -> NDArray[np.int64]:
    return np.arange(sum(len(fold.rows) for fold in result.outer)) // 6


def test_variances_are_clustered_by_the_first_one_s_groups() -> None:
    """Rows of one group are drawn together."""
    first, other = entrant("A", 0.4), entrant("B", 0.8)
    alone = compare([first, other]).rivals[0].differences["log_loss"]
    grouped = compare([replace(first, groups=_groups(first.result)), other])
    clustered = grouped.rivals[0].differences["log_loss"]
    assert clustered.value == alone.value
    assert clustered.interval != alone.interval
