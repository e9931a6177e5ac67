"""What calibrates the gate is the gate itself, and the models and data it is tried on are real."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from foldwise.registry.gate import LOST_ROW, comparison_level, error_bound
from foldwise.stats.paired import paired_bound
from foldwise.stats.scores import predicted_codes
from tests.unit.solver.predictions import draw_predictions
from validation import own
from validation.attack import ATTACKS, fooled, truly_worse
from validation.challengers import (
    Origin,
    Population,
    Rival,
    _population,
    common_loss,
    rival,
    rivals,
)
from validation.coverage import (
    FOLDS,
    KINDS,
    Cell,
    Images,
    World,
    coverage,
    draws,
    fitted,
    searched,
)
from validation.gate_trials import (
    Disagreement,
    Pair,
    Power,
    Trial,
    accuracy_bound,
    accuracy_bounds,
    calibration_errors,
    false_promotions,
    is_better,
    is_no_less_accurate,
    power,
)
from validation.newton import Fits, fit_all
from validation.own import RULES, dealt
from validation.two_classes import true_scores, two_class_coverage


def population(*, rows: int = 300) -> Population:
    models = {}
    _, labels = draw_predictions(1, rows=rows, classes=3)
    for sibling in range(3):
        scores = np.random.default_rng(sibling).normal(size=(rows, 3))
        scores[np.arange(rows), labels] += 2
        weights = np.exp(scores)
        models[Origin(0.01, sibling)] = weights / weights.sum(axis=1, keepdims=True)
    return Population("toy", 150, labels, models)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 5000), st.floats(1e-5, 0.1), st.integers(100, 300))
def test_a_trial_judges_exactly_as_the_gate_does(seed: int, level: float, rows: int) -> None:
    """Its shortcuts, the cheap bound first, never change an outcome, however close."""
    differences = np.random.default_rng(seed).standard_t(3, size=rows)
    drawn: dict[str, Any] = {"draws": 100, "seed": seed}
    upper = paired_bound(differences, level=level, **drawn).upper
    for step in (-1e-5, 1e-5):
        pair = Pair(differences - upper + step, np.zeros(rows))
        assert is_better(pair, level, **drawn) == (step < 0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 5000), st.integers(100, 3000), st.sampled_from([0.0, 0.001, 0.01]))
def test_a_trial_judges_accuracy_exactly_as_the_gate_does(
    seed: int, rows: int, lost: float
) -> None:
    """With losses or without, which a small holdout must not take for proof."""
    random = np.random.default_rng(seed)
    champion_right = random.random(rows) < 0.95
    right = (champion_right | (random.random(rows) < 0.2)) & (random.random(rows) >= lost)
    one, other = (np.eye(2)[1 - each.astype(int)] for each in (right, champion_right))
    labels, level = np.zeros(rows, np.int64), comparison_level(2, RULES.alpha)
    told = error_bound(one, other, labels, level=level, draws=100, seed=seed)
    pair = Pair(np.zeros(rows), champion_right.astype(np.float64) - right)
    is_kept = told.upper < RULES.accuracy_margin
    assert is_no_less_accurate(pair, level, draws=100, seed=seed) == is_kept


def test_a_disagreement_draws_rows_as_often_as_it_says() -> None:
    """Gains and losses apart, and their difference is that of the accuracies."""
    given_ = Disagreement(share=0.02, difference=-0.004)
    gained, lost = given_.counts(1_000_000, np.random.default_rng(1))
    assert (gained + lost) / 1_000_000 == pytest.approx(0.02, abs=5e-4)
    assert (lost - gained) / 1_000_000 == pytest.approx(0.004, abs=5e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 1000))
def test_accuracy_is_bounded_by_counts_as_the_gate_does_by_rows(
    gained: int, lost: int, seed: int
) -> None:
    """All that differs is which draws the bootstrap makes."""
    errors = np.repeat([-1.0, 1.0, 0.0], [gained, lost, 4000 - gained - lost])
    of_gate = paired_bound(errors, level=RULES.alpha, draws=400, seed=seed, worst=LOST_ROW).upper
    found = accuracy_bound(gained, lost, 4000, np.random.default_rng(seed))
    assert found == pytest.approx(of_gate, abs=8e-4)


def test_the_chance_to_pass_at_the_margin_is_below_the_level() -> None:
    """That is what the check of accuracy promises; a gain passes."""
    at_margin = Disagreement(0.012, -RULES.accuracy_margin)
    asked = {"holdout": 10_000, "holdouts": 40, "seed": 1}
    passed = (accuracy_bounds(at_margin, **asked) < RULES.accuracy_margin).mean()
    assert passed <= 0.15
    gain = Disagreement(0.012, 0.004)
    assert (accuracy_bounds(gain, **asked) < RULES.accuracy_margin).mean() > 0.95


@pytest.mark.parametrize("side", ["cautious", "confident"])
def test_a_tempered_model_has_the_loss_asked_for_and_the_same_predictions(side: str) -> None:
    """Two models can be made exactly as good as each other."""
    people = population()
    loss, origin = common_loss(people), Origin(0.01, 1)
    found = rival(people, origin, side, loss)  # type: ignore[arg-type]
    assert found is not None
    assert found.losses.mean() == pytest.approx(loss, abs=1e-7)
    right = predicted_codes(people.models[origin]) == people.labels
    np.testing.assert_array_equal(found.right, right)


def test_cautious_and_confident_are_different_models() -> None:
    """A confident model's losses spread wider at the same mean."""
    people = population()
    cautious, confident = rivals(people, common_loss(people), [Origin(0.01, 0)])
    assert confident.losses.std() > 1.05 * cautious.losses.std()


