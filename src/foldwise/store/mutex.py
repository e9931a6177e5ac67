"""The mutex: a name that one process holds at a time, by the word of the store that all share.

Beside a SQLite database it is a lock file, which a killed process frees. On a server it is a
registered model, since only one process can create one of that name. Its holder shows a sign of
life every few seconds; who shows none for a minute is dead, and is pushed aside by who holds the
right to, a name as well. So no clocks are compared.
"""

import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from foldwise.errors import StoreError
from foldwise.files import locked
from foldwise.store.faults import Tolerating, reason, store_faults
from foldwise.store.open import Store

LOCK_PREFIX = "foldwise-lock-"
_BEAT, _SILENCE, _POLL = 10.0, 60.0, 0.25
_GRACE = 15.0
"""Seconds that even who takes a name by force leaves to its holder: a move takes one or two."""
_TOKEN, _OWNER, _SIGN = "token", "owner", "beat"


class Busy(StoreError):
    """Another process holds the name."""


class Lease:
    """A name that is held; a lock file can't be taken away."""

    def check(self) -> None:
        """Make sure that the name is still ours, raise `Busy` if another process took it over."""


@contextmanager
def held(
    store: Store, name: str, doing: str, *, wait: float = 0.0, is_forced: bool = False
) -> Iterator[Lease]:
    """Hold a name, such as a search's key; a killed process loses it.

    ``doing`` says what is done meanwhile: ``"decide on blobs-classifier"``. A living holder is
    waited for so many seconds, then `Busy` is raised. Who forces it waits for moments alone, and
    takes a server's name even from a living holder.
    """
    if store.artifacts is None:
        lease = _Beating(store, name, doing)
        try:
            with store_faults(f"taking the lock to {doing}"):
                lease.take(wait, is_forced=is_forced)
            yield lease
        finally:
            lease.release()
        return
    path = store.artifacts.parent.resolve() / "locks" / f"{name}.lock"
    busy = _busy(doing, f"another is at it and holds {path}")
    with ExitStack() as stack:
        try:
            patience = min(wait, _GRACE) if is_forced else wait
            stack.enter_context(locked(path, wait=patience, busy=busy))
        except OSError as error:
            raise StoreError(f"{path} can't be locked: {reason(error)}") from error
        yield Lease()


class _Beating(Lease):
    """A registered model named for what is held, and a thread that shows the sign of life."""

    def __init__(self, store: Store, name: str, doing: str) -> None:
        self._store, self._client = store, store.client
        self._held, self._doing = name, doing
        self._name, self._token = f"{LOCK_PREFIX}{name}", secrets.token_hex(8)
        self._over, self._is_lost, self._shown = Event(), False, time.monotonic()

    def check(self) -> None:
        if time.monotonic() - self._shown > _SILENCE:
            with store_faults(f"keeping the lock to {self._doing}"):
                self._show()
        if self._is_lost:
            raise _busy(self._doing, "another took over what had shown no sign of life")

    def take(self, wait: float, *, is_forced: bool) -> None:
        began = since = time.monotonic()
        seen, lives = "", False
        while not self._create():
            tags, now = self._tags(self._name), time.monotonic()
            if (sign := f"{tags.get(_TOKEN)} {tags.get(_SIGN)}") != seen:
                seen, since, lives = sign, now, seen != ""
            owner = tags.get(_OWNER, "unknown")
            is_dead = is_gone(owner) or now - since > _SILENCE
            if now - began >= (wait if lives else max(wait, 2 * _SILENCE)):
                raise _busy(self._doing, f"another is at it ({owner})")
            if is_dead or (is_forced and now - began > _GRACE):
                self._push_aside(tags.get(_TOKEN))
            time.sleep(_POLL)
        self._shown = time.monotonic()
        Thread(target=self._keep, daemon=True).start()

    def release(self) -> None:
        # Where the store can't be reached, the next one finds the holder dead.
        self._over.set()
        with suppress(StoreError), store_faults(f"giving back the lock to {self._doing}"):
            if self._is_ours():
                self._client.delete_registered_model(self._name)

    def _keep(self) -> None:
        while not (self._is_lost or self._over.wait(_BEAT)):
            with suppress(StoreError), store_faults(f"keeping the lock to {self._doing}"):
                self._show()

    def _show(self) -> None:
        if not self._is_ours():
            self._is_lost = True
            return
        self._client.set_registered_model_tag(self._name, _SIGN, secrets.token_hex(4))
        self._shown = time.monotonic()

    def _is_ours(self) -> bool:
        return self._tags(self._name).get(_TOKEN) == self._token

    def _create(self) -> bool:
        with Tolerating("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):
            self._client.create_registered_model(
                self._name,
                tags={_TOKEN: self._token, _OWNER: this_process(), _SIGN: ""},
                description=f"Held by foldwise to {self._doing}; it goes when that has ended.",
            )
            return True
        return False

    def _push_aside(self, token: str | None) -> None:
        """Delete what a dead process holds: one at a time, and who is slow finds another there."""
        right = held(self._store, f"{self._held}-{token}", self._doing)
        # What it held may go at this moment by its own hand.
        with suppress(Busy), right, Tolerating("RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST"):
            if self._client.get_registered_model(self._name).tags.get(_TOKEN) == token:
                self._client.delete_registered_model(self._name)

    def _tags(self, name: str) -> Mapping[str, str]:
        with Tolerating("RESOURCE_DOES_NOT_EXIST"):
            tags: Mapping[str, str] = self._client.get_registered_model(name).tags
            return tags
        return {}


def this_process() -> str:
    """Host and process id, by which it can be told that nobody works on something any more."""
    return f"{_here()}:{os.getpid()}"


def is_gone(process: str) -> bool:
    """Whether a process of this machine has ended; not of others, nor where its id is in use."""
    host, _, number = process.rpartition(":")
    if host != _here() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _here() -> str:
    # Two containers of one name number their processes each for itself.
    with suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _busy(doing: str, why: str) -> Busy:
    return Busy(
        f"one process at a time may {doing}, {why}: "
        "wait for it to end, or stop it and run this again"
    )
