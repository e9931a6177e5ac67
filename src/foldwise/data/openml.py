"""Data sets of openml.org by name and version: asked for once, then read from the cache.

A client of its own, because it must stream: images go from the compressed file to one byte per
pixel without a table of objects, and whatever a server answers ends in data or in one clear line.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from foldwise.data.arff import Columns, read_arff
from foldwise.data.download import NotFoundError, fetch
from foldwise.data.raw import RawData, split_last_rows
from foldwise.errors import DataError
from foldwise.ownership import check_output

SERVER = "https://www.openml.org"
_HOLDOUT = 10_000
_LARGEST_ANSWER = 64 << 20
_LARGEST_DATA = 16 << 30
_LONGEST_LINE = 16 << 20


def read_openml(
    name: str, version: int, *, holdout: int | None, cache: Path, server: str = SERVER
) -> RawData:
    """Read a data set of images, one pixel a column, from the cache or the server.

    Parameters
    ----------
    name, version : str, int
        Such as ``mnist_784`` and 1.
    holdout : int or None
        How many of the last rows are the holdout; None means 10,000.
    cache : Path
        Keeps the server's answers, compressed, in a folder ``<name>-<version>``.
    server : str
        Beginning of the addresses.

    Returns
    -------
    RawData
        A number of pixels that is a square gives square images, any other one-dimensional ones.

    Raises
    ------
    DataError
        There is no such data set, the server can't be reached, or what it gives isn't dense ARFF
        with one label and pixels from 0 to 255.
    """
    folder, api = cache / f"{name}-{version}", f"{server}/api/v1/json/data"
    number = _find(name, version, folder, api)
    description = folder / "description.json.gz"
    with _asked(f"{api}/{number}", description) as answer:
        url = _part(answer, "data_set_description", "url", of=str)
        checksum = _part(answer, "data_set_description", "md5_checksum", of=str)
    with _asked(f"{api}/features/{number}", folder / "features.json.gz") as answer:
        columns = _columns(_part(answer, "data_features", "feature", of=list))
    data = folder / "data.arff.gz"
    if not data.exists():
        fetch(url, data, largest=_LARGEST_DATA)
    with _forgotten_if_bad(data):
        images, labels = read_arff(_checked_lines(data, checksum), columns)
    pixels = images.shape[1]
    side = math.isqrt(pixels)
    return split_last_rows(
        images,
        labels,
        image_shape=(side, side) if side * side == pixels else (pixels,),
        holdout=_HOLDOUT if holdout is None else holdout,
    )


def _find(name: str, version: int, folder: Path, api: str) -> int:
    url = f"{api}/list/data_name/{quote(name.lower())}/limit/2/data_version/{version}"
    for address in (url, f"{url}/status/deactivated"):
        try:
            with _asked(address, folder / "listing.json.gz") as answer:
                return int(_part(answer, "data", "dataset", 0, "did", of=int))
        except NotFoundError:
            continue
    raise DataError(
        f"OpenML must have the data set, and has no '{name}' in version {version}:"
        " check prepare.name and prepare.version"
    )


def _columns(features: list[Any]) -> Columns:
    pixels, labels = [], []
    for place in range(len(features)):
        index = _part(features, place, "index", of=str)
        if index != str(place):
            raise _unexpected(f"the feature number {index[:20]!r} in place {place}")
        flags = {
            flag: _part(features, place, flag, of=str) == "true"
            for flag in ("is_target", "is_ignore", "is_row_identifier")
        }
        if flags["is_target"]:
            labels.append(place)
        elif not any(flags.values()):
            pixels.append(place)
    if len(labels) != 1 or not pixels:
        raise _unexpected(f"{len(labels)} targets and {len(pixels)} other columns")
    return Columns(tuple(pixels), labels[0], len(features))


@contextmanager
def _asked(url: str, path: Path) -> Iterator[Any]:
    if not path.exists():
        fetch(url, path, largest=_LARGEST_ANSWER)
    with _forgotten_if_bad(path):
        try:
            answer = json.loads(gzip.decompress(path.read_bytes()))
        except (ValueError, RecursionError) as error:
            raise _unexpected(f"text that is no JSON ({error})") from error
        yield answer


@contextmanager
def _forgotten_if_bad(path: Path) -> Iterator[None]:
    """Remove a cached answer that turns out bad, so that the next run asks again."""
    check_output(path)
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        path.unlink(missing_ok=True)
        raise DataError(f"{path} must be a gzip file, got '{error}': run prepare again") from error
    except DataError:
        path.unlink(missing_ok=True)
        raise


def _part(answer: Any, *keys: str | int, of: type) -> Any:
    for key in keys:
        try:
            answer = answer[key]
        except (KeyError, IndexError, TypeError) as error:
            raise _unexpected(f"an answer without '{key}'") from error
    if not isinstance(answer, of):
        raise _unexpected(f"a {type(answer).__name__} as '{keys[-1]}'")
    return answer


def _unexpected(got: str) -> DataError:
    return DataError(
        f"OpenML must describe image data with one label a row, got {got}:"
        " choose other data, or try again later"
    )


def _checked_lines(path: Path, checksum: str) -> Iterator[bytes]:
    digest = hashlib.md5(usedforsecurity=False)
    with gzip.open(path, "rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise _unexpected(f"a line of more than {_LONGEST_LINE:,} bytes")
            digest.update(line)
            yield line
    if digest.hexdigest() != checksum.strip().lower():
        raise DataError(
            f"{path} must have OpenML's checksum {checksum[:32]!r}, got '{digest.hexdigest()}':"
            " run prepare again"
        )
