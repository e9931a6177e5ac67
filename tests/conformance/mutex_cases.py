"""What every store's mutex promises, written once: subclass it, and say which store is meant."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest
from mlflow import MlflowClient

from foldwise.store.mutex import LOCK_PREFIX, Busy, _Beating, held, is_gone, this_process
from foldwise.store.open import Store
from tests.integration.registry_cases import start_together
from tests.waiting import PATIENCE

NAME, DOING = "registry-x", "decide on x"
LOCK = f"{LOCK_PREFIX}{NAME}"
WORKERS, TURNS = 4, 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life and patience of moments; silence is long, so that no busy machine is silent."""
    for name, seconds in (("_BEAT", 0.1), ("_SILENCE", 60.0), ("_POLL", 0.1), ("_GRACE", 0.3)):
        monkeypatch.setattr(f"foldwise.store.mutex.{name}", seconds)


def die_holding(take: Callable[[], object]) -> None:
    """What a process does that is killed while it holds a name."""
    with ExitStack() as stack:
        stack.enter_context(take())  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)


def taking(store: Store) -> object:
    """Take the name; importable, for another process."""
    return held(store, NAME, DOING, wait=PATIENCE)


class Counted:
    """How many are inside at once, at most, and how often somebody was."""

    def __init__(self) -> None:
        self.inside = self.most = self.times = 0

    def __call__(self, store: Store) -> None:
        for _ in range(TURNS):
            with held(store, NAME, DOING, wait=PATIENCE):
                self.inside += 1
                self.most = max(self.most, self.inside)
                time.sleep(0.01)
                self.times += 1
                self.inside -= 1


