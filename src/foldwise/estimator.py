"""Nested cross-validation as a scikit-learn estimator: the rooms connected for a notebook."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from foldwise.asked import Asked, searched
from foldwise.errors import InputError, SearchError
from foldwise.frames import Frames, Profile, signed
from foldwise.leaks import warn_of_telling_columns
from foldwise.partition import FOLDS
from foldwise.search.book import StudyStorage, open_book, search_lock
from foldwise.search.engines.estimator import FAILED
from foldwise.search.nested import Book, MemoryBook, NestedSearch
from foldwise.search.space import KIND
from foldwise.search.summary import best_trials
from foldwise.search.trials import FINAL, Progress, SearchResult, Trial
from foldwise.thresholds import Thresholds

_PACE = 24 * 3600.0
"""Seconds over whose mean pace the time left is told: fits end in bursts."""


class _Address(str):
    """A storage's address that is shown without its password, whatever it is shown within."""

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            return repr(str(StudyStorage.parse(str(self))))
        except SearchError:
            return repr("not shown, it may hold a secret")


def _has(method: str) -> Callable[[Any], bool]:
    """Whether the estimator that the search is of has a method: then the search has it, too."""

    def has(self: "NestedSearchCV") -> bool:
        getattr(getattr(self, "best_estimator_", None) or searched(self), method)
        return True

    return has


