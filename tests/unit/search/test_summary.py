"""The summary's figures follow from the search's results alone."""

import numpy as np
import pytest

from foldwise.search.summary import edges
from foldwise.settings import Between
from foldwise.stats.scores import METRICS
from tests.factories import make_result, make_trial, outer
from tests.unit.report.findings_cases import make_estimates


def test_the_outer_mean_is_the_mean_of_the_folds_and_lies_in_its_interval() -> None:
    """Each metric's estimate is what one would get by hand."""
    result = make_result(folds=4)
    outer = make_estimates(result)
    for metric in METRICS:
        values = [fold.scores[metric] for fold in result.outer]
        estimate = outer[metric]
        assert estimate.mean == pytest.approx(np.mean(values))
        for interval in (estimate.interval, estimate.corrected):
            assert interval.low <= estimate.mean <= interval.high


def test_a_choice_near_an_end_of_the_range_is_told() -> None:
    """The reference report's smallest sample won, and nothing said so."""
    result = make_result()
    edge = make_trial(outer(1), 9, C=9.9)
    best = [edge if fold.fold == 1 else fold.best for fold in result.outer]
    assert [edges(each.values, result.space) for each in best] == [(), ("C",), ()]
    assert edges(result.final.best.values, result.space) == ()


@pytest.mark.parametrize("high", [10.0, 100.0, 1000.0])
def test_whether_a_value_is_at_an_edge_is_not_settled_by_rounding(high: float) -> None:
    """Two per cent of a range lie on the sampler's grid."""
    searched = Between(1e-4, high, is_log=True)
    assert [searched.is_edge(searched.at(at)) for at in (0.0198, 0.02, 0.98, 0.9802)] == [
        True, False, False, True,
    ]  # fmt: skip
