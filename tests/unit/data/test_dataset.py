"""What is saved is what is loaded, and nothing else is ever taken for it."""

import json
import multiprocessing
import os
import pickle
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from foldwise.data.dataset import (
    Classes,
    DataInfo,
    Split,
    SplitFacts,
    content_digest,
    equal_rows,
    joined,
    load,
    load_facts,
    load_info,
    replacing_data,
    write_split,
)
from foldwise.errors import DataError

SHAPE = (2, 3)
RNG = np.random.default_rng(7)
IMAGES = RNG.integers(0, 256, (10, 6), dtype=np.uint8)
LABELS = np.array([0, 1] * 5)
ORIGINS = np.array([0, 1, 2, 3, 4] * 2)


def draft(images: NDArray[np.uint8] = IMAGES, origins: NDArray[np.int64] | None = None) -> Split:
    """Make a split; no origins, empty ones, where no row is a copy."""
    none = np.empty(0, dtype=np.int64)
    return Split(images, LABELS[: len(images)], none if origins is None else origins)


def write(
    folder: Path,
    split: Split,
    *,
    classes: Classes = ("a", "b"),
    name: str = "toy",
    shape: tuple[int, ...] = SHAPE,
) -> str:
    """Write a split, its pixels in uneven blocks, and give its digest."""
    blocks = [split.images[:7], split.images[7:]]
    origins = split.origins if split.origins.size else None
    return write_split(
        folder, blocks, split.labels, origins=origins, name=name, classes=classes, image_shape=shape
    ).digest


def save(directory: Path, development: Split) -> None:
    """Write a whole prepared dataset."""
    with replacing_data(directory) as stage:
        write(stage / "development", development)
        write(stage / "holdout", draft(IMAGES[:4]))


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A dataset whose development set has copies."""
    directory = tmp_path / "data" / "prepared"
    save(directory, draft(origins=ORIGINS))
    return directory


def test_what_is_saved_is_what_is_loaded(prepared: Path) -> None:
    """Pixels, labels and origins, read-only and of the promised types."""
    split = load("development", prepared)
    assert np.array_equal(split.images, IMAGES)
    assert np.array_equal(split.labels, LABELS)
    assert np.array_equal(split.origins, ORIGINS)
    types = [array.dtype for array in (split.images, split.labels, split.origins)]
    assert types == [np.uint8, np.int64, np.int64]
    assert not any(array.flags.writeable for array in (split.images, split.labels, split.origins))


def test_pixels_stay_on_the_disk(prepared: Path) -> None:
    """Loading maps the file instead of reading it."""
    assert isinstance(load("development", prepared).images, np.memmap)


def test_without_copies_each_row_is_its_own_origin(prepared: Path) -> None:
    """The holdout is never augmented."""
    assert load("holdout", prepared).origins.tolist() == [0, 1, 2, 3]


def test_the_info_tells_both_splits_apart(prepared: Path) -> None:
    """Names, shapes, rows and digests are read without any pixel."""
    (prepared / "development" / "images.npy").unlink()
    info = load_info(prepared)
    digests = (info.development_digest, info.holdout_digest)
    assert info == DataInfo("toy", ("a", "b"), SHAPE, 10, digests[0], 4, digests[1])
    assert len(set(digests)) == 2


def test_integer_classes_stay_integers(tmp_path: Path) -> None:
    """The class 7 is not the class '7'."""
    write(tmp_path / "one", draft(), classes=(3, 7))
    assert load_facts(tmp_path / "one").classes == (3, 7)


def test_data_prepared_by_an_earlier_version_stays_valid(tmp_path: Path) -> None:
    """The files' bytes and the digest are what registered versions refer to."""
    digest = write(tmp_path / "development", draft(origins=ORIGINS))
    assert digest == "65f7080addde6316828bde7976696fd837cfeb6f555903437615fee6d3506ed8"
    assert (tmp_path / "development" / "info.json").read_text() == (
        '{\n  "augmented": true,\n  "classes": [\n    "a",\n    "b"\n  ],\n'
        f'  "digest": "{digest}",\n'
        '  "image_shape": [\n    2,\n    3\n  ],\n  "name": "toy",\n  "rows": 10\n}\n'
    )


