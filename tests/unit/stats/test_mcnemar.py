"""McNemar's exact test: scipy's sign test over the rows on which two models differ."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from foldwise.stats.paired import mcnemar


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_mcnemars_p_is_a_two_sided_sign_test(gained: int, lost: int, both: int) -> None:
    """Over the rows on which the models differ; rows on which they agree don't matter."""
    challenger = np.repeat([True, False, True], [gained, lost, both])
    champion = np.repeat([False, True, True], [gained, lost, both])
    found = mcnemar(challenger, champion)
    assert (found.gained, found.lost) == (gained, lost)
    assume(gained + lost > 0)
    expected = stats.binomtest(gained, gained + lost).pvalue
    assert found.p == pytest.approx(expected)


def test_models_that_never_differ_have_p_one() -> None:
    """No differing row is no evidence."""
    same = np.array([True, False, True])
    assert mcnemar(same, same).p == 1.0
