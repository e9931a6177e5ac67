"""The whole search in a folder, to be read back without searching: search.json and arrays.npz."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.search.engines.batched import LinearClassifier, restored
from foldwise.search.jobs import Model, Predictions
from foldwise.search.plan import RESERVE, Plan
from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    FinalModel,
    FitCounts,
    Json,
    OuterFold,
    SearchResult,
    Study,
    Trial,
    trial_from_json,
    trial_to_json,
)
from foldwise.settings import Between, OneOf

Arrays = Mapping[str, NDArray[Any]]

SCHEMA = 2


def archive(result: SearchResult) -> dict[str, bytes]:
    """The result as files, name to content; equal results give equal bytes."""
    plan = result.plan
    arrays: dict[str, NDArray[Any]] = {
        "plan/part_of": plan.part_of.astype(np.int16),
        "plan/is_scored": plan.is_scored,
    }
    for fold in result.outer:
        arrays[f"{fold.study}/rows"] = fold.rows
        arrays[f"{fold.study}/labels"] = fold.labels
        arrays[f"{fold.study}/predictions"] = fold.predictions.values
    ended: tuple[OuterFold | FinalModel, ...] = (*result.outer, result.final)
    for each in ended:
        study = each.best.study
        arrays |= {f"{study}/{name}": array for name, array in each.model.arrays().items()}
    story = {
        "schema": SCHEMA,
        "space": _space_to_json(result.space),
        "has_outer": plan.has_outer,
        "trials": [trial_to_json(trial) for trial in result.trials],
        "models": [_ended_to_json(each) for each in ended],
        "fits": asdict(result.fits),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # fixed dates inside: equal bytes
    story["arrays"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    return {"arrays.npz": buffer.getvalue(), "search.json": json.dumps(story, indent=1).encode()}


def restore(folder: Path) -> SearchResult:
    """Read back what :func:`archive` gave, this version's or an earlier one's.

    Raises
    ------
    SearchError
        If a file is missing or not whole.
    """
    try:
        story = json.loads((folder / "search.json").read_text())
        content = (folder / "arrays.npz").read_bytes()
        if hashlib.sha256(content).hexdigest() != story["arrays"]:
            raise ValueError("arrays.npz is not the one that search.json was written with")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
        return _restore(story if "schema" in story else _of_schema_1(story, arrays), arrays)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SearchError(
            f"{folder} must hold a whole search result, it doesn't ({error}): "
            "run `dvc repro tune` or `dvc pull`"
        ) from error


def _restore(story: Json, arrays: Arrays) -> SearchResult:
    trials = tuple(trial_from_json(trial) for trial in story["trials"])
    by_number = {(t.study, t.number): t for t in trials}
    outer, final = [], None
    for encoded in story["models"]:
        study = Study.parse(encoded["study"])
        best, model = by_number[study, encoded["best"]], _model(encoded, study, arrays)
        if study.is_final:
            final = FinalModel(best, model, encoded["facts"])
        else:
            outer.append(_outer(encoded, best, model, arrays))
    if final is None:
        raise ValueError("the final model is missing")
    return SearchResult(
        plan=Plan(
            arrays["plan/part_of"].astype(np.int64), arrays["plan/is_scored"], story["has_outer"]
        ),
        space=_space_from_json(story["space"]),
        trials=trials,
        outer=tuple(outer),
        final=final,
        fits=FitCounts(**story["fits"]),
    )


def _outer(encoded: Json, best: Trial, model: Model, arrays: Arrays) -> OuterFold:
    study = best.study
    return OuterFold(
        best=best,
        model=model,
        facts=encoded["facts"],
        scores=encoded["scores"],
        rows=arrays[f"{study}/rows"],
        labels=arrays[f"{study}/labels"],
        predictions=Predictions(arrays[f"{study}/predictions"], encoded["are_probabilities"]),
    )


def _ended_to_json(ended: OuterFold | FinalModel) -> Json:
    told: Json = {
        "study": str(ended.best.study),
        "best": ended.best.number,
        "facts": dict(ended.facts),
    }
    if isinstance(ended.model, LinearClassifier):
        told |= {"C": ended.model.numbers.C, "multiclass": ended.model.numbers.multiclass}
    if isinstance(ended, OuterFold):
        told["scores"] = dict(ended.scores)
        told["are_probabilities"] = ended.predictions.are_probabilities
    return told


def _model(encoded: Json, study: Study, arrays: Arrays) -> Model:
    prefix = f"{study}/"
    own = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    return restored(own, encoded["C"], encoded["multiclass"])


def _space_to_json(space: Space) -> Json:
    return asdict(space)


def _space_from_json(encoded: Json) -> Space:
    dimensions = {
        name: OneOf(tuple(told["options"])) if "options" in told else Between(**told)
        for name, told in encoded["dimensions"].items()
    }
    return Space(**encoded | {"dimensions": dimensions})


def _of_schema_1(story: Json, arrays: dict[str, NDArray[Any]]) -> Json:
    """The first form, which had C alone, in today's; the range of C was not told."""
    studies = [f"outer-{fold}" for fold in range(len(story["outer"]))] + [str(FINAL)]
    models = [
        {
            "study": study,
            "best": best,
            "C": fit["C"],
            "multiclass": fit["multiclass"],
            "facts": fit["outcome"],
            "are_probabilities": True,
            **({"scores": fit["scores"]} if "scores" in fit else {}),
        }
        for study, best, fit in zip(
            studies, story["best"], [*story["outer"], story["final"]], strict=True
        )
    ]
    rows = {s: arrays[f"{s}/rows"] for s in studies[:-1]}
    size = 1 + max(int(of.max()) for of in rows.values())
    part_of = np.full((1, size), RESERVE)
    for fold, of in enumerate(rows.values()):
        part_of[0, of] = fold
    for study in studies[:-1]:
        arrays[f"{study}/predictions"] = arrays[f"{study}/probabilities"]
    arrays["plan/part_of"], arrays["plan/is_scored"] = part_of, part_of[0] != RESERVE
    tried = [trial["C"] for trial in story["trials"]]
    space = Space({"C": Between(min(tried), max(tried), is_log=True)}, "tpe", 0, 0, story["metric"])
    return {
        "space": _space_to_json(space),
        "has_outer": True,
        "trials": story["trials"],
        "models": models,
        "fits": story["fits"],
    }
