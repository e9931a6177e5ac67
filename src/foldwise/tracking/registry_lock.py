"""One process of this machine at a time changes the registry."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout

from foldwise.errors import StoreError
from foldwise.ownership import lock_file
from foldwise.tracking.faults import reason
from foldwise.tracking.store import Store

_SECONDS = 600


@contextmanager
def registry_lock(store: Store) -> Iterator[None]:
    """Wait for, then hold ``registry.lock`` beside the database; a killed process frees it.

    Checkouts that share a database share the lock.

    On a server, other machines don't see it: who moves an alias there looks again before and
    after the move.
    """
    folder = store.artifacts.parent if store.artifacts else store.root / "mlruns"
    path = folder.resolve() / "registry.lock"
    try:
        lock = lock_file(path, seconds=_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process has held {path} for {_SECONDS} s: end it, or wait, then run again"
        ) from error
    except OSError as error:
        raise StoreError(f"{path} can't be locked: {reason(error)}") from error
    try:
        yield
    finally:
        lock.release()
