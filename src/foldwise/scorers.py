"""The scorer that a notebook's search is judged by: whose answers it takes, of which class."""

import warnings
from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import check_scoring, get_scorer_names, make_scorer
from sklearn.pipeline import Pipeline

from foldwise.errors import InputError
from foldwise.stats.scores import METRIC, SCORE

Classes = NDArray[Any] | None
"""None of a regressor."""


@dataclass(frozen=True, slots=True, eq=False)
class Judging:
    """What a search's studies select by, and of two classes its thresholds: as it was asked for.

    ``metric`` is the scorer's own name among ours, or SCORE; of two classes there is the code of
    the ``positive`` one, and ``cut_by`` is the scorer by which thresholds are chosen.
    """

    scorer: Any
    metric: str
    positive: int | None
    cut_by: Any

    @classmethod
    def of(
        cls, own: Any, estimator: Any, targets: NDArray[Any], classes: Classes, *, is_batched: bool
    ) -> Self:
        """See that a NestedSearchCV's estimator and target can be judged so."""
        positive = _positive(own.pos_label, classes)
        label = None if positive is None or classes is None else classes.tolist()[positive]
        scorer = _scorer(estimator, own.scoring, label)
        _require_served(estimator, scorer, own.scoring, classes)
        metric = SCORE if classes is None else _native(own.scoring)
        # Answers may be another matter than the largest of an estimator's probabilities.
        if metric in METRIC and METRIC[metric].counts and not is_batched:
            metric = SCORE
        if metric == SCORE:
            _require_judging(scorer, own.scoring, targets, classes)
        return cls(scorer, metric, positive, _cut_by(own.threshold, estimator, classes, label))


def _scorer(estimator: Any, scoring: Any, positive: Any, name: str = "scoring") -> Any:
    """What was given as ``name`` as a scorer, of the ``positive`` class if it asks for one."""
    names = get_scorer_names()
    is_named = isinstance(scoring, str) and scoring in names
    if not (scoring is None or callable(scoring) or is_named):
        near = get_close_matches(str(scoring), names, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"{name} must be one scorer, itself or by its name in scikit-learn, got"
            f" {scoring!r:.60}{hint}: sklearn.metrics.get_scorer_names() lists them"
        )
    scorer = check_scoring(estimator, scoring=scoring)
    return scorer if positive is None or not isinstance(scoring, str) else _of(positive, scorer)


def _positive(pos_label: Any, classes: Classes) -> int | None:
    """Code of the positive class: the greater one, unless another is said; None but of two."""
    known = [] if classes is None else classes.tolist()
    if pos_label is None:
        return 1 if len(known) == 2 else None
    _require_two("pos_label", classes)
    if pos_label not in known:
        raise InputError(
            f"pos_label must be a class of y, got {pos_label!r}: name {known[0]!r} or {known[1]!r}"
        )
    return known.index(pos_label)


def _require_two(name: str, classes: Classes) -> None:
    if classes is None or len(classes) != 2:
        what = "a regressor has none" if classes is None else f"y has {len(classes)}"
        raise InputError(f"{name} is of two classes, {what}: leave {name} out")


def _of(positive: Any, scorer: Any) -> Any:
    """The scorer, of this class if it asks which is the positive one, as f1 does."""
    of = vars(scorer)
    is_asked = "pos_label" in signature(of["_score_func"]).parameters
    if not is_asked or of["_kwargs"].get("average", "binary") != "binary":
        return scorer
    told = copy(scorer)
    vars(told)["_kwargs"] = {**of["_kwargs"], "pos_label": positive}
    return told


def _cut_by(threshold: Any, estimator: Any, classes: Classes, positive: Any) -> Any:
    """The scorer by which thresholds on the positive class's probability are chosen."""
    if threshold is None:
        return None
    _require_two("threshold", classes)
    if not any(hasattr(estimator, each) for each in ("predict_proba", "decision_function")):
        raise InputError(
            "threshold needs predict_proba or decision_function, which"
            f" {type(estimator).__name__} doesn't have: leave threshold out"
        )
    of = vars(_scorer(estimator, threshold, positive, "threshold"))
    if of.get("_response_method") != "predict":
        raise InputError(
            "threshold must be a scorer of answers, of make_scorer or by a name such as"
            f" 'balanced_accuracy', got {threshold!r:.60}: choose one of those"
        )

    def judged(y: Any, answers: Any, *, pos_label: Any) -> Any:
        del pos_label  # whose probability the threshold is on: the scorer has its own, or none
        return of["_score_func"](y, answers, **of["_kwargs"])

    return make_scorer(judged, greater_is_better=of["_sign"] > 0, pos_label=positive)


def _require_served(estimator: Any, scorer: Any, scoring: Any, classes: Classes) -> None:
    """A scorer may ask only for what the estimator has."""
    wanted = getattr(scorer, "_response_method", "predict")
    wanted = (wanted,) if isinstance(wanted, str) else wanted
    name = type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__
    if not any(hasattr(estimator, each) for each in wanted):
        raise InputError(
            f"scoring={scoring!r} asks for {' or '.join(wanted)}, which {name} doesn't have:"
            " choose a scorer that it can serve"
        )
    if scoring == "roc_auc" and classes is not None and len(classes) > 2:
        raise InputError(
            f"scoring='roc_auc' is of two classes, y has {len(classes)}: choose 'roc_auc_ovr'"
        )


def _require_judging(scorer: Any, scoring: Any, targets: NDArray[Any], classes: Classes) -> None:
    """scikit-learn's scorers must take such targets, whoever answers: here it is guessing."""
    guess = (
        DummyRegressor()
        if classes is None
        else DummyClassifier(strategy="stratified", random_state=0)
    )
    wanted = getattr(scorer, "_response_method", "")
    if not any(hasattr(guess, each) for each in ([wanted] if isinstance(wanted, str) else wanted)):
        return
    rows = np.zeros((len(targets), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scorer(guess.fit(rows, targets), rows, targets)
        except (ValueError, TypeError) as error:
            kind = "numbers" if classes is None else f"the {len(classes)} classes"
            remedy = "r2" if classes is None else "balanced_accuracy"
            told = " ".join(str(error).split())[:200].rstrip(".")
            raise InputError(
                f"scoring must be a scorer of {kind} of y, {scoring!r:.60} says {told}: choose"
                f" another, such as {remedy!r}"
            ) from error


def _native(scoring: Any) -> str:
    """The metric that is a scorer's, or SCORE."""
    if scoring == "roc_auc":
        return "roc_auc"
    return next((metric for metric, of in METRIC.items() if of.scorer == scoring), SCORE)
