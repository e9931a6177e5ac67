"""What comes over the network: bounded, timed, retried, and one clear line when it fails."""

import gzip
import http.client
import ssl
import time
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from foldwise.atomic import replacing
from foldwise.errors import DataError
from foldwise.ownership import check_output

_TIMEOUT = 20.0
_ATTEMPTS = 3
_PAUSE = 1.0  # seconds before the second attempt, twice as many before the third
_ABSENT = {404, 412}  # 412 is OpenML's own
_CHUNK = 1 << 20
# Not OSError as such: a full disk is no fault of the network.
_NETWORK = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    UnicodeError,  # a host name that is none
)


class NotFoundError(DataError):
    """The server answered that it has no such thing."""


class UnreachableError(DataError):
    """The server or the way to it failed; another attempt may go well."""


def fetch(url: str, path: Path, *, largest: int) -> None:
    """Download to a gzip-compressed file, whole or not at all.

    Parameters
    ----------
    url : str
        Of http or https. Proxies are taken from the usual environment variables.
    path : Path
        Takes the content, compressed whether or not it came so.
    largest : int
        Bytes of uncompressed content after which the download is given up.

    Raises
    ------
    NotFoundError
        The server says that the content doesn't exist.
    UnreachableError
        Three attempts failed; one is given up after 20 seconds without a byte.
    DataError
        The server refuses or sends too much.
    OutputError
        A link leads elsewhere.
    """
    _check_scheme(url)
    check_output(path)
    for attempt in range(_ATTEMPTS - 1):
        try:
            return _fetch_once(url, path, largest)
        except UnreachableError:
            time.sleep(_PAUSE * 2**attempt)
    return _fetch_once(url, path, largest)


def _check_scheme(url: str) -> None:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in {"http", "https"}:
        raise DataError(f"a download must be by http or https, got {url[:80]!r}: choose other data")


def _fetch_once(url: str, path: Path, largest: int) -> None:
    # S310 warns of file: and other schemes, which fetch has refused.
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            packed = answer.headers.get("Content-Encoding", "") == "gzip"
            with replacing(path) as partial:
                content = gzip.GzipFile(fileobj=answer) if packed else answer
                _copy(content, partial, url, largest)
                if answer.length:  # what is still to come, after the end
                    raise http.client.IncompleteRead(b"", answer.length)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(url, error.code, error.reason) from error
    except _NETWORK as error:
        reason = str(getattr(error, "reason", error)) or repr(error)
        raise UnreachableError(
            f"{url} must be reachable, got '{reason}': check the network, or use prepare.source idx"
        ) from error


def _refused(url: str, code: int, reason: str) -> DataError:
    if code in _ABSENT:
        return NotFoundError(f"{url} must exist, and the server has no such thing")
    kind = UnreachableError if code >= 500 else DataError
    return kind(f"{url} must be given out, got '{code} {reason}': try again later")


def _copy(content: IO[bytes] | gzip.GzipFile, path: Path, url: str, largest: int) -> None:
    done = 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", 1, file, mtime=0) as target:
        while chunk := content.read(_CHUNK):
            done += len(chunk)
            if done > largest:
                raise DataError(f"{url} must send at most {largest:,} bytes, and sends more")
            target.write(chunk)
