"""Made IDX files for tests: the bytes of one, and folders of four."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STEMS = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("t10k", "images"): "t10k-images-idx3-ubyte",
    ("t10k", "labels"): "t10k-labels-idx1-ubyte",
}


def idx_bytes(array: NDArray[np.uint8], *, type_code: int = 0x08) -> bytes:
    """The bytes of an array as an IDX file."""
    header = bytes([0, 0, type_code, array.ndim])
    return header + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


def toy_images(rows: int, *, shape: tuple[int, ...] = (5, 4), seed: int = 0) -> NDArray[np.uint8]:
    """Random images."""
    return np.random.default_rng(seed).integers(0, 256, (rows, *shape), dtype=np.uint8)


def write_idx_folder(
    folder: Path, *, rows: tuple[int, int] = (60, 30), classes: int = 3, packed: bool = False
) -> Path:
    """Write four files: so many development and holdout rows, classes in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for (prefix, kind), stem in STEMS.items():
        count = rows[prefix == "t10k"]
        labels = (np.arange(count) % classes).astype(np.uint8)
        array = toy_images(count, seed=count) if kind == "images" else labels
        content = idx_bytes(array)
        path = folder / (f"{stem}.gz" if packed else stem)
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder
