"""foldwise as the benchmarks use it: with `solver`, the only module here that knows the library."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import solver
from benchmarks.work import Parts, Size, Wanted, Work
from foldwise.app.workspace import transformed
from foldwise.data.features import FilterBank
from foldwise.estimator import NestedSearchCV
from foldwise.registry.stored_model import as_served
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.space import Space
from foldwise.search.summary import Estimates, outer_estimates
from foldwise.settings import Between, Settings


def filtered(size: Size) -> tuple[Work, float]:
    """The same rows as filter features, and the seconds that all of these take."""
    raw, began = solver.load(size), perf_counter()
    features = transformed(FilterBank((28, 28)), raw.images)
    return solver.dealt(size, features, raw.labels), perf_counter() - began


def search(work: Work, **options: Any) -> solver.Searched:
    """By the sampler that params.yaml has, on cores."""
    space = Space(
        {"C": Between(solver.LOW, solver.HIGH, is_log=True)},
        "curve",
        work.size.startup,
        1,
        "log_loss",
    )
    return solver.search(work, space, solver.cores(work, **options))


def search_filters(work: Work) -> solver.Searched:
    """As params.yaml has it for filters."""
    return search(work, scale_floor=Settings().tune.scale_floor)


def estimates(searched: solver.Searched) -> Estimates:
    """Means and intervals over the outer folds."""
    assert searched.result is not None
    return outer_estimates(searched.result, confidence=Settings().evaluate.confidence)


def registered(work: Work, C: float) -> Callable[[NDArray[Any]], Any]:
    """What would be registered of filter features: probabilities of raw pixels."""
    cores = solver.cores(work, scale_floor=Settings().tune.scale_floor)
    [numbers] = solver.models(cores, [Wanted(Parts(), C, None)]).values()
    model = LinearClassifier(numbers, FilterBank((28, 28)))
    answer: Callable[[NDArray[Any]], Any] = as_served(model, range(work.classes)).predict_proba
    return answer


class TableFound(NamedTuple):
    """What a search of a table came upon.

    ``strengths`` are the values of C by outer fold, -1 for the final study; ``part_of`` (rows,);
    ``outer_loss`` is the outer folds' mean log-loss.
    """

    strengths: Mapping[int, list[float]]
    part_of: NDArray[np.int64]
    outer_loss: float


def table_search(X: Any, y: Any, *, groups: Any = None, **options: Any) -> TableFound:
    """The search of a notebook."""
    search = NestedSearchCV(random_state=1, **options).fit(X, y, groups=groups)
    trials = search.inner_results_.fillna({"fold": -1}).drop_duplicates(["fold", "trial"])
    strengths = {int(fold): [*of["C"]] for fold, of in trials.groupby("fold")}
    loss = -float(search.outer_scores_["neg_log_loss"].mean())
    return TableFound(strengths, search.result_.plan.part_of[0], loss)
