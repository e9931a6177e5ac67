"""The report's search and its one-vs-rest beside ours, both run as whole main jobs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.markdown import table
from docs.quoting import EVIDENCE, REPORTS, read_csv, read_json, with_interval
from foldwise.report.wording import metric_label, percent, strength

UNIFORM = EVIDENCE / "random-uniform"
SIGMOIDS = EVIDENCE / "one-vs-rest"

Scores = Mapping[str, float]


def sampling() -> str:
    """Where uniform draws fell in the final study, and how far above the best they are."""
    drawn, ours = final_trials(UNIFORM), final_trials(REPORTS)
    best = min(ours, key=lambda C: ours[C]["log_loss"])
    least = ours[best]["log_loss"]
    rows = [
        [
            strength(C),
            f"{scores['log_loss']:.4f}",
            f"+{scores['log_loss'] - least:.4f}",
            f"{scores['accuracy']:.4f}",
        ]
        for C, scores in sorted(drawn.items())
    ]
    rows.append(
        [
            f"**{strength(best)}**, log-uniform and TPE",
            f"{least:.4f}",
            "",
            f"{ours[best]['accuracy']:.4f}",
        ]
    )
    header = ("C", "inner log-loss", "above our best", "inner accuracy")
    low, near = (sum(bound > C for C in drawn) for bound in (1, 3 * best))
    chance = max(3 * best - 0.01, 0) / 9.99
    return table(header, rows) + (
        f"\n\n{low} of the {len(drawn)} draws fell below 1, {near} within a factor of three of the "
        f"optimum: there a uniform draw falls with a chance of {percent(chance, digits=2)}."
    )


def outer_folds() -> str:
    """What each outer fold chose by either search, and what it came to."""
    both = [read_json(folder / "tuning.json") for folder in (UNIFORM, REPORTS)]
    rows = [
        [
            str(pair[0]["fold"]),
            *(strength(fold["C"]) for fold in pair),
            *(f"{fold['outer_log_loss']:.4f}" for fold in pair),
            *(f"{fold['outer_accuracy']:.4f}" for fold in pair),
        ]
        for pair in zip(*(each["folds"] for each in both), strict=True)
    ]
    means = [
        f"**{each[f'outer_{metric}']:.4f}**" for metric in ("log_loss", "accuracy") for each in both
    ]
    header = (
        "outer fold",
        "C: uniform",
        "foldwise",
        "outer log-loss: uniform",
        "foldwise",
        "outer accuracy: uniform",
        "foldwise",
    )
    cost = both[0]["outer_log_loss"] - both[1]["outer_log_loss"]
    return table(header, [*rows, ["mean", "", "", *means]]) + (
        f"\n\nThe uniform draws cost {cost:.4f} nats an image, "
        f"{percent(cost / both[1]['outer_log_loss'], digits=0)} of the log-loss."
    )


def one_vs_rest() -> str:
    """The main job by softmax and by ten sigmoids."""
    tunings = [read_json(folder / "tuning.json") for folder in (REPORTS, SIGMOIDS)]
    holdouts = [read_json(folder / "evaluation.json") for folder in (REPORTS, SIGMOIDS)]
    chosen = [sorted(fold["C"] for fold in tuning["folds"]) for tuning in tunings]
    compared = ("accuracy", "log_loss", "roc_auc")
    rows = [
        ["final C", *(strength(tuning["C"]) for tuning in tunings)],
        ["C of the outer folds", *(f"{strength(c[0])} to {strength(c[-1])}" for c in chosen)],
        *(
            [f"outer {metric_label(m)}", *(f"{tuning[f'outer_{m}']:.4f}" for tuning in tunings)]
            for m in compared
        ),
        *(
            [f"holdout {metric_label(m)}", *(with_interval(scores, m) for scores in holdouts)]
            for m in compared
        ),
        [
            "holdout calibration error",
            *(f"{scores['calibration_error']:.4f}" for scores in holdouts),
        ],
    ]
    return table(("", "softmax", "one-vs-rest"), rows)


def final_trials(folder: Path) -> dict[float, Scores]:
    """The final study's trials: mean inner log-loss and accuracy by C."""
    inner: dict[float, list[tuple[float, float]]] = {}
    for row in read_csv(folder / "trials.csv"):
        if row["study"] == "final":
            scores = (float(row["log_loss"]), float(row["accuracy"]))
            inner.setdefault(float(row["C"]), []).append(scores)
    return {
        C: dict(zip(("log_loss", "accuracy"), np.mean(scores, axis=0).tolist(), strict=True))
        for C, scores in inner.items()
    }
