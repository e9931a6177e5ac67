"""A search in a folder comes back to the bit; so does one of the first form, and no damaged one."""

import hashlib
import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldwise.data.features import FilterBank
from foldwise.errors import SearchError
from foldwise.search.archive import archive, outline, outlined_groups, restore
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.plan import RESERVE
from foldwise.search.trials import FinalModel, OuterFold, SearchResult
from foldwise.settings import Between, OneOf
from tests.factories import make_result


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_result_comes_back_to_the_bit(tmp_path: Path) -> None:
    """Trials, models, predictions, folds and space; archived again it gives the same bytes."""
    result = make_result(folds=4, trials=5)
    found = restore(_written(tmp_path, archive(result)))
    assert archive(found) == archive(result)
    assert repr(found.trials) == repr(result.trials)
    assert (found.space, found.fits) == (result.space, result.fits)
    np.testing.assert_array_equal(found.plan.part_of, result.plan.part_of)
    np.testing.assert_array_equal(found.plan.is_scored, result.plan.is_scored)
    for fold, known in zip(found.outer, result.outer, strict=True):
        _assert_same(fold, known)
        assert fold.scores == known.scores
        for name in ("rows", "labels"):
            np.testing.assert_array_equal(getattr(fold, name), getattr(known, name))
        np.testing.assert_array_equal(fold.predictions.values, known.predictions.values)
    _assert_same(found.final, result.final)


def test_the_bank_that_models_look_through_comes_back_too(tmp_path: Path) -> None:
    """And without one, nothing is told of any: such a search's bytes are those of before."""
    result = make_result()
    assert b"filters" not in archive(result)["search.json"]
    bank = FilterBank((4, 3), size=2, grid=2, frequencies=(0.1,))
    model = replace(result.final.model, features=bank)  # type: ignore[type-var]
    filtered = replace(result, final=replace(result.final, model=model))
    found = restore(_written(tmp_path, archive(filtered))).final.model
    assert isinstance(found, LinearClassifier)
    assert found.digest((0, 1, 2)) == model.digest((0, 1, 2))


def test_other_plans_and_spaces_come_back_too(tmp_path: Path) -> None:
    """No outer folds, rows in reserve and never scored, whole numbers and choices, NaN."""
    result = make_result()
    part_of = result.plan.part_of.copy()
    part_of[0, :5] = RESERVE
    is_scored = result.plan.is_scored.copy()
    is_scored[7:9] = False
    dimensions = {**result.space.dimensions, "n": Between(1, 9, is_log=True), "k": OneOf((None, 1))}
    trials = tuple(
        replace(
            trial,
            values={**trial.values, "n": 3, "k": None},
            inner=tuple(
                replace(fold, scores={**fold.scores, "log_loss": float("nan")})
                for fold in trial.inner
            ),
        )
        for trial in result.trials
        if trial.study.is_final
    )
    best = next(trial for trial in trials if trial.number == result.final.best.number)
    changed = replace(
        result,
        plan=replace(result.plan, part_of=part_of, is_scored=is_scored, has_outer=False),
        space=replace(result.space, dimensions=dimensions, sampler="random_uniform"),
        trials=trials,
        outer=(),
        final=replace(result.final, best=best),
    )
    found = restore(_written(tmp_path, archive(changed)))
    assert archive(found) == archive(changed)
    assert repr(found.trials) == repr(trials)
    assert repr(found.space) == repr(changed.space)
    assert not found.plan.has_outer
    np.testing.assert_array_equal(found.plan.part_of, part_of)


def test_the_first_form_is_read(tmp_path: Path) -> None:
    """Searches of 0.1 named C, outcomes and probabilities; nothing of them is lost."""
    result = make_result(folds=3, trials=4)
    found = restore(_written(tmp_path, _first_form(result)))
    assert repr(found.trials) == repr(result.trials)
    assert (found.metric, found.fits) == (result.metric, result.fits)
    assert found.space.dimensions.keys() == {"C"}
    assert [fold.part for fold in found.outer] == [fold.part for fold in result.outer]
    for fold, known in zip(found.outer, result.outer, strict=True):
        _assert_same(fold, known)
        assert fold.scores == known.scores
        np.testing.assert_array_equal(fold.rows, known.rows)
        np.testing.assert_array_equal(fold.labels, known.labels)
        np.testing.assert_array_equal(fold.predictions.values, known.predictions.values)
        np.testing.assert_array_equal(found.plan.rows(fold.part), known.rows)
    _assert_same(found.final, result.final)
    folder = tmp_path / "again"
    folder.mkdir()
    assert archive(restore(_written(folder, archive(found)))) == archive(found)


