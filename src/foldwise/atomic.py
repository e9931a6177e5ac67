"""Writing a file whole or not at all: beside it first, flushed to the disk, then renamed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foldwise.ownership import check_output

_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it takes ``path``'s place if the block ends well.

    The temporary file lies beside ``path``, keeps its suffix and has a fixed name, so that what
    a killed process left is used up by its next run; a lock keeps two writers apart. If the
    block raises, ``path`` stays as it was.

    Raises
    ------
    OutputError
        If a link leads elsewhere, see `check_output`.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    check_output(path)
    check_output(partial)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open_locked(partial)
    try:
        try:
            yield partial
            flush(partial)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        flush(path.parent)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file whole or not at all, newlines as they are."""
    write_bytes(path, content.encode("utf-8"))


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_locked(partial: Path) -> int:
    # The writer before us may have renamed or removed the file while we waited for its lock.
    while True:
        descriptor = os.open(partial, _OPEN, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_still_named(partial, descriptor):
            if os.fstat(descriptor).st_nlink == 1:
                os.ftruncate(descriptor, 0)
                return descriptor
            partial.unlink()  # the content has another name, and is not ours to empty
        os.close(descriptor)


def _is_still_named(partial: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), partial.stat())
    except FileNotFoundError:
        return False
