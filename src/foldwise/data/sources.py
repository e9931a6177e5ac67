"""Where the data comes from: four IDX files, OpenML, or scikit-learn's digits."""

import gzip
import math
import re
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Dataset
from foldwise.data.idx import KNOWN, read_idx_folder
from foldwise.data.labels import TWO_WAYS, alike, make_dataset
from foldwise.errors import DataError, SettingsError
from foldwise.ownership import check_output
from foldwise.rules import shown
from foldwise.settings import SOURCES, PrepareSettings
from foldwise.threads import variable

OPENML = "https://www.openml.org"
_SERVER, _ADDRESS = "FOLDWISE_OPENML_SERVER", re.compile(r"https?://[^\s/]+\S*")
_HOLDOUTS = {
    "nothing": "null",
    "count": "a whole number or null",
    "share": "a share such as 0.2, a mapping, none or null",
}
_TIMEOUT = 20.0
_LONGEST_LABEL = 100
_BLOCK = 4096


def read_source(settings: PrepareSettings, *, root: Path, home: Path | None = None) -> Dataset:
    """Read the data that the parameters name.

    OpenML's answers are cached in ``data/openml`` of the folder ``home``, the main checkout where
    ``root``, the project's folder, is a copy; ``FOLDWISE_OPENML_SERVER`` names a mirror.

    Raises
    ------
    SettingsError
        A parameter doesn't go with the source.
    DataError
        The data can't be had, or breaks its format.
    """
    check_read(settings)
    holdout = settings.holdout if isinstance(settings.holdout, int) else None
    place = (home or root) if settings.source == "openml" else root
    return READERS[settings.source](settings, place, holdout)


READERS: Mapping[str, Callable[[PrepareSettings, Path, int | None], Dataset]] = {
    "idx": lambda told, root, _: read_idx_folder(root / told.path, name=told.name),
    "openml": lambda told, root, holdout: read_openml(
        told.name,
        told.version,
        holdout=holdout,
        cache=root / "data" / "openml",
        server=variable(_SERVER, "like https://openml.example", _ADDRESS.fullmatch) or OPENML,
    ),
    "digits": lambda _, __, holdout: read_digits(holdout=holdout),
}
"""Who reads each source of images, given the project's folder and the size of the holdout."""


def check_read(settings: PrepareSettings) -> None:
    """Refuse a parameter that the source doesn't read: whoever set it means other data.

    And a name that stands for known files, of any others.
    """
    reads = SOURCES[settings.source]
    for name in dict.fromkeys(name for each in SOURCES.values() for name in each.parameters):
        default, value = getattr(PrepareSettings(), name), getattr(settings, name)
        if name not in reads.parameters and value != default:
            other = next(source for source, of in SOURCES.items() if name in of.parameters)
            without = "empty" if default in ((), {}) else shown(default).strip("'")
            raise SettingsError(
                f"prepare.{name} must be {without} when prepare.source is {settings.source}, which"
                f" doesn't read it, got {value!r}: set prepare.source to {other}, or"
                f" prepare.{name} to {without}, in params.yaml"
            )
    if settings.source != "idx" and settings.name in KNOWN:
        raise SettingsError(
            f"prepare.name must not be {settings.name} when prepare.source is {settings.source},"
            f" because it names known files' model: name the data, such as"
            f" {'mnist_784' if settings.source == 'openml' else settings.source}, in params.yaml"
        )
    told = "count" if isinstance(settings.holdout, int) else "share"
    if settings.holdout is None or told == reads.holdout:
        return
    why = ", because the t10k files are the holdout" if settings.source == "idx" else ""
    raise SettingsError(
        f"prepare.holdout must be {_HOLDOUTS[reads.holdout]} when prepare.source is"
        f" {settings.source}{why}, got {shown(settings.holdout)}: edit params.yaml"
    )


def read_digits(*, holdout: int | None) -> Dataset:
    """Read scikit-learn's digits; pixels are 0 to 16. By default, the last 297 are the holdout."""
    from sklearn.datasets import load_digits  # a second and 100 MB that other sources save

    digits = load_digits()
    images = digits.data.astype(np.uint8)
    return _split_last(images, digits.target, (8, 8), 297 if holdout is None else holdout)


