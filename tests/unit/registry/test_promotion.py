"""Promotion as a function of figures: who may become champion, who may not, and why."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from foldwise.errors import PromotionError
from foldwise.registry.audit import Check
from foldwise.registry.gate import Comparison, Decision, compare, comparison_level, decide
from foldwise.search.trials import FitCounts
from foldwise.stats.scores import predicted_codes, row_losses
from tests.unit.registry.contenders import (
    DATA,
    LABELS,
    ROWS,
    SETTINGS,
    contender,
    predicted,
    towards_truth,
)

Rows = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)
SHARES = arrays(np.float64, ROWS, elements=st.floats(0, 0.875, width=32))
BETTER = predicted(1, skill=4.0)
WORSE = predicted(1, skill=2.0)


def judge(challenger: Rows, champion: Rows | None, *, number: int = 1, **changes: Any) -> Decision:
    return decide(
        contender(challenger, **changes),
        None if champion is None else contender(champion, content="other"),
        LABELS,
        settings=SETTINGS,
        number=number,
    )


def verdict(decision: Decision, name: str) -> str:
    return next(check.verdict for check in decision.checks if check.name == name)


def compared(challenger: Rows, champion: Rows, number: int = 1) -> Comparison:
    rules = SETTINGS.promotion
    return compare(challenger, champion, LABELS, rules=rules, number=number, seed=1)


def test_without_a_champion_a_sound_challenger_is_promoted() -> None:
    """The first promotion rests on verification, floors and the search alone."""
    decision = judge(BETTER, None)
    assert decision.outcome == "promoted"
    assert decision.comparison is None
    assert not any("champion" in check.name for check in decision.checks)


def test_a_clearly_better_challenger_is_promoted() -> None:
    """All checks pass, those against the champion included."""
    decision = judge(BETTER, WORSE)
    assert decision.outcome == "promoted"
    assert {check.verdict for check in decision.checks} == {"pass"}
    assert decision.comparison is not None


def test_a_clearly_worse_challenger_is_refused_for_both_reasons() -> None:
    """Log-loss isn't better, accuracy is worse, and McNemar's test warns."""
    decision = judge(WORSE, BETTER)
    assert decision.outcome == "refused"
    assert verdict(decision, "log-loss against champion") == "fail"
    assert verdict(decision, "accuracy against champion") == "fail"
    assert verdict(decision, "McNemar's exact test") == "warning"


@settings(deadline=None)
@given(SEEDS, st.floats(0, 8), st.integers(1, 50))
def test_a_model_never_beats_itself(seed: int, skill: float, number: int) -> None:
    """The same predictions under another content digest are refused, whatever they are."""
    same = predicted(seed, skill=skill)
    assert judge(same, same, number=number).outcome == "refused"


def test_the_same_content_leaves_nothing_to_do() -> None:
    """Not even if the champion was scored on another holdout: it is the same model."""
    champion = contender(WORSE, data=replace(DATA, holdout_digest="0" * 64))
    decision = decide(contender(BETTER), champion, LABELS, settings=SETTINGS, number=1)
    assert decision == Decision("nothing to do", (), None)


@settings(deadline=None)
@given(SEEDS, SEEDS, SHARES)
def test_improving_a_challenger_never_costs_it_the_promotion(
    ours: int, theirs: int, shares: Rows
) -> None:
    """Nearer to the truth in any rows by any share, both bounds fall, and a promotion stays one."""
    before, champion = predicted(ours, skill=2.4), predicted(theirs)
    after = towards_truth(before, shares)
    first, second = compared(before, champion), compared(after, champion)
    assert second.log_loss.upper <= first.log_loss.upper + 1e-9
    assert second.errors.upper <= first.errors.upper + 1e-9
    if judge(before, champion).outcome == "promoted":
        assert judge(after, champion).outcome == "promoted"


@settings(deadline=None)
@given(SEEDS, SEEDS, st.floats(1, 4), st.floats(1, 4))
def test_swapping_roles_flips_the_signs(ours: int, theirs: int, skill: float, other: float) -> None:
    """Differences change sign, gains and losses change places, and at most one is promoted."""
    one, two = predicted(ours, skill=skill), predicted(theirs, skill=other)
    forth, back = compared(one, two), compared(two, one)
    assert back.log_loss.mean == pytest.approx(-forth.log_loss.mean)
    assert back.errors.mean == pytest.approx(-forth.errors.mean)
    assert (back.mcnemar.gained, back.mcnemar.lost) == (forth.mcnemar.lost, forth.mcnemar.gained)
    assert back.mcnemar.p == forth.mcnemar.p
    assert not (forth.is_better and back.is_better)


@settings(deadline=None)
@given(SEEDS, SEEDS)
def test_the_differences_are_those_of_the_scores(ours: int, theirs: int) -> None:
    """Their means are the differences of log-loss and of error rate on the same rows."""
    one, two = predicted(ours), predicted(theirs)
    found = compared(one, two)
    losses = row_losses(one, LABELS).mean() - row_losses(two, LABELS).mean()
    errors = (predicted_codes(one) != LABELS).mean() - (predicted_codes(two) != LABELS).mean()
    assert found.log_loss.mean == pytest.approx(losses)
    assert found.errors.mean == pytest.approx(errors)


@settings(deadline=None)
@given(SEEDS, SEEDS, st.integers(1, 30))
def test_each_further_comparison_asks_for_more(ours: int, theirs: int, number: int) -> None:
    """What comparison k + 1 promotes, comparison k promotes too."""
    one, two = predicted(ours, skill=2.3), predicted(theirs)
    later, sooner = compared(one, two, number + 1), compared(one, two, number)
    assert sooner.log_loss.upper <= later.log_loss.upper
    assert sooner.errors.upper <= later.errors.upper


def test_the_levels_of_all_comparisons_add_up_to_alpha() -> None:
    """The chance of any false promotion on one holdout stays below alpha, by the union bound."""
    levels = [comparison_level(number, 0.05) for number in range(1, 20_001)]
    assert levels[0] == pytest.approx(6 * 0.05 / math.pi**2)
    assert 0.04999 < sum(levels) < 0.05


def test_better_log_loss_is_not_enough_if_accuracy_falls_by_more_than_the_margin() -> None:
    """A cautious model that takes more rows for others is refused for its accuracy alone."""
    champion = predicted(3, skill=3.0)
    # More certain where it is right; wrong by a hair in every tenth row.
    challenger = towards_truth(champion, np.full(ROWS, 0.9))
    challenger[::10] = (np.eye(3)[(LABELS[::10] + 1) % 3] * 0.02) + 0.98 / 3
    decision = judge(challenger, champion)
    assert verdict(decision, "log-loss against champion") == "pass"
    assert verdict(decision, "accuracy against champion") == "fail"
    assert decision.outcome == "refused"


def test_a_small_holdout_can_not_show_that_no_accuracy_was_lost() -> None:
    """Equal on all of its 400 images, two models may still differ by more than the margin."""
    champion = predicted(3)
    sharper = towards_truth(champion, np.where(champion.argmax(axis=1) == LABELS, 0.1, 0.0))
    decision = judge(sharper, champion, number=20)
    assert verdict(decision, "log-loss against champion") == "pass"
    assert verdict(decision, "accuracy against champion") == "fail"
    (check,) = [each for each in decision.checks if each.name == "accuracy against champion"]
    assert check.figure.startswith("+0.00000, at least -0.0")
    assert judge(sharper, champion, number=1).outcome == "promoted"


def test_different_holdouts_are_an_error() -> None:
    """Figures of different images are not paired, so nothing is decided."""
    champion = contender(WORSE, content="other", data=replace(DATA, holdout_digest="0" * 64))
    with pytest.raises(PromotionError, match=r"scored on one holdout, got eeee.* and 0000"):
        decide(contender(BETTER), champion, LABELS, settings=SETTINGS, number=2)


def test_a_champion_trained_on_the_holdout_is_an_error() -> None:
    """A single image of it in the champion's other development set is too many."""
    elsewhere = replace(DATA, development_digest="0" * 64)
    champion = contender(WORSE, content="other", data=elsewhere, shared_rows=1)
    with pytest.raises(PromotionError, match="1 of its images are in the champion's"):
        decide(contender(BETTER), champion, LABELS, settings=SETTINGS, number=2)


