"""Files: written whole or not at all, one lock for all who write, one reader, one codec.

A document is a frozen dataclass stored as JSON. It carries ``schema: Literal[1] = 1``. A new field
with a default needs no new number: old documents take the default, and old code that reads with
``tolerant=True`` passes over it. When a field changes its meaning or goes, the type says
``schema: Literal[1, 2] = 2`` and its reader tells the two apart; a number that the type doesn't
name is a later version's, and refused; none is the first one's. What is digested are the bytes
stored, never a value decoded and encoded again.
"""

import errno
import io
import json
import math
import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from foldwise.errors import FoldwiseError, OutputError
from foldwise.ownership import check_output

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

Value = bool | int | float | str | None
"""What a parameter may be."""

_T = TypeVar("_T")
_MOVE = "move it away, then run this again"
_LONGEST_HEADER = 1000
_LARGEST_GROWTH, _ALWAYS_ALLOWED = 100, 256 << 20
_NUMPYS = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '([<|][biu][1248]|<f[248])', 'fortran_order': (False|True),"
    rb" 'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)
"""The header of an array of numbers as numpy writes it. Its own reader takes any Python literal."""
BROKEN_ZIP = (
    *(EOFError, OSError, OverflowError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error),
)
"""What damaged bytes can raise in zipfile."""


class DocumentError(FoldwiseError):
    """Stored bytes are not what they must be. Chain it to an error that names file and remedy."""


@contextmanager
def locked(path: Path, *, wait: float = 0, busy: FoldwiseError | None = None) -> Iterator[None]:
    """Hold the lock file ``path``, which another process or thread can't hold meanwhile.

    A killed process frees its lock. Folders are made as needed; the file goes with the lock. If
    another holds it for so many seconds of ``wait``, ``busy`` is raised; None waits for ever.

    Raises
    ------
    OutputError
        The path is a link or holds something: taking the lock would empty it.
    OSError
        The file can't be written.
    """
    from filelock import FileLock, Timeout  # like pydantic, not there where a GPU is tried alone

    _check_lock(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if busy is None else wait, poll_interval=0.01)
    try:
        lock.acquire()
    except Timeout as error:
        if busy is None:
            raise
        raise busy from error
    try:
        yield
    finally:
        # Removed while held: whoever waits for this file sees that it has no name, and begins anew.
        path.unlink(missing_ok=True)
        lock.release()


def _check_lock(path: Path) -> None:
    check_output(path)
    # Whoever holds it may let go of it just now.
    with suppress(FileNotFoundError, NotADirectoryError):
        if path.is_dir() or path.stat().st_size:
            raise OutputError(f"{path} must be an empty lock file, it isn't: move it away")


