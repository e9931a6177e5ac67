"""Promotion as a function of figures: who may become champion, who may not, and why."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from foldwise.errors import PromotionError
from foldwise.registry import gate
from foldwise.registry.audit import Check, all_hold
from foldwise.registry.gate import (
    comparison_level,
    error_bound,
    judge,
    loss_bound,
    without_comparison,
)
from foldwise.search.trials import FitCounts
from foldwise.settings import Between, OneOf, Settings
from foldwise.stats.paired import PairedBound
from foldwise.stats.scores import (
    calibration_error,
    metric_label,
    predicted_codes,
    row_losses,
    score,
)
from tests.unit.registry.contenders import (
    DATA,
    LABELS,
    ROWS,
    SETTINGS,
    case,
    evidence_of,
    predicted,
    towards_truth,
)

Rows = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)
SHARES = arrays(np.float64, ROWS, elements=st.floats(0, 0.875, width=32))
BETTER = predicted(1, skill=4.0)
WORSE = predicted(1, skill=2.0)
HALF_AS_FAR_OFF = replace(
    SETTINGS,
    promotion=replace(
        SETTINGS.promotion, max_calibration_error=calibration_error(BETTER, LABELS) / 2
    ),
)


def checked(challenger: Rows, champion: Rows | None = None, **given: Any) -> dict[str, Check]:
    return {check.name: check for check in judge(case(challenger, champion, **given))}


def is_promoted(challenger: Rows, champion: Rows | None = None, **given: Any) -> bool:
    return all_hold(checked(challenger, champion, **given).values())


def bounds(challenger: Rows, champion: Rows, number: int = 1) -> tuple[PairedBound, PairedBound]:
    """Of the log-loss and of the errors."""
    of = case(challenger, champion, number=number)
    pair, alpha = (challenger, champion, LABELS), of.settings.promotion.alpha
    losses = loss_bound(*pair, level=of.level, **of.drawn)
    return losses, error_bound(*pair, level=alpha, **of.drawn)


def test_rows_drawn_in_groups_ask_for_more_of_a_challenger() -> None:
    """Ten rows a group: the bound is wider, and McNemar's test, of single rows, isn't made."""
    groups = np.arange(ROWS) // 10
    name = "log-loss against champion"
    alone, grouped = (checked(BETTER, WORSE, groups=of) for of in (None, groups))
    found = [float(of[name].figure.rpartition(" ")[2]) for of in (alone, grouped)]
    assert alone[name].figure.split(",")[0] == grouped[name].figure.split(",")[0]
    assert found[0] != found[1]
    assert "McNemar's exact test" in alone
    assert "McNemar's exact test" not in grouped


def test_without_a_champion_a_sound_challenger_is_promoted() -> None:
    """The first promotion rests on verification, floors and the search alone."""
    checks = checked(BETTER)
    assert all_hold(checks.values())
    assert not any("champion" in name for name in checks)


def test_a_clearly_better_challenger_is_promoted() -> None:
    """All checks pass, those against the champion included."""
    checks = checked(BETTER, WORSE)
    assert {check.verdict for check in checks.values()} == {"pass"}
    assert any("champion" in name for name in checks)


def test_a_clearly_worse_challenger_is_refused_for_both_reasons() -> None:
    """Log-loss isn't better, accuracy is worse, and McNemar's test warns."""
    checks = checked(WORSE, BETTER)
    assert checks["log-loss against champion"].verdict == "fail"
    assert checks["accuracy against champion"].verdict == "fail"
    told = checks["McNemar's exact test"]
    assert (told.verdict, told.bound) == ("warning", "no loss at level 0.05, else a warning")


@settings(max_examples=25)
@given(SEEDS, st.floats(0, 8), st.integers(1, 50))
def test_a_model_never_beats_itself(seed: int, skill: float, number: int) -> None:
    """The same predictions under another content digest are refused, whatever they are."""
    same = predicted(seed, skill=skill)
    assert not is_promoted(same, same, number=number)


@settings(max_examples=25)
@given(SEEDS, SEEDS, SHARES)
def test_improving_a_challenger_never_costs_it_the_promotion(
    ours: int, theirs: int, shares: Rows
) -> None:
    """Nearer to the truth in any rows by any share, both bounds fall, and a promotion stays one."""
    before, champion = predicted(ours, skill=2.4), predicted(theirs)
    after = towards_truth(before, shares)
    for first, second in zip(bounds(before, champion), bounds(after, champion), strict=True):
        assert second.upper <= first.upper + 1e-9
    if is_promoted(before, champion):
        assert is_promoted(after, champion)


@settings(max_examples=25)
@given(SEEDS, SEEDS, st.floats(1, 4), st.floats(1, 4))
def test_swapping_roles_flips_the_signs(ours: int, theirs: int, skill: float, other: float) -> None:
    """Differences change sign, gains and losses change places, and at most one is promoted."""
    one, two = predicted(ours, skill=skill), predicted(theirs, skill=other)
    for forth, back in zip(bounds(one, two), bounds(two, one), strict=True):
        assert back.mean == pytest.approx(-forth.mean)
    tables = checked(one, two), checked(two, one)
    forth_, back_ = (re.findall(r"\d[\d.e-]*", of["McNemar's exact test"].figure) for of in tables)
    gained, lost, p = forth_
    assert back_ == [lost, gained, p]
    better = [of["log-loss against champion"].verdict for of in tables]
    assert better != ["pass", "pass"]


@settings(max_examples=25)
@given(SEEDS, SEEDS)
def test_the_differences_are_those_of_the_scores(ours: int, theirs: int) -> None:
    """Their means are the differences of log-loss and of error rate on the same rows."""
    one, two = predicted(ours), predicted(theirs)
    of_losses, of_errors = bounds(one, two)
    losses = row_losses(one, LABELS).mean() - row_losses(two, LABELS).mean()
    errors = (predicted_codes(one) != LABELS).mean() - (predicted_codes(two) != LABELS).mean()
    assert of_losses.mean == pytest.approx(losses)
    assert of_errors.mean == pytest.approx(errors)


@settings(max_examples=25)
@given(SEEDS, SEEDS, st.integers(1, 30))
def test_each_further_comparison_asks_for_more(ours: int, theirs: int, number: int) -> None:
    """What comparison k + 1 promotes, comparison k promotes too."""
    one, two = predicted(ours, skill=2.3), predicted(theirs)
    pairs = zip(bounds(one, two, number), bounds(one, two, number + 1), strict=True)
    assert all(sooner.upper <= later.upper for sooner, later in pairs)


def test_the_levels_of_all_comparisons_add_up_to_alpha() -> None:
    """The chance of any false promotion on one holdout stays below alpha, by the union bound."""
    levels = [comparison_level(number, 0.05) for number in range(1, 100_001)]
    assert sum(levels[:10]) == pytest.approx(0.025)
    assert 0.04999 < sum(levels) < 0.05
    assert levels == sorted(levels, reverse=True)


def test_better_log_loss_is_not_enough_if_accuracy_falls_by_more_than_the_margin() -> None:
    """A cautious model that takes more rows for others is refused for its accuracy alone."""
    champion = predicted(3, skill=3.0)
    # More certain where it is right; wrong by a hair in every tenth row.
    challenger = towards_truth(champion, np.full(ROWS, 0.9))
    challenger[::10] = (np.eye(3)[(LABELS[::10] + 1) % 3] * 0.02) + 0.98 / 3
    checks = checked(challenger, champion)
    assert checks["log-loss against champion"].verdict == "pass"
    assert checks["accuracy against champion"].verdict == "fail"


def with_rules(**changes: Any) -> Settings:
    return replace(SETTINGS, promotion=replace(SETTINGS.promotion, **changes))


def sharper_than(champion: Rows) -> Rows:
    """As accurate, row by row, and surer where it is right."""
    return towards_truth(champion, np.where(champion.argmax(axis=1) == LABELS, 0.1, 0.0))


def test_a_small_holdout_says_that_it_can_not_show_the_margin_and_what_would() -> None:
    """Equal on all of its 400 images, two models may still differ by more than the margin.

    Both remedies are tried: the margin it names, and as many rows.
    """
    champion = predicted(3)
    given = sharper_than(champion), champion
    small = with_rules(accuracy_margin=0.005)
    checks = checked(*given, settings=small)
    assert checks["log-loss against champion"].verdict == "pass"
    refused = checks["accuracy against champion"]
    assert (refused.verdict, refused.figure) == ("fail", "+0.000000, at least -0.009064")
    remedy = r"; 400 rows can't show it .*: take (\d+) holdout rows, or set .*margin to (\S+)$"
    told = re.search(remedy, refused.bound)
    assert told is not None
    assert is_promoted(*given, settings=with_rules(accuracy_margin=float(told[2])))
    for rows, is_enough in ((int(told[1]), True), (int(told[1]) - 1, False)):
        ours, theirs, labels = (
            np.resize(each, (rows, *each.shape[1:])) for each in (*given, LABELS)
        )
        larger = replace(case(ours, theirs, settings=small), labels=labels)
        assert all_hold(judge(larger)) == is_enough


def test_a_margin_that_the_holdout_can_show_names_its_parameter_alone() -> None:
    """A challenger that lost rows is refused for that."""
    champion = predicted(3, skill=3.0)
    lost = champion[:, [1, 2, 0]]
    bound = checked(lost, champion)["accuracy against champion"].bound
    told = "> -0.02 at level 0.05, each time; set by promotion.accuracy_margin in params.yaml"
    assert bound == told


@pytest.mark.parametrize("number", [1, 20, 1000])
def test_accuracy_is_guarded_at_alpha_however_much_was_spent(number: int) -> None:
    """Of two equally accurate models, the thousandth passes the margin as the first does."""
    champion = predicted(3)
    checks = checked(sharper_than(champion), champion, number=number)
    assert checks["accuracy against champion"].verdict == "pass"
    assert "at level 0.05, each time" in checks["accuracy against champion"].bound


def test_before_a_decision_the_holdout_is_told_to_three_decimals() -> None:
    """A dry run's lines let nobody climb by small steps; counts stay whole, verdicts the same."""
    dry, real = (judge(replace(case(BETTER, WORSE), digits=digits)) for digits in (3, 6))
    assert [each.verdict for each in dry] == [each.verdict for each in real]
    for name in ("holdout log-loss", "calibration error", "log-loss against champion"):
        short, long = ({c.name: c.figure for c in checks}[name] for checks in (dry, real))
        assert re.sub(r"(\.\d{3})\d{3}", "", long) == re.sub(r"\.\d{3}", "", short)
    kept = "accuracy against champion"
    assert {c.name: c for c in dry}[kept] == {c.name: c for c in real}[kept]


