"""Each check speaks where the data have what it looks for, and is silent where they don't."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from foldwise import checks
from foldwise.checks import Subject, look, told_apart
from foldwise.data.dataset import DataInfo, Split, TableInfo
from foldwise.report.standing import Remark
from foldwise.search.jobs import Predictions
from foldwise.search.plan import Plan
from foldwise.search.summary import best_trials, outer_estimates
from foldwise.search.trials import FitCounts, SearchResult, Trial, number_of
from foldwise.settings import Between, Settings
from foldwise.stats.scores import score
from tests.factories import make_outer_fold, make_result, make_trial

FOLDS, ROWS, CLASSES = 3, 900, 3


@dataclass(frozen=True)
class Known:
    """A model that knows what to say of each row, whose number stands in its first two pixels."""

    said: NDArray[np.float64]

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        return Predictions(self.said[images[:, 0].astype(int) * 256 + images[:, 1]])


def probabilities() -> NDArray[np.float64]:
    return np.random.default_rng(1).dirichlet(np.full(CLASSES, 0.25), ROWS)


def drawn(said: NDArray[np.float64], seed: int = 2) -> NDArray[np.int64]:
    """Classes that come true as often as was said."""
    chance = np.random.default_rng(seed).random((len(said), 1))
    return np.asarray((said.cumsum(axis=1) < chance).sum(axis=1).clip(0, CLASSES - 1))


def images(labels: NDArray[np.int64], seed: int = 3) -> NDArray[np.uint8]:
    """Noise, but for the row's number, and a pixel that knows a little of the class."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (len(labels), 16), dtype=np.uint8)
    numbers = np.arange(ROWS) if len(labels) == ROWS else rng.integers(0, ROWS, len(labels))
    pixels[:, 0], pixels[:, 1] = numbers // 256, numbers % 256
    pixels[:, 7] += (10 * labels).astype(np.uint8)
    return pixels


