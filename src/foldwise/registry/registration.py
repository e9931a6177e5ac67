"""Registering a model as a version, once per pipeline run, whatever was killed on the way."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from foldwise.data.dataset import DataInfo
from foldwise.errors import DataError
from foldwise.registry.audit import CHALLENGER, CHAMPION
from foldwise.registry.champion import deciding
from foldwise.registry.evidence import Evidence, evidence_digest
from foldwise.registry.snapshot import (
    Snapshot,
    Version,
    ensure_registered_model,
    model_name,
    to_version,
)
from foldwise.registry.stored_files import files_digest, record
from foldwise.registry.stored_model import fetch_evidence, require_servable, write_model
from foldwise.registry.verify import REPORT, fault_inside
from foldwise.runs.lineage import machine
from foldwise.runs.tree import NOTE_TAG, values_told
from foldwise.search.jobs import Model
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

# PostgreSQL's column for a version's description; SQLite would take more.
_LONGEST_CARD = 5000
_SHOWN = 3
_TOLD = ("accuracy", "log_loss")


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """What `evaluate` hands in to be registered.

    For an example two or three raw images (rows, features) of the development set; for a table, a
    row that is none of its own.
    """

    run_id: str
    tags: Mapping[str, str]  # of the run; but for MLflow's own they are shown on the version, too
    model: Model
    params: Mapping[str, str]  # what the model was fitted at
    evidence: Evidence
    card: str  # in Markdown: the version's description
    example: Any
    parameter_digests: tuple[str, ...] = ()  # the evidence's before parameters were added
    page: bytes = b""  # the report that lies beside the run, if there is one
    may_keep_rows: bool = True  # of the data, in the model

    @property
    def name(self) -> str:
        """Name of the registered model."""
        return model_name(self.evidence.data.name)

    def identity(self) -> dict[str, str]:
        """Digests of the model's numbers, and of what would be stored of the evidence."""
        return {
            "content_digest": self.model.digest(self.evidence.classes),
            "evidence_digest": evidence_digest(self.evidence.to_bytes()),
        }

    def version_tags(self) -> dict[str, str]:
        """All tags of the version but the digest of its bytes, first what people look for."""
        return {
            **self.figures(),
            **{name: tag for name, tag in self.tags.items() if not name.startswith("mlflow.")},
            "machine": machine(),
            "pipeline": self.run_id,
            "development_digest": self.evidence.data.development_digest,
            "holdout_digest": self.evidence.data.holdout_digest,
            "parameters_digest": self.evidence.parameters_digest,
            **self.identity(),
            **self.report(),
        }

    def figures(self) -> dict[str, str]:
        """What versions are told apart by, for the lists of them; in the digits published."""
        evidence, told = self.evidence, {}
        told["chosen"] = values_told(evidence.chosen[-1])
        for metric in _TOLD:
            if evidence.outer:
                told[f"outer_{metric}"] = f"{fmean(each[metric] for each in evidence.outer):.4g}"
            if metric in evidence.holdout:
                told[f"holdout_{metric}"] = f"{evidence.holdout[metric]:.4g}"
        return told

    def report(self) -> dict[str, str]:
        """The digest of the page, if there is one."""
        return {REPORT: hashlib.sha256(self.page).hexdigest()} if self.page else {}


