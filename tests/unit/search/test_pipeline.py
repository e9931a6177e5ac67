"""The stock scikit-learn pipeline computes exactly what our linear model computes."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import skops.io
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.engines.estimator import FittedEstimator
from foldwise.search.engines.pipeline import (
    content_digest,
    from_pipeline,
    linear_model,
    to_pipeline,
)
from foldwise.solver.linear import LinearModel, Multiclass, probabilities

DIGITS = load_digits()
IMAGES = DIGITS.data[:900].astype(np.uint8)
LABELS = DIGITS.target[:900].astype(np.int64)


@cache
def fit_sklearn(multiclass: Multiclass, classes: int) -> tuple[Pipeline, NDArray[np.uint8]]:
    """Let scikit-learn fit the first ``classes`` digits."""
    chosen = np.isin(LABELS, range(classes))
    logistic = LogisticRegression(C=0.01)
    one_vs_rest = multiclass == "ovr" and classes > 2
    pipeline = Pipeline(
        [
            ("scaler", StandardScaler()),
            ("classifier", OneVsRestClassifier(logistic) if one_vs_rest else logistic),
        ]
    )
    return pipeline.fit(IMAGES[chosen], LABELS[chosen]), IMAGES[chosen]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_a_pipeline_read_and_made_again_predicts_as_scikit_learn_fitted_it(
    multiclass: Multiclass, classes: int
) -> None:
    """Nothing that prediction needs is lost on the way through LinearModel."""
    fitted, images = fit_sklearn(multiclass, classes)
    again = to_pipeline(from_pipeline(fitted), range(classes))
    np.testing.assert_array_equal(again.predict_proba(images), fitted.predict_proba(images))
    np.testing.assert_array_equal(again.predict(images), fitted.predict(images))
    assert repr(again) == repr(fitted)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_the_pipeline_predicts_what_the_linear_model_predicts(
    multiclass: Multiclass, classes: int
) -> None:
    """What is evaluated in numpy is what scikit-learn serves, to 1e-12."""
    fitted, images = fit_sklearn(multiclass, classes)
    model = replace(from_pipeline(fitted), multiclass=multiclass)
    served = to_pipeline(model, range(classes)).predict_proba(images)
    assert served.shape == (len(images), classes)
    np.testing.assert_allclose(served, probabilities(model, images), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("intercepts", "predicted"),
    [
        ((-900.0, -800.0, -850.0), 1),  # all sigmoids underflow
        ((-800.0, -800.0, -800.0), 0),  # and the scores are the same
        ((40.0, 60.0, -3.0), 1),  # two sigmoids are 1
        ((-5.0, 90.0, 90.0), 1),
        ((0.1, 0.2, 0.3), 2),
    ],
)
def test_one_vs_rest_at_the_ends_of_the_sigmoid_is_what_the_pipeline_says(
    intercepts: tuple[float, ...], predicted: int
) -> None:
    """Its probabilities, no NaN; and the largest is the class that it answers, and the engine's."""
    model = LinearModel(1.0, "ovr", np.zeros(2), np.ones(2), np.zeros((3, 2)), np.array(intercepts))
    images = np.zeros((1, 2), dtype=np.uint8)
    pipeline, ours = to_pipeline(model, range(3)), LinearClassifier(model).predict(images)
    np.testing.assert_allclose(ours.values, pipeline.predict_proba(images), rtol=0, atol=1e-12)
    assert ours.values.argmax() == pipeline.predict(images)[0] == predicted
    assert all(
        np.isfinite(score)
        for name, score in ours.scores(np.array([0])).items()
        if name != "roc_auc"
    )


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_text_classes_are_answered_in_the_order_of_the_codes(multiclass: Multiclass) -> None:
    """Code k is classes[k], also where sorting the names gives another order."""
    fitted, images = fit_sklearn(multiclass, 3)
    names = ("zero", "one", "two")
    pipeline = to_pipeline(from_pipeline(fitted), names)
    codes = fitted.predict(images)
    assert pipeline.predict(images).tolist() == [names[code] for code in codes]
    assert pipeline.classes_.tolist() == list(names)


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_the_pipeline_is_an_ordinary_fitted_estimator(multiclass: Multiclass) -> None:
    """It passes scikit-learn's own check, refuses a wrong width, and can be fitted anew."""
    fitted, images = fit_sklearn(multiclass, 3)
    pipeline = to_pipeline(from_pipeline(fitted), range(3))
    check_is_fitted(pipeline)
    check_is_fitted(pipeline[-1])
    assert pipeline.n_features_in_ == images.shape[1]
    with pytest.raises(ValueError, match="expecting 64 features"):
        pipeline.predict_proba(images[:, :10])
    chosen = np.isin(LABELS, range(3))
    refitted = clone(pipeline).fit(images, LABELS[chosen])
    np.testing.assert_array_equal(refitted.predict_proba(images), fitted.predict_proba(images))


