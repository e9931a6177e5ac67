"""Each look at a holdout is counted once for each distinct model, and not forgotten."""

from foldwise.registry.registration import register
from foldwise.registry.snapshot import count_holdout_use, holdout_uses
from foldwise.store.open import Store
from tests.integration.registry_cases import NAME, make_holdout, model_of, start_run, submission

HOLDOUT, OTHER = "a" * 64, "b" * 64


def look(store: Store, content: str, *, holdout: str = HOLDOUT, name: str = NAME) -> int:
    return count_holdout_use(
        store, name, holdout_digest=holdout, content_digest=content * 64, run_id="r"
    )


def test_each_distinct_content_is_counted_once(store: Store) -> None:
    """A second evaluation of the same numbers spends nothing."""
    assert [look(store, content) for content in "11212333"] == [1, 1, 2, 2, 2, 3, 3, 3]


def test_holdouts_are_counted_apart(store: Store) -> None:
    """Another holdout is another budget."""
    look(store, "1")
    look(store, "2")
    assert look(store, "1", holdout=OTHER) == 1
    assert holdout_uses(store, HOLDOUT) == 2


def test_another_name_for_the_model_shares_the_budget(store: Store) -> None:
    """Renaming the data doesn't give its holdout back."""
    look(store, "1")
    assert look(store, "2", name="renamed-classifier") == 2
    assert look(store, "1", name="renamed-classifier") == 2


def test_deleting_versions_gives_nothing_back(store: Store) -> None:
    """What was seen stays seen."""
    split = make_holdout()
    version = register(store, submission(model_of(0.0), split, start_run(store)))
    look(store, "1")
    store.client.delete_model_version(NAME, str(version.number))
    store.client.delete_run(version.run_id)
    assert look(store, "2") == 2


def test_a_dry_count_writes_nothing(store: Store) -> None:
    """A dry run sees the number it would have."""
    look(store, "1")
    assert holdout_uses(store, HOLDOUT, including="1" * 64) == 1
    assert holdout_uses(store, HOLDOUT, including="2" * 64) == 2
    assert holdout_uses(store, HOLDOUT) == 1
    assert holdout_uses(store, OTHER) == 0