def test_a_field_of_a_later_version_is_passed_over(prepared: Path) -> None:
    """Whoever goes back a version keeps the data."""
    path = prepared / "development" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "image"}))
    assert np.array_equal(load("development", prepared).images, IMAGES)


def test_the_digest_sees_every_part_of_a_split(tmp_path: Path) -> None:
    """A pixel, a label, an origin, a class and the image shape each change it; the name not."""
    other_pixel = IMAGES.copy()
    other_pixel[9, 5] ^= 1
    base = draft()
    others = [
        base,
        draft(other_pixel),
        draft(origins=ORIGINS),
        draft(origins=ORIGINS[::-1].copy()),
        replace(base, labels=LABELS[::-1].copy()),
    ]
    digests = [write(tmp_path / str(n), one) for n, one in enumerate(others)]
    digests.append(write(tmp_path / "shape", base, shape=(3, 2)))
    digests.append(write(tmp_path / "classes", base, classes=("a", "c")))
    assert len(set(digests)) == len(digests)
    assert write(tmp_path / "name", base, name="other") == digests[0]


def flip_a_byte(path: Path) -> None:
    """Damage the last byte of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Lose the end of a file."""
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    """Lose all of a file."""
    path.write_bytes(b"")


def pickle_it(path: Path) -> None:
    """Put objects where numbers should be."""
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


class Hostile:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(Path(tempfile.gettempdir()) / "unpickled"),)


