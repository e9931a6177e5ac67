"""Is what serves what was evaluated? Bytes, numbers, data, origin and figures, looked at again."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.registry.audit import Check, advised, all_hold, judged, same_digest
from foldwise.registry.evidence import Evidence, labels_digest
from foldwise.registry.snapshot import Version
from foldwise.registry.stored_files import fault_of, fetch_files, sealed, strange_kind
from foldwise.registry.stored_model import StoredModel, read_model
from foldwise.runs.lineage import git_knows, library_versions, machine
from foldwise.settings import Settings, parameter_digests
from foldwise.solver.linear import with_largest
from foldwise.stats.scores import calibration_error, score
from foldwise.store.database import REGISTER
from foldwise.store.faults import StoreRefused, Tolerating, store_faults
from foldwise.store.open import Store

REPORT = "report_digest"
"""Tag: digest of the page beside the run, which people read before they decide."""

_PAGE = "report.html"
_ANEW = f"register it anew with {REGISTER}"
_SAME_MACHINE, _ELSEWHERE = 1e-9, 1e-6
_BLOCK_ROWS = 2048
NO_HOLDOUT = Check("holdout", "none: nested estimates alone", "rows held out", "warning")
_RUN = re.compile(r"[0-9a-f]{32}")
_RUNS_WITH = ("library.scikit-learn", "library.skops", "library.numpy", "library.mlflow")


@dataclass(frozen=True, slots=True, eq=False)
class Holdout:
    """The holdout as it lies prepared now: images (rows, features) and class codes (rows,).

    Or a table's data frame, and the groups (rows,) that its rows were drawn in, if it names any.
    """

    digest: str
    images: Any
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """What was found on looking at a version again.

    There is no evidence if the files aren't those that were registered: they were not opened then.
    There are no probabilities (rows, classes) without evidence, or with another holdout.
    """

    version: Version
    checks: tuple[Check, ...]
    evidence: Evidence | None
    probabilities: NDArray[np.float64] | None

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return all_hold(self.checks)


def verify(store: Store, version: Version, holdout: Holdout, settings: Settings) -> Verification:
    """Look at everything a version claims: its files first, unopened, then what is in them.

    The labels predicted on the holdout must be the same, the scores within 1e-9 beyond rounding
    on the machine and with the libraries of the registration, within 1e-6 elsewhere. A changed
    commit, library or params.yaml is a warning: it doesn't change what serves.

    Raises
    ------
    StoreError
        The files can't be fetched, or hold or describe what isn't trusted; nothing was run then.
    """
    with TemporaryDirectory(prefix="foldwise-") as folder:
        try:
            files = fetch_files(store, version, Path(folder))
        except StoreRefused as error:
            raise StoreRefused(f"{error}: {_ANEW}") from error
        found, stored = look_inside(version, files, store.root)
    if stored is None:
        return Verification(version, found, None, None)
    probabilities, data = None, stored.evidence.data
    figures: Iterable[Check] = [NO_HOLDOUT]
    if data.holdout_rows:
        if data.holdout_digest == holdout.digest:
            probabilities = predict_rows(stored, holdout.images)
        figures = (
            same_digest("holdout", holdout.digest, version.tags.get("holdout_digest", "")),
            *_figures(version, stored, probabilities, holdout.labels),
        )
    checks = (*found, *figures, *_run(store, version, settings))
    return Verification(version, checks, stored.evidence, probabilities)


def look_inside(
    version: Version, files: Path, root: Path | None
) -> tuple[tuple[Check, ...], StoredModel | None]:
    """Open a version's files, if they are those that were registered, and digest its numbers."""
    found = sealed(version, files, root)
    if found[0].verdict == "fail":
        return (*found, Check("model", f"not opened; {_ANEW}", "files as registered", "fail")), None
    stored = read_model(files)
    content = stored.model.digest(stored.evidence.classes)
    return (*found, same_digest("model's numbers", content, version.content)), stored


def fault_inside(store: Store, version: Version, root: Path | None) -> str:
    """What is wrong with a version's files for good, as `fault_of` says it, the model opened."""
    return fault_of(store, version, lambda files: look_inside(version, files, root)[0])


