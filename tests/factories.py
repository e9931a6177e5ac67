"""Small, fake but well-formed search results, for tests of what is done with them."""

import numpy as np

from foldwise.search.trials import (
    FINAL_STUDY,
    Event,
    FinalModel,
    FitCounts,
    InnerFold,
    OuterFold,
    SearchResult,
    Trial,
    outer_study,
)
from foldwise.solver.linear import Fit, FitOutcome, LinearModel, Status
from foldwise.stats.scores import Scores

FEATURES = 16
CLASSES = 3


def make_scores(log_loss: float = 0.3) -> Scores:
    """Six scores that get better together as the log-loss falls."""
    accuracy = 1.0 - log_loss / 4
    return Scores(
        accuracy=accuracy,
        precision=accuracy - 0.001,
        recall=accuracy - 0.002,
        f1=accuracy - 0.003,
        roc_auc=1.0 - log_loss / 40,
        log_loss=log_loss,
    )


def make_outcome(status: Status = "converged") -> FitOutcome:
    """How a fit ended."""
    return FitOutcome(
        status=status, iterations=90, evaluations=101.5, objective=0.31, gradient=9e-5
    )


def make_trial(
    study: str = "outer-0",
    number: int = 0,
    *,
    C: float = 0.01,
    folds: int = 3,
    log_loss: float | None = None,
    status: Status = "converged",
) -> Trial:
    """A trial of a ``folds``-fold search; by default best near C = 0.01, a bit worse each fold."""
    loss = 0.28 + 0.03 * (np.log10(C) + 2.0) ** 2 if log_loss is None else log_loss
    left_out = None if study == FINAL_STUDY else int(study.removeprefix("outer-"))
    parts = [part for part in range(folds) if part != left_out]
    return Trial(
        study=study,
        number=number,
        C=C,
        inner=tuple(
            InnerFold(part, make_scores(float(loss) + 0.001 * part), make_outcome(status))
            for part in parts
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


def make_fit(C: float = 0.01, *, left_out: frozenset[int] = frozenset(), seed: int = 0) -> Fit:
    """A finished fit."""
    return Fit(left_out=left_out, model=make_model(C, seed=seed), outcome=make_outcome())


def make_outer_fold(fold: int = 0, best: Trial | None = None, *, rows: int = 12) -> OuterFold:
    """An outer fold whose part has ``rows`` rows."""
    rng = np.random.default_rng(fold)
    best = best or make_trial(outer_study(fold))
    return OuterFold(
        fold=fold,
        best=best,
        fit=make_fit(best.C, left_out=frozenset({fold}), seed=fold),
        scores=make_scores(best.mean("log_loss") + 0.002),
        rows=np.arange(fold * rows, (fold + 1) * rows, dtype=np.int64),
        labels=np.arange(rows, dtype=np.int64) % CLASSES,
        probabilities=rng.dirichlet(np.ones(CLASSES), rows),
    )


def make_result(*, folds: int = 3, trials: int = 3, metric: str = "log_loss") -> SearchResult:
    """A whole search, each study with its own best C."""
    told = {study: _study_trials(study, folds, trials) for study in _studies(folds)}
    best = {
        study: min(each, key=lambda trial: trial.mean("log_loss")) for study, each in told.items()
    }
    return SearchResult(
        metric=metric,
        trials=tuple(trial for each in told.values() for trial in each),
        outer=tuple(make_outer_fold(fold, best[outer_study(fold)]) for fold in range(folds)),
        final=FinalModel(best=best[FINAL_STUDY], fit=make_fit(best[FINAL_STUDY].C)),
        fits=FitCounts(logical=40, distinct=30, converged=28, stalled=1, exhausted=1),
    )


def make_events(result: SearchResult) -> tuple[Event, ...]:
    """The result as the search tells it: rounds of trials, then the folds, then the whole."""
    rounds = sorted(result.trials, key=lambda trial: trial.number)
    return (*rounds, *result.outer, result.final, result)


def _studies(folds: int) -> tuple[str, ...]:
    return (*(outer_study(fold) for fold in range(folds)), FINAL_STUDY)


def _study_trials(study: str, folds: int, trials: int) -> tuple[Trial, ...]:
    # The names' bytes shift the values, so that each study has another best C, always the same.
    shift = sum(study.encode()) % 7 / 10
    exponents = np.linspace(-3.5, 0.5, trials) + shift
    return tuple(
        make_trial(study, number, C=float(10.0**exponent), folds=folds)
        for number, exponent in enumerate(exponents)
    )
