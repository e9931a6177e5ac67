"""``python -m docs.report_setting``: the report's own C fitted, by softmax and by one-vs-rest.

Fits all development rows at C = 0.59, scores the holdout, and writes
docs/evidence/report-setting.json: both to convergence by our solver, and the softmax as
scikit-learn's defaults leave it, after 100 iterations. Needs data/prepared (`dvc repro prepare`);
three models more have then seen the holdout.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from docs.published import SETTING
from foldwise.data.dataset import Split, load
from foldwise.files import write_text
from foldwise.model.fitting import SolverOptions
from foldwise.model.layout import Layout
from foldwise.model.linear import Multiclass, probabilities
from foldwise.model.scores import calibration_error, confusion, per_class, predicted_codes, score
from foldwise.model.solver import FitRequest, solve
from foldwise.report.tables.text import Json, rounded
from foldwise.stages.environment import threads

EVIDENCE = Path(__file__).parent / "evidence" / "report-setting.json"


def main() -> None:
    """Fit, score, write what came out."""
    development, holdout = load("development"), load("holdout")
    document = {
        "C": SETTING,
        "rows": len(development.labels),
        "models": {
            "multinomial": _converged("multinomial", development, holdout),
            "ovr": _converged("ovr", development, holdout),
            "defaults": _by_defaults(development, holdout),
        },
    }
    write_text(EVIDENCE, json.dumps(document, indent=1) + "\n")


def _converged(kind: Multiclass, development: Split, holdout: Split) -> dict[str, Json]:
    rows = np.arange(len(development.labels))
    classes = int(development.labels.max()) + 1
    layout = Layout.build(development.images, development.labels, [rows], classes=classes)
    options = SolverOptions(multiclass=kind, threads=threads())
    with threadpool_limits(limits=1, user_api="blas"):
        [fit] = solve(layout, [FitRequest(frozenset(), SETTING)], options)
    learned = predicted_codes(probabilities(fit.model, development.images))
    return {
        **_scores(probabilities(fit.model, holdout.images), holdout.labels),
        "development_accuracy": rounded(float((learned == development.labels).mean())),
        "status": fit.outcome.status,
        "iterations": fit.outcome.iterations,
    }


def _by_defaults(development: Split, holdout: Split) -> dict[str, Json]:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=SETTING))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the point of it
        model.fit(development.images / 255, development.labels)
    return {
        **_scores(model.predict_proba(holdout.images / 255), holdout.labels),
        "iterations": int(model[-1].n_iter_[0]),
    }


def _scores(predicted: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, Json]:
    return {
        **{name: rounded(value) for name, value in score(predicted, labels).as_dict().items()},
        "calibration_error": rounded(calibration_error(predicted, labels)),
        "by_class": [
            [rounded(each.precision), rounded(each.recall), rounded(each.f1), each.support]
            for each in per_class(predicted, labels)
        ],
        "confusion": confusion(predicted, labels).tolist(),
    }


if __name__ == "__main__":
    main()
