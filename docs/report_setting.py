"""``python -m docs.report_setting``: the report's own C fitted, by softmax and by one-vs-rest.

Fits all development rows at C = 0.59, scores the holdout, and writes
docs/evidence/report-setting.json. Needs data/prepared (`dvc repro prepare`); two models more have
then seen the holdout.
"""

import json
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from docs.published import SETTING
from foldwise.atomic import write_text
from foldwise.data.dataset import Split, load_development, load_holdout
from foldwise.model.layout import Layout
from foldwise.model.linear import Multiclass, probabilities
from foldwise.model.scores import calibration_error, confusion, per_class, predicted_codes, score
from foldwise.model.solver import FitRequest, SolverOptions, solve
from foldwise.report.tables.text import Json, rounded
from foldwise.stages.environment import threads

EVIDENCE = Path(__file__).parent / "evidence" / "report-setting.json"


def main() -> None:
    """Fit both, score both, write what came out."""
    development, holdout = load_development(), load_holdout()
    kinds: tuple[Multiclass, ...] = ("multinomial", "ovr")
    found = {kind: _fitted(kind, development, holdout) for kind in kinds}
    document = {"C": SETTING, "rows": len(development.labels), "models": found}
    write_text(EVIDENCE, json.dumps(document, indent=1) + "\n")


def _fitted(kind: Multiclass, development: Split, holdout: Split) -> dict[str, Json]:
    rows = np.arange(len(development.labels))
    classes = int(development.labels.max()) + 1
    layout = Layout.build(development.images, development.labels, [rows], classes=classes)
    options = SolverOptions(multiclass=kind, threads=threads())
    with threadpool_limits(limits=1, user_api="blas"):
        [fit] = solve(layout, [FitRequest(frozenset(), SETTING)], options)
    predicted = probabilities(fit.model, holdout.images)
    learned = predicted_codes(probabilities(fit.model, development.images))
    return {
        **{
            name: rounded(value)
            for name, value in score(predicted, holdout.labels).as_dict().items()
        },
        "calibration_error": rounded(calibration_error(predicted, holdout.labels)),
        "development_accuracy": rounded(float((learned == development.labels).mean())),
        "status": fit.outcome.status,
        "iterations": fit.outcome.iterations,
        "by_class": [
            [rounded(each.precision), rounded(each.recall), rounded(each.f1), each.support]
            for each in per_class(predicted, holdout.labels)
        ],
        "confusion": confusion(predicted, holdout.labels).tolist(),
    }


if __name__ == "__main__":
    main()