@dataclass(eq=False, repr=False)
class NestedSearchCV(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]  # has no types
    """Nested cross-validation: parameters chosen in inner folds, the choice judged in outer ones.

    The rows are dealt to K parts. For each outer fold, a study chooses parameters by the other K-1
    parts, each scored by a fit on the remaining K-2; its model, fitted on those K-1, is judged on
    the part that the study never touched. A last study, over all K parts, chooses the parameters of
    the model for use, which is fitted on all rows.

    Parameters
    ----------
    estimator : scikit-learn estimator or dict of candidates, optional
        Without one it is :class:`~foldwise.StandardLogistic`. It is given X unchanged. Of
        candidates, ``{"name": (estimator, param_distributions), ...}``, the simplest first, each
        study chooses one, with its parameters.
    param_distributions : mapping, optional
        From parameters to their ranges: :class:`~foldwise.Between`, :class:`~foldwise.OneOf`,
        Optuna's distributions, scipy's ``loguniform``, ``uniform`` and ``randint``, or lists.
        Without one it is C, log-uniform from 1e-4 to 10; an empty one leaves all as it is.
    cv : int, array (rows,), splits or splitter
        Number of parts, at least 3; or each row's part; or pairs of training and test rows, whose
        test rows partition all rows; or what makes them. None is 6. Inner folds are the other
        parts.
    n_repeats : int
        How many partitions are searched; a row's predictions of all are averaged in variances.
    n_trials : int
        Values tried in each study, of each candidate.
    scoring : str or callable
        One of scikit-learn's scorers, by name or itself.
    pos_label : class, optional
        Of two classes the positive one, for scorers such as ``f1`` and all that is told of two
        classes. None is the greater one, as in ``classes_[1]``.
    threshold : str or callable, optional
        Of two classes: a scorer of answers, such as "balanced_accuracy", by which each study
        chooses from which probability of the positive class on a row is called so, on its inner
        folds' predictions at the values chosen, as TunedThresholdClassifierCV does.
    select : "best" or "one_se"
        Whether a study takes its best trial or, within one standard error of that one's score over
        the inner folds, the simplest: of the first candidate, with the smallest C if it searches C
        alone, and else with the best score.
    refit : bool
        Whether the search predicts and scores by ``best_estimator_``, which there is all the same.
    error_score : float or "raise"
        What a fit or a scorer that fails gives. A study in which nothing else is left ends in an
        error.
    n_jobs : int, optional
        Fits made at a time. None means FOLDWISE_THREADS, by default all cores, for the batched
        engine, and for others what joblib is set to, which is one. The batched engine takes one
        for a small table, whatever is said. No figure depends on it.
    random_state : int, RandomState or None
        From it come parts and draws. None is 0: the same data give the same search. A RandomState
        gives each search another seed, but the one that was begun goes on with its own.
    verbose : int
        Above 0 a bar shows the progress, on a terminal or in a notebook, and the time left.
    storage : path or address, optional
        A file, or Optuna's address of one or of a PostgreSQL database, that keeps finished trials:
        ``fit`` with the same data and parameters goes on from there, in another process, too.
        Within one process it does so after Ctrl-C without.

    Attributes
    ----------
    best_estimator_, best_params_, best_index_
        The final model, fitted on all rows, and its parameters.
    best_score_ : float
        Its mean inner score: optimistic, because it was chosen by it.
    outer_summary_ : data frame
        A row for each metric: mean over the outer folds, 95 % interval, and the interval's method.
        This estimates how well the whole procedure does. With groups variances are clustered.
    outer_scores_ : data frame, a row for each repeat and outer fold
    outer_curves_ : data frame, of two classes
        Of each outer fold by falling threshold: false positive rate, recall and precision.
    threshold_ : float, and ``outer_thresholds_`` : list, where threshold says how they are chosen
        ``best_estimator_`` and ``outer_estimators_`` are FixedThresholdClassifiers then; what
        counts answers is scored by theirs, and ``outer_predictions_`` has them as ``prediction``.
    outer_params_ : list of dicts, and ``outer_estimators_`` : list, as ``outer_scores_``
    outer_predictions_ : data frame, by X's index
        Repeat, fold and what the row's outer model said: a column a class, or ``prediction``.
    cv_results_ : dict of arrays
        The final study's trials, as scikit-learn's searches have it, but without times.
    inner_results_ : data frame
        Every trial of every study, a row for each inner fold; a final study's fold is missing.
    engine_ : str, or dict by candidate
        "batched" if all fits ran side by side, or "estimator".
    device_ : str
        What computed the fits: "processor cores", or a GPU's name, where FOLDWISE_DEVICE asks for
        one and the engine is "batched".
    selected_ : series, with candidates
        Who won in each study: "outer-0", ..., "final".
    candidates_ : data frame, with candidates
        A row for each study and candidate: what its choice scored on the inner folds, its fits and
        their seconds (a fit that two studies share counts in both), and whether it won. A final
        study's fold is missing.
    result_, answered_ : SearchResult
        The second, with a threshold, as the outer models answer by theirs; else it is the first.
    profile_ : Profile, or None where ``best_estimator_`` is no StandardLogistic
        What reports show of the columns: shares that are missing, and coefficients.
    search_key_ : str
        Digest of data and parameters: of the same search it is the same.
    groups_ : array (rows,) or None
        Codes of the groups that ``fit`` was given.
    scorer_, classes_, n_groups_, n_features_in_, feature_names_in_

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> search = NestedSearchCV(cv=5, n_trials=8, random_state=1).fit(X, y)
    >>> search.engine_
    'batched'
    >>> bool(search.outer_summary_.loc["accuracy", "mean"] > 0.9)
    True
    """

    estimator: Any = None
    param_distributions: Mapping[str, Any] | None = None
    _: KW_ONLY
    cv: Any = FOLDS
    n_repeats: int = 1
    n_trials: int = 12
    scoring: Any = "neg_log_loss"
    pos_label: Any = None
    threshold: Any = None
    select: Literal["best", "one_se"] = "best"
    refit: bool = True
    error_score: float | Literal["raise"] = np.nan
    n_jobs: int | None = None
    random_state: Any = None
    verbose: int = 0
    storage: str | PathLike[str] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set it; scikit-learn sets parameters so, too."""
        is_address = name == "storage" and type(value) is str and "://" in value
        super().__setattr__(name, _Address(value) if is_address else value)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Search, or go on with the same search.

        Parameters
        ----------
        X : array or data frame (rows, columns)
        y : array (rows,)
        groups : array (rows,), optional
            Rows of one group never part.
        sample_weight : array (rows,), optional
            How often each row counts in fits; scores count every row once.

        Warns
        -----
        UserWarning
            A column tells the classes apart almost alone, as :mod:`foldwise.leaks` has it.
        FitFailedWarning
            Fits have failed: once, whatever their number.

        Raises
        ------
        ValueError
            Data or parameters can't be used; it says which and what to do.
        TypeError
            X is sparse, which :class:`~foldwise.StandardLogistic` doesn't take.
        MissingError
            X is of polars, and pyarrow isn't installed.
        SettingsError
            FOLDWISE_THREADS or FOLDWISE_DEVICE isn't what it may be.
        SearchError
            All trials of a study failed, or the storage can't be used.
        KeyboardInterrupt
            On Ctrl-C; ``fit`` again goes on.
        """
        asked = Asked.of(self, (X, y, groups, sample_weight))
        if asked.classes is not None:
            warn_of_telling_columns(asked.X, asked.labels)
        engine = asked.engine
        with self._book(asked, key := asked.key) as book:
            search = NestedSearch(
                asked.labels, asked.plan, asked.space, self.n_trials, engine, book, self.select
            )
            result = _followed(search, shown=self.verbose > 0)
        thresholds = asked.cut_by and Thresholds.chosen(asked, engine, result)
        for begun in ("_open", "_drawn"):
            self.__dict__.pop(begun, None)
        _tell(self, asked, result, thresholds)
        self.search_key_ = key
        return self

    @contextmanager
    def _book(self, asked: Asked, key: str) -> Iterator[Book]:
        """Where finished trials are kept: what was begun and not finished is gone on with."""
        if self.storage is None:
            begun, book = self.__dict__.get("_open", ("", MemoryBook()))
            self._open = (key, book if begun == key else MemoryBook())
            yield self._open[1]
            return
        address = str(self.storage)
        if "://" not in address:
            address = f"sqlite:///{Path(address).absolute()}"
        try:
            with search_lock(address, key):
                yield open_book(address, key, asked.space)
        except SearchError as error:
            words = str(error).replace("FOLDWISE_STUDY_STORAGE", "storage")
            raise SearchError(words) from error

    def score(self, X: Any, y: ArrayLike) -> float:
        """Score the final model on rows by the search's scorer."""
        best = self._best()
        return float(self.scorer_(best, X, y))

    @available_if(_has("predict"))  # type: ignore[untyped-decorator]
    def predict(self, X: Any) -> NDArray[Any]:
        """What the final model answers of each row."""
        return self._best().predict(X)  # type: ignore[no-any-return]

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities (rows, classes) by the final model."""
        return self._best().predict_proba(X)  # type: ignore[no-any-return]

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Decision scores by the final model."""
        return self._best().decision_function(X)  # type: ignore[no-any-return]

    def _best(self) -> Any:
        check_is_fitted(self)
        if not self.refit:
            raise InputError("this needs the final model, got refit=False: set refit=True")
        return self.best_estimator_

    def __sklearn_tags__(self) -> Tags:
        tags, own = super().__sklearn_tags__(), get_tags(searched(self))
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "input_tags"):
            setattr(tags, name, getattr(own, name))
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        if isinstance(self.estimator, Mapping):
            taken = [get_tags(of).input_tags for of, _ in self.estimator.values()]
            tags.input_tags.allow_nan = all(of.allow_nan for of in taken)
            tags.input_tags.sparse = all(of.sparse for of in taken)
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "result_")