def test_floors_are_held_against_what_the_registered_model_predicts() -> None:
    """Evidence that tells better figures, rounded or forged, changes nothing."""
    forged = {**evidence_of(BETTER).holdout, "log_loss": 0.0, "accuracy": 1.0}
    told = checked(BETTER, holdout=forged)
    assert told["holdout log-loss"] == checked(BETTER)["holdout log-loss"]
    assert told["holdout accuracy"] == checked(BETTER)["holdout accuracy"]
    assert told["holdout log-loss as the outer folds foretell"].verdict == "pass"


ELSEWHERE = {"data": replace(DATA, holdout_digest="0" * 64)}
TRAINED_ON_IT = {"data": replace(DATA, development_digest="0" * 64), "shared_rows": 1}


def test_different_holdouts_are_an_error() -> None:
    """Figures of different images are not paired, so nothing is decided."""
    with pytest.raises(PromotionError, match=r"scored on one holdout, got eeee.* and 0000"):
        judge(case(BETTER, WORSE, of_champion=ELSEWHERE))


def test_a_champion_trained_on_the_holdout_is_an_error() -> None:
    """A single image of it in the champion's other development set is too many."""
    with pytest.raises(PromotionError, match="1 of its images are in the champion's"):
        judge(case(BETTER, WORSE, of_champion=TRAINED_ON_IT))