class MutexCases:
    """The cases; ``store`` is a fixture, and ``traces`` says what a lock leaves in a store."""

    def traces(self, store: Store) -> list[str]:
        raise NotImplementedError(store)

    def test_a_name_is_one_holders_at_a_time(self, store: Store) -> None:
        """The second is told what is being done, and by whom or where."""
        with held(store, NAME, DOING), pytest.raises(Busy, match="may decide on x, another is at"):
            held(store, NAME, DOING).__enter__()
        with held(store, NAME, DOING):
            pass

    def test_who_waits_has_it_as_soon_as_it_is_free(self, store: Store) -> None:
        """Without an error, however long it takes within the time given."""
        got = Event()

        def wait() -> None:
            with held(store, NAME, DOING, wait=PATIENCE):
                got.set()

        waiting = Thread(target=wait)
        with held(store, NAME, DOING):
            waiting.start()
            assert not got.wait(0.5)
        waiting.join(PATIENCE)
        assert got.is_set()

    def test_another_name_is_not_waited_for(self, store: Store) -> None:
        """Two searches, or decisions on two models, run side by side."""
        with held(store, NAME, DOING), held(store, "search-0123", "run the search 0123"):
            pass

    def test_of_many_at_once_one_is_inside(self, store: Store) -> None:
        """And each has its turn."""
        count = Counted()
        workers = [Thread(target=count, args=(store,)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE)
        assert (count.most, count.times) == (1, WORKERS * TURNS)

    def test_a_killed_process_of_this_machine_has_lost_it_at_once(self, store: Store) -> None:
        """Nobody waits for its sign of life."""
        assert start_together(partial(die_holding, partial(taking, store))) == [-signal.SIGKILL]
        with held(store, NAME, DOING) as lease:
            lease.check()

    def test_it_leaves_nothing_behind(self, store: Store) -> None:
        """Neither when it ends well nor when it fails, nor of one that was killed."""
        before = self.traces(store)
        with pytest.raises(ZeroDivisionError), held(store, NAME, DOING):
            assert self.traces(store) != before
            raise ZeroDivisionError
        assert self.traces(store) == before


class ServerCases(MutexCases):
    """Where holders elsewhere can't be seen, only their signs of life."""

    def traces(self, store: Store) -> list[str]:
        """Registered models that are locks."""
        found = store.client.search_registered_models(max_results=1000)
        return sorted(model.name for model in found if model.name.startswith(LOCK_PREFIX))

    @pytest.fixture
    def left_elsewhere(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """A machine that we can't see has lost its power; its owner, who is seen to be gone."""
        owner, before = "elsewhere:1", self.traces(store)
        tags = {"token": "theirs", "owner": owner, "beat": ""}
        store.client.create_registered_model(LOCK, tags=tags)
        monkeypatch.setattr("foldwise.store.mutex.is_gone", lambda told: told == owner)
        yield owner
        assert set(self.traces(store)) <= set(before), "what it left goes, too"

    def test_a_silent_holder_elsewhere_is_pushed_aside(
        self, store: Store, left_elsewhere: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of whom nobody can see whether it is gone."""
        monkeypatch.setattr("foldwise.store.mutex.is_gone", is_gone)
        monkeypatch.setattr("foldwise.store.mutex._SILENCE", 1.0)
        assert not is_gone(left_elsewhere)
        with held(store, NAME, DOING, wait=PATIENCE) as lease:
            lease.check()

    @pytest.mark.usefixtures("left_elsewhere")
    def test_of_many_that_push_one_aside_one_is_inside(self, store: Store) -> None:
        """The slow ones don't take it from the fast one."""
        self.test_of_many_at_once_one_is_inside(store)

    @pytest.mark.usefixtures("left_elsewhere")
    def test_who_saw_a_dead_holder_late_moves_no_living_one(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two have had their turns meanwhile, and one of them still has."""
        push, moved = _Beating._push_aside, list[str]()

        def noting(change: Callable[..., object]) -> Callable[..., object]:
            def noted(client: MlflowClient, name: str, *others: str) -> object:
                moved.append(name)
                return change(client, name, *others)

            return noted

        def push_late(late: _Beating, token: str) -> None:
            monkeypatch.setattr(_Beating, "_push_aside", push)
            with held(store, NAME, DOING):
                pass
            with held(store, NAME, DOING) as lease, monkeypatch.context() as patch:
                for change in ("delete_registered_model", "rename_registered_model"):
                    patch.setattr(MlflowClient, change, noting(getattr(MlflowClient, change)))
                push(late, token)
                assert LOCK not in moved
                lease.check()

        monkeypatch.setattr(_Beating, "_push_aside", push_late)
        with held(store, NAME, DOING, wait=PATIENCE):
            assert moved

    @pytest.mark.usefixtures("left_elsewhere")
    def test_while_one_pushes_a_dead_holder_aside_no_other_does(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the second would push aside who came after the first."""
        delete, got = MlflowClient.delete_registered_model, Event()

        def wait() -> None:
            with held(store, NAME, DOING, wait=PATIENCE):
                got.set()

        other = Thread(target=wait)

        def delete_late(client: MlflowClient, name: str) -> None:
            if name == LOCK:
                monkeypatch.setattr(MlflowClient, "delete_registered_model", delete)
                other.start()
                assert not got.wait(0.5)
            delete(client, name)

        monkeypatch.setattr(MlflowClient, "delete_registered_model", delete_late)
        with held(store, NAME, DOING, wait=PATIENCE):
            pass
        other.join(PATIENCE)
        assert got.is_set()

    def test_one_who_was_pushed_aside_notices_and_takes_nothing_back(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when a laptop wakes up: its work is over, the other's goes on."""
        before = self.traces(store)
        with pytest.raises(Busy, match="another took over"), held(store, NAME, DOING) as late:
            late._over.set()  # type: ignore[attr-defined]  # it sleeps
            monkeypatch.setattr("foldwise.store.mutex._SILENCE", 1.0)
            with held(store, NAME, DOING, wait=PATIENCE) as lease:
                monkeypatch.setattr("foldwise.store.mutex._SILENCE", -1.0)
                lease.check()
                late.check()
            assert self.traces(store) == before
        assert self.traces(store) == before

    def test_a_holder_that_lives_is_not_pushed_aside_but_by_force(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever gave a reason doesn't wait for a process that hangs."""
        with pytest.raises(Busy, match="another took over"), held(store, NAME, DOING) as late:
            with pytest.raises(Busy, match="another is at it"):
                held(store, NAME, DOING, wait=1).__enter__()
            with held(store, NAME, DOING, wait=PATIENCE, is_forced=True):
                time.sleep(0.5)
                monkeypatch.setattr("foldwise.store.mutex._SILENCE", -1.0)  # it looks itself
                late.check()

    def test_an_outage_is_survived_while_nobody_else_comes(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sign of life is shown again when the store is back."""
        with held(store, NAME, DOING) as lease:
            with monkeypatch.context() as patch:
                patch.setattr("mlflow.MlflowClient.get_registered_model", _refused)
                time.sleep(0.5)
            time.sleep(0.5)
            lease.check()
            with pytest.raises(Busy):
                held(store, NAME, DOING).__enter__()


def _refused(*_: object, **__: object) -> None:
    raise ConnectionRefusedError


def lock_files(folder: Path) -> list[str]:
    """What lies where lock files are."""
    return sorted(path.name for path in (folder / "locks").glob("*"))


def test_only_a_process_of_this_machine_can_be_seen_to_be_gone() -> None:
    """Not one elsewhere, not one whose id is in use, not a text that names none."""
    here, _, _ = this_process().rpartition(":")
    assert not is_gone(this_process())
    assert is_gone(f"{here}:4194304")
    for told in ("elsewhere:4194304", f"{here}:", here, ""):
        assert not is_gone(told)
