"""Four files make two splits, or one line says which of them is wrong."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from foldwise.data.idx import read_idx_folder
from foldwise.errors import DataError
from tests.idx_files import STEMS, idx_bytes, toy_images, write_idx_folder

RAW = Path(__file__).parents[3] / "data" / "raw"


@pytest.mark.parametrize("packed", [False, True])
def test_train_is_development_and_t10k_the_holdout(tmp_path: Path, *, packed: bool) -> None:
    """Images become rows of features; labels integers."""
    raw = read_idx_folder(write_idx_folder(tmp_path, packed=packed), name="toy")
    assert raw.image_shape == (5, 4)
    assert np.array_equal(raw.development.images, toy_images(60, seed=60).reshape(60, 20))
    assert np.array_equal(raw.holdout.images, toy_images(30, seed=30).reshape(30, 20))
    assert raw.holdout.labels.dtype == np.int64
    assert raw.holdout.labels.tolist() == [0, 1, 2] * 10


def test_the_embedded_files_are_mnist() -> None:
    """What the repository carries has the checksums that are known."""
    raw = read_idx_folder(RAW, name="mnist")
    assert raw.development.images.shape == (60_000, 784)
    assert raw.holdout.images.shape == (10_000, 784)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST's files, unpacked."""
    folder = tmp_path_factory.mktemp("mnist")
    for path in RAW.glob("*.gz"):
        (folder / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


@pytest.mark.parametrize("stem", STEMS.values())
def test_other_bytes_under_the_name_mnist_are_refused(
    mnist: Path, tmp_path: Path, stem: str
) -> None:
    """One pixel or label changed in any of the four files; another name takes it."""
    changed = bytearray((mnist / stem).read_bytes())
    changed[-1] ^= 1
    for path in mnist.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / stem).unlink()
    (tmp_path / stem).write_bytes(changed)
    with pytest.raises(DataError, match=rf"{stem} must hold mnist's own bytes, SHA-256"):
        read_idx_folder(tmp_path, name="mnist")
    read_idx_folder(tmp_path, name="nearly-mnist")


@pytest.mark.parametrize("stem", STEMS.values())
def test_a_missing_or_doubled_file_is_named(tmp_path: Path, stem: str) -> None:
    """Two spellings at once could differ, so neither is chosen silently."""
    write_idx_folder(tmp_path)
    dotted = stem.replace("-idx", ".idx")
    for twin in (f"{stem}.gz", dotted):
        shutil.copy(tmp_path / stem, tmp_path / twin)
        with pytest.raises(DataError, match=rf"must hold one of .* got {stem} and {twin}: remove"):
            read_idx_folder(tmp_path, name="toy")
        (tmp_path / twin).unlink()
    (tmp_path / stem).unlink()
    with pytest.raises(DataError, match=rf"one of {stem}, {stem}.gz, {dotted}, .* got none: put"):
        read_idx_folder(tmp_path, name="toy")


@pytest.mark.parametrize("packed", [False, True])
def test_names_with_a_dot_are_taken_too(tmp_path: Path, *, packed: bool) -> None:
    """As unpacked archives of MNIST spell them; its checksums are compared under either name."""
    for path in write_idx_folder(tmp_path, packed=packed).iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert read_idx_folder(tmp_path, name="toy").image_shape == (5, 4)
    with pytest.raises(DataError, match=r"images\.idx3-ubyte.* must hold mnist's own bytes"):
        read_idx_folder(tmp_path, name="mnist")


def test_no_parameter_is_named_that_can_not_be_set(tmp_path: Path) -> None:
    """The t10k files are the holdout, whatever prepare.holdout says."""
    write_idx_folder(tmp_path)
    (tmp_path / STEMS["t10k", "labels"]).write_bytes(idx_bytes(np.zeros(30, np.uint8)))
    with pytest.raises(DataError, match="none of 1 in the holdout: choose data whose splits"):
        read_idx_folder(tmp_path, name="toy")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A typing error in prepare.path."""
    with pytest.raises(DataError, match="must be a folder of four IDX files"):
        read_idx_folder(tmp_path / "nowhere", name="toy")


def test_each_image_has_one_label(tmp_path: Path) -> None:
    """Files of two data sets don't mix."""
    write_idx_folder(tmp_path)
    (tmp_path / STEMS["train", "labels"]).write_bytes(idx_bytes(np.zeros(59, np.uint8)))
    with pytest.raises(DataError, match=r"got 60 images in .* and 59 labels"):
        read_idx_folder(tmp_path, name="toy")


def test_both_splits_have_one_shape(tmp_path: Path) -> None:
    """20 features may be 5x4 pixels or 4x5."""
    write_idx_folder(tmp_path)
    path = tmp_path / STEMS["t10k", "images"]
    path.write_bytes(idx_bytes(toy_images(30, shape=(4, 5))))
    with pytest.raises(DataError, match=r"one shape, got \(5, 4\) in train and \(4, 5\) in t10k"):
        read_idx_folder(tmp_path, name="toy")
