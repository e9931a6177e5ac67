"""What a notebook leaves behind: searches compared, as a page to read, as MLflow's run tree."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from foldwise.errors import InputError, StoreError, require_extra
from foldwise.files import write_bytes
from foldwise.frames import CONFIDENCE, signed
from foldwise.report.rivals import Entrant, SearchComparison, compare
from foldwise.search.engines.pipeline import content_of
from foldwise.search.summary import Estimates, OuterEstimate
from foldwise.search.trials import SearchResult
from foldwise.settings import Between, OneOf
from foldwise.stats.intervals import Interval, corrected_interval

if TYPE_CHECKING:
    from foldwise.estimator import NestedSearchCV
    from foldwise.report.picture import Picture

_LONGEST = 500
"""Characters of a parameter of MLflow's that its oldest database takes."""


def compare_searches(
    *searches: "NestedSearchCV | str",
    metric: str | None = None,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
) -> SearchComparison:
    """Hold searches against the first by their outer folds, as ``foldwise compare`` does.

    On the same parts the difference has an interval, a p-value and a verdict; give all searches the
    same ``cv`` and ``random_state``. On others there are estimates alone. It compares procedures on
    rows that both have learned from in their other folds, and knows of no other search that was
    tried: it guides exploration, and proves nothing.

    Parameters
    ----------
    *searches : NestedSearchCV or str
        At least two, of classifiers: fitted ones, or names that ``foldwise compare`` knows in the
        project of the working folder. The first is the reference.
    metric : str, optional
        What the verdicts are by, such as "accuracy"; by default what the first selected by.
    margin : float, optional
        Differences within it are none to speak of; by default a hundredth of the first's loss, or
        of what its score lacks of 1.
    confidence : float
        Of all intervals together.

    Returns
    -------
    SearchComparison
        Its ``frame()`` is a table.

    Raises
    ------
    ValueError
        A search isn't of a classifier, or has thresholds, which the comparison doesn't know.
    SearchError, SettingsError, StoreError
        The searches can't be compared, or found.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, compare_searches
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> few, more = (NestedSearchCV(cv=4, n_trials=trials).fit(X, y) for trials in (2, 6))
    >>> found = compare_searches(few, more, metric="accuracy")
    >>> found.frame()["metric"].tolist()[:2]
    ['accuracy', 'precision']
    """
    named = [each for each in searches if isinstance(each, str)]
    finder = None
    if named:
        require_extra("workflow", "a search found by its name")
        from foldwise.app.versus import Finder
        from foldwise.store.address import project_root

        finder = Finder(project_root())
    entrants = [
        finder.entrant(each) if finder and isinstance(each, str) else _entrant(each, place)
        for place, each in enumerate(searches, start=1)
    ]
    return compare(entrants, metric=metric, margin=margin, confidence=confidence)


def _entrant(search: Any, place: int) -> Entrant:
    _check_fitted(search)
    if not hasattr(search, "classes_") or search.threshold is not None:
        raise InputError(
            "searches that are compared must be of classifiers, without a threshold, got"
            f" threshold={search.threshold!r} of {type(search.best_estimator_).__name__} as search"
            f" {place}: leave it out, or fit it without one"
        )
    facts = [fold.facts for trial in search.result_.trials for fold in trial.inner]
    are_timed = all("seconds" in of for of in facts)
    columns = {"columns": str(getattr(search, "n_features_in_", "–"))}
    return Entrant(
        f"search {place}",
        search.result_,
        search.groups_,
        {"parameters": _parameters(search), "features": columns},
        seconds=sum(float(of["seconds"]) for of in facts) if are_timed else None,
    )