def test_no_model_is_tempered_below_its_best() -> None:
    """What can't be reached is told, not made up."""
    assert rival(population(), Origin(0.01, 0), "cautious", 0.01) is None


def test_a_far_better_challenger_is_found_and_an_equal_one_is_not() -> None:
    """The trials can tell power from luck."""
    people = population(rows=3000)
    loss = common_loss(people)
    equal = rivals(people, loss, list(people.models))
    best = Rival("best", equal[0].losses * 0.3, np.ones_like(equal[0].right))
    assert power(Trial(equal[1], [best], 1000, 5, 1), (1, 20)) == [Power(1.0, 1.0)] * 2
    (luck,) = power(Trial(equal[1], [equal[0]], 1000, 40, 1), (1,))
    assert luck.promoted <= luck.better <= 0.1
    found = false_promotions(Trial(equal[0], [best, *equal[1:]], 1000, 5, 1))
    assert found.any == found.any_by_loss == found.any_by_student == 1.0
    found = false_promotions(Trial(equal[0], equal[1:], 1000, 40, 1))
    assert found.any <= 0.1
    assert found.any <= found.any_by_loss
    assert found.any_unbudgeted > found.any_by_student


def test_an_attack_needs_looks_and_what_it_makes_is_worse() -> None:
    """With two looks noise is noise; with many that are told exactly, it is promoted."""
    people = population(rows=2000)
    champion = np.log(people.models[Origin(0.01, 0)]).astype(np.float32)
    assert truly_worse(champion, people.labels, 1) > 0
    found = fooled(champion, people.labels, (2, 200), holdouts=4, rows=1000, seed=1)
    exact, weighed, confusion = ATTACKS[0], ATTACKS[4], ATTACKS[-1]
    assert found[exact, 2] < 0.5 < found[exact, 200]
    assert found[weighed, 200] > 0.5
    assert found[confusion, 2] < 0.5 < found[confusion, 200]


def test_what_is_kept_of_a_population_is_what_was_predicted(tmp_path: Path) -> None:
    """The second time nothing is fitted."""
    images, labels = own.digits(holdout=297)
    few = np.flatnonzero(labels < 2)[:240]
    data = images[few], labels[few]
    made = _population("few", 50, data, tmp_path)
    kept = _population("few", 50, (np.empty((0, 64), np.uint8), data[1]), tmp_path)
    for origin, predicted in made.models.items():
        np.testing.assert_array_equal(kept.models[origin], predicted)
        assert own.score(predicted, data[1])["accuracy"] > 0.9