def test_a_champion_of_the_same_data_may_share_its_few_duplicates() -> None:
    """What the data set holds twice favours neither of two models that both saw it."""
    champion = contender(WORSE, content="other", shared_rows=1)
    challenger = contender(BETTER, shared_rows=1, data=replace(DATA, holdout_rows=2000))
    decision = decide(challenger, champion, LABELS, settings=SETTINGS, number=2)
    assert decision.outcome == "promoted"
    assert verdict(decision, "holdout images trained on") == "warning"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"verification": (Check("stored files", "a", "b", "fail"),)}, "verification"),
        ({"calibration_error": 1.1}, "calibration error"),
        ({"fits": FitCounts(30, 20, 19, 0, 1)}, "fits"),
        ({"chosen": (0.01, 9.99, 0.01, 0.01)}, "chosen C"),
        ({"shared_rows": 1}, "holdout images trained on"),
    ],
)
def test_one_unsound_thing_refuses_a_model(changes: dict[str, Any], name: str) -> None:
    """However good its figures, and although there is no champion."""
    decision = judge(BETTER, None, **changes)
    assert decision.outcome == "refused"
    assert [check.name for check in decision.checks if check.verdict == "fail"] == [name]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"verification": (Check("git commit", "", "clean", "warning"),)}, "verification"),
        ({"fits": FitCounts(30, 20, 19, 1, 0)}, "fits"),
    ],
)
def test_what_only_warns_refuses_nobody(changes: dict[str, Any], name: str) -> None:
    """A stalled fit or an unclean commit is shown, and the model promoted."""
    decision = judge(BETTER, None, **changes)
    assert decision.outcome == "promoted"
    assert verdict(decision, name) == "warning"


