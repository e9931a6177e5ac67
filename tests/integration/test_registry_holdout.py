"""Each look at a holdout is counted once for each distinct model, and not forgotten."""

from foldwise.registry.registration import register
from foldwise.registry.snapshot import Snapshot, note_holdout_use
from foldwise.store.open import Store
from tests.integration.registry_cases import (
    NAME,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
)

HOLDOUT, OTHER = "a" * 64, "b" * 64


def look(store: Store, content: str, *, holdout: str = HOLDOUT, name: str = NAME) -> int:
    snapshot = Snapshot.read(store, name)
    noted = note_holdout_use(store, snapshot, holdout=holdout, content=content * 64, run_id="r")
    return len(noted.looks(holdout))


def test_each_distinct_content_is_counted_once(store: Store) -> None:
    """A second evaluation of the same numbers spends nothing."""
    assert [look(store, content) for content in "11212333"] == [1, 1, 2, 2, 2, 3, 3, 3]


def test_holdouts_are_counted_apart(store: Store) -> None:
    """Another holdout is another budget."""
    look(store, "1")
    look(store, "2")
    assert look(store, "1", holdout=OTHER) == 1
    assert seen(store).looks(HOLDOUT) == {("1" * 64, ""), ("2" * 64, "")}


def test_another_name_for_the_model_shares_the_budget(store: Store) -> None:
    """Renaming the data doesn't give its holdout back."""
    look(store, "1")
    assert look(store, "2", name="renamed-classifier") == 2
    assert look(store, "1", name="renamed-classifier") == 2


def test_whom_a_model_met_is_noted_beside_it(store: Store) -> None:
    """The note of a judgement is another one than that of a score, and is made once, too."""
    look(store, "1")
    for champion in ("2", "2", "3"):
        note_holdout_use(
            store, seen(store), holdout=HOLDOUT, content="1" * 64, run_id="r", met=champion * 64
        )
    assert seen(store).looks(HOLDOUT) == {("1" * 64, met) for met in ("", "2" * 64, "3" * 64)}


def test_deleting_versions_gives_nothing_back(store: Store) -> None:
    """What was seen stays seen."""
    split = make_holdout()
    version = register(store, submission(model_of(0.0), split, start_run(store)))
    look(store, "1")
    store.client.delete_model_version(NAME, str(version.number))
    store.client.delete_run(version.run_id)
    assert look(store, "2") == 2


def test_another_machine_s_look_meanwhile_is_counted(store: Store) -> None:
    """On a server two may look at once: each then sees both, and is judged the more strictly."""
    look(store, "1")
    before = seen(store)
    look(store, "2")
    noted = note_holdout_use(store, before, holdout=HOLDOUT, content="3" * 64, run_id="r")
    assert len(noted.looks(HOLDOUT)) == 3