@pytest.mark.parametrize("multiclass", ["multinomial", "ovr"])
def test_skops_trusts_every_type_in_the_stored_pipeline(multiclass: Multiclass) -> None:
    """It is stored and loaded without a pickle and without an extra trusted type."""
    fitted, images = fit_sklearn(multiclass, 3)
    stored = skops.io.dumps(to_pipeline(from_pipeline(fitted), ("a", "b", "c")))
    assert skops.io.get_untrusted_types(data=stored) == []
    loaded = skops.io.loads(stored, trusted=[])
    np.testing.assert_array_equal(loaded.predict_proba(images), fitted.predict_proba(images))


def test_division_by_255_before_standardising_changes_nothing_in_the_fitted_function() -> None:
    """Standardising undoes any scaling, so the pipeline may take raw pixels."""
    raw, images = fit_sklearn("multinomial", 3)
    labels = LABELS[LABELS < 3]
    scaled = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(images / 255, labels)
    np.testing.assert_allclose(
        scaled.predict_proba(images / 255), raw.predict_proba(images), rtol=0, atol=1e-10
    )


def test_the_content_digest_survives_storing_and_loading() -> None:
    """The digest is of the numbers, not of the bytes that skops happens to write."""
    for multiclass, classes in (("multinomial", 3), ("ovr", 3), ("ovr", 2)):
        model = from_pipeline(fit_sklearn(multiclass, classes)[0])
        stored = skops.io.dumps(to_pipeline(model, range(classes)))
        loaded = from_pipeline(skops.io.loads(stored, trusted=[]))
        assert content_digest(loaded, range(classes)) == content_digest(model, range(classes))


@pytest.mark.parametrize("changed", ["mean", "scale", "coefficients", "intercepts"])
def test_the_content_digest_depends_on_every_number(changed: str) -> None:
    """The last bit of a single number makes another content."""
    model = from_pipeline(fit_sklearn("multinomial", 3)[0])
    numbers = getattr(model, changed).copy()
    numbers.flat[-1] = np.nextafter(numbers.flat[-1], np.inf)
    other = replace(model, **{changed: numbers})
    assert content_digest(other, range(3)) != content_digest(model, range(3))


def test_the_content_digest_tells_links_and_classes_apart() -> None:
    """Softmax or sigmoids, digits or their names: other functions, other digests."""
    model = from_pipeline(fit_sklearn("multinomial", 3)[0])
    digests = {
        content_digest(model, (0, 1, 2)),
        content_digest(model, ("0", "1", "2")),
        content_digest(model, (1, 0, 2)),
        content_digest(replace(model, multiclass="ovr"), (0, 1, 2)),
    }
    assert len(digests) == 4


def test_the_content_digest_ignores_what_does_not_change_the_function() -> None:
    """C, the sign of a zero, and the kind of two-class model leave it alone."""
    model = from_pipeline(fit_sklearn("multinomial", 2)[0])
    zero = np.zeros_like(model.coefficients)
    base = replace(model, coefficients=zero)
    for same in (
        replace(base, C=7.0),
        replace(base, coefficients=-zero),
        replace(base, multiclass="ovr"),
    ):
        assert content_digest(same, (0, 1)) == content_digest(base, (0, 1))


def test_a_foreign_pipeline_is_not_read() -> None:
    """Other steps would be dropped in silence, so they are refused."""
    with pytest.raises(ValueError, match="got LogisticRegression"):
        from_pipeline(make_pipeline(LogisticRegression()))


@pytest.mark.parametrize(
    "foreign",
    [
        make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
        make_pipeline(StandardScaler(with_std=False), LogisticRegression()),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LinearSVC())),
        make_pipeline(MinMaxScaler(), LogisticRegression()),
        LogisticRegression(),
    ],
    ids=repr,
)
def test_an_estimator_that_computes_something_else_is_kept_as_it_is(foreign: Any) -> None:
    """Read as numbers it would predict, and be registered as, another function."""
    fitted = foreign.fit(IMAGES[:200], LABELS[:200])
    assert linear_model(fitted) is None
    assert FittedEstimator(fitted).estimator(range(10)) is fitted


def test_a_pipeline_has_one_digest_whoever_holds_it() -> None:
    """Fitted by scikit-learn or read back from the registry: one function, one digest."""
    fitted, _ = fit_sklearn("ovr", 3)
    model = LinearClassifier(from_pipeline(fitted))
    assert FittedEstimator(fitted).digest(range(3)) == model.digest(range(3))


def test_the_model_and_its_pipeline_share_no_memory() -> None:
    """Changing the estimator afterwards leaves the result that reports are made of alone."""
    model: LinearModel = from_pipeline(fit_sklearn("multinomial", 3)[0])
    pipeline = to_pipeline(model, range(3))
    assert not np.shares_memory(pipeline[-1].coef_, model.coefficients)
    assert not np.shares_memory(pipeline[0].mean_, model.mean)
