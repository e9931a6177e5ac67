"""Small, fake but well-formed search results, for tests of what is done with them."""

import numpy as np

from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.jobs import Predictions
from foldwise.search.plan import Plan
from foldwise.search.space import Space
from foldwise.search.trials import (
    FINAL,
    Event,
    Facts,
    FinalModel,
    FitCounts,
    InnerFold,
    OuterFold,
    Part,
    SearchResult,
    Study,
    Trial,
    number_of,
)
from foldwise.settings import Between
from foldwise.solver.linear import LinearModel, Status
from foldwise.stats.scores import METRICS, Scores, is_loss

FEATURES = 16
CLASSES = 3


def outer(fold: int) -> Study:
    """The study of an outer fold of the first partition."""
    return Study(Part(0, fold))


def make_space(metric: str = "log_loss", *, low: float = 1e-4, high: float = 10.0) -> Space:
    """C on a logarithmic scale."""
    return Space({"C": Between(low, high, is_log=True)}, "tpe", 2, 0, metric)


def make_scores(log_loss: float = 0.3) -> Scores:
    """Scores of every metric that get better together as the log-loss falls."""
    better = {name: 1.0 - log_loss / 4 - 0.001 * rank for rank, name in enumerate(METRICS)}
    return {name: log_loss if is_loss(name) else better[name] for name in METRICS}


def make_facts(status: Status = "converged") -> Facts:
    """How a fit ended."""
    return {"status": status, "iterations": 90, "evaluations": 101.5}


def make_trial(
    study: Study = outer(0),  # noqa: B008 - frozen
    number: int = 0,
    *,
    C: float = 0.01,
    folds: int = 3,
    log_loss: float | None = None,
    status: Status = "converged",
) -> Trial:
    """A trial of a ``folds``-fold search; by default best near C = 0.01, a bit worse each fold."""
    loss = 0.28 + 0.03 * (np.log10(C) + 2.0) ** 2 if log_loss is None else log_loss
    return Trial(
        study=study,
        number=number,
        values={"C": C},
        inner=tuple(
            InnerFold(Part(0, fold), make_scores(float(loss) + 0.001 * fold), make_facts(status))
            for fold in range(folds)
            if fold != study.fold
        ),
    )


def make_model(C: float = 0.01, *, seed: int = 0, classes: int = CLASSES) -> LinearModel:
    """A multinomial model of ``FEATURES`` pixels with small random coefficients."""
    rng = np.random.default_rng(seed)
    return LinearModel(
        C=C,
        multiclass="multinomial",
        mean=rng.uniform(0, 255, FEATURES),
        scale=rng.uniform(1, 90, FEATURES),
        coefficients=rng.normal(0, 0.3, (classes, FEATURES)),
        intercepts=rng.normal(0, 0.3, classes),
    )


def make_plan(folds: int, *, rows: int = 12) -> Plan:
    """Parts of ``rows`` rows each, one after the other."""
    part_of = np.repeat(np.arange(folds), rows)
    return Plan(part_of[np.newaxis], np.ones(len(part_of), dtype=bool))


def make_outer_fold(fold: int = 0, best: Trial | None = None, *, rows: int = 12) -> OuterFold:
    """An outer fold whose part has ``rows`` rows."""
    rng = np.random.default_rng(fold)
    best = best or make_trial(outer(fold))
    return OuterFold(
        best=best,
        model=LinearClassifier(make_model(number_of(best.values, "C"), seed=fold)),
        facts=make_facts(),
        scores=make_scores(best.mean("log_loss") + 0.002),
        rows=np.arange(fold * rows, (fold + 1) * rows, dtype=np.int64),
        labels=np.arange(rows, dtype=np.int64) % CLASSES,
        predictions=Predictions(rng.dirichlet(np.ones(CLASSES), rows)),
    )


def make_result(*, folds: int = 3, trials: int = 3, metric: str = "log_loss") -> SearchResult:
    """A whole search, each study with its own best C."""
    told = {study: _study_trials(study, folds, trials) for study in _studies(folds)}
    best = {
        study: min(each, key=lambda trial: trial.mean("log_loss")) for study, each in told.items()
    }
    chosen = number_of(best[FINAL].values, "C")
    return SearchResult(
        plan=make_plan(folds),
        space=make_space(metric),
        trials=tuple(trial for each in told.values() for trial in each),
        outer=tuple(make_outer_fold(fold, best[outer(fold)]) for fold in range(folds)),
        final=FinalModel(best[FINAL], LinearClassifier(make_model(chosen)), make_facts()),
        fits=FitCounts(logical=40, distinct=30, converged=28, stalled=1, exhausted=1),
    )


def make_events(result: SearchResult) -> tuple[Event, ...]:
    """The result as the search tells it: rounds of trials, then the folds, then the whole."""
    rounds = sorted(result.trials, key=lambda trial: trial.number)
    return (*rounds, *result.outer, result.final, result)


def _studies(folds: int) -> tuple[Study, ...]:
    return (*(outer(fold) for fold in range(folds)), FINAL)


def _study_trials(study: Study, folds: int, trials: int) -> tuple[Trial, ...]:
    # The names' bytes shift the values, so that each study has another best C, always the same.
    shift = sum(str(study).encode()) % 7 / 10
    exponents = np.linspace(-3.5, 0.5, trials) + shift
    return tuple(
        make_trial(study, number, C=float(10.0**exponent), folds=folds)
        for number, exponent in enumerate(exponents)
    )
