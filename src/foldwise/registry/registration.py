"""Registering a model as a version, once per pipeline run, whatever was killed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foldwise.registry.champion import Watcher, reconcile, registry_lock, unwatched
from foldwise.registry.evidence import Evidence
from foldwise.registry.predecessor import require_same_kind
from foldwise.registry.snapshot import (
    CHALLENGER,
    Version,
    alias_holder,
    ensure_registered_model,
    find_version,
    model_name,
    to_version,
)
from foldwise.registry.stored_model import files_digest, write_model
from foldwise.runs.lineage import machine
from foldwise.search.jobs import Model
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

# PostgreSQL's column for a version's description; SQLite would take more.
_LONGEST_CARD = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """What `evaluate` hands in to be registered.

    Attributes
    ----------
    run_id : str
        The pipeline's run.
    tags : mapping
        Commit, search key, library versions and the like, as on the pipeline's run: shown on
        the version, but for MLflow's own.
    model : Model
        The final model.
    params : mapping
        The values that it was fitted at, shown beside it.
    evidence : Evidence
    card : str
        Model card in Markdown: the version's description.
    example : uint8 array (rows, features)
        Two or three raw images of the development set.
    """

    run_id: str
    tags: Mapping[str, str]
    model: Model
    params: Mapping[str, str]
    evidence: Evidence
    card: str
    example: NDArray[np.uint8]

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return model_name(self.evidence.data.name)

    def identity(self) -> dict[str, str]:
        """What makes two submissions of one run the same."""
        return {
            "content_digest": self.model.digest(self.evidence.classes),
            "evidence_digest": self.evidence.digest,
        }

    def version_tags(self) -> dict[str, str]:
        """All tags of the version but the digest of its bytes."""
        return {
            **{name: tag for name, tag in self.tags.items() if not name.startswith("mlflow.")},
            "machine": machine(),
            "pipeline": self.run_id,
            "development_digest": self.evidence.data.development_digest,
            "holdout_digest": self.evidence.data.holdout_digest,
            "parameters_digest": self.evidence.parameters_digest,
            **self.identity(),
        }


def register(store: Store, submission: Submission, *, after: Watcher = unwatched) -> Version:
    """Register a model as a version and move the alias ``challenger`` to it.

    A version never changes: the same run, content and evidence give the version that is there,
    with what a killed registration left undone done; another evaluation of the same model is
    another version. An alias that points to a newer version stays.

    Parameters
    ----------
    store, submission
    after : Watcher
        Told the name of each step once it is done: ``logged``, ``written``, ``ready``,
        ``versioned``, ``aliased``.

    Raises
    ------
    DataError
        A new version would be of another kind of data than the model's earlier ones.
    """
    name = submission.name
    reconcile(store, name)
    with registry_lock(store), store_faults(f"registering a version of {name}"):
        ensure_registered_model(store.client, name)
        version = _registered(store, submission)
        if version is None:
            require_same_kind(store, submission.evidence.data)
            model_id = _ready_model(store, submission, after)
            version = to_version(_create_version(store, submission, model_id))
            after("versioned")
        holder = alias_holder(store, name, CHALLENGER)
        if holder is None or holder < version.number:
            store.client.set_registered_model_alias(name, CHALLENGER, str(version.number))
        after("aliased")
        return find_version(store, name, str(version.number))


def _registered(store: Store, submission: Submission) -> Version | None:
    found = store.client.search_model_versions(
        f"name = '{submission.name}' AND run_id = '{submission.run_id}'"
        + _same(submission.identity())
    )
    return min(map(to_version, found), key=lambda version: version.number, default=None)


def _ready_model(store: Store, submission: Submission, after: Watcher) -> str:
    """Id of MLflow's logged model, its files whole; a half one is written again."""
    from mlflow.entities import LoggedModelOutput

    client = store.client
    logged = _logged_model(store, submission)
    after("logged")
    if logged.status.value != "READY":
        _write_files(store, submission, logged.model_id)
        after("written")
        client.log_outputs(submission.run_id, [LoggedModelOutput(logged.model_id, step=0)])
        client.finalize_logged_model(logged.model_id, "READY")
    after("ready")
    return logged.model_id


def _logged_model(store: Store, submission: Submission) -> "LoggedModel":
    client = store.client
    experiment = client.get_run(submission.run_id).info.experiment_id
    found = client.search_logged_models(
        [experiment],
        filter_string=f"source_run_id = '{submission.run_id}'" + _same(submission.identity()),
    )
    if found:
        return min(found, key=lambda model: model.creation_timestamp)
    return client.create_logged_model(
        experiment,
        name="classifier",
        source_run_id=submission.run_id,
        tags=submission.identity(),
        params=dict(submission.params),
        model_type="classifier",
    )


def _write_files(store: Store, submission: Submission, model_id: str) -> None:
    with TemporaryDirectory(prefix="foldwise-") as temporary:
        folder = Path(temporary, "model")
        write_model(
            folder,
            submission.model,
            submission.evidence,
            card=submission.card,
            example=submission.example,
            ids=(submission.run_id, model_id),
        )
        store.client.set_logged_model_tags(model_id, {"bytes_digest": files_digest(folder)})
        store.client.log_model_artifacts(model_id, str(folder))


def _create_version(store: Store, submission: Submission, model_id: str) -> "ModelVersion":
    stored = store.client.get_logged_model(model_id).tags["bytes_digest"]
    # Tags and description come with the version in one transaction: there is no half version.
    with store.as_default():
        return store.client.create_model_version(
            submission.name,
            source=f"models:/{model_id}",
            run_id=submission.run_id,
            model_id=model_id,
            tags={**submission.version_tags(), "bytes_digest": stored},
            description=_shortened(submission.card),
        )


def _same(identity: Mapping[str, str]) -> str:
    return "".join(f" AND tags.{name} = '{digest}'" for name, digest in identity.items())


def _shortened(card: str) -> str:
    if len(card) <= _LONGEST_CARD:
        return card
    rest = "\n\n*Shortened: the whole card is the file card.md of the model.*\n"
    return card[: _LONGEST_CARD - len(rest)].rpartition("\n")[0] + rest
