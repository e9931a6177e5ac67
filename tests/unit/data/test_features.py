"""Filter features: exact, stateless, the same from scikit-learn's own parts."""

import hashlib
import math
import sys
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import correlate2d
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from foldwise import threads
from foldwise.data.features import FilterBank
from foldwise.errors import InputError
from foldwise.settings import FilterSettings
from foldwise.threads import one_blas_thread

SHAPES = [(12, 12), (9, 14), (20, 24), (10, 11, 3)]


def small(shape: Sequence[int], **given: Any) -> FilterBank:
    """A bank that fits all of the shapes."""
    return FilterBank(shape, **{"size": 5, "grid": 2, "angles": 3} | given)


def images(shape: Sequence[int], rows: int = 30, seed: int = 1) -> NDArray[np.uint8]:
    """Noise, half of it dark, one image all dark and one all bright."""
    drawn = np.random.default_rng(seed).integers(-255, 256, (rows, math.prod(shape)))
    drawn[0], drawn[1] = 0, 255
    return drawn.clip(0).astype(np.uint8)


@parametrize_with_checks([FilterBank()])  # type: ignore[untyped-decorator]  # it has no types
def test_it_is_a_transformer_of_scikit_learn_s(estimator: FilterBank, check: Any) -> None:
    """All that scikit-learn asks of any."""
    check(estimator)


def test_the_settings_defaults_are_the_transformer_s() -> None:
    """Which stand in both signatures."""
    told = FilterBank().get_params()
    ours = FilterSettings()
    assert {name: getattr(ours, name) for name in told if name != "shape"} == {
        name: value for name, value in told.items() if name != "shape"
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_s_features_depend_on_no_other_image(shape: tuple[int, ...]) -> None:
    """Alone, in another company or in another order: the same bytes."""
    bank, mine = small(shape), images(shape, rows=200)
    features = bank.fit_transform(mine)
    order = np.random.default_rng(2).permutation(len(mine))
    assert np.array_equal(bank.transform(mine[order]), features[order])
    for row in (0, 1, 77, 199):
        alone = clone(bank).fit(mine[row : row + 1]).transform(mine[row : row + 1])
        assert np.array_equal(alone[0], features[row])


@pytest.mark.parametrize("shape", SHAPES)
def test_each_image_shape_has_its_features(shape: tuple[int, ...]) -> None:
    """One a name, a channel's by itself; a dark image has none."""
    bank = small(shape)
    features = bank.fit_transform(images(shape))
    names = bank.get_feature_names_out()
    channels = (*shape, 1)[2]
    assert features.shape[1] == len(set(names)) == len(names) == 4 * 3 * 2 * 4 * channels
    assert features.dtype == np.uint8
    assert not features[0].any()
    assert features[2:].any()


def test_channels_do_not_mix() -> None:
    """What changes in one channel changes that one's features alone."""
    bank, mine = small((10, 11, 3)), images((10, 11, 3))
    other = mine.copy().reshape(-1, 10, 11, 3)
    other[..., 1] //= 3
    changed = (bank.fit_transform(mine) != bank.transform(other.reshape(len(mine), -1))).any(axis=0)
    assert {name.split("_")[1] for name in bank.get_feature_names_out()[changed]} == {"channel1"}


def by_formula(bank: FilterBank, mine: NDArray[Any]) -> NDArray[np.float64]:
    """What windows add up to (rows, features) as the module's head says it, filter by filter."""
    maps = bank._maps(mine.shape[1])
    rows, columns, channels = maps.image
    sums = []
    for image in mine.astype(np.float64).reshape(-1, rows, columns, channels):
        found = np.array(
            [
                correlate2d(image[..., channel], kernel.reshape(maps.size), "valid")
                for channel in range(channels)
                for kernel in maps.filters
            ]
        )
        seen = found[:, :: maps.step, :: maps.step].reshape(len(found), -1)
        excess = (np.maximum(sign * seen - maps.threshold, 0) for sign in (1, -1))
        sums.append(np.concatenate([(each @ maps.windows.T).ravel() for each in excess]))
    return np.array(sums)


def test_the_formula_is_what_the_module_says() -> None:
    """Filter by filter and window by window, with every second place left out."""
    shape, bank = (9, 14), small((9, 14), step=2, power=0.5)
    mine = images(shape, rows=4)
    assert np.array_equal(bank.fit_transform(mine), np.rint(np.sqrt(by_formula(bank, mine))))


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ((28, 28), {}),
        ((19, 23), {}),
        ((33, 14, 3), {"angles": 1, "step": 2}),
        ((45, 46), {"size": 31, "angles": 1}),
    ],
)
def test_tiles_and_single_precision_change_no_byte(
    shape: tuple[int, ...], numbers: dict[str, Any]
) -> None:
    """Whether tiles overlap or not, all is as the formula gives it in double precision."""
    bank, mine = small(shape, **numbers), images(shape, rows=9)
    told = np.rint(np.sqrt(np.sqrt(by_formula(bank, mine))))
    assert np.array_equal(bank.fit_transform(mine), told)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("shape", SHAPES)