def register(store: Store, submission: Submission, tell: Callable[[str], object] = str) -> Version:
    """Register a model as a version and move the alias ``challenger`` to it.

    A version never changes: the same run, content and say of the evidence give the version that is
    there, with what a killed registration left undone done; another evaluation of the same model is
    another version. An alias that points to a newer version stays. Where the files of the version
    that is there are lost or not as registered, it is registered anew, and ``tell`` is told why.

    Raises
    ------
    DataError
        A new version would be of another kind of data than the model's earlier ones.
    StoreError
        The model gives no probabilities, or can't be stored without pickle; or the store failed.
    """
    name, evidence = submission.name, submission.evidence
    model, example, may_keep = submission.model, submission.example, submission.may_keep_rows
    require_servable(model, evidence.classes, example, may_keep_rows=may_keep)
    with (
        deciding(store, name) as (snapshot, lease),
        store_faults(f"registering a version of {name}"),
    ):
        ensure_registered_model(store, snapshot)
        version = _registered(store, snapshot, submission, tell)
        if is_new := version is None:
            require_same_kind(store, snapshot, evidence.data)
            ready = _ready_model(store, snapshot, submission)
            lease.check()
            version = _create_version(store, submission, *ready)
        _tell_model(store, version, submission.card, is_new=is_new)
        _tell_report(store, snapshot, submission)
        record(store.root, version, snapshot.versions)
        return _as_challenger(store, snapshot, version)


def require_same_kind(store: Store, snapshot: Snapshot, data: DataInfo) -> None:
    """Refuse data whose classes, image shape or columns aren't those of the model of its name.

    The champion's count, or where there is none, the newest version's. Versions without readable
    evidence are passed over: nothing is known of their data.
    """
    for version in sorted(
        snapshot.versions, key=lambda each: (CHAMPION in each.aliases, each.number), reverse=True
    ):
        if (known := fetch_evidence(store, version)) is None:
            continue
        if told := differences(known.data, data):
            raise DataError(
                f"all versions of {version.name} must have one kind of data and the same classes,"
                f" got {' and '.join(told)} as against version {version.number}: set"
                f" prepare.source and prepare.path back to that model's data, or give these a"
                f" prepare.name other than {data.name}"
            )
        return


def differences(known: DataInfo, data: DataInfo) -> list[str]:
    """What all versions of a model must share and two data don't."""
    kind, before = (
        f"images of {'x'.join(map(str, of.image_shape))} pixels" if of.table is None else "a table"
        for of in (data, known)
    )
    if kind != before:
        return [f"{kind} instead of {before}"]
    columns, now = (dict(of.table.columns) if of.table else {} for of in (known, data))
    changed = [
        f"{name!r} a {now[name]} instead of a {kind}"
        for name, kind in columns.items()
        if now.get(name, kind) != kind
    ]
    told = [f"columns with {_few(changed)}"] if changed else []
    shared = (("columns", (*columns,), (*now,)), ("classes", known.classes, data.classes))
    for what, one, other in shared:
        sides = (("without", {*one} - {*other}), ("with", {*other} - {*one}))
        words = [f"{side} {_few(sorted(map(repr, of)))}" for side, of in sides if of]
        if words or (what == "classes" and one != other):
            told.append(f"{what} {' but '.join(words) or 'in another order'}")
    return told


def _few(names: Sequence[str]) -> str:
    """The first of them, and whether there are more."""
    return ", ".join(names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)


def _registered(
    store: Store, snapshot: Snapshot, submission: Submission, tell: Callable[[str], object]
) -> Version | None:
    """The oldest whole version of the run, the content and what the evidence says.

    Not of the evidence's bytes: on another processor the last bits of its figures are others.
    """
    identity = submission.identity()
    for version in snapshot.versions:
        if (version.run_id, version.content) != (submission.run_id, identity["content_digest"]):
            continue
        is_same = version.tags.get("evidence_digest") == identity["evidence_digest"]
        known = None if is_same else fetch_evidence(store, version)
        says = known and known.says_what(submission.evidence, submission.parameter_digests)
        if not (is_same or says):
            continue
        if not (wrong := fault_inside(store, version, None)):
            return version
        tell(f"version {version.number} is not as it was registered: {wrong}; registering anew")
    return None


