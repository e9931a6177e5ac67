"""Spaces of several parameters: what is proposed, and what it may depend on."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    InnerFold,
    Part,
    Trial,
    Values,
    trial_from_json,
    trial_to_json,
)
from foldwise.settings import Between, OneOf
from foldwise.stats.scores import METRICS
from tests.factories import make_scores, outer
from tests.unit.search.search_cases import a_trial

SPACE = Space(
    dimensions={
        "C": Between(0.1, 100.0, is_log=True),
        "depth": Between(2, 9, is_log=False),
        "leaf": Between(1, 50, is_log=True),
        "metric": OneOf(("a", "b", None)),
    },
    sampler="tpe",
    startup=3,
    seed=7,
    metric="accuracy",
)


def _tried(number: int, values: Values, loss: float) -> Trial:
    return Trial(
        FINAL, number, values, (InnerFold(Part(0, 0), make_scores(loss), {"seconds": 0.1}),)
    )


def _searched(space: Space, trials: int) -> list[Trial]:
    """A search that likes C near 10 and metric b."""
    told: list[Trial] = []
    for number in range(trials):
        values = space.propose(FINAL, number, told)
        C, metric = values["C"], values["metric"]
        assert isinstance(C, float)
        told.append(_tried(number, values, abs(C - 10) / 100 + (metric != "b") / 10))
    return told


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_proposals_lie_in_their_ranges(seed: int) -> None:
    """Drawn or proposed; whole numbers are whole."""
    for trial in _searched(replace(SPACE, seed=seed), 6):
        C, depth, leaf = (trial.values[name] for name in ("C", "depth", "leaf"))
        assert isinstance(C, float)
        assert 0.1 <= C <= 100
        assert isinstance(depth, int)
        assert 2 <= depth <= 9
        assert isinstance(leaf, int)
        assert 1 <= leaf <= 50
        assert trial.values["metric"] in {"a", "b", None}


def test_a_proposal_follows_from_seed_study_and_completed_trials() -> None:
    """Asked again it is the same; another seed or study draws others."""
    told = _searched(SPACE, 5)
    assert SPACE.propose(FINAL, 5, told) == SPACE.propose(FINAL, 5, told)
    assert SPACE.propose(FINAL, 1, told[:1]) == told[1].values
    assert replace(SPACE, seed=8).propose(FINAL, 0, []) != SPACE.propose(FINAL, 0, [])
    assert SPACE.propose(outer(0), 5, told) != SPACE.propose(FINAL, 5, told)


def test_start_up_proposals_look_at_no_result() -> None:
    """Whatever the first trial gave, the second is the same."""
    first = SPACE.propose(FINAL, 0, [])
    assert SPACE.propose(FINAL, 1, [_tried(0, first, 0.1)]) == SPACE.propose(
        FINAL, 1, [_tried(0, first, 0.9)]
    )


def test_after_start_up_proposals_follow_the_results() -> None:
    """What was good is looked for: the other way round, another proposal."""
    told = _searched(SPACE, 8)
    turned = [_tried(t.number, t.values, 1 - t.mean("log_loss")) for t in told]
    assert SPACE.propose(FINAL, 8, told) != SPACE.propose(FINAL, 8, turned)


def test_twenty_trials_find_the_neighbourhood_of_the_best() -> None:
    """The sampler is told which way is up: better than the best of as many random draws."""

    def best(space: Space) -> float:
        told = (_searched(replace(space, seed=seed), 20) for seed in range(4))
        return sum(min(trial.mean("log_loss") for trial in each) for each in told)

    assert best(SPACE) < best(replace(SPACE, startup=20))


@pytest.mark.parametrize("loss", [0.25, float("nan")])
def test_a_trial_comes_back_from_its_json(loss: float) -> None:
    """NaN is no number, but it is a score's absence."""
    trial = _tried(4, {"C": 0.1 + 0.2, "metric": None, "depth": 3, "flag": True}, loss)
    assert repr(trial_from_json(json.loads(json.dumps(trial_to_json(trial))))) == repr(trial)


def test_a_trial_told_before_a_metric_was_known_has_no_figure_for_it() -> None:
    """A search kept by an earlier foldwise goes on: NaN is not there, for tables and for MLflow."""
    told = trial_to_json(a_trial())
    del told["inner"][0]["scores"]["f1"]
    inner = trial_from_json(told).inner[0].scores
    assert math.isnan(inner["f1"])
    assert [*inner] == [*METRICS]