def test_scikit_learn_s_own_steps_make_the_same_bytes(shape: tuple[int, ...], power: float) -> None:
    """What is registered needs no class of ours; its sums are exact, so nothing is only close."""
    bank, mine = small(shape, power=power), images(shape)
    stock = Pipeline(bank.stock())
    assert np.array_equal(stock.transform(mine.astype(np.float64)), bank.fit_transform(mine))
    modules = {type(step).__module__.split(".")[0] for _, step in stock.steps}
    assert modules == {"sklearn"}


def test_pixels_between_whole_numbers_have_features_too() -> None:
    """Where sums are no longer exact, none falls below zero and becomes no number."""
    mine = np.random.default_rng(4).uniform(0, 255, (300, 144)).round(3)
    bank = small((12, 12), power=0.25).fit(mine)
    found = Pipeline(bank.stock()).transform(mine)
    assert np.isfinite(found).all()
    assert np.abs(found - bank.transform(mine)).max() <= 1


def test_a_light_stripe_is_told_by_its_direction() -> None:
    """An upright bar speaks to other filters than a lying one, and each where it lies."""
    upright = np.zeros((1, 14, 14), np.uint8)
    upright[:, :, 6:8] = 255
    bank = FilterBank((14, 14), grid=2, angles=2, frequencies=(0.2,)).fit(upright.reshape(1, -1))
    standing = bank.transform(upright.reshape(1, -1))[0]
    lying = bank.transform(upright.transpose(0, 2, 1).reshape(1, -1))[0]
    names = bank.get_feature_names_out()
    of_x, of_y = ([f"filter{n}_" in name for name in names] for n in (0, 2))
    assert standing[of_x].sum() > 3 * standing[of_y].sum()
    assert lying[of_y].sum() > 3 * lying[of_x].sum()


def test_the_default_features_of_mnist_s_shape_are_these() -> None:
    """On any machine: who computes others can't go on with a search."""
    told = hashlib.sha256(FilterBank((28, 28)).fit_transform(images((28, 28))).tobytes())
    assert told.hexdigest()[:16] == "e228ea7514eea767"


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [((8, 8), {}), ((9, 30), {"grid": 8}), ((3, 3), {}), ((28, 28), {"size": 31, "step": 3})],
)
def test_filters_that_do_not_fit_are_refused_with_those_that_do(
    shape: tuple[int, ...], numbers: dict[str, Any]
) -> None:
    """The remedy is taken at its word."""
    mine = images(shape)
    with pytest.raises(ValueError, match=r"must be at most \d+, the smaller side") as refused:
        FilterBank(shape, **numbers).fit(mine)
    words = str(refused.value).split("got ")[1].split()
    named: dict[str, Any] = {
        name: int(words[words.index(name) + 1]) for name in ("step", "grid", "size")
    }
    FilterBank(shape, **named).fit(mine)


def test_rows_of_another_shape_are_refused() -> None:
    """With both numbers, as scikit-learn words it."""
    with pytest.raises(ValueError, match="X has 120 features, but FilterBank is expecting 144"):
        small((12, 12)).fit(images((10, 12)))


LARGE = [((28, 28), 1_500), ((28, 28, 3), 600), ((64, 64, 3), 100)]


