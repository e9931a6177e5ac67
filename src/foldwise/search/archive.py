"""The whole search in a folder, to be read back without searching: search.json and arrays.npz."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from foldwise.data.columns import Columns
from foldwise.errors import SearchError
from foldwise.files import DocumentError, decode, decode_arrays, plain, read_bytes
from foldwise.search.engines.batched import MODEL_ARRAYS, Features, LinearClassifier
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
    Trial,
    trial_from_json,
    trial_to_json,
)
from foldwise.settings import Between
from foldwise.solver.linear import LinearModel, Multiclass
from foldwise.stats.scores import completed

Arrays = Mapping[str, NDArray[Any]]
_GROUPS = "plan/groups"


class _Unkept:
    """A model that wasn't kept: its fit can be made again."""

    def arrays(self) -> Arrays:
        """None."""
        return {}


_UNKEPT = cast("Model", _Unkept())


@dataclass(frozen=True, slots=True)
class _Ended:
    """A study's end: its best trial's number, and its model; an outer fold has scores, too."""

    study: str
    best: int
    facts: dict[str, int | float | str]
    C: float | None = None
    multiclass: Multiclass | None = None
    scores: dict[str, float] | None = None
    are_probabilities: bool = True


@dataclass(frozen=True, slots=True)
class _Story:
    """What search.json holds; ``arrays`` is the digest of arrays.npz.

    ``sampler`` is the one used, whether it ``smoothed`` the curve, and the start-up values that a
    study ``skipped``: told to readers, they follow from the rest.
    ``filters`` are the parameters of the bank that the models look through, if they do,
    ``columns`` those of the table that they are of.
    """

    space: Space
    has_outer: bool
    trials: tuple[dict[str, Any], ...]
    models: tuple[_Ended, ...]
    fits: FitCounts
    arrays: str
    sampler: str = ""
    smoothed: bool = False
    skipped: dict[str, tuple[float, ...]] = field(default_factory=dict)
    filters: dict[str, Any] | None = None
    columns: Columns | None = None
    schema: Literal[2] = 2


def archive(result: SearchResult) -> dict[str, bytes]:
    """The result as files, name to content; equal results give equal bytes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, archive
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> sorted(archive(search.result_))
    ['arrays.npz', 'search.json']
    """
    return _files(result, result.trials, _arrays(result))


def outline(result: SearchResult, groups: NDArray[np.int64] | None = None) -> dict[str, bytes]:
    """What a comparison needs of the result, as files that `restore` reads, too.

    There are no models, no trials but the best ones, and predictions are in single precision: in
    half precision the sure ones would tie. ``groups`` (rows,), that variances are clustered by, are
    read back by `outlined_groups`.
    """
    final = replace(result.final, model=_UNKEPT)
    outer = tuple(replace(fold, model=_UNKEPT) for fold in result.outer)
    bare = replace(result, outer=outer, final=final)
    arrays = {
        name: of.astype(np.float32) if name.endswith("/predictions") else of
        for name, of in _arrays(bare).items()
    } | ({} if groups is None else {_GROUPS: groups})
    return _files(bare, [*(fold.best for fold in outer), final.best], arrays)


def outlined_groups(folder: Path) -> NDArray[np.int64] | None:
    """The groups of the rows, if `outline` was given any."""
    return decode_arrays(read_bytes(folder / "arrays.npz")).get(_GROUPS)


def _arrays(result: SearchResult) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "plan/part_of": result.plan.part_of.astype(np.int16),
        "plan/is_scored": result.plan.is_scored,
    }
    for fold in result.outer:
        arrays[f"{fold.study}/rows"] = fold.rows
        arrays[f"{fold.study}/labels"] = fold.labels
        arrays[f"{fold.study}/predictions"] = fold.predictions.values
    ended: tuple[OuterFold | FinalModel, ...] = (*result.outer, result.final)
    for each in ended:
        study = each.best.study
        arrays |= {f"{study}/{name}": array for name, array in each.model.arrays().items()}
    return arrays


def _files(result: SearchResult, trials: Iterable[Trial], arrays: Arrays) -> dict[str, bytes]:
    plan = result.plan
    ended: tuple[OuterFold | FinalModel, ...] = (*result.outer, result.final)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))  # fixed dates inside: equal bytes
    space = result.space
    story = _Story(
        space=space,
        has_outer=plan.has_outer,
        trials=tuple(trial_to_json(trial) for trial in trials),
        models=tuple(_told(each) for each in ended),
        fits=result.fits,
        arrays=hashlib.sha256(buffer.getvalue()).hexdigest(),
        sampler=space.method,
        smoothed=space.method == "curve" and space.is_stepped,
        skipped={
            str(each.study): skipped
            for each in plan.studies
            if (skipped := space.skipped(result.study_trials(each.study)))
        },
        **next(filter(None, (_features(each.model) for each in ended)), {}),
    )
    told = plain(story)
    for name in ("filters", "columns"):
        if told[name] is None:
            del told[name]  # a search of pixels is told as ever: its bytes are DVC's to compare
    text = json.dumps(told, indent=1)  # scores and parameters in their own order
    return {"arrays.npz": buffer.getvalue(), "search.json": text.encode()}