def read_openml(
    name: str, version: int, *, holdout: int | None, cache: Path, server: str = OPENML
) -> Dataset:
    """Read a data set of images, one pixel a column, by scikit-learn's `fetch_openml`.

    So many of the last rows are the ``holdout``, 10,000 for None. ``cache``, a folder ``openml``,
    keeps the answers of ``server``, with which addresses begin. A number of pixels that is a square
    gives square images, any other one-dimensional ones.

    Raises
    ------
    DataError
        There is no such data set, the server can't be reached, or what it gives isn't dense ARFF
        with one label and pixels from 0 to 255.
    OutputError
        A link leads elsewhere.
    """
    from sklearn.datasets import fetch_openml

    check_output(cache)
    # A missing label is NaN, and NaN cast to a class's number is, by the machine, one of them.
    with _one_line(name, version, cache), _asking(server), np.errstate(invalid="raise"):
        # The other parser takes the labels 7 and 07 for one class.
        data = fetch_openml(
            name, version=version, data_home=cache.parent, as_frame=False, parser="liac-arff"
        )
    if len(data.target_names) != 1 or not data.feature_names or data.categories:
        raise DataError(
            f"OpenML's {name} must have one label and numbers for all else a row,"
            f" got {len(data.target_names)} labels, {len(data.feature_names)} other columns,"
            f" {len(data.categories)} of them in words: choose other data"
        )
    images = _pixels(data.data, name)
    pixels = images.shape[1]
    side = math.isqrt(pixels)
    shape = (side, side) if side * side == pixels else (pixels,)
    labels = _labels(data.target, name)
    return _split_last(images, labels, shape, 10_000 if holdout is None else holdout)


def _split_last(
    images: NDArray[np.uint8], labels: NDArray[Any], shape: tuple[int, ...], holdout: int
) -> Dataset:
    first = len(labels) - holdout
    if first < 1:
        raise DataError(
            f"the data must have more rows than the holdout's {holdout:,}, got {len(labels):,}:"
            " set prepare.holdout in params.yaml"
        )
    return make_dataset(
        shape,
        (images[:first], labels[:first]),
        (images[first:], labels[first:]),
        remedy="set another prepare.holdout in params.yaml, or choose other data",
    )


@contextmanager
def _asking(server: str) -> Iterator[None]:
    """Let scikit-learn ask this server, and none for ever."""
    from sklearn.datasets import _openml

    names = ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES")
    before = {name: getattr(_openml, name) for name in names}
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        for name, address in before.items():
            setattr(_openml, name, address.replace(OPENML, server.rstrip("/")))
        yield
    finally:
        socket.setdefaulttimeout(timeout)
        for name, address in before.items():
            setattr(_openml, name, address)


@contextmanager
def _one_line(name: str, version: int, cache: Path) -> Iterator[None]:
    from sklearn.datasets._openml import OpenMLError
    from sklearn.externals._arff import ArffException

    data = f"OpenML's {name} in version {version}"
    try:
        yield
    except OpenMLError as error:
        raise DataError(
            f"{data} must exist, and doesn't: check prepare.name and prepare.version"
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error, RecursionError) as error:
        raise DataError(f"{data} must come whole, got {error!r:.200}: run prepare again") from error
    except FloatingPointError as error:
        raise DataError(
            f"{data} must have a label in each row, got rows without: choose other data"
        ) from error
    except OSError as error:
        raise DataError(
            f"{data} must be reachable, got '{error}': check the network and {_SERVER}, or use"
            " another source"
        ) from error
    except (ArffException, ValueError, LookupError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())[:300] + _place(error, cache)
        raise DataError(
            f"{data} must be image data in ARFF and UTF-8, described as OpenML does, got {said!r}:"
            " choose other data, or run prepare again"
        ) from error


def _place(error: Exception, cache: Path) -> str:
    """Where in a fetched file the bytes stand that can't be decoded; nothing for other faults."""
    if not isinstance(error, UnicodeDecodeError):
        return ""
    for path in cache.rglob("*.arff.gz"):
        with gzip.open(path) as file:
            for row, line in enumerate(file, start=1):
                if line == error.object:
                    return f", in row {row}, column {error.start + 1} of {path.name}"
    return ""


def _pixels(values: NDArray[np.float64], name: str) -> NDArray[np.uint8]:
    if not isinstance(values, np.ndarray):
        raise DataError(f"OpenML's {name} must be dense, got sparse rows: choose other data")
    images = np.empty(values.shape, dtype=np.uint8)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        is_pixel = (block >= 0) & (block <= 255) & (block == np.floor(block))
        if not is_pixel.all():
            row, column = np.argwhere(~is_pixel)[0]
            raise DataError(
                f"OpenML's {name}, row {start + row + 1}, column {column + 1} must be a pixel, an"
                f" integer from 0 to 255, got {block[row, column]:g}: choose image data, unscaled"
            )
        images[start : start + _BLOCK] = block
    return images


def _labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    labels = [_label(value) for value in values.tolist()]
    for row, label in enumerate(labels, start=1):
        if not label or len(label) > _LONGEST_LABEL or not label.isprintable():
            raise DataError(
                f"OpenML's {name}, row {row} must have a label of 1 to {_LONGEST_LABEL} printable"
                f" characters, got {label[:20]!r}: choose data without missing labels"
            )
    if places := alike(labels):
        first, second = (place + 1 for place in places)
        raise DataError(
            f"OpenML's {name} has the label {labels[places[0]][:20]!r} {TWO_WAYS} in row {first:,}"
            f" and row {second:,}: choose data that spell it in one way"
        )
    return np.array(labels)


def _label(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{int(value)}" if value.is_integer() else f"{value!r}"
    return "" if value is None else str(value)