def write_report(search: "NestedSearchCV | SearchComparison", path: str | PathLike[str]) -> Path:
    """Write a fitted search, or a comparison, as one HTML file.

    It shows figures of the search, not a row of the data, nor a group's name.

    Parameters
    ----------
    search : NestedSearchCV or SearchComparison
        Fitted; or what :func:`compare_searches` gave.
    path : path
        Of the file, which is replaced.

    Returns
    -------
    Path

    Raises
    ------
    MissingError
        What draws it isn't installed: it is the extra ``report``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, write_report
    >>> search = NestedSearchCV(cv=3, n_trials=3).fit(*load_iris(return_X_y=True))
    >>> with TemporaryDirectory() as folder:
    ...     page = write_report(search, Path(folder) / "report.html").read_text()
    >>> "outer folds choose" in page
    True
    """
    target = Path(path)
    if isinstance(search, SearchComparison):
        require_extra("report", "a report")
        from foldwise.report.album import versus_pictures
        from foldwise.report.page import render_versus

        page = render_versus(search, versus_pictures(search), tells_rows=False)
    else:
        page = _page(search, _pictures(search))
    write_bytes(target, page.encode())
    return target


def log_to_mlflow(
    search: "NestedSearchCV", experiment: str = "foldwise", *, tracking_uri: str | None = None
) -> str:
    """Write a fitted search to MLflow: a run, below it one a study, below these one a trial.

    Logged again, the same search adds nothing; one that went on adds what is new. The search's run
    holds the tables of scores, the pictures and the page of :func:`write_report`. No row of the
    data is written, nor a group's name.

    Parameters
    ----------
    search : NestedSearchCV
        Fitted.
    experiment : str
        Made if there is none of this name.
    tracking_uri : str, optional
        ``sqlite:///PATH`` or ``http(s)://HOST``. Without one it is what ``MLFLOW_TRACKING_URI``
        says, else ``mlruns/mlflow.db`` of the project, or of the working folder outside of one.

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    MissingError
        MLflow isn't installed: it is in the extra ``workflow``.
    StoreError
        The store can't be used, or hasn't taken all: call it again.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from foldwise import NestedSearchCV, log_to_mlflow
    >>> search = NestedSearchCV(cv=3, n_trials=2).fit(*load_iris(return_X_y=True))
    >>> with TemporaryDirectory() as folder:
    ...     run_id = log_to_mlflow(search, tracking_uri=f"sqlite:///{folder}/mlflow.db")
    >>> len(run_id)
    32
    """
    require_extra("workflow", "log_to_mlflow")
    _check_fitted(search)
    from foldwise.report.picture import picture_files
    from foldwise.runs.lineage import Lineage, surroundings
    from foldwise.runs.recorder import Recorder
    from foldwise.runs.tree import pipeline_begun_note
    from foldwise.store.address import project_root
    from foldwise.store.mutex import held
    from foldwise.store.open import open_store

    try:
        root = project_root()
    except StoreError:
        root = Path.cwd()
    store, key, result = open_store(root, uri=tracking_uri), search.search_key_, _scored(search)
    if _is_cut(search):  # the same trials, and other outer scores
        key = content_of([key, *search.outer_thresholds_])[: len(key)]
    described = Lineage(
        experiment,
        key,
        attempt=1,
        params={name: of[:_LONGEST] for name, of in _parameters(search).items()},
        tags={"search_key": search.search_key_, "attempt": "1", **surroundings(Path.cwd())},
        space=result.space,
        note=pipeline_begun_note(experiment, result.plan.folds, search.n_trials),
        stem="search",
    )
    pictures = _pictures(search)
    files = {
        "outer_scores.csv": search.outer_scores_.to_csv(index=False).encode(),
        "outer_summary.csv": search.outer_summary_.to_csv().encode(),
        "trials.csv": search.inner_results_.to_csv(index=False).encode(),
        "report.html": _page(search, pictures).encode(),
        **picture_files(pictures, "figures/"),
    }
    with (
        held(store, f"search-{key}", f"log the search {key[:12]}") as lease,
        Recorder.open(store, described, lease=lease) as recorder,
    ):
        recorder.record_all(result)
        recorder.record_artifacts(None, files)
        return recorder.run_id


