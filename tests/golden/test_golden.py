"""Small searches come out as they always have, and as a nested loop of scikit-learn's own does.

The searches run once, one process for all. For the loop, the parts and the C's that were tried
come from foldwise; scaling, fits, scores, means, choices and estimates are made by the textbook.
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.golden.cases import AGAINST_SCIKIT_LEARN, CASES, Case
from tests.golden.documents import Quantities, part_rows, read_all
from tests.golden.nested_loop import Loop, Scores
from tests.golden.pins import deviations
from tests.golden.running import Ran, run_cases

# All searches run before the first test: within the usual time only on a machine that is not busy.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
REMEDY = (
    "{name}: {count} results are not as pinned in tests/golden/pinned. If they are meant to change,"
    " bump SEARCH_VERSION, run `python -m tests.golden.refresh`, and say why in the commit."
)
SHOWN = 40
ROWS, FOLDS, TRIALS, METRIC = 300, 3, 3, "log_loss"
SMOOTH = ("log_loss", "roc_auc")
COUNTED = ("accuracy", "precision", "recall", "f1")
TOLERANCE = 1e-4
"""Of smooth scores: single precision and `tol` leave coefficients this uncertain."""
FLIPS = 5e-4
"""Of scores that count rows, on average: a row or two of all, as near a tie as that."""
ROUNDING = 5e-4
"""Of the holdout's smooth scores: three decimals are told."""

Inner = dict[tuple[int | None, float], dict[int, Scores]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """All cases, run once."""
    done = run_cases((*CASES, AGAINST_SCIKIT_LEARN), tmp_path_factory.mktemp("golden"))
    return {each.case.name: each for each in done}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_results_are_as_pinned(ran: dict[str, Ran], case: Case) -> None:
    """Exactly what is counted, drawn or chosen; within a processor's freedom what is measured."""
    told = deviations(case, read_all(ran[case.name]))
    remedy = REMEDY.format(name=case.name, count=len(told))
    assert not told, "\n".join([remedy, *told[:SHOWN]])


@pytest.fixture(scope="module")
def found(ran: dict[str, Ran]) -> Quantities:
    """What the search that the loop repeats has left behind."""
    return read_all(ran[AGAINST_SCIKIT_LEARN.name])


@pytest.fixture(scope="module")
def loop(ran: dict[str, Ran]) -> Loop:
    """The same rows in the same parts."""
    images, labels = _digits()
    return Loop(images[:ROWS], labels[:ROWS], part_rows(ran[AGAINST_SCIKIT_LEARN.name]))


@pytest.fixture(scope="module")
def inner(loop: Loop, found: Quantities) -> Inner:
    """The loop's inner scores, for each study's C's in the order in which they were tried."""
    return {
        (left_out, C): loop.inner(left_out, C)
        for left_out, tried in _tried(found).items()
        for C in tried
    }


def test_each_inner_fold_scores_as_scikit_learn_does(found: Quantities, inner: Inner) -> None:
    """All six scores of every inner fold of every trial."""
    pairs = [
        (told, inner[_left_out(study), float(told["C"])][int(part)])
        for study, _, part, told in _trials(found)
    ]
    assert len(pairs) == FOLDS * TRIALS * (FOLDS - 1) + TRIALS * FOLDS
    _assert_close(pairs)


def test_each_study_chooses_as_the_loop_would(found: Quantities, inner: Inner) -> None:
    """The least mean over the inner folds, and that mean, in every study."""
    for left_out, (C, mean) in _choices(inner).items():
        told = found["tuning"] if left_out is None else found[f"tuning.folds {left_out}"]
        assert told["C"] == pytest.approx(C, rel=1e-5)
        assert told[f"inner_{METRIC}"] == pytest.approx(mean, abs=TOLERANCE)


def test_outer_estimates_are_the_loops(found: Quantities, loop: Loop, inner: Inner) -> None:
    """Each outer model on its own part, and the means over the folds."""
    choices = _choices(inner)
    estimates = [
        loop.scores((part for part in range(FOLDS) if part != fold), fold, choices[fold][0])
        for fold in range(FOLDS)
    ]
    folds = [_outer(found[f"tuning.folds {fold}"]) for fold in range(FOLDS)]
    means = {name: float(np.mean([each[name] for each in estimates])) for name in estimates[0]}
    _assert_close([*zip(folds, estimates, strict=True), (_outer(found["tuning"]), means)])


def test_the_final_model_meets_the_holdout_as_the_loops_does(
    found: Quantities, loop: Loop, inner: Inner
) -> None:
    """Fitted on all development rows at the final study's C; up to the digits that are told."""
    images, labels = _digits()
    C, _ = _choices(inner)[None]
    expected = loop.judge(np.arange(ROWS), images[ROWS:], labels[ROWS:], C)
    _assert_close([(found["evaluation"], expected)], tolerance=5 * TOLERANCE + ROUNDING)


def test_the_parts_share_out_all_rows(loop: Loop) -> None:
    """Or the loop would have been told less than the search knew."""
    assert len(loop.parts) == FOLDS
    assert sorted(np.concatenate(loop.parts)) == list(range(ROWS))


def _digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images, labels


def _assert_close(
    pairs: list[tuple[dict[str, float], Scores]], tolerance: float = TOLERANCE
) -> None:
    for name in SMOOTH:
        apart = [abs(told[name] - expected[name]) for told, expected in pairs]
        assert max(apart) < tolerance, name
    for name in COUNTED:
        apart = [abs(told[name] - expected[name]) for told, expected in pairs]
        assert np.mean(apart) < FLIPS, name


def _choices(inner: Inner) -> dict[int | None, tuple[float, float]]:
    """By study, the C with the least mean inner score, and the mean."""
    means: dict[int | None, list[tuple[float, float]]] = defaultdict(list)
    for (left_out, C), scores in inner.items():
        means[left_out].append((C, float(np.mean([each[METRIC] for each in scores.values()]))))
    return {left_out: min(each, key=lambda pair: pair[1]) for left_out, each in means.items()}


def _trials(found: Quantities) -> Iterator[tuple[str, str, str, dict[str, float]]]:
    for item, told in found.items():
        if item.startswith("trial "):
            study, number, part = item.removeprefix("trial ").split("/")
            yield study, number, part, told


def _tried(found: Quantities) -> dict[int | None, list[float]]:
    tried: dict[int | None, list[float]] = defaultdict(list)
    for study, _, _, told in _trials(found):
        tried[_left_out(study)].append(float(told["C"]))
    return {left_out: list(dict.fromkeys(each)) for left_out, each in tried.items()}


def _left_out(study: str) -> int | None:
    return None if study == "final" else int(study.removeprefix("outer-"))


def _outer(told: dict[str, float]) -> Scores:
    return {name: told[f"outer_{name}"] for name in (*SMOOTH, *COUNTED)}