def restore(folder: Path) -> SearchResult:
    """Read back what :func:`archive` gave, this version's or an earlier one's.

    A model other than the batched solver's isn't kept: its fit can be made again.

    Raises
    ------
    SearchError
        If a file is missing or not whole.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, archive, restore
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> with TemporaryDirectory() as folder:
    ...     for name, content in archive(search.result_).items():
    ...         _ = Path(folder, name).write_bytes(content)
    ...     same = restore(Path(folder))
    >>> same.final.best == search.result_.final.best
    True
    """
    try:
        text = read_bytes(folder / "search.json")
        content = read_bytes(folder / "arrays.npz")
        arrays = decode_arrays(content)
        told = decode(dict[str, Any], text)
        if "schema" not in told:
            text = json.dumps(_of_schema_1(told, arrays)).encode()
        story = decode(_Story, text, tolerant=True)
        if hashlib.sha256(content).hexdigest() != story.arrays:
            raise ValueError("arrays.npz is not the one that search.json was written with")
        return _result(story, arrays)
    except (AttributeError, DocumentError, KeyError, OSError, TypeError, ValueError) as error:
        raise SearchError(
            f"{folder} must hold a whole search result, it doesn't ({error}): "
            "run `dvc repro tune` or `dvc pull`"
        ) from error


def _result(story: _Story, arrays: Arrays) -> SearchResult:
    trials = tuple(trial_from_json(trial) for trial in story.trials)
    by_number = {(str(t.study), t.number): t for t in trials}
    features = _features_of(story)
    ended = [
        _ended(each, by_number[each.study, each.best], arrays, features) for each in story.models
    ]
    (final,) = (each for each in ended if isinstance(each, FinalModel))
    return SearchResult(
        plan=Plan(
            arrays["plan/part_of"].astype(np.int64), arrays["plan/is_scored"], story.has_outer
        ),
        space=story.space,
        trials=trials,
        outer=tuple(each for each in ended if isinstance(each, OuterFold)),
        final=final,
        fits=story.fits,
    )


def _told(ended: OuterFold | FinalModel) -> _Ended:
    model = ended.model
    told = _Ended(str(ended.best.study), ended.best.number, dict(ended.facts))
    if isinstance(model, LinearClassifier):
        told = replace(told, C=model.numbers.C, multiclass=model.numbers.multiclass)
    if isinstance(ended, OuterFold):
        is_told = ended.predictions.are_probabilities
        told = replace(told, scores=dict(ended.scores), are_probabilities=is_told)
    return told


def _features(model: Model) -> dict[str, Any]:
    """The parameters of the model's bank of filters, or the columns of its table."""
    features: Any = model.features if isinstance(model, LinearClassifier) else None
    if isinstance(features, Columns):
        return {"columns": features}
    return {} if features is None else {"filters": features.get_params()}


def _features_of(story: _Story) -> Features | None:
    if story.filters is None:
        return story.columns
    from foldwise.data.features import FilterBank  # scikit-learn: two seconds

    return FilterBank(**story.filters)


def _ended(
    told: _Ended, best: Trial, arrays: Arrays, features: Features | None
) -> OuterFold | FinalModel:
    prefix = f"{told.study}/"
    own = {name.removeprefix(prefix): of for name, of in arrays.items() if name.startswith(prefix)}
    model = _UNKEPT
    if told.C is not None and told.multiclass is not None:
        numbers = {name: own[name] for name in MODEL_ARRAYS}
        model = LinearClassifier(LinearModel(told.C, told.multiclass, **numbers), features)
    if told.scores is None:
        return FinalModel(best, model, told.facts)
    return OuterFold(
        best=best,
        model=model,
        facts=told.facts,
        scores=completed(told.scores),
        rows=own["rows"],
        labels=own["labels"],
        predictions=Predictions(own["predictions"].astype(np.float64), told.are_probabilities),
    )


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
        "space": asdict(space),
        "has_outer": True,
        "trials": story["trials"],
        "models": models,
        "fits": story["fits"],
        "arrays": story["arrays"],
    }
