"""IDX files, the format of MNIST: a header of big-endian sizes, then unsigned bytes.

Bytes 0 and 1 are zero, byte 2 is the type (0x08: unsigned bytes), byte 3 the number of dimensions;
then one 32-bit size for each dimension, then the values, last dimension fastest.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Dataset
from foldwise.data.labels import make_dataset
from foldwise.errors import DataError
from foldwise.files import most_unpacked

Kind = Literal["images", "labels"]
Stream = BinaryIO | gzip.GzipFile

_DIMENSIONS: dict[Kind, range] = {"images": range(2, 5), "labels": range(1, 2)}
_UNSIGNED_BYTES = 0x08
_OTHER_TYPES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}
_MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
KNOWN = {"mnist": _MNIST}


def read_idx_folder(folder: Path, *, name: str) -> Dataset:
    """Read ``train-*`` as development set and ``t10k-*`` as holdout, gzip-compressed or not.

    The files are ``{train,t10k}-images-idx3-ubyte`` and ``{train,t10k}-labels-idx1-ubyte``, each
    with or without ``.gz``, and with a dot or a hyphen before ``idx``; colour images, of four
    dimensions, are called so, too. If the name is ``mnist``, checksums are known and compared.

    Raises
    ------
    DataError
        A file is missing, damaged or not the one the name stands for, or the files don't belong
        together.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} must be a folder of four IDX files: check prepare.path")
    shape, development = _read_split(folder, "train", name)
    holdout_shape, holdout = _read_split(folder, "t10k", name)
    if shape != holdout_shape:
        raise DataError(
            f"images of both splits must have one shape, got {shape} in train and"
            f" {holdout_shape} in t10k: put files of one data set into {folder}"
        )
    return make_dataset(shape, development, holdout)


def read_idx(path: Path, kind: Kind) -> tuple[NDArray[np.uint8], str]:
    """Read a file of images or labels, gzip-compressed if its name ends in ``.gz``.

    Images have 2 to 4 dimensions, the first one counting them; labels have one. The array, of the
    header's shape, is read-only; an uncompressed file is mapped from the disk, not read. With it
    comes the SHA-256 (hexadecimal) of the uncompressed content, header included.

    Raises
    ------
    DataError
        The file can't be read, isn't IDX, holds the other kind, or isn't of the declared size.
    """
    if not path.is_file():
        raise DataError(f"{path} must be a file: put the four IDX files there")
    is_packed = path.suffix == ".gz"
    try:
        with gzip.open(path, "rb") if is_packed else path.open("rb") as stream:
            header, shape = _read_header(path, stream, kind)
            if is_packed:
                array = _unpacked(path, stream, shape)
            else:
                _check_size(path, math.prod(shape), path.stat().st_size - len(header))
                array = np.memmap(path, dtype=np.uint8, mode="r", offset=len(header), shape=shape)
    except gzip.BadGzipFile as error:
        with path.open("rb") as file:
            is_plain = file.read(3) == bytes([0, 0, _UNSIGNED_BYTES])
        remedy = "take the ending .gz from its name" if is_plain else "fetch it again"
        raise _broken(path, f"it isn't compressed by gzip ({error}): {remedy}") from error
    except (EOFError, zlib.error) as error:
        raise _broken(path, f"its gzip stream is damaged ({error}): fetch it again") from error
    except OSError as error:
        raise _broken(path, f"reading gave '{error}'") from error
    except MemoryError as error:
        raise _broken(path, "its content is larger than the memory: uncompress it") from error
    digest = hashlib.sha256(header)
    digest.update(array.reshape(-1).data)
    return array, digest.hexdigest()


def _unpacked(path: Path, stream: Stream, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    declared = math.prod(shape)
    allowed = most_unpacked(path.stat().st_size)
    if declared > allowed:
        raise _broken(
            path, f"it declares {declared:,} bytes, more than the {allowed:,} it can hold"
        )
    content = stream.read(declared + 1)
    _check_size(path, declared, len(content))
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_header(path: Path, stream: Stream, kind: Kind) -> tuple[bytes, tuple[int, ...]]:
    magic = stream.read(4)
    if magic[:2] == b"\x1f\x8b":
        raise _broken(path, "it is gzip-compressed without saying so: give it the ending .gz")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise _broken(path, f"it begins with the bytes '{magic.hex(' ')}' instead of '00 00 08'")
    if magic[2] != _UNSIGNED_BYTES:
        raise _broken(path, _wrong_type(kind, magic[2]))
    if magic[3] not in _DIMENSIONS[kind]:
        others = [name for name, allowed in _DIMENSIONS.items() if magic[3] in allowed]
        mixed = f"it holds {' '.join(others)} where {kind} belong: have files been mixed up?"
        raise _broken(path, mixed if others else f"it declares {magic[3]} dimensions")
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise _broken(path, "it ends within its header: fetch it again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    if 0 in shape:
        raise _broken(path, f"it declares the sizes {shape}: there must be at least one value")
    return magic + sizes, shape


def _wrong_type(kind: Kind, code: int) -> str:
    if code not in _OTHER_TYPES:
        return f"its values have the type 0x{code:02x}, which there isn't: fetch it again"
    scaled = "pixels scaled to whole numbers" if kind == "images" else "labels"
    return (
        f"its values are {_OTHER_TYPES[code]}, not unsigned bytes, 0x08:"
        f" write the {scaled} from 0 to 255 as numpy's uint8"
    )


def _check_size(path: Path, declared: int, present: int) -> None:
    if present < declared:
        raise _broken(
            path, f"it declares {declared:,} values and ends after {present:,}: fetch it again"
        )
    if present > declared:
        raise _broken(path, f"it goes on after the {declared:,} values it declares: fetch it again")


def _broken(path: Path, got: str) -> DataError:
    return DataError(f"{path} must be an IDX file, but {got}")


def _read_split(
    folder: Path, prefix: str, name: str
) -> tuple[tuple[int, ...], tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    images_path, images = _read_known(folder, f"{prefix}-images-idx3-ubyte", "images", name)
    labels_path, labels = _read_known(folder, f"{prefix}-labels-idx1-ubyte", "labels", name)
    if len(images) != len(labels):
        raise DataError(
            f"there must be one label for each image, got {len(images):,} images in"
            f" {images_path} and {len(labels):,} labels in {labels_path.name}:"
            " put files of one data set there"
        )
    return images.shape[1:], (images.reshape(len(images), -1), labels.astype(np.int64))


def _read_known(folder: Path, stem: str, kind: Kind, name: str) -> tuple[Path, NDArray[np.uint8]]:
    """The file of this stem, and what it holds: of a data set that is known, its own bytes."""
    path = _find(folder, stem)
    content, digest = read_idx(path, kind)
    known = KNOWN.get(name, {}).get(stem, digest)
    if digest != known:
        raise DataError(
            f"{path} must hold {name}'s own bytes, SHA-256 {known[:12]}..., got {digest[:12]}...:"
            " fetch the file again, or give other data another prepare.name"
        )
    return path, content


def _find(folder: Path, stem: str) -> Path:
    names = [f"{each}{end}" for each in (stem, stem.replace("-idx", ".idx")) for end in ("", ".gz")]
    found = [name for name in names if (folder / name).exists()]
    if len(found) != 1:
        remedy = "remove all but one" if found else "put it there, or change prepare.path"
        raise DataError(
            f"{folder} must hold one of {', '.join(names)}, got {' and '.join(found) or 'none'}:"
            f" {remedy}"
        )
    return folder / found[0]
