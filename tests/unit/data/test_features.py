"""Filter features: exact, stateless, the same from scikit-learn's own parts."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from foldwise.data.features import FilterBank
from foldwise.settings import FilterSettings

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


def test_the_formula_is_what_the_module_says() -> None:
    """Filter by filter and window by window, with loops instead of matrices."""
    shape, bank = (9, 14), small((9, 14), step=2, power=0.5)
    mine = images(shape, rows=4)
    features = bank.fit_transform(mine)
    maps = bank._maps(None)
    for image, found in zip(mine, features, strict=True):
        responses = [
            sum(float(row.data[k]) * int(image[row.indices[k]]) for k in range(row.nnz))
            for row in (maps.filters[[n]] for n in range(maps.filters.shape[0]))
        ]
        told = []
        for sign in (1, -1):
            excess = [max(sign * response - maps.threshold, 0) for response in responses]
            told += [
                round(math.sqrt(sum(w * e for w, e in zip(row, excess, strict=True))))
                for row in maps.windows.toarray()
            ]
        assert list(found) == told


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ((28, 28), {}),
        ((19, 23), {}),
        ((33, 14, 3), {"angles": 1, "step": 2}),
        ((92, 92), {"size": 90, "grid": 1, "angles": 1}),
    ],
)
def test_tiles_and_single_precision_change_no_byte(
    shape: tuple[int, ...], numbers: dict[str, Any]
) -> None:
    """Whether tiles overlap or not, all is as the whole matrices give it in double precision."""
    bank, mine = small(shape, **numbers), images(shape)
    maps = bank._maps(None)
    sums = np.hstack(maps.sums(mine.astype(np.float64) @ maps.filters.T))
    assert np.array_equal(bank.fit_transform(mine), np.rint(np.sqrt(np.sqrt(sums))))


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
    [((8, 8), {}), ((9, 30), {"grid": 9}), ((3, 3), {}), ((28, 28), {"size": 31, "step": 3})],
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


def test_evidence_is_the_slope_times_the_pixel() -> None:
    """As finite differences of the score have it, where features aren't rounded."""
    shape = (12, 12)
    bank = small(shape, power=1.0).fit(images(shape))
    maps = bank._maps(None)
    image = images(shape)[2:3].astype(np.float64)
    weights = np.random.default_rng(3).normal(size=2 * maps.windows.shape[0])

    def score(pixels: NDArray[np.float64]) -> float:
        found = pixels @ maps.filters.T
        sums = [np.maximum(s * found - maps.threshold, 0) @ maps.windows.T for s in (1, -1)]
        return float(np.hstack(sums)[0] @ weights)

    told = bank.evidence(image, weights)[0]
    for pixel in np.flatnonzero(image[0])[:10]:
        further = image.copy()
        further[0, pixel] += 1e-4
        slope = (score(further) - score(image)) / 1e-4
        assert told[pixel] == pytest.approx(slope * image[0, pixel], rel=1e-3, abs=1e-3)