def test_a_pickle_is_never_loaded(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could run any code."""
    monkeypatch.setattr(tempfile, "tempdir", str(prepared))
    (prepared / "development" / "labels.npy").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match="must be as prepare wrote it"):
        load("development", prepared)
    assert not (prepared / "unpickled").exists()


def zip_it(path: Path) -> None:
    """Put an archive of arrays where an array should be."""
    with path.open("wb") as file:
        np.savez(file, LABELS)


def ask_for_a_petabyte(path: Path) -> None:
    """Declare a shape that no memory holds."""
    with path.open("wb") as file:
        header = {"descr": "<i8", "fortran_order": False, "shape": (10**14,)}
        np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize(
    "damage", [flip_a_byte, cut, empty, pickle_it, zip_it, ask_for_a_petabyte, os.unlink]
)
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "origins.npy"])
def test_a_damaged_array_is_refused(
    prepared: Path, name: str, damage: Callable[[Path], None]
) -> None:
    """The error names the place and the remedy."""
    damage(prepared / "development" / name)
    with pytest.raises(DataError, match=r"must be as prepare wrote it.*run `dvc repro -f prepare`"):
        load("development", prepared)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"classes": 3}', "\x00", "null", "7"])
def test_a_damaged_info_is_refused(prepared: Path, text: str) -> None:
    """Half a file, or JSON of another shape."""
    (prepared / "development" / "info.json").write_text(text)
    with pytest.raises(DataError, match="must be as prepare wrote it"):
        load("development", prepared)


def test_a_wrong_count_of_rows_is_refused(prepared: Path) -> None:
    """The info is no part of the digest, so its count is compared with the labels."""
    path = prepared / "development" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rows": 9}))
    with pytest.raises(DataError, match="must be as prepare wrote it"):
        load("development", prepared)


def test_missing_data_says_how_to_get_it(tmp_path: Path) -> None:
    """A fresh clone has no prepared data."""
    with pytest.raises(DataError, match="must exist, and doesn't: run `dvc repro prepare`"):
        load("development", tmp_path)


def test_a_failing_writer_leaves_the_old_data(prepared: Path) -> None:
    """And no file of its own."""
    before = load_info(prepared)

    def fail() -> None:
        with replacing_data(prepared) as stage:
            write(stage / "development", draft())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert load_info(prepared) == before
    assert np.array_equal(load("development", prepared).images, IMAGES)
    assert list(prepared.parent.iterdir()) == [prepared]


def test_pixels_that_are_no_bytes_are_not_written_as_bytes(tmp_path: Path) -> None:
    """A file of floats below a header that says uint8 would be read as eight times the pixels."""
    with pytest.raises(DataError, match="must be written as uint8, got float64"):
        save(tmp_path / "prepared", draft(IMAGES / 255))  # type: ignore[arg-type]
    assert not (tmp_path / "prepared").exists()


def test_new_data_leaves_nothing_of_the_old(prepared: Path) -> None:
    """A development set without copies has no file of origins, also where one was."""
    save(prepared, draft())
    names = sorted(path.name for path in (prepared / "development").iterdir())
    assert names == ["images.npy", "info.json", "labels.npy"]
    assert load("development", prepared).origins.tolist() == list(range(10))


def test_only_one_process_writes_at_a_time(prepared: Path) -> None:
    """The second is told so, and the first is not disturbed."""
    with replacing_data(prepared) as stage:
        (stage / "mine").mkdir()
        with (
            pytest.raises(DataError, match="written by one process at a time"),
            replacing_data(prepared),
        ):
            pass
        assert (stage / "mine").exists()


@pytest.mark.parametrize("after", range(5))
def test_a_kill_while_files_move_in_is_noticed_and_mended(prepared: Path, after: int) -> None:
    """Whatever the kill leaves is either whole or refused, and the next run puts it right."""
    changed = IMAGES[::-1].copy()
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_save_and_die, args=(prepared, changed, after))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    info_before_repair = load_facts(prepared / "development").digest
    try:
        seen = load("development", prepared).images
        assert np.array_equal(seen, IMAGES) or np.array_equal(seen, changed)
    except DataError:
        seen = None
    save(prepared, draft(changed))
    is_new = info_before_repair == load_facts(prepared / "development").digest
    assert is_new == (seen is not None and np.array_equal(seen, changed))
    assert np.array_equal(load("development", prepared).images, changed)
    assert list(prepared.parent.iterdir()) == [prepared]


def _save_and_die(directory: Path, images: NDArray[np.uint8], after: int) -> None:
    done = 0
    rename = Path.replace

    def die_in_time(source: Path, target: Path) -> Path:
        nonlocal done
        if done == after:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        return rename(source, target)

    Path.replace = die_in_time  # type: ignore[method-assign, assignment]
    save(directory, draft(images))


def test_groups_and_origins_of_the_same_numbers_are_two_digests() -> None:
    """A row that equals another is not its copy: it is scored."""
    facts = SplitFacts("toy", ("a", "b"), SHAPE, 10, augmented=False, digest="")
    digests = {
        content_digest(facts, IMAGES, LABELS, origins=origins, groups=groups)
        for origins, groups in ((ORIGINS, None), (None, ORIGINS), (ORIGINS, ORIGINS))
    }
    assert len(digests) == 3


@given(seed=st.integers(0, 1000))
def test_joined_groups_keep_together_what_any_of_them_does_and_no_more(seed: int) -> None:
    """Two rows are in one group if a chain of rows that belong together joins them."""
    generator = np.random.default_rng(seed)
    partitions = [generator.integers(0, 30, 40) for _ in range(3)]
    together = np.mean([np.equal.outer(of, of) for of in partitions], axis=0)
    reached = np.linalg.matrix_power(together, 40) > 0
    groups = joined(*partitions)
    np.testing.assert_array_equal(np.equal.outer(groups, groups), reached)
    assert all(groups[row] == np.flatnonzero(reached[row])[0] for row in range(40))


def test_equal_rows_are_found_by_their_first() -> None:
    """Pixel by pixel; a row that nothing equals is its own."""
    images = np.array([[1, 2], [2, 1], [1, 2], [1, 3], [2, 1]], dtype=np.uint8)
    assert equal_rows(images).tolist() == [0, 1, 0, 3, 1]
