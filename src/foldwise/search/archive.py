"""The whole search in a folder, to be read back without searching: search.json and arrays.npz."""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foldwise.errors import SearchError
from foldwise.search.trials import (
    FINAL_STUDY,
    FinalModel,
    FitCounts,
    OuterFold,
    SearchResult,
    Trial,
    trial_from_json,
    trial_to_json,
)
from foldwise.solver.linear import Fit, FitOutcome, LinearModel
from foldwise.stats.scores import Scores

Arrays = dict[str, NDArray[Any]]

_MODEL_ARRAYS = ("mean", "scale", "coefficients", "intercepts")
_FOLD_ARRAYS = ("rows", "labels", "probabilities")


def archive(result: SearchResult) -> dict[str, bytes]:
    """The result as files, name to content; equal results give equal bytes."""
    arrays: Arrays = {}
    folds = []
    for fold in result.outer:
        folds.append(_fit_to_json(fold.fit, fold.study, arrays) | {"scores": asdict(fold.scores)})
        arrays |= {f"{fold.study}/{name}": getattr(fold, name) for name in _FOLD_ARRAYS}
    story = {
        "metric": result.metric,
        "trials": [trial_to_json(trial) for trial in result.trials],
        "outer": folds,
        "final": _fit_to_json(result.final.fit, FINAL_STUDY, arrays),
        "best": [t.number for t in (*(f.best for f in result.outer), result.final.best)],
        "fits": asdict(result.fits),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # fixed dates inside: equal bytes
    story["arrays"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    return {"arrays.npz": buffer.getvalue(), "search.json": json.dumps(story, indent=1).encode()}


def restore(folder: Path) -> SearchResult:
    """Read back what :func:`archive` gave.

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
        return _restore(story, arrays)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SearchError(
            f"{folder} must hold a whole search result, it doesn't ({error}): "
            "run `dvc repro tune` or `dvc pull`"
        ) from error


def _restore(story: dict[str, Any], arrays: Arrays) -> SearchResult:
    trials = tuple(trial_from_json(trial) for trial in story["trials"])
    by_number: dict[tuple[str, int], Trial] = {(t.study, t.number): t for t in trials}
    outer = []
    for index, encoded in enumerate(story["outer"]):
        study = f"outer-{index}"
        outer.append(
            OuterFold(
                fold=index,
                best=by_number[study, story["best"][index]],
                fit=_fit_from_json(encoded, study, arrays),
                scores=Scores(**encoded["scores"]),
                **{name: arrays[f"{study}/{name}"] for name in _FOLD_ARRAYS},
            )
        )
    final = FinalModel(
        by_number[FINAL_STUDY, story["best"][-1]],
        _fit_from_json(story["final"], FINAL_STUDY, arrays),
    )
    counts = FitCounts(**story["fits"])
    return SearchResult(story["metric"], trials, tuple(outer), final, counts)


def _fit_to_json(fit: Fit, study: str, arrays: Arrays) -> dict[str, Any]:
    arrays |= {f"{study}/{name}": getattr(fit.model, name) for name in _MODEL_ARRAYS}
    return {
        "left_out": sorted(fit.left_out),
        "C": fit.model.C,
        "multiclass": fit.model.multiclass,
        "outcome": asdict(fit.outcome),
    }


def _fit_from_json(encoded: dict[str, Any], study: str, arrays: Arrays) -> Fit:
    model = LinearModel(
        C=encoded["C"],
        multiclass=encoded["multiclass"],
        **{name: arrays[f"{study}/{name}"] for name in _MODEL_ARRAYS},
    )
    return Fit(frozenset(encoded["left_out"]), model, FitOutcome(**encoded["outcome"]))