def test_a_champion_that_can_not_be_met_is_a_failed_check_for_whoever_forces() -> None:
    """All that needs no champion is checked all the same."""
    checks = without_comparison(case(BETTER, WORSE), PromotionError("another holdout"))
    assert checks[:-1] == judge(case(BETTER))
    assert (checks[-1].name, checks[-1].verdict) == ("comparison with the champion", "fail")


def test_a_champion_of_the_same_data_may_share_its_few_duplicates() -> None:
    """What the data set holds twice favours neither of two models that both saw it."""
    shared = {"shared_rows": 1, "data": replace(DATA, holdout_rows=2000)}
    checks = checked(BETTER, WORSE, of_champion={"shared_rows": 1}, **shared)
    assert all_hold(checks.values())
    assert checks["holdout images trained on"].verdict == "warning"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"verification": (Check("stored files", "a", "b", "fail"),)}, "verification"),
        ({"settings": HALF_AS_FAR_OFF}, "calibration error"),
        ({"fits": FitCounts(30, 20, 19, 0, 1)}, "fits"),
        ({"chosen": tuple({"C": C} for C in (0.01, 9.99, 0.01))}, "chosen C"),
        ({"shared_rows": 1}, "holdout images trained on"),
    ],
)
def test_one_unsound_thing_refuses_a_model(changes: dict[str, Any], name: str) -> None:
    """However good its figures, and although there is no champion."""
    checks = checked(BETTER, **changes).values()
    assert [check.name for check in checks if check.verdict == "fail"] == [name]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"verification": (Check("git commit", "", "clean", "warning"),)}, "verification"),
        ({"fits": FitCounts(30, 20, 19, 1, 0)}, "fits"),
    ],
)
def test_what_only_warns_refuses_nobody(changes: dict[str, Any], name: str) -> None:
    """A stalled fit or an unclean commit is shown, and the model promoted."""
    checks = checked(BETTER, **changes)
    assert all_hold(checks.values())
    assert checks[name].verdict == "warning"