def _tell_model(store: Store, version: Version, card: str, *, is_new: bool) -> None:
    """Let the logged model know its version, as MLflow's own way to register does, and its bytes.

    Its page describes it by nothing else. A killed registration may have left it to be told.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    told = {
        "bytes_digest": version.tags.get("bytes_digest", ""),
        MLFLOW_MODEL_VERSIONS: json.dumps([{"name": version.name, "version": version.number}]),
        NOTE_TAG: (
            f"**Version {version.number} of {version.name}**: {card.partition(chr(10))[0]}. The"
            " card stands on the version's page, see *Model versions* here. *Register model* would"
            " make another version of it, without the evidence."
        ),
    }
    client, model = store.client, version.model_id
    if is_new or not told.items() <= client.get_logged_model(model).tags.items():
        client.set_logged_model_tags(model, told)


def _tell_report(store: Store, snapshot: Snapshot, submission: Submission) -> None:
    """Let all versions of the run know its report: an evaluation made again wrote it anew."""
    for version in snapshot.versions:
        for tag, digest in submission.report().items():
            if version.run_id == submission.run_id and version.tags.get(tag) != digest:
                number = str(version.number)
                store.client.set_model_version_tag(version.name, number, tag, digest)


def _as_challenger(store: Store, snapshot: Snapshot, version: Version) -> Version:
    """Point ``challenger`` to a version that is no older than its holder."""
    snapshot = replace(snapshot, versions=(version,)).renewed(store)
    if snapshot.aliases.get(CHALLENGER, 0) < version.number:
        store.client.set_registered_model_alias(version.name, CHALLENGER, str(version.number))
        return replace(version, aliases=(*snapshot.versions[0].aliases, CHALLENGER))
    return snapshot.versions[0]


def _ready_model(store: Store, snapshot: Snapshot, submission: Submission) -> tuple[str, str]:
    """Id of MLflow's logged model, its files whole, and their digest.

    One that a killed process has left is written anew, unless a version has it.
    """
    from mlflow.entities import LoggedModelOutput

    client = store.client
    run = client.get_run(submission.run_id)
    taken = {version.model_id for version in snapshot.versions}
    logged = _logged_model(store, submission, run.info.experiment_id, taken)
    stored = _write_files(store, submission, logged.model_id)
    # A run that names it already was killed right after; MLflow takes no output twice.
    outputs = run.outputs.model_outputs if run.outputs else []
    if logged.model_id not in [output.model_id for output in outputs]:
        client.log_outputs(submission.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    client.finalize_logged_model(logged.model_id, "READY")
    return logged.model_id, stored


def _logged_model(
    store: Store, submission: Submission, experiment: str, taken: Collection[str]
) -> "LoggedModel":
    client = store.client
    same = (f"tags.{name} = '{digest}'" for name, digest in submission.identity().items())
    found = client.search_logged_models(
        [experiment],
        filter_string=" AND ".join((f"source_run_id = '{submission.run_id}'", *same)),
    )
    if left := [model for model in found if model.model_id not in taken]:
        return min(left, key=lambda model: model.creation_timestamp)
    return client.create_logged_model(
        experiment,
        name="classifier",
        source_run_id=submission.run_id,
        tags=submission.identity(),
        params=dict(submission.params),
        model_type="classifier",
    )


def _write_files(store: Store, submission: Submission, model_id: str) -> str:
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
        digest = files_digest(folder)
        store.client.log_model_artifacts(model_id, str(folder))
    return digest


def _create_version(store: Store, submission: Submission, model_id: str, stored: str) -> Version:
    # Of the card what fits a screen: the answer, how to decide and how to use it.
    card, _, more = submission.card.partition("\n## Data\n")
    if more or len(card) > _LONGEST_CARD:
        rest = (
            "\n\nMore: *report.html* among the source run's artifacts; the whole card, with"
            " procedure, origin and limits, is *card.md* of the source model.\n"
        )
        card = card[: _LONGEST_CARD - len(rest)].rpartition("\n")[0] + rest
    # Tags and description come with the version in one transaction: there is no half version.
    with store.as_default():
        created = store.client.create_model_version(
            submission.name,
            source=f"models:/{model_id}",
            run_id=submission.run_id,
            model_id=model_id,
            tags={**submission.version_tags(), "bytes_digest": stored},
            description=card,
        )
    return to_version(created)
