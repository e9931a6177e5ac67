"""The versions before: what kind of data a model's next one must be of, and whether it changed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from foldwise.data.dataset import Classes, DataInfo
from foldwise.errors import DataError, StoreError
from foldwise.registry.audit import Check, advised
from foldwise.registry.evidence import Evidence
from foldwise.registry.snapshot import CHAMPION, Version, all_versions, fetch_files, model_name
from foldwise.registry.stored_model import EVIDENCE
from foldwise.store.faults import StoreRefused
from foldwise.store.open import Store

_SPLITS = {"development set": "development_digest", "holdout": "holdout_digest"}
_SHOWN_CLASSES = 3


def require_same_kind(store: Store, data: DataInfo) -> None:
    """Refuse data whose classes or image shape aren't those of the model that bears its name.

    The champion's count, or where there is none, the newest version's. Versions without readable
    evidence are passed over: nothing is known of their data.

    Raises
    ------
    DataError
        The data are of another kind.
    """
    name = model_name(data.name)
    for version in sorted(
        all_versions(store, name), key=lambda each: (CHAMPION in each.aliases, each.number)
    )[::-1]:
        known = _data_of(store, version)
        if known is not None:
            _compare(name, version, known, data)
            return


def _compare(name: str, version: Version, known: DataInfo, data: DataInfo) -> None:
    differences = [
        *_other_shape(known.image_shape, data.image_shape),
        *_other_classes(known.classes, data.classes),
    ]
    if differences:
        raise DataError(
            f"all versions of {name} must have one image shape and the same classes, got"
            f" {' and '.join(differences)} as against version {version.number}: set"
            f" prepare.source and prepare.path back to that model's data, or give these a"
            f" prepare.name other than {data.name}"
        )


def _other_shape(known: Sequence[int], given: Sequence[int]) -> Iterator[str]:
    if tuple(known) != tuple(given):
        shapes = ["x".join(map(str, shape)) for shape in (given, known)]
        yield f"images of {shapes[0]} instead of {shapes[1]} pixels"


def _other_classes(known: Classes, given: Classes) -> Iterator[str]:
    if known == given:
        return
    added = [label for label in given if label not in known]
    missing = [label for label in known if label not in given]
    words = [f"{_labels(added)} more"] if added else []
    words += [f"{_labels(missing)} fewer"] if missing else []
    yield f"the classes {', '.join(words) or 'in another order'}"


def _labels(labels: Sequence[object]) -> str:
    shown = ", ".join(map(repr, labels[:_SHOWN_CLASSES]))
    left = len(labels) - _SHOWN_CLASSES
    return f"{shown} and {left} others" if left > 0 else shown


def _data_of(store: Store, version: Version) -> DataInfo | None:
    with TemporaryDirectory(prefix="foldwise-") as temporary:
        try:
            path = fetch_files(store, version, Path(temporary)) / EVIDENCE
            text = path.read_text(encoding="utf-8")
        except (StoreRefused, OSError, ValueError):
            return None
    try:
        return Evidence.from_json(text).data
    except StoreError:
        return None


def version_before(store: Store, name: str, run_id: str) -> Version | None:
    """The last version of a model before those of a pipeline run, if it says what its data were."""
    versions = all_versions(store, name)
    first_own = min((each.number for each in versions if each.run_id == run_id), default=None)
    earlier = [
        each
        for each in versions
        if (first_own is None or each.number < first_own)
        and all(tag in each.tags for tag in _SPLITS.values())
    ]
    return earlier[-1] if earlier else None


def changed_data(before: Version | None, data: DataInfo) -> str:
    """What differs from the data of the version before, in half a sentence; empty if nothing."""
    if before is None:
        return ""
    return ", ".join(
        f"{split} {getattr(data, digest)[:12]} instead of {before.tags[digest][:12]}"
        for split, digest in _SPLITS.items()
        if getattr(data, digest) != before.tags[digest]
    )


def data_checks(before: Version | None, data: DataInfo) -> Iterator[Check]:
    """Whether the data are those of the version before; nothing where there is none."""
    if before is not None:
        changed = changed_data(before, data)
        yield advised(
            "data", changed or "unchanged", f"version {before.number}'s", holds=not changed
        )