def test_labels_that_come_as_stated_show_no_calibration_error() -> None:
    """And those of a model that is too sure do, with many rows as much as it is."""
    people = population(rows=3000)
    true = people.models[Origin(0.01, 0)]
    sharp = true**3 / (true**3).sum(axis=1, keepdims=True)
    few, many = (calibration_errors(true, true, rows, samples=40, seed=1) for rows in (200, 20_000))
    assert few.mean(axis=0)[1] < few.mean(axis=0)[0] / 2
    assert many.max() < 0.03
    assert calibration_errors(true, sharp, 20_000, samples=5, seed=1).min() > 0.05


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(1e-3, 10))
def test_newtons_fits_are_scikit_learns(seed: int, strength: float) -> None:
    """Each on its own rows and at its own C, the intercept free."""
    random = np.random.default_rng(seed)
    features = np.column_stack([np.ones(60), random.normal(size=(60, 3))])
    labels = (random.random(60) < expit(features @ np.array([0.5, 1, -1, 0]))).astype(float)
    labels[:2] = labels[20:22] = (0, 1)
    masks = np.ones((60, 2))
    masks[:20, 1] = 0
    found = fit_all(Fits(features, labels, masks, np.array([strength, 2 * strength])))
    for fit, start, C in ((0, 0, strength), (1, 20, 2 * strength)):
        model = LogisticRegression(C=C, tol=1e-10, max_iter=5000)
        model.fit(features[start:, 1:], labels[start:])
        expected = [*model.intercept_, *model.coef_[0]]
        np.testing.assert_allclose(found[:, fit], expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_true_scores_are_the_limit_of_scores_on_drawn_rows(kind: str) -> None:
    """What the intervals are held against is the population's own score, in each metric."""
    world = World.made(KINDS[kind], 1)
    weights = np.random.default_rng(2).normal(size=(world.features.shape[1],))
    features, labels = world.sample(100_000, np.random.default_rng(3))
    chances = expit(features @ weights)
    stated = np.column_stack([1 - chances, chances])
    true = world.true_scores(weights)
    found = own.score_intervals(stated, labels, 0.9999, world.groups(100_000))
    for metric in own.METRICS:
        assert found[metric].low <= true[metric] <= found[metric].high


@pytest.mark.parametrize("kind", KINDS)
def test_true_scores_of_two_classes_are_the_limit_of_those_on_drawn_rows(kind: str) -> None:
    """Ranks and squares are the mean of the outer models', calibration that of all their rows."""
    world, random = World.made(KINDS[kind], 1), np.random.default_rng(2)
    weights = random.normal(size=(2, world.features.shape[1])) / 4
    folds = []
    for part, of_part in enumerate(weights):
        features, labels = world.sample(60_000, random)
        chances = expit(features @ of_part)
        stated, rows = np.column_stack([1 - chances, chances]), np.arange(60_000) + 60_000 * part
        scores = own.score(stated, labels)
        folds.append(own.Fold(0, rows, labels, stated, scores, scores))
    true = true_scores(world, weights)
    for name, (_, interval) in own.two_class_intervals(folds, 1, 0.9999).items():
        assert interval.low <= true[name] <= interval.high, name
    found = [own.two_class_scores(each.probabilities[:, 1], each.labels == 1) for each in folds]
    assert true["sensitivity"] == pytest.approx(
        np.mean([each["sensitivity"] for each in found]), abs=0.02
    )


def test_a_world_has_the_share_of_positives_that_it_is_made_with() -> None:
    """Rare classes are what the intervals are tried on."""
    for kind in KINDS.values():
        if kind.share is not None:
            assert World.made(kind, 1).chances.mean() == pytest.approx(kind.share)


def test_groups_are_searched_whole_and_their_intervals_are_as_wide_as_they_scatter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a group's rows share is noise, which intervals of single rows don't see."""
    monkeypatch.setattr("validation.coverage.BATCH", 12)
    groups = World.made(KINDS["groups"], 1).groups(270)
    assert groups is not None
    assert sorted(set(np.bincount(groups).tolist())) == [4, 5]
    assert groups.max() == 59
    kept = list(draws(Cell("groups", 270, 12), tmp_path))
    for draw in kept:
        parts = {(group, part) for group, part in zip(groups, draw.part_of, strict=True)}
        assert len(parts) == 60
    clustered, single = coverage(iter(kept), groups), coverage(iter(kept))
    assert clustered is not None
    assert single is not None
    for metric in own.METRICS:
        wide, narrow = (each.covers["rows alone", metric] for each in (clustered, single))
        assert wide.half_width > 1.1 * narrow.half_width
        assert wide.share >= narrow.share


def test_an_outer_model_never_sees_its_own_part() -> None:
    """Other labels in a part change every outer model but the one that is scored on it."""
    world = World.made(KINDS["balanced"], 1)
    features, labels = world.sample(120, np.random.default_rng(1))
    part_of = dealt(labels, folds=FOLDS, seed=5)
    changed = np.where(part_of == 2, 1 - labels, labels)
    before, after = (
        fitted(features, each, part_of, np.array([0.1, 1.0])) for each in (labels, changed)
    )
    same = {parts for parts, C in before if np.allclose(before[parts, C], after[parts, C])}
    assert same == {parts for parts, _ in before if 2 in parts}


def test_an_outer_folds_c_is_chosen_by_its_inner_folds() -> None:
    """Of eight numbers of C the sixth predicts best, but in the fold's own part: the third does."""
    labels, part_of = np.arange(36) % 2, np.arange(36) // 6

    def predicted(left_out: frozenset[int], C: int, part: int) -> NDArray[np.float64]:
        sure = (0.95 if C == 5 else 0.6) if len(left_out) == 2 else (0.95 if C == 2 else 0.6)
        return np.where(np.eye(2)[labels[part_of == part]] > 0, sure, 1 - sure)

    inner, probabilities, chosen = searched(labels, part_of, predicted)
    assert chosen == [(frozenset({fold}), 5) for fold in range(FOLDS)]
    assert probabilities.max() == 0.6
    assert inner[:, own.METRICS.index("log_loss")] == pytest.approx(-np.log(0.95))


def test_stopped_it_goes_on_with_the_same_data_sets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is kept is told as it was drawn, and only what is missing is drawn."""
    monkeypatch.setattr("validation.coverage.BATCH", 3)
    cell = Cell("balanced", 60, 6)
    whole = list(draws(cell, tmp_path / "whole"))
    stopped = draws(cell, tmp_path / "stopped")
    next(stopped)
    assert len(list(draws(cell, tmp_path / "stopped", make=False))) == 3
    resumed = list(draws(cell, tmp_path / "stopped"))
    assert [each.truth.tolist() for each in resumed] == [each.truth.tolist() for each in whole]


def test_real_images_are_searched_and_scored_on_others() -> None:
    """Of four classes of digits, the truth is the score on images that are in no part."""
    images, labels = own.digits(holdout=297)
    few = labels < 4
    draw = Images((images[few], labels[few]), others=200).draw(120, np.random.default_rng(1))
    told = own.score(draw.probabilities, draw.labels)
    scores = {metric: told[metric] for metric in own.METRICS}
    assert len(draw.labels) == 120
    assert dict(zip(own.METRICS, draw.truth, strict=True)) == pytest.approx(scores, abs=0.1)


def test_wider_intervals_cover_more_often(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the training rows add can only widen the interval of the rows alone."""
    monkeypatch.setattr("validation.coverage.BATCH", 12)
    found = coverage(draws(Cell("8 % positive", 90, 12), tmp_path))
    assert found is not None
    for metric in own.METRICS:
        rows, whole = (found.covers[method, metric] for method in ("rows alone", "influence"))
        assert rows.share <= whole.share
        assert rows.half_width < whole.half_width
    assert coverage(iter(())) is None


def test_a_draw_keeps_the_outer_models_and_tells_their_scores_of_two_classes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Intervals that aren't told count for none that hold."""
    monkeypatch.setattr("validation.coverage.BATCH", 6)
    kept, world = (
        list(draws(Cell("8 % positive", 120, 6), tmp_path)),
        World.made(KINDS["8 % positive"], 1),
    )
    for draw in kept:
        assert len(draw.weights) == FOLDS
        means = [world.true_scores(each)["roc_auc"] for each in draw.weights]
        assert draw.truth[own.METRICS.index("roc_auc")] == pytest.approx(np.mean(means))
    number, told = two_class_coverage(iter(kept), world)
    assert number == 6
    assert told.keys() == true_scores(world, kept[0].weights).keys()
    for of in told.values():
        assert 0 < of.told <= 1
        assert 0 <= of.cover.share <= 1
    lost = [replace(kept[0], labels=0 * kept[0].labels), *kept]
    again = two_class_coverage(iter(lost), world)[1]["calibration_slope"]
    assert again.told == pytest.approx(told["calibration_slope"].told * 6 / 7)
    assert again.cover.share == told["calibration_slope"].cover.share
    assert two_class_coverage(iter(()), world) == (0, {})