def _check_fitted(search: Any) -> None:
    from foldwise.estimator import NestedSearchCV

    if not isinstance(search, NestedSearchCV):
        kind = type(search).__name__
        raise InputError(f"a search must be a fitted NestedSearchCV, got a {kind}: pass one")
    check_is_fitted(search)


def _parameters(search: "NestedSearchCV") -> dict[str, str]:
    """What the search was asked for; of arrays and objects their kind alone, never a row.

    Where its trials are kept is left out: it may hold a password, and decides nothing.
    """
    asked = search.get_params(deep=False) | {"storage": None}
    return {name: _told(value) for name, value in asked.items() if value is not None}


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        # A candidate is an estimator with its ranges.
        firsts = {name: of[0] if isinstance(of, tuple) else of for name, of in value.items()}
        return ", ".join(f"{name}: {_told(of)}" for name, of in firsts.items())
    is_plain = isinstance(value, bool | int | float | str | Between | OneOf)
    is_estimator = hasattr(value, "get_params")
    return str(value) if is_plain or is_estimator else type(value).__name__


def _estimates(search: "NestedSearchCV") -> Estimates:
    """The estimate of the metric that was selected by, on its own scale."""
    result = _scored(search)
    metric, row = result.metric, search.outer_summary_.iloc[0]
    scores = [fold.scores[metric] for fold in result.outer]
    low, high = sorted(signed(metric, row[end]) for end in ("low", "high"))
    interval = Interval(low, high, CONFIDENCE, row["method"])
    corrected = corrected_interval(scores, CONFIDENCE, folds=result.plan.folds)
    spread = float(np.std(scores, ddof=1))
    return {metric: OuterEstimate(signed(metric, row["mean"]), spread, interval, corrected)}


def _is_cut(search: "NestedSearchCV") -> bool:
    return search.answered_ is not search.result_


def _scored(search: "NestedSearchCV") -> SearchResult:
    """The result, its outer folds scored as their models answer; inner scores know no threshold."""
    result: SearchResult = search.result_
    pairs = zip(result.outer, search.answered_.outer, strict=True)
    outer = tuple(replace(fold, scores=answered.scores) for fold, answered in pairs)
    return replace(result, outer=outer)


def _pictures(search: "NestedSearchCV") -> "tuple[Picture, ...]":
    require_extra("report", "a report")
    _check_fitted(search)
    from foldwise.report import album

    result = _scored(search)
    classes = [str(name) for name in getattr(search, "classes_", ())]
    drawn = album.search_pictures(result, _estimates(search), unit="row")
    if not classes:
        return drawn
    told = search.pos_label
    positive = 1 if told is None else search.classes_.tolist().index(told)
    answered, profile = search.answered_, getattr(search, "profile_", None)
    drawn += album.outer_pictures(result, classes, positive=positive, answered=answered)
    if profile is None:
        return drawn
    counts = np.bincount(result.pooled()[1], minlength=len(classes)).tolist()
    missing = {str(name): float(share) for name, share in profile.missing.items()}
    looks = album.coefficient_pictures(profile.coefficients, profile.names, classes)
    return (*album.column_pictures(counts, classes, missing), *drawn, *looks)


def _page(search: "NestedSearchCV", pictures: "Iterable[Picture]") -> str:
    from foldwise.report.page import contest_rows, render_search

    is_cut = _is_cut(search)
    labels = search.result_.pooled()[1] if hasattr(search, "classes_") else np.zeros(1, np.int64)
    return render_search(
        _scored(search),
        pictures,
        estimator=_told(search.estimator) if search.estimator is not None else "StandardLogistic",
        estimate=_estimates(search)[search.result_.metric],
        summary=search.outer_summary_,
        commonest=np.bincount(labels).max() / len(labels),
        groups=getattr(search, "n_groups_", None),
        thresholds=[*search.outer_thresholds_, search.threshold_] if is_cut else [],
        contest=contest_rows(search.result_, search.select),
        scores=search.outer_scores_.drop(columns=["repeat", "fold"]),
        parameters=_parameters(search) | {"search key": search.search_key_},
    )