@pytest.mark.parametrize("floor", ["min_accuracy", "max_log_loss", "max_calibration_error"])
def test_each_floor_is_kept_to_the_last_digit(floor: str) -> None:
    """A figure on its floor passes, one beside it on the wrong side does not."""
    judged = contender(BETTER)
    figure = {
        "min_accuracy": judged.evidence.holdout["accuracy"],
        "max_log_loss": judged.evidence.holdout["log_loss"],
        "max_calibration_error": judged.evidence.calibration_error,
    }[floor]
    beyond = math.nextafter(figure, 2 if floor == "min_accuracy" else 0)
    for bound, outcome in ((figure, "promoted"), (beyond, "refused")):
        changed: dict[str, Any] = {floor: bound}
        rules = replace(SETTINGS.promotion, **changed)
        strict = replace(SETTINGS, promotion=rules)
        assert decide(judged, None, LABELS, settings=strict, number=1).outcome == outcome


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.2])
def test_a_holdout_score_the_outer_folds_did_not_foretell_is_told(
    metric: str, shift: float
) -> None:
    """Worse than a new part's score should be: refused; better: a warning; inside: a pass."""
    scores = contender(BETTER).evidence.holdout
    found = {**scores, metric: scores[metric] + shift}
    outer = tuple({**scores, metric: scores[metric] + step} for step in (-0.01, 0.0, 0.01))
    decision = judge(BETTER, None, holdout=found, outer=outer, metric=metric)
    better = shift < 0 if metric == "log_loss" else shift > 0
    expected = "pass" if shift == 0 else "warning" if better else "fail"
    assert verdict(decision, f"holdout {metric} as the outer folds foretell") == expected


def test_the_table_shows_the_comparisons_number_and_level() -> None:
    """Who reads a refusal sees how much of the holdout was spent."""
    bounds = [check.bound for check in judge(WORSE, BETTER, number=4).checks]
    assert sum("at level 0.0019, comparison 4 on this holdout" in bound for bound in bounds) == 2