@pytest.mark.parametrize("floor", ["min_accuracy", "max_log_loss", "max_calibration_error"])
def test_each_floor_is_kept_to_the_last_digit(floor: str) -> None:
    """A figure on its floor passes, one beside it does not, and then its parameter is named."""
    scores = score(BETTER, LABELS)
    figure = {
        "min_accuracy": scores["accuracy"],
        "max_log_loss": scores["log_loss"],
        "max_calibration_error": calibration_error(BETTER, LABELS),
    }[floor]
    beyond = math.nextafter(figure, 2 if floor == "min_accuracy" else 0)
    for bound, holds in ((figure, True), (beyond, False)):
        told = checked(BETTER, settings=with_rules(**{floor: bound}))
        assert all_hold(told.values()) == holds
        named = [each.bound for each in told.values() if f"promotion.{floor} in" in each.bound]
        asked = [f"{'>=' if floor == 'min_accuracy' else '<='} {bound:g}; set by promotion.{floor}"]
        assert [each.removesuffix(" in params.yaml") for each in named] == asked * (not holds)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.2])
def test_a_holdout_score_the_outer_folds_did_not_foretell_is_told(
    metric: str, shift: float
) -> None:
    """Worse than a new part's score should be: refused; better: a warning; inside: a pass."""
    scores = score(BETTER, LABELS)
    steps = (-0.01, 0.0, 0.01)
    outer = tuple({**scores, metric: scores[metric] - shift + step} for step in steps)
    checks = checked(BETTER, outer=outer, metric=metric)
    better = shift < 0 if metric == "log_loss" else shift > 0
    expected = "pass" if shift == 0 else "warning" if better else "fail"
    assert checks[f"holdout {metric_label(metric)} as the outer folds foretell"].verdict == expected