@pytest.mark.parametrize(("shape", "rows"), LARGE)
def test_few_megabytes_are_there_at_a_time(shape: tuple[int, ...], rows: int) -> None:
    """Beside pixels and features, however large the images: of all at once, it would be twice."""
    mine = np.zeros((rows, math.prod(shape)), np.uint8)
    FilterBank(shape).fit(mine[:1]).transform(mine[:1])
    tracemalloc.start()
    features = FilterBank(shape).fit(mine).transform(mine)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - features.nbytes < 25e6


def test_a_bank_computes_with_one_blas_thread() -> None:
    """Called by itself, too: with two, such small products take three times the processor time."""
    seen: list[int] = []

    class Watched(FilterBank):
        def _steps(self, pixels: int | None) -> list[tuple[str, Any]]:
            def look(X: NDArray[Any]) -> NDArray[Any]:
                told = threadpool_info()
                seen.extend(each["num_threads"] for each in told if each["user_api"] == "blas")
                return X

            return [("look", FunctionTransformer(look)), *super()._steps(pixels)]

    with threadpool_limits(2, user_api="blas"):
        Watched((12, 12)).transform(images((12, 12)))
    assert {*seen} == {1}


def test_limits_that_overlap_hold_to_the_last_and_leave_all_blas_threads_behind() -> None:
    """Of two threads, whichever comes or goes first."""

    def number() -> set[int]:
        told = threadpool_info()
        return {each["num_threads"] for each in told if each["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        for order in ((0, 1), (1, 0)):
            held = [one_blas_thread(), one_blas_thread()]
            for each in held:
                each.__enter__()
                assert number() == {1}
            held[order[0]].__exit__(None, None, None)
            assert number() == {1}
            held[order[1]].__exit__(None, None, None)
            assert number() == {2}


def test_libraries_are_looked_for_anew_where_an_import_may_have_brought_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To look takes longer than a small fit, of which a search makes hundreds."""
    looks: list[ThreadpoolController] = []

    def look() -> ThreadpoolController:
        looks.append(ThreadpoolController())
        return looks[-1]

    monkeypatch.setattr(threads, "ThreadpoolController", look)
    threads._libraries.cache_clear()
    for brought, expected in ((None, 1), (None, 1), ("a module", 2)):
        if brought:
            monkeypatch.setitem(sys.modules, brought, threads)
        with threads.one_thread():
            assert {each["num_threads"] for each in threadpool_info()} == {1}
        assert len(looks) == expected


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("size", 0, "an integer from 2 to 31"),
        ("size", 7.5, "an integer from 2 to 31"),
        ("angles", 0, "an integer from 1 to 32"),
        ("frequencies", (), "a list of 1 to 8 numbers from 0.001 to 0.5"),
        ("frequencies", 0.2, "a list of 1 to 8 numbers from 0.001 to 0.5"),
        ("frequencies", (0.1, math.nan), "a list of 1 to 8 numbers from 0.001 to 0.5"),
        ("frequencies", (1e-300,), "a list of 1 to 8 numbers from 0.001 to 0.5"),
        ("threshold", math.nan, "a number from 0 to 10"),
        ("threshold", "much", "a number from 0 to 10"),
        ("step", -1, "an integer from 1 to 16"),
        ("grid", 0, "an integer from 1 to 16"),
        ("window", 0, "a number from 0.2 to 5"),
        ("power", -1, "0.25, 0.5 or 1"),
        ("power", None, "0.25, 0.5 or 1"),
    ],
)
def test_a_number_that_params_yaml_would_refuse_is_refused(
    name: str, value: Any, rule: str
) -> None:
    """By fit, by transform and by the names, in one line."""
    bank, mine = FilterBank((12, 12), **{name: value}), images((12, 12))
    for ask in (lambda: bank.fit(mine), lambda: bank.transform(mine), bank.get_feature_names_out):
        with pytest.raises(InputError, match=rf"^{name} must be {rule}, got .*: edit the FilterB"):
            ask()


@pytest.mark.parametrize("numbers", [{}, {"size": 3, "angles": 3}, {"size": 2}])
def test_a_threshold_that_no_image_can_exceed_is_refused(numbers: dict[str, Any]) -> None:
    """And up to there it is not: the image of a filter's own signs is found just below it."""
    shape, settings = (12, 12), {"grid": 2, **numbers}
    with pytest.raises(
        InputError, match=r"^threshold must be below \S+, .*, got 10: lower it"
    ) as no:
        FilterBank(shape, threshold=10.0, **settings).fit(images(shape))
    most = float(str(no.value).split("below ")[1].split(",")[0])
    made = FilterBank(shape, threshold=0.95 * most, **settings)._maps(144)
    strongest = made.filters[np.abs(made.filters).sum(axis=1).argmax()].reshape(made.size)
    image = np.zeros(shape, np.uint8)
    image[: made.size[0], : made.size[1]] = 255 * (strongest > 0)
    assert (
        FilterBank(shape, threshold=0.95 * most, power=0.25, **settings)
        .transform(image.reshape(1, -1))
        .any()
    )
    FilterBank(shape, **settings).fit(images(shape))


def test_more_features_than_params_yaml_would_allow_are_refused() -> None:
    """What is to be lowered is named."""
    bank = FilterBank((28, 28), grid=16)
    with pytest.raises(InputError, match="at most 4,096 features, got 16,384: lower grid, angles"):
        bank.fit(images((28, 28)))
    bank.set_params(grid=4).fit(images((28, 28)))


@pytest.mark.parametrize("shape", [(12, 12, 1, 1), (144,), 144, (12, -12), (12.0, 12.0), "12"])
def test_a_shape_that_no_image_has_is_refused(shape: Any) -> None:
    """With what it must be; the remedy is taken at its word."""
    with pytest.raises(InputError, match=r"^shape must be two or three whole numbers above 0"):
        FilterBank(shape).fit(images((12, 12)))
    FilterBank((12, 12)).fit(images((12, 12)))


def test_numbers_of_numpy_are_numbers() -> None:
    """Whoever takes them from an array gets the same features."""
    given: dict[str, Any] = {
        "shape": np.array([12, 12]),
        "size": np.int64(5),
        "frequencies": np.array([0.12, 0.22]),
        "power": np.float64(1),
    }
    theirs = FilterBank(**given)
    mine = images((12, 12))
    ours = FilterBank((12, 12), size=5, power=1.0).fit_transform(mine)
    assert np.array_equal(theirs.fit_transform(mine), ours)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("threshold", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES)
def test_evidence_adds_up_to_the_score(
    shape: tuple[int, ...], threshold: float, power: float
) -> None:
    """And none is larger than what its image's features add, however small a sum they are of."""
    bank, mine = small(shape, power=power, threshold=threshold), images(shape, rows=12)
    mine[2] = mine[2] > 0
    sums = by_formula(bank, mine)
    weights: NDArray[np.float64] = np.random.default_rng(3).normal(size=(sums.shape[1],))
    told = bank.evidence(mine, weights)
    np.testing.assert_allclose(told.sum(axis=1), sums**power @ weights, rtol=1e-9, atol=1e-9)
    most = sums**power @ np.abs(weights)
    assert (np.abs(told).sum(axis=1) <= most * (1 + 1e-9)).all()
    assert not told[mine == 0].any()
    assert np.abs(told[3:]).sum(axis=1).all()


def test_no_single_image_makes_a_picture_of_evidence() -> None:
    """Of n images' mean none moves a pixel by more than ten n-ths of the largest."""
    digits = load_digits()
    own = digits.images[digits.target == 8].reshape(-1, 64).astype(np.uint8)
    bank = FilterBank((8, 8), size=3, grid=3, threshold=0.02)
    features, is_eight = bank.fit_transform(digits.data), digits.target == 8
    differ = features[is_eight].mean(axis=0) - features[~is_eight].mean(axis=0)
    weights: NDArray[np.float64] = differ / np.maximum(features.std(axis=0), 1)
    told = bank.evidence(own, weights)
    picture, rest = told.mean(axis=0), (told.sum(axis=0) - told) / (len(told) - 1)
    assert np.abs(rest - picture).max() < 10 / len(told) * np.abs(picture).max()