def _figures(
    version: Version,
    stored: StoredModel,
    probabilities: NDArray[np.float64] | None,
    labels: NDArray[np.int64],
) -> Iterator[Check]:
    if probabilities is None:
        yield Check("labels, scores", "not predicted", "the holdout evaluated on", "fail")
        return
    evidence, found = stored.evidence, labels_digest(probabilities)
    yield same_digest("predicted labels", found, evidence.labels_digest)
    again, error = score(probabilities, labels), calibration_error(probabilities, labels)
    difference = evidence.misses(again, error)
    bound, where = _ELSEWHERE, "another machine or library"
    if not stored.is_exact:
        where = "single precision"
    elif version.tags.get("machine") == machine() and not _other_libraries(version.tags):
        bound, where = _SAME_MACHINE, "same machine"
    yield judged(
        "scores", f"differ by {difference:.1e}", f"<= {bound:.0e} ({where})",
        holds=difference <= bound,
    )  # fmt: skip


def _run(store: Store, version: Version, settings: Settings) -> Iterator[Check]:
    if not _RUN.fullmatch(version.run_id):
        yield Check("run", f"{version.run_id[:40]!r}; {_ANEW}", "a run of the store", "fail")
        return
    yield from _report(store, version)
    yield from _origin(store, version, settings)


def _report(store: Store, version: Version) -> Iterator[Check]:
    """A lost page misleads nobody; versions of 0.1 know of none."""
    if (told := version.tags.get(REPORT)) is None:
        return
    try:
        with TemporaryDirectory(prefix="foldwise-") as folder, store_faults("reading the report"):
            page = store.artifact(version.run_id, _PAGE, folder)
            if kind := strange_kind(page):
                yield judged("report", kind, f"a file; write it anew with {REGISTER}", holds=False)
            else:
                yield same_digest("report", hashlib.sha256(page.read_bytes()).hexdigest(), told)
    except StoreRefused:
        yield advised("report", f"lost; write it anew with {REGISTER}", told[:12], holds=False)


def _origin(store: Store, version: Version, settings: Settings) -> Iterator[Check]:
    tags = version.tags
    commit = tags.get("git.commit", "")
    dirty = tags.get("git.dirty") != "false"
    yield advised(
        "git commit",
        (commit[:12] or "none") + (" with uncommitted changes" if commit and dirty else ""),
        "clean, known here",
        holds=bool(commit) and not dirty and git_knows(store.root, commit),
    )
    told, recorded = tags.get("parameters_digest", ""), None
    doing, gone = f"reading the run of version {version.number}", "RESOURCE_DOES_NOT_EXIST"
    with store_faults(doing), Tolerating(gone):
        recorded = store.client.get_run(version.run_id).data.tags.get("parameters_digest")
    if recorded not in (None, told):
        yield same_digest("parameters", told, recorded or "")
    else:
        now = parameter_digests(settings)
        bound = f"{now[0][:12]} (params.yaml)"
        if told not in now:
            bound += "; params.yaml here isn't what made this version, which serves as it was"
        yield advised("parameters", told[:12], bound, holds=told in now)
    others = _other_libraries(tags)
    yield advised("libraries", ", ".join(others) or "the same", "as here", holds=not others)


def _other_libraries(tags: Mapping[str, str]) -> list[str]:
    here = library_versions()
    return [
        f"{name.removeprefix('library.')} {tags.get(name, '?')}"
        for name in _RUNS_WITH
        if tags.get(name) != here.get(name)
    ]


def predict_rows(stored: StoredModel, images: Any) -> NDArray[np.float64]:
    """What the pipeline that is served says of rows: probabilities (rows, classes)."""
    # In blocks, because scikit-learn turns what it is given into float64 at once.
    starts = range(0, len(images), _BLOCK_ROWS)
    blocks = (images[start : start + _BLOCK_ROWS] for start in starts)
    return np.concatenate([_predicted(stored, block) for block in blocks])


def _predicted(stored: StoredModel, images: Any) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = stored.pipeline.predict_proba(images)
    if not stored.is_exact:
        return shares  # of some classifiers, the largest isn't meant to be what they answer
    classes = stored.pipeline.classes_
    return with_largest(shares, np.searchsorted(classes, stored.pipeline.predict(images)))
