"""From an entry to a pipeline: what is shipped works, what can't is refused beforehand."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from foldwise.app.entries import build, check_buildable, servable
from foldwise.entries import Entry
from foldwise.errors import SettingsError
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.settings import Between
from foldwise.solver.fits import TrainingSet
from tests.unit.app.entry_cases import make_entry, make_split, shipped_entries
from tests.unit.solver.solver_cases import digits, two_digits

ANY = {"C": Between(0.1, 1.0, is_log=True)}


@pytest.mark.parametrize("name", ["logistic_regression", "svm", "knn", "decision_tree"])
def test_the_largest_value_is_the_class_the_estimator_predicts(name: str) -> None:
    """So that accuracy is the estimator's own."""
    entry = shipped_entries()[name]
    check_buildable(entry)
    split = make_split()
    model = build(entry, {}, seed=1)
    model.fit(split.images[:400].astype(np.float32), split.labels[:400])
    found = FittedEstimator(model).predict(split.images[400:])
    expected = model.predict(split.images[400:].astype(np.float32))
    np.testing.assert_array_equal(found.values.argmax(axis=1), expected)
    assert found.are_probabilities == (name != "svm")


def test_the_svms_votes_are_broken_by_its_scores() -> None:
    """On noise many votes tie; without ``break_ties`` a third of the rows would differ."""
    generator = np.random.default_rng(2)
    images = generator.integers(0, 255, (400, 6)).astype(np.uint8)
    labels = generator.integers(0, 5, 400)
    model = build(shipped_entries()["svm"], {}, seed=1)
    model.fit(images[:200].astype(np.float32), labels[:200])
    expected = model.predict(images[200:].astype(np.float32))
    np.testing.assert_array_equal(
        FittedEstimator(model).predict(images[200:]).values.argmax(axis=1), expected
    )


def test_two_classes_give_two_columns_of_decision_scores() -> None:
    """One score of scikit-learn's, the second class's against the first's."""
    case = two_digits()
    model = build(shipped_entries()["svm"], {}, seed=1)
    model.fit(case.images.astype(np.float32), case.labels)
    found = FittedEstimator(model).predict(case.images)
    assert found.values.shape == (len(case.labels), 2)
    assert (found.values.argmax(axis=1) == case.labels).mean() > 0.99


def test_unit_pixels_end_at_one_and_keep_their_proportions() -> None:
    """Whatever the brightest pixel is: 16 for digits, 255 for MNIST; all are divided alike."""
    split = make_split()
    scaling = build(make_entry(), {}, seed=1)[0]
    scaled = scaling.fit(split.images.astype(np.float32)).transform(split.images.astype(np.float32))
    np.testing.assert_allclose(scaled * 16, split.images, rtol=1e-6)


def test_the_seed_is_given_to_estimators_that_draw() -> None:
    """And to no others; an entry may fix another one."""
    assert build(make_entry(), {}, seed=5)[-1].random_state == 5
    assert build(make_entry(fixed={"random_state": 9}), {}, seed=5)[-1].random_state == 9
    build(make_entry("sklearn.neighbors.KNeighborsClassifier"), {}, seed=5)


@pytest.mark.parametrize("name", ["knn", "decision_tree", "logistic_regression"])
def test_what_is_served_says_the_same_without_a_type_of_ours(name: str) -> None:
    """To the bit, whatever the pixels are made to be."""
    split, entry = make_split(), shipped_entries()[name]
    fitted = build(entry, {}, seed=1).fit(split.images.astype(np.float32), split.labels)
    served = servable(fitted)
    assert {type(step).__module__.partition(".")[0] for _, step in served.steps} <= {
        "sklearn",
        "builtins",  # a step passed through
    }
    np.testing.assert_array_equal(
        FittedEstimator(served).predict(split.images).values,
        FittedEstimator(fitted).predict(split.images).values,
    )


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        ("sklearn.svm.SVX", "installed class"),
        ("no_such_package.Tree", "installed class"),
        ("sklearn.linear_model.LinearRegression", "classifier"),
        ("sklearn.multiclass.OneVsRestClassifier", "needs no other estimator"),
        ("sklearn.base.is_classifier", "classifier"),
        ("sklearn.dummy.DummyClassifier", "parameters of DummyClassifier"),
    ],
)
def test_what_is_no_classifier_is_refused(estimator: str, said: str) -> None:
    """In one line, before any work."""
    with pytest.raises(SettingsError, match=said):
        check_buildable(make_entry(estimator, space=ANY))


def test_a_study_of_decision_scores_cannot_select_by_log_loss() -> None:
    """There is none; with Platt's probabilities there is."""
    with pytest.raises(SettingsError, match="must not be log_loss"):
        check_buildable(make_entry("sklearn.svm.SVC", space=ANY, metric="log_loss"))
    check_buildable(make_entry("sklearn.svm.SVC", space=ANY, metric="accuracy"))
    check_buildable(make_entry(metric="log_loss"))


def test_a_model_without_probabilities_is_refused_as_a_version() -> None:
    """In one line, before any work: the gate judges by log-loss and calibration."""
    with pytest.raises(SettingsError, match=r"tree\.register must not be true, because SVC"):
        check_buildable(make_entry("sklearn.svm.SVC", space=ANY, register=True))
    check_buildable(make_entry(register=True))


def test_a_flag_changes_no_trial() -> None:
    """They are the entry's own, whether it is registered and has outer folds or not."""
    plain = make_entry()
    assert make_entry(register=True, outer=True).digest == plain.digest
    assert make_entry(trials=9).digest != plain.digest


def test_a_classifier_without_scores_is_refused() -> None:
    """Nothing ranks its rows."""
    with pytest.raises(SettingsError, match="neither"):
        check_buildable(make_entry("tests.unit.app.silent.Silent", space=ANY))


def test_a_floor_is_the_batched_solvers_and_ships_as_a_stock_scaler() -> None:
    """The same scale of every pixel; what is served has scikit-learn's scaler with it set."""
    split, case = make_split(), digits(600)
    fitted = build(
        make_entry(
            pixels="standard", scale_floor=0.2, estimator="sklearn.tree.DecisionTreeClassifier"
        ),
        {},
        seed=1,
    )
    fitted.fit(split.images.astype(np.float32), split.labels)
    training = TrainingSet.of(case.layout(), frozenset(), 0.2)
    np.testing.assert_allclose(fitted[0].scale_, training.scale, rtol=1e-6)
    assert (fitted[0].scale_ >= 0.2 * 16).all()
    stock = servable(fitted)
    assert type(stock[0]) is StandardScaler
    np.testing.assert_array_equal(
        stock.predict_proba(split.images.astype(np.float32)),
        fitted.predict_proba(split.images.astype(np.float32)),
    )
    clone(fitted).fit(split.images.astype(np.float32), split.labels)


def test_a_floor_that_is_not_set_leaves_an_entrys_digest_as_it_was() -> None:
    """Results of before there was one are still of the same entry."""
    before = "57f2b0a55cbd0ae7f81676b4030f6654c735032949f9997928d82e4c3050e594"
    space = {"max_depth": Between(1, 9, is_log=False)}
    entry = Entry("tree", "sklearn.tree.DecisionTreeClassifier", space=space, startup_trials=6)
    assert entry.digest == before
    assert replace(entry, scale_floor=0.1).digest != before