def _followed(search: NestedSearch, *, shown: bool) -> SearchResult:
    """Run the search to its end, with a bar if it is to be shown, beside it what is prepared."""
    last, trials = None, list[Trial]()
    columns = (*Bar.get_default_columns(), TextColumn("{task.fields[beside]}"))
    with Bar(*columns, console=_console(), speed_estimate_period=_PACE, disable=not shown) as bar:
        line = bar.add_task("fits", total=None, beside="")
        try:
            for last in search.run():
                if isinstance(last, Progress) and last.what == "fits":
                    bar.update(line, completed=last.done, total=last.total, beside="")
                elif isinstance(last, Progress):
                    bar.update(line, beside=f"{last.done} of {last.total} {last.what}")
                elif isinstance(last, Trial):
                    trials.append(last)
        finally:
            _warn_of_failed_fits(trials)
        # The last models are fits that go untold.
        bar.update(line, completed=bar.tasks[line].total, beside="")
    if not isinstance(last, SearchResult):
        raise TypeError("a search ends with its result")
    return last


def _warn_of_failed_fits(trials: Sequence[Trial]) -> None:
    """Say of all fits that have failed at once how many they are, and why the first did."""
    ended = [(trial, fold.facts) for trial in trials for fold in trial.inner]
    if failed := [each for each in ended if each[1].get("status") == FAILED]:
        trial, facts = min(failed, key=lambda each: (str(each[0].study), each[0].number))
        warnings.warn(
            f"error_score stands for {len(failed)} of {len(ended)} scores of inner folds, whose"
            f" fits failed; the first one, with {dict(trial.values)}: {facts.get('error')}",
            FitFailedWarning,
            stacklevel=4,
        )