def search(said: NDArray[np.float64], labels: NDArray[np.int64], model: Any) -> SearchResult:
    """A search whose outer folds said this of their rows."""
    result, outer = make_result(folds=FOLDS, trials=9), []
    for fold, rows in enumerate(np.split(np.arange(ROWS), FOLDS)):
        told = Predictions(said[rows])
        outer.append(
            replace(
                make_outer_fold(fold, result.outer[fold].best),
                rows=rows,
                labels=labels[rows],
                predictions=told,
                scores=score(told.values, labels[rows]),
            )
        )
    plan = Plan(np.repeat(np.arange(FOLDS), ROWS // FOLDS)[np.newaxis], np.ones(ROWS, dtype=bool))
    final = replace(result.final, model=model)
    fits = FitCounts(40, 30, 30, 0, 0)
    return replace(result, plan=plan, outer=tuple(outer), final=final, fits=fits)


def subject(
    said: NDArray[np.float64] | None = None,
    labels: NDArray[np.int64] | None = None,
    fitted: NDArray[np.float64] | None = None,
) -> Subject:
    """A sound search of sound data, unless something else is given."""
    sound = probabilities()
    labels = drawn(sound) if labels is None else labels
    said = sound if said is None else said
    result = search(said, labels, Known(sound if fitted is None else fitted))
    info = DataInfo("toy", ("a", "b", "c"), (4, 4), ROWS, "de", 300, "40", 0)
    return Subject(
        info,
        Settings(),
        result,
        outer_estimates(result, confidence=0.95),
        Split(images(labels), labels, np.arange(ROWS)),
        images(drawn(sound[:300], 5), 6),
    )


def of_search(result: SearchResult) -> Subject:
    return replace(subject(), result=result)


def at_edge() -> Subject:
    result = subject().result
    chosen = [number_of(trial.values, "C") for trial in best_trials(result)]
    space = replace(result.space, dimensions={"C": Between(min(chosen), 10.0, is_log=True)})
    return of_search(replace(result, space=space))


def odd_fold() -> Subject:
    said = probabilities()
    said[:300] = np.roll(said[:300], 1, axis=1)
    return subject(said)


def learned_by_heart() -> Subject:
    labels = drawn(probabilities())
    return subject(fitted=0.97 * np.eye(CLASSES)[labels] + 0.01)


def blind() -> Subject:
    return subject(np.full((ROWS, CLASSES), 1 / CLASSES), labels=np.arange(ROWS) % CLASSES)


def unbalanced() -> Subject:
    return subject(labels=np.where(np.arange(ROWS) % 30, np.arange(ROWS) % 2, 2))


def telling_pixel() -> Subject:
    whole = subject()
    pixels = whole.development.images.copy()
    pixels[:, 9] = 80 * whole.development.labels
    return replace(whole, development=replace(whole.development, images=pixels))


def shifted() -> Subject:
    whole = subject()
    return replace(whole, holdout=whole.holdout + np.uint8(30) * (np.arange(16) == 4))


def too_sure() -> Subject:
    sharp = probabilities() ** 4 + 1e-9
    return subject(sharp / sharp.sum(axis=1, keepdims=True))


def better_by_accuracy() -> Subject:
    """The largest C of the final study has the best accuracy, in every inner fold."""
    result = subject().result
    last = result.study_trials(result.final.best.study)[-1]
    inner = tuple(
        replace(fold, scores={**fold.scores, "accuracy": 0.99 + 1e-4 * fold.part.fold})
        for fold in last.inner
    )
    trials = tuple(replace(t, inner=inner) if t is last else t for t in result.trials)
    return of_search(replace(result, trials=trials))


def choices_apart() -> Subject:
    """Fold 0 finds its best far from where the others do, and would lose much there."""
    result = subject().result

    def moved(trial: Trial) -> Trial:
        C = number_of(trial.values, "C")
        loss = 0.28 + 0.2 * (np.log10(C) - 0.5) ** 2
        return make_trial(trial.study, trial.number, C=C, folds=FOLDS, log_loss=float(loss))

    trials = [moved(t) if t.study == result.outer[0].study else t for t in result.trials]
    own = [trial for trial in trials if trial.study == result.outer[0].study]
    first = replace(result.outer[0], best=min(own, key=lambda trial: trial.mean("log_loss")))
    return of_search(replace(result, trials=tuple(trials), outer=(first, *result.outer[1:])))


def without_convergence() -> Subject:
    return of_search(replace(subject().result, fits=FitCounts(40, 30, 28, 0, 2)))


def repeated() -> Subject:
    whole = subject()
    return replace(whole, info=replace(whole.info, development_duplicates=3), shared_rows=5)


ILL: Mapping[str, tuple[Callable[[Subject], Iterator[Remark]], Callable[[], Subject]]] = {
    "optimum at an edge": (checks._edge, at_edge),
    "folds that disagree": (checks._folds, odd_fold),
    "overfitting": (checks._fitting, learned_by_heart),
    "underfitting": (checks._fitting, blind),
    "unbalanced classes": (checks._balance, unbalanced),
    "duplicates and rows shared with the holdout": (checks._duplicates, repeated),
    "a pixel that separates the classes alone": (checks._telling, telling_pixel),
    "shift between development set and holdout": (checks._shift, shifted),
    "unconverged fits": (checks._converged, without_convergence),
    "calibration": (checks._calibrated, too_sure),
    "other metrics": (checks._other_metrics, better_by_accuracy),
    "each fold's choice in the other folds": (checks._elsewhere, choices_apart),
}
"""By remark: the check that makes it, and data that are so."""


@pytest.fixture(scope="module")
def sound() -> dict[str, Remark]:
    return {remark.name: remark for remark in look(subject())}


@pytest.mark.parametrize("name", ILL)
def test_a_check_speaks_where_there_is_something_and_not_elsewhere(
    name: str, sound: dict[str, Remark]
) -> None:
    """It says what it saw either way, and what to do."""
    check, ill = ILL[name]
    (found,) = (remark for remark in check(ill()) if remark.name == name)
    assert (found.matters != "no", sound[name].matters) == (True, "no")
    assert found.saw != sound[name].saw
    assert found.remedy


def test_every_check_is_tried_here(sound: dict[str, Remark]) -> None:
    """But the one that is of tables alone."""
    assert sound.keys() == ILL.keys()


def test_a_pixel_is_named_by_its_place() -> None:
    (told,) = checks._telling(telling_pixel())
    assert told.saw == "row 2 column 1 (100.00 %)"


def test_what_matters_comes_first() -> None:
    order = [remark.matters for remark in look(odd_fold())]
    assert order == sorted(order, key=["yes", "a little", "no"].index)
    assert order[0] == "yes"


def visits(*, same: bool) -> pd.DataFrame:
    """Three visits each of people, whose age and height are the ``same`` at each, or not."""
    rng = np.random.default_rng(4)
    people = rng.permutation(np.repeat(np.arange(ROWS // 3), 3))
    of = people if same else rng.permutation(people)
    age, height = rng.uniform(20, 90, ROWS // 3), rng.normal(170, 9, ROWS // 3)
    numbers = {"person": people.astype(float), "age": age[of], "height": height[of]}
    return pd.DataFrame({**numbers, "pulse": rng.normal(70, 9, ROWS).round()})


def table(frame: pd.DataFrame, groups: int | None = None) -> Subject:
    whole = subject()
    columns: Any = tuple((name, "number") for name in frame)
    info = replace(whole.info, table=TableInfo(columns, groups), image_shape=())
    split = Split(frame, whole.development.labels[: len(frame)], np.arange(len(frame)))
    return replace(whole, info=info, development=split, holdout=frame.head(300))


def grouped(of: Subject) -> list[Remark]:
    return list(checks._grouped(of))


def test_a_column_whose_rows_belong_together_is_named_unless_it_is_the_group() -> None:
    """By what doesn't change within its values; many values alone are none: the pulse has many."""
    (found,) = grouped(table(visits(same=True)))
    assert found.matters == "yes"
    assert "person (300 values)" in found.saw
    assert "pulse" not in found.saw
    (other,) = grouped(table(visits(same=False)))
    assert (other.matters, other.saw) == ("no", "none does")
    assert not grouped(table(visits(same=True), groups=300))


def test_equal_rows_of_a_table_are_counted() -> None:
    frame = visits(same=True).drop_duplicates().head(400)
    frame = pd.concat([frame, frame.head(1)])
    (found,) = checks._duplicates(table(frame))
    assert found.saw.startswith("rows that repeat an earlier one: 1;")
    assert found.matters == "a little"


def test_a_table_s_equal_rows_are_not_promised_to_stay_in_one_part() -> None:
    """Where there are few values they don't, so that outer scores may be too good; images do."""
    (of_rows,) = checks._duplicates(table(visits(same=True).drop_duplicates().head(400)))
    (of_images,) = checks._duplicates(subject())
    assert "where they are rare" in of_rows.remedy
    assert "equal images stay in one part, so that outer scores are honest" in of_images.remedy


def test_shift_is_looked_for_with_a_group_s_rows_kept_together() -> None:
    """Rows of one person are alike: apart, they would tell the two sets from one another."""
    rng = np.random.default_rng(8)
    people = np.repeat(np.arange(30), 30)
    frame = pd.DataFrame(rng.normal(0, 1, (60, 20))[np.repeat(np.arange(60), 30)])
    frame.columns = [f"x{place}" for place in range(20)]
    whole = replace(table(frame.head(900)), holdout=frame.tail(900))
    _, parted = told_apart(whole)
    _, together = told_apart(replace(whole, groups=people, holdout_groups=people))
    assert parted > 0.8
    assert together < 0.65


def test_the_holdout_s_labels_are_out_of_reach() -> None:
    """A subject has rows of it and no more, so that no check can spend any of it."""
    assert not any("label" in name for name in Subject.__dataclass_fields__)
