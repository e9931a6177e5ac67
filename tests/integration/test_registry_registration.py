"""A pipeline run's model becomes one version, whole, however often and badly it is tried."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from foldwise.data.dataset import Split
from foldwise.errors import StoreError
from foldwise.files import decode
from foldwise.registry.registration import register
from foldwise.registry.snapshot import Snapshot
from foldwise.registry.stored_files import RECORDS, Record, fetch_files, files_digest
from foldwise.registry.stored_model import read_model
from foldwise.registry.verify import fault_inside
from foldwise.runs.tree import NOTE_TAG
from foldwise.search.engines.pipeline import content_digest
from foldwise.solver.linear import probabilities
from foldwise.store.open import Store, open_store
from tests.integration.registry_cases import (
    CLASSES,
    NAME,
    Killed,
    killed_at,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
    watched,
)


@pytest.fixture(scope="module")
def holdout() -> Split:
    return make_holdout()


def test_a_version_is_registered_whole(store: Store, holdout: Split, tmp_path: Path) -> None:
    """Digests, evidence, card and alias are there, and the stored model predicts the same."""
    handed_in = submission(model_of(0.0), holdout, start_run(store))
    version = register(store, handed_in)
    assert (version.name, version.number, version.aliases) == (NAME, 1, ("challenger",))
    assert version.content == content_digest(model_of(0.0), CLASSES)
    assert version.tags["git.commit"] == "0" * 40
    assert version.tags["holdout_digest"] == handed_in.evidence.data.holdout_digest
    assert store.client.get_model_version(NAME, "1").description == "A model of blobs."
    folder = fetch_files(store, version, tmp_path)
    assert version.tags["bytes_digest"] == files_digest(folder)
    stored = read_model(folder)
    assert stored.evidence == handed_in.evidence
    np.testing.assert_allclose(
        stored.pipeline.predict_proba(holdout.images),
        probabilities(model_of(0.0), holdout.images),
        rtol=0,
        atol=1e-12,
    )


def test_registering_again_gives_the_same_version(store: Store, holdout: Split) -> None:
    """A second evaluation of the same run adds nothing to the store."""
    run_id = start_run(store)
    first = register(store, submission(model_of(0.0), holdout, run_id))
    again = register(store, submission(model_of(0.0), holdout, run_id, card="Another wording."))
    assert again == first
    assert len(seen(store).versions) == 1
    experiment = store.experiment("blobs")
    assert len(store.client.search_logged_models([experiment])) == 1


def test_other_content_evidence_or_run_is_another_version(store: Store, holdout: Split) -> None:
    """Versions never change, so what differs gets a number of its own."""
    handed_in = submission(model_of(0.0), holdout, start_run(store))
    other_content = submission(model_of(0.1), holdout, handed_in.run_id)
    other_evidence = replace(
        handed_in, evidence=replace(handed_in.evidence, parameters_digest="1" * 64)
    )
    other_run = replace(handed_in, run_id=start_run(store))
    versions = [
        register(store, each)
        for each in (handed_in, other_content, other_evidence, other_run, handed_in)
    ]
    assert [version.number for version in versions] == [1, 2, 3, 4, 1]
    assert seen(store).aliases["challenger"] == 4


def test_a_version_of_before_a_parameter_was_added_is_known_again(
    store: Store, holdout: Split
) -> None:
    """The same run evaluated by a later foldwise: the digest is another, the version is not."""
    handed_in = submission(model_of(0.0), holdout, start_run(store))
    first = register(store, handed_in)
    evidence = replace(handed_in.evidence, parameters_digest="1" * 64)
    later = replace(handed_in, evidence=evidence)
    known = ("1" * 64, handed_in.evidence.parameters_digest)
    assert register(store, replace(later, parameter_digests=known)).number == first.number
    assert register(store, later).number == first.number + 1


def test_mlflow_s_pages_say_what_a_model_is_and_how_to_decide(store: Store, holdout: Split) -> None:
    """The registered model's, and by the tags that its lists show first, the version's."""
    version = register(store, submission(model_of(0.0), holdout, start_run(store)))
    about = store.client.get_registered_model(NAME).description or ""
    for word in ("champion", "challenger", "previous_champion", "`foldwise promote`", "`audit."):
        assert word in about
    names = ["chosen", "outer_accuracy", "holdout_accuracy", "outer_log_loss", "holdout_log_loss"]
    assert [*version.tags][:5] == names
    assert version.tags["chosen"] == "C = 0.01"


@pytest.mark.parametrize("write", range(9))
def test_a_killed_registration_is_completed(root: Path, holdout: Split, write: int) -> None:
    """Killed at any step, the same call ends with one whole version and one logged model.

    It writes the model's name, the logged model, its files, place in the run and state, the
    version, the logged model's tags, the alias.
    """
    store = open_store(root)
    run_id = start_run(store)
    dying = killed_at(store, write)
    if write < 8:
        with pytest.raises(Killed):
            register(dying, submission(model_of(0.0), holdout, run_id))
    else:
        register(dying, submission(model_of(0.0), holdout, run_id))  # there is no ninth
    assert [v.tags.keys() >= {"bytes_digest"} for v in seen(store).versions] == [True] * (write > 5)
    version = register(store, submission(model_of(0.0), holdout, run_id))
    assert (version.number, version.aliases) == (1, ("challenger",))
    assert seen(store).versions == (version,)
    (logged,) = store.client.search_logged_models([store.experiment("blobs")])
    assert logged.status.value == "READY"
    assert json.loads(logged.tags[MLFLOW_MODEL_VERSIONS]) == [{"name": NAME, "version": 1}]
    assert f"Version 1 of {NAME}" in logged.tags[NOTE_TAG]
    folder = fetch_files(store, version, root)
    assert logged.tags["bytes_digest"] == files_digest(folder) == version.tags["bytes_digest"]
    outputs = store.client.get_run(run_id).outputs
    assert outputs is not None
    assert [output.model_id for output in outputs.model_outputs] == [logged.model_id]


def test_files_cut_short_by_a_kill_are_written_again(root: Path, holdout: Split) -> None:
    """What a kill leaves half written is never taken for the model."""
    store = open_store(root)
    run_id = start_run(store)
    with pytest.raises(Killed):
        register(killed_at(store, 4), submission(model_of(0.0), holdout, run_id))
    (stored,) = root.rglob("model.skops")
    stored.write_bytes(stored.read_bytes()[:100])
    version = register(store, submission(model_of(0.0), holdout, run_id))
    assert files_digest(stored.parent) == version.tags["bytes_digest"]
    read_model(stored.parent)


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def mix(folder: Path) -> None:
    """As two processes left it that wrote one model together."""
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text() + "\n")


@pytest.mark.parametrize("harm", [lose, empty, mix])
def test_a_version_whose_files_are_lost_or_changed_is_registered_anew(
    store: Store, holdout: Split, harm: Callable[[Path], object]
) -> None:
    """And what was wrong with the old one is said, once."""
    handed_in = submission(model_of(0.0), holdout, start_run(store))
    first = register(store, handed_in)
    harm(fetch_files(store, first, Path("unused")))
    told: list[str] = []
    again = register(store, handed_in, told.append)
    assert (again.number, again.aliases) == (2, ("challenger",))
    (line,) = told
    assert line.startswith("version 1 is not as it was registered: ")
    assert fault_inside(store, again, store.root) == ""
    assert register(store, handed_in) == again


@pytest.mark.parametrize("harm", [lose, empty, mix])
def test_a_model_that_is_changed_before_it_is_a_version_is_written_anew(
    store: Store, holdout: Split, harm: Callable[[Path], object]
) -> None:
    """A kill came between, and then somebody else."""
    handed_in = submission(model_of(0.0), holdout, start_run(store))
    with pytest.raises(Killed):
        register(killed_at(store, 6), handed_in)
    (stored,) = store.root.rglob("model.skops")
    harm(stored.parent)
    assert fault_inside(store, register(store, handed_in), store.root) == ""


def test_what_is_registered_is_recorded_in_the_checkout(store: Store, holdout: Split) -> None:
    """Once, whatever is killed or repeated, beside what is known already."""
    for error in (0.0, 0.1, 0.0):
        version = register(store, submission(model_of(error), holdout, start_run(store)))
        assert Record.of(version) in decode(tuple[Record, ...], (store.root / RECORDS).read_bytes())
    assert (store.root / RECORDS).read_text().count("content_digest") == 2


def test_a_registration_asks_mlflow_at_most_13_times(store: Store, holdout: Split) -> None:
    """The first of a model and a later one; on a server each call costs its latency."""
    for error in (0.0, 0.1):
        asked = watched(store)
        register(asked, submission(model_of(error), holdout, start_run(store)))
        assert len(asked.calls) <= 13, asked.calls


def test_an_evaluation_on_another_processor_registers_nothing_twice(
    store: Store, holdout: Split
) -> None:
    """Its kernels give the figures other last bits, and the evidence says the same."""
    first = submission(model_of(0.0), holdout, start_run(store))
    version = register(store, first)
    moved = {name: score * (1 + 1e-12) for name, score in first.evidence.holdout.items()}
    again = replace(first, evidence=replace(first.evidence, holdout=moved))
    assert again.identity() != first.identity()
    assert register(store, again) == version
    assert len(seen(store).versions) == 1


def test_loading_a_version_by_its_name_leaves_its_digest_alone(
    store: Store, holdout: Split, tmp_path: Path
) -> None:
    """MLflow writes a file of its own into the stored folder whenever a version is loaded."""
    import mlflow.pyfunc

    version = register(store, submission(model_of(0.0), holdout, start_run(store)))
    with store.as_default():
        mlflow.pyfunc.load_model(f"models:/{NAME}@challenger")
    folder = fetch_files(store, version, tmp_path)
    assert (folder / "registered_model_meta").exists()
    assert files_digest(folder) == version.tags["bytes_digest"]


def test_a_long_card_is_shortened_in_the_registry_and_whole_among_the_files(
    store: Store, holdout: Split, tmp_path: Path
) -> None:
    """A description of over 5,000 characters would break registration on PostgreSQL."""
    card = "A model of blobs.\n" + "| a | b |\n" * 800
    version = register(store, submission(model_of(0.0), holdout, start_run(store), card=card))
    shown = store.client.get_model_version(NAME, "1").description or ""
    assert len(shown) <= 5000
    assert shown.startswith("A model of blobs.\n| a | b |\n")
    assert "card.md" in shown
    assert (fetch_files(store, version, tmp_path) / "card.md").read_text() == card


def test_a_version_s_page_shows_the_card_up_to_what_fits_a_screen(
    store: Store, holdout: Split, tmp_path: Path
) -> None:
    """The answer, how to decide and how to use it; where the rest is, it says."""
    card = "Good.\n\n**Decide by it.**\n\n## Use\n\nGive rows.\n\n## Data\n\nMany.\n"
    version = register(store, submission(model_of(0.0), holdout, start_run(store), card=card))
    shown = store.client.get_model_version(NAME, "1").description or ""
    assert shown.startswith(card.partition("\n\n## Data")[0])
    assert "Many." not in shown
    assert "*card.md* of the source model" in shown
    assert (fetch_files(store, version, tmp_path) / "card.md").read_text() == card


@pytest.mark.parametrize("which", ["champion", "7", "v9", "no such!"])
def test_a_version_that_is_not_there_is_named(which: str) -> None:
    """Alias, number or nonsense: one line with the remedy."""
    with pytest.raises(StoreError, match=f"{NAME} must exist, got '{which}'"):
        Snapshot(NAME, (), {"champion": 9}, {}).find(which)


def test_versions_are_listed_with_their_aliases_oldest_first(store: Store, holdout: Split) -> None:
    """MLflow's own search leaves the aliases out."""
    for error in (0.0, 0.1, 0.2):
        register(store, submission(model_of(error), holdout, start_run(store)))
    store.client.set_registered_model_alias(NAME, "champion", "1")
    listed = [(version.number, version.aliases) for version in seen(store).versions]
    assert listed == [(1, ("champion",)), (2, ()), (3, ("challenger",))]
    assert Snapshot.read(store, "nothing-classifier").versions == ()