@pytest.mark.parametrize(("rows", "verdict"), [(40, "pass"), (400, "fail"), (40_000, "fail")])
def test_a_small_holdout_s_score_may_lie_further_off(rows: int, verdict: str) -> None:
    """0.06 nats worse: much for a part's 400 rows whose scores lie within 0.01, little for 40."""
    scores = score(BETTER, LABELS)
    outer = tuple({"log_loss": scores["log_loss"] - 0.06 + step} for step in (-0.01, 0.0, 0.01))
    checks = checked(BETTER, outer=outer, data=replace(DATA, holdout_rows=rows))
    assert checks["holdout log-loss as the outer folds foretell"].verdict == verdict


def test_shifted_copies_make_no_outer_part_larger() -> None:
    """Parts are scored on originals alone: with nine copies of each the interval is the same."""
    steps = (-0.01, 0.0, 0.01)
    outer = tuple({"log_loss": score(BETTER, LABELS)["log_loss"] - 0.06 + step} for step in steps)
    more = replace(DATA, development_rows=12_000)
    name = "holdout log-loss as the outer folds foretell"
    plain = checked(BETTER, outer=outer)[name]
    assert checked(BETTER, outer=outer, data=more, originals=1200)[name] == plain
    assert plain.verdict == "fail"


def test_outer_folds_that_all_score_alike_foretell_nothing() -> None:
    """An interval of no width would refuse a holdout on which one row is lost."""
    checks = checked(BETTER, outer=({"accuracy": 1.0},) * 3, metric="accuracy")
    found = checks["holdout accuracy as the outer folds foretell"]
    assert (found.figure, found.verdict) == ("outer folds all 1.00000", "warning")


def test_what_the_outer_folds_foretell_is_possible() -> None:
    """No accuracy is above 1."""
    outer = tuple({"accuracy": share} for share in (0.99, 1.0, 0.98))
    checks = checked(predicted(1, skill=9.0), outer=outer, metric="accuracy")
    assert "1.00000] (95 %)" in checks["holdout accuracy as the outer folds foretell"].bound


def test_a_search_without_outer_folds_warns() -> None:
    """Nothing foretold the holdout's score."""
    checks = checked(BETTER, outer=())
    assert checks["holdout log-loss as the outer folds foretell"].verdict == "warning"
    assert all_hold(checks.values())


def test_every_number_searched_must_be_chosen_inside_its_range() -> None:
    """Each by its own scale; a choice has no edge, and a value need not always be there."""
    space = {
        "depth": Between(2, 20, is_log=False),
        "C": Between(0.01, 100.0, is_log=True),
        "kind": OneOf(("a", "b")),
    }
    chosen = ({"depth": 20, "kind": "a"}, {"depth": 9, "kind": "b", "C": 1.0})
    checks = checked(BETTER, space=space, chosen=chosen)
    assert (checks["chosen depth"].verdict, checks["chosen C"].verdict) == ("fail", "pass")
    assert checks["chosen depth"].figure == "9 to 20, 1 of 2 at an edge"
    assert "chosen kind" not in checks


def test_fits_of_a_kind_that_does_not_tell_how_they_ended_are_only_counted() -> None:
    """A tree has nothing that could converge."""
    checks = checked(BETTER, fits=FitCounts(30, 20, 0, 0, 0))
    assert checks["fits"].verdict == "pass"


def test_a_check_more_is_a_function_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is all there is to it."""
    odd = Check("odd rows", "1", "0", "fail")
    monkeypatch.setattr(gate, "CHECKS", (*gate.CHECKS, lambda _case: iter([odd])))
    assert judge(case(BETTER))[-1] == odd


def test_the_table_shows_the_comparisons_number_and_level() -> None:
    """Who reads a refusal sees how much of the holdout was spent."""
    found = checked(WORSE, BETTER, number=4)["log-loss against champion"].bound
    assert found == "< 0 at level 0.0027, comparison 4 on this holdout"