def check_writable(*files: Path, folders: Sequence[Path] = ()) -> None:
    """Refuse what writing files and folders would meet, before the work that they are to hold.

    Raises
    ------
    OutputError
        A link leads elsewhere, see `check_output`, or something of another kind is in the way.
    """
    for path in (*files, *folders):
        for place in (path, _beside(path)):
            check_output(place)
        _check_lock(_lock_of(path))
        within = (*path.parents, path) if path in folders else path.parents
        if wrong := [each for each in within if each.exists() and not each.is_dir()]:
            raise OutputError(f"{wrong[0]} must be a folder, it is a file: {_MOVE}")
        if path in files and path.is_dir():
            raise OutputError(f"{path} must be a file, it is a folder: {_MOVE}")


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it takes ``path``'s place if the block ends well.

    The temporary file lies beside ``path``, keeps its suffix and has a fixed name, so that what
    a killed process left is used up by its next run; a lock keeps two writers apart. If the
    block raises, ``path`` stays as it was. What `check_writable` refuses is refused.
    """
    check_writable(path)
    partial = _beside(path)
    with locked(_lock_of(path)):
        partial.unlink(missing_ok=True)
        try:
            yield partial
            flush(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        flush(path.parent)


@contextmanager
def replacing_folder(path: Path, *, seal: str, busy: FoldwiseError) -> Iterator[Path]:
    """Yield an empty folder to write; its files take their places in ``path`` at the end.

    Every folder of files holds one called ``seal``, with a digest of the others. It moves last, so
    that a kill between two renames leaves files that a reader who looks at the digest refuses.
    Strange files go; folders stay, since DVC may watch them. If the block raises, all stays as it
    was. ``busy`` is raised when another process is writing there; what `check_writable` refuses is
    refused.
    """
    check_writable(folders=[path])
    stage = _beside(path)
    with locked(_lock_of(path), busy=busy):
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            yield stage
            for written in stage.rglob("*"):
                flush(written)
            for folder in (stage, *sorted(inner for inner in stage.rglob("*") if inner.is_dir())):
                _move_files(folder, path / folder.relative_to(stage), seal)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def read_bytes(path: Path) -> bytes:
    """Read a file; a pipe, which would be waited for, a socket and a device are refused.

    Raises
    ------
    OSError
        It can't be read, or is none.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # of a folder the system tells
            raise OSError(errno.EINVAL, "Is neither a file nor a folder", str(path))
        return path.read_bytes()
    except OSError as error:  # its number is no word for people
        raise type(error)(f"{path.name}: {error.strerror}") from error


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def encode(value: object, *, indent: int | None = None) -> str:
    """Write a value as JSON, the same text for equal values; `decode` is the inverse, to the bit.

    It may be dataclasses, mappings with keys of text or integers, tuples, lists, sets, text,
    numbers, truth values and None, in any nesting; NaN and infinities are written as Python does.
    Without ``indent`` it is one line, without spaces.

    Raises
    ------
    TypeError
        There is anything else in it, numpy's scalars and arrays included: convert them first.
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(plain(value), sort_keys=True, indent=indent, separators=separators)


def decode(kind: type[_T], text: str | bytes, *, tolerant: bool = False) -> _T:
    """Read a value that `encode` wrote.

    Its kind is a dataclass, or whatever `encode` takes, such as ``tuple[Trial, ...]``; annotations
    must be importable where it is defined. Types are checked, never converted: ``true`` and ``1.0``
    are no integers. A field left out takes its default; one that isn't known is refused, or passed
    over with ``tolerant``, as it must be where a later version may have written the document.

    Raises
    ------
    DocumentError
        It is no JSON, or a field is missing, unknown or of another type: one line.
    """
    from pydantic import ValidationError

    try:
        key: Any = kind  # a type is hashable, which mypy doubts
        extra: Literal["ignore", "forbid"] = "ignore" if tolerant else "forbid"
        value: _T = _reader(key).validate_json(text, strict=True, extra=extra)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)
        later = [each for each in wrong if each["loc"][-1:] == ("schema",)]
        first = (later or wrong)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        said = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r:.60}"
        got += ", read it by the version of foldwise that wrote it" * bool(later)
        raise DocumentError(f"{place} must be as {_name(kind)} has it: {said}{got}") from error
    return value


def decode_arrays(content: bytes) -> "dict[str, NDArray[Any]]":
    """Read the arrays of numbers that `numpy.savez` or `numpy.savez_compressed` wrote, by name.

    They are read-only. No header makes memory be taken that the bytes don't fill.

    Raises
    ------
    DocumentError
        The bytes are damaged, or there is anything else in them: one line.
    """
    import numpy as np  # a tenth of a second, which who reads documents alone needn't wait

    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_growth(archive, len(content))
            for each in archive.infolist():
                if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"a compression that isn't numpy's, {each.compress_type}")
                stored = archive.read(each)
                kind, order, shape, start = _header(stored[:_LONGEST_HEADER], len(stored))
                flat = np.frombuffer(stored, kind, math.prod(shape), start)
                arrays[each.filename.removesuffix(".npy")] = flat.reshape(shape, order=order)
    except BROKEN_ZIP as error:
        raise DocumentError(f"arrays must be as numpy wrote them, got {error!r:.80}") from error
    return arrays


def most_unpacked(size: int) -> int:
    """How much an archive of so many bytes may hold; more is no data, but meant to fill the memory.

    What is packed may grow a thousandfold; data and models shrink to a half or a twentieth.
    """
    return max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * size)


def check_growth(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what an archive of so many bytes can't hold, before memory is taken; ValueError."""
    grown, most = sum(each.file_size for each in archive.infolist()), most_unpacked(size)
    if grown > most:
        raise ValueError(f"{grown:,} bytes unpacked, more than the {most:,} it can hold")


def map_array(path: Path) -> "NDArray[Any]":
    """Map an array of numbers that `numpy.save` wrote from the disk, read-only.

    Raises
    ------
    OSError
        It can't be read, or is no file.
    DocumentError
        It is damaged, or holds anything else: one line.
    """
    import numpy as np

    if not path.is_file():
        read_bytes(path)  # which says why not
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    try:
        kind, order, shape, start = _header(head, path.stat().st_size)
    except ValueError as error:
        raise DocumentError(f"an array must be as numpy wrote it, got {error!r:.80}") from error
    return np.memmap(path, kind, "r", start, shape, order)


def _header(head: bytes, size: int) -> tuple[str, Literal["C", "F"], tuple[int, ...], int]:
    """Type, order, shape and place of an array whose file begins so, if it fills its ``size``."""
    if not (found := _NUMPYS.match(head)):
        raise ValueError(f"the header {head[:40]!r}")
    shape = tuple(int(of) for of in found[3].replace(b",", b" ").split())
    if (wants := found.end() + math.prod(shape) * int(found[1][2:])) != size:
        raise ValueError(f"{size:,} bytes where shape {shape} wants {wants:,}")
    return found[1].decode(), "F" if found[2] == b"True" else "C", shape, found.end()


def plain(value: object) -> Any:
    """Give a value as `encode` would write it, made of dicts, lists and JSON's scalars alone."""
    if type(value) in {str, int, float, bool, type(None)}:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(inner) for inner in value), key=json.dumps)
    raise _refused(value)


def _key(key: object) -> str:
    if type(key) is str or type(key) is int:
        return str(key)
    raise _refused(key)


def _refused(value: object) -> TypeError:
    return TypeError(
        f"a document must be made of Python's own values, got {type(value).__name__}: convert it"
    )


@cache
def _reader(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _name(kind: object) -> str:
    return kind.__name__ if is_dataclass(kind) and isinstance(kind, type) else str(kind)


def _move_files(folder: Path, target: Path, seal: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in folder.iterdir() if path.is_file()}
    for path in target.iterdir():
        if path.is_file() and path.name not in names:
            path.unlink()
    for name in sorted(names, key=lambda name: (name == seal, name)):
        (folder / name).replace(target / name)
    flush(target)