def _console() -> Console:
    """Where the bar is shown: in a notebook without ipywidgets as a line of text."""
    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:
        return Console(force_jupyter=False, force_terminal=True, width=100)
    return console


def _tell(
    own: NestedSearchCV, asked: Asked, result: SearchResult, thresholds: Thresholds | None
) -> None:
    """Set what the search has found."""
    metric, final, answered = asked.space.metric, result.final, None
    own.result_, own.scorer_, own.groups_ = result, asked.scorer, asked.groups
    own.engine_, own.device_ = asked.engines, ", ".join(result.devices)
    own.best_index_ = result.study_trials(FINAL).index(final.best)
    own.best_params_ = asked.params(final.best.values)
    own.best_score_ = signed(metric, final.best.mean(metric))
    own.best_estimator_ = asked.chosen(final.best.values).fitted(final.model)
    own.outer_estimators_ = [asked.chosen(of.best.values).fitted(of.model) for of in result.outer]
    own.profile_ = Profile.of(own.best_estimator_, own.outer_estimators_, asked.X)
    if thresholds is not None:
        own.threshold_ = thresholds.of[FINAL]
        own.outer_thresholds_ = [thresholds.of[fold.study] for fold in result.outer]
        own.best_estimator_ = thresholds.applied(FINAL, own.best_estimator_)
        own.outer_estimators_ = [
            thresholds.applied(fold.study, fitted)
            for fold, fitted in zip(result.outer, own.outer_estimators_, strict=True)
        ]
        answered = thresholds.answered(result, own.outer_estimators_)
    own.answered_ = answered or result
    frames = Frames(asked, result, answered)
    if asked.classes is not None:
        own.classes_ = asked.classes
    if asked.groups is not None:
        own.n_groups_ = len(np.unique(asked.groups))
    own.cv_results_ = frames.cv_results()
    own.inner_results_ = frames.inner_results()
    own.outer_params_ = [asked.params(fold.best.values) for fold in result.outer]
    if asked.candidates:
        own.candidates_ = frames.candidates()
        winners = {str(each.study): each.values[KIND] for each in best_trials(result)}
        own.selected_ = pd.Series(winners, name=KIND)
    own.outer_scores_ = frames.outer_scores()
    own.outer_summary_ = frames.outer_summary()
    own.outer_predictions_ = frames.outer_predictions()
    if asked.positive is not None:
        own.outer_curves_ = frames.outer_curves()