@pytest.mark.parametrize("name", ["search.json", "arrays.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut", "another's"])
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path, name: str, damage: str) -> None:
    """With the commands that make it whole."""
    folder = _written(tmp_path, archive(make_result()))
    whole = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "cut":
        (folder / name).write_bytes(whole[: len(whole) // 2])
    else:
        (folder / name).write_bytes(archive(make_result(folds=4))[name])
    with pytest.raises(SearchError, match="dvc repro tune"):
        restore(folder)


def _assert_same(ended: OuterFold | FinalModel, known: OuterFold | FinalModel) -> None:
    assert (ended.best, ended.facts) == (known.best, known.facts)
    assert isinstance(ended.model, LinearClassifier)
    assert isinstance(known.model, LinearClassifier)
    assert ended.model.numbers.C == known.model.numbers.C
    assert ended.model.numbers.multiclass == known.model.numbers.multiclass
    for name, array in known.model.arrays().items():
        np.testing.assert_array_equal(ended.model.arrays()[name], array)


def _first_form(result: SearchResult) -> dict[str, bytes]:
    """The files as 0.1 wrote them: a story without a schema, and no plan."""
    arrays: dict[str, Any] = {}
    for fold in result.outer:
        arrays[f"{fold.study}/rows"] = fold.rows
        arrays[f"{fold.study}/labels"] = fold.labels
        arrays[f"{fold.study}/probabilities"] = fold.predictions.values
    ended: tuple[OuterFold | FinalModel, ...] = (*result.outer, result.final)
    for each in ended:
        named = {f"{each.best.study}/{n}": array for n, array in each.model.arrays().items()}
        arrays |= named
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    story = {
        "metric": result.metric,
        "trials": [
            {
                "study": str(trial.study),
                "number": trial.number,
                "C": trial.values["C"],
                "inner": [
                    {
                        "part": fold.part.fold,
                        "scores": dict(fold.scores),
                        "outcome": dict(fold.facts),
                    }
                    for fold in trial.inner
                ],
            }
            for trial in result.trials
        ],
        "outer": [{**_fit(fold), "scores": dict(fold.scores)} for fold in result.outer],
        "final": _fit(result.final),
        "best": [each.best.number for each in ended],
        "fits": asdict(result.fits),
        "arrays": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    return {"arrays.npz": buffer.getvalue(), "search.json": json.dumps(story, indent=1).encode()}


def _fit(ended: OuterFold | FinalModel) -> dict[str, Any]:
    fold = ended.best.study.fold
    return {
        "left_out": [] if fold is None else [fold],
        "C": ended.best.values["C"],
        "multiclass": "multinomial",
        "outcome": dict(ended.facts),
    }


def test_an_outline_has_what_a_comparison_needs_and_no_more(tmp_path: Path) -> None:
    """Outer folds to single precision, what was chosen with its inner scores; no model."""
    result = make_result(folds=4, trials=5)
    groups = np.arange(result.plan.is_scored.size) // 2
    files = outline(result, groups)
    assert outline(result, groups) == files
    found = restore(_written(tmp_path, files))
    assert [fold.best for fold in found.outer] == [fold.best for fold in result.outer]
    assert (found.final.best, found.fits, found.space) == (
        result.final.best,
        result.fits,
        result.space,
    )
    assert len(found.trials) == 5
    for fold, known in zip(found.outer, result.outer, strict=True):
        stated = fold.predictions.values
        assert stated.dtype == np.float64
        np.testing.assert_array_equal(stated, known.predictions.values.astype(np.float32))
        np.testing.assert_array_equal(fold.rows, known.rows)
    assert outlined_groups(tmp_path).tolist() == groups.tolist()  # type: ignore[union-attr]
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert not [name for name in arrays if "coefficients" in name]
    assert b"coefficients" in archive(result)["arrays.npz"]
    assert outlined_groups(_written(tmp_path, outline(result))) is None
