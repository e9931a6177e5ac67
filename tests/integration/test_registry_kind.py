"""A registered model keeps to one kind of data, and says when the data have changed."""

from dataclasses import replace
from typing import Any

import pytest

from foldwise.data.dataset import DataInfo, Kind, Split, TableInfo
from foldwise.errors import DataError
from foldwise.registry.champion import promote
from foldwise.registry.gate import changed_data
from foldwise.registry.registration import (
    Submission,
    differences,
    register,
    require_same_kind,
)
from foldwise.registry.stored_files import fetch_files
from foldwise.store.open import Store
from tests.integration.registry_cases import (
    NAME,
    SETTINGS,
    as_found,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
)


@pytest.fixture(scope="module")
def holdout() -> Split:
    return make_holdout()


def handed_in(store: Store, holdout: Split, **data: object) -> Submission:
    """The same model from a run of its own, of data that differ as given."""
    made = submission(model_of(0.0), holdout, start_run(store))
    changed: DataInfo = replace(made.evidence.data, **data)  # type: ignore[arg-type]
    return replace(made, evidence=replace(made.evidence, data=changed))


IMAGES = DataInfo("blobs", (0, 1, 2), (4, 4), 36, "d" * 64, 50, "h" * 64)


def table_of(**columns: Kind) -> dict[str, Any]:
    """What makes data a table's."""
    return {"image_shape": (), "table": TableInfo(tuple(columns.items()))}


def table(**columns: Kind) -> DataInfo:
    """Data that are a table's."""
    return replace(IMAGES, **table_of(**columns))


@pytest.mark.parametrize(
    ("known", "data", "told"),
    [
        (IMAGES, {"image_shape": (2, 8)}, "images of 2x8 pixels instead of images of 4x4 pixels"),
        (IMAGES, {"image_shape": (16,)}, "images of 16 pixels instead of images of 4x4 pixels"),
        (IMAGES, {"classes": (0, 1, 3)}, "classes without 2 but with 3"),
        (IMAGES, {"classes": (0, 1)}, "classes without 2"),
        (IMAGES, {"classes": ("0", 1, 2)}, "classes without 0 but with '0'"),
        (IMAGES, {"classes": (0, 2, 1)}, "classes in another order"),
        (IMAGES, {"classes": tuple(range(9))}, "classes with 3, 4, 5, …"),
        (IMAGES, table_of(age="number"), "a table instead of images of 4x4 pixels"),
        (
            table(age="number"),
            {"image_shape": (4, 4), "table": None},
            "images of 4x4 pixels instead of a table",
        ),
        (
            table(age="number", sex="category"),
            {**table_of(age="category", sex="category"), "classes": (0, 1)},
            ("columns with 'age' a category instead of a number and classes without 2"),
        ),
        (
            table(age="number"),
            table_of(age="number", dose="number"),
            "columns with 'dose'",
        ),
        (
            table(age="number", sex="category"),
            table_of(age="category", dose="number"),
            (
                "columns with 'age' a category instead of a number"
                " and columns without 'sex' but with 'dose'"
            ),
        ),
        (table(a="number", b="number"), table_of(b="number", a="number"), ""),
        (IMAGES, {"development_digest": "e" * 64, "holdout_rows": 7}, ""),
    ],
)
def test_every_pair_of_kinds_is_told_apart(
    known: DataInfo, data: dict[str, Any], told: str
) -> None:
    """By what is given and what was; in which order columns stand, and which rows, is no matter."""
    assert " and ".join(differences(known, replace(known, **data))) == told


def test_data_of_another_kind_are_refused(store: Store, holdout: Split) -> None:
    """One line, and nothing is registered or stored."""
    register(store, handed_in(store, holdout))
    other = handed_in(store, holdout, image_shape=(2, 8))
    told = r"one kind of data and the same classes, got images of 2x8 .* as against version 1: set"
    with pytest.raises(DataError, match=told) as caught:
        require_same_kind(store, seen(store), other.evidence.data)
    assert "prepare.name other than blobs" in str(caught.value)
    with pytest.raises(DataError, match=told):
        register(store, other)
    assert len(seen(store).versions) == 1
    assert len(store.client.search_logged_models([store.experiment("blobs")])) == 1


def test_either_remedy_of_the_refusal_registers(store: Store, holdout: Split) -> None:
    """Under a name of their own the data begin a model; the model's own data go on with it."""
    register(store, handed_in(store, holdout))
    other = register(store, handed_in(store, holdout, image_shape=(2, 8), name="others"))
    assert (other.name, other.number) == ("others-classifier", 1)
    assert register(store, handed_in(store, holdout)).number == 2


def test_the_champions_kind_counts_where_versions_differ(store: Store, holdout: Split) -> None:
    """Versions that were mixed up earlier must not keep the right data out."""
    right = register(store, handed_in(store, holdout))
    require_same_kind(store, seen(store), handed_in(store, holdout).evidence.data)
    wrong = handed_in(store, holdout, image_shape=(2, 8))
    path = fetch_files(store, right, store.root) / "evidence.json"
    kept = path.read_bytes()
    path.write_bytes(wrong.evidence.to_bytes())
    register(store, wrong)
    path.write_bytes(kept)
    with pytest.raises(DataError, match="as against version 2"):
        require_same_kind(store, seen(store), handed_in(store, holdout).evidence.data)
    store.client.set_registered_model_alias(NAME, "champion", "1")
    require_same_kind(store, seen(store), handed_in(store, holdout).evidence.data)


@pytest.mark.parametrize("left", [None, "", "{}", "[" * 100_000, '{"data": {"classes": 3}}'])
def test_a_version_without_evidence_does_not_stand_in_the_way(
    store: Store, holdout: Split, left: str | None
) -> None:
    """What was lost or spoilt says nothing of the data: the version before it counts."""
    for _ in range(2):
        register(store, handed_in(store, holdout))
    path = fetch_files(store, seen(store).versions[-1], store.root) / "evidence.json"
    path.unlink()
    if left is not None:
        path.write_text(left)
    with pytest.raises(DataError, match="as against version 1"):
        register(store, handed_in(store, holdout, image_shape=(2, 8)))
    assert register(store, handed_in(store, holdout)).number == 3


def test_a_repeat_compares_with_what_was_before_its_own_version(
    store: Store, holdout: Split
) -> None:
    """Killed after it registered and run again, an evaluation says the same as the first time."""
    register(store, handed_in(store, holdout))
    second = handed_in(store, holdout, development_digest="e" * 64)

    def said() -> str:
        return changed_data(seen(store).before(second.run_id), second.evidence.data)

    first_time = said()
    assert first_time == f"development set {'e' * 12} instead of {'d' * 12}"
    register(store, second)
    register(store, handed_in(store, holdout))
    assert said() == first_time


def test_the_gate_warns_of_other_data_and_says_nothing_of_a_first_version(
    store: Store, holdout: Split
) -> None:
    """It advises: data may change for good reasons."""
    versions = [
        register(store, handed_in(store, holdout, development_digest=digest * 64))
        for digest in ("d", "d", "e")
    ]
    verdicts = []
    for version in versions:
        decision = promote(
            store,
            NAME,
            str(version.number),
            holdout=as_found(holdout),
            settings=SETTINGS,
            is_dry=True,
        )
        verdicts.append([c.verdict for c in decision.checks if c.name == "data"])
    assert verdicts == [[], ["pass"], ["warning"]]
