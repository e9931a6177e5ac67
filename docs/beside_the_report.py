"""The generated sections of docs/reference-report.md: the report's figures beside ours."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from docs.published import BY_CLASS, MODELS
from foldwise.model.scores import METRICS
from foldwise.report.reference import reference_for
from foldwise.report.wording import metric_label, percent, strength

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "reports"
EVIDENCE = Path(__file__).parent / "evidence"

Json = dict[str, Any]


def sections() -> dict[str, str]:
    """Every generated section by its name."""
    return {
        "splits": _splits(),
        "setting": _setting(),
        "by-class": _by_class(),
        "nine": _nine(),
        "curves": _curves(),
        "sampling": _sampling(),
        "folds": _folds(),
        "one-vs-rest": _one_vs_rest(),
        "four-models": _four_models(),
        "looks": _looks(),
    }


def _splits() -> str:
    data = _read(REPORTS / "data.json")
    counts = [data[key] for key in data if key.startswith("development_class_")]
    folds = _read(REPORTS / "tuning.json")["folds"]
    return (
        f"{data['development_rows']:,} development and {data['holdout_rows']:,} holdout images; "
        f"{min(counts):,} to {max(counts):,} development images a digit; {len(folds)} parts of "
        f"{data['development_rows'] // len(folds):,}."
    )


def _setting() -> str:
    published = reference_for("mnist")
    assert published is not None
    own = _read(EVIDENCE / "report-setting.json")["models"]
    ours = _read(REPORTS / "evaluation.json")
    tuned = strength(_read(REPORTS / "tuning.json")["C"])
    rows = [
        [
            metric_label(metric),
            published.scores[metric],
            *(f"{own[kind][metric]:.4f}" for kind in ("multinomial", "ovr")),
            f"{ours[metric]:.4f} ({ours[f'{metric}_low']:.4f} to {ours[f'{metric}_high']:.4f})",
        ]
        for metric in METRICS
    ]
    rows.append(
        [
            "calibration error",
            "–",
            *(f"{own[kind]['calibration_error']:.4f}" for kind in ("multinomial", "ovr")),
            f"{ours['calibration_error']:.4f}",
        ]
    )
    header = (
        "holdout",
        "report, C = 0.59",
        "softmax, C = 0.59",
        "one-vs-rest, C = 0.59",
        f"foldwise, C = {tuned} (95 % interval)",
    )
    return _table(header, rows)


def _by_class() -> str:
    own = _read(EVIDENCE / "report-setting.json")["models"]["multinomial"]["by_class"]
    ours = _csv(REPORTS / "per_class.csv")
    rows = []
    differing = 0
    for digit, printed in enumerate(BY_CLASS):
        fitted = [f"{value:.2f}" for value in own[digit][:3]]
        differing += sum(a != b for a, b in zip(printed[:3], fitted, strict=True))
        tuned = [f"{float(ours[digit][name]):.3f}" for name in ("precision", "recall", "f1")]
        rows.append([str(digit), " / ".join(printed[:3]), " / ".join(fitted), " / ".join(tuned)])
        assert own[digit][3] == printed[3] == int(ours[digit]["support"])
    header = ("digit", "report", "softmax, C = 0.59", "foldwise")
    return (
        _table(header, rows)
        + f"\n\nOf the report's 30 figures {30 - differing} are reproduced to the digit; "
        f"the largest difference is {_largest_difference(own):.2f}. All supports are equal."
    )


def _largest_difference(own: list[list[float]]) -> float:
    printed = np.array([[float(value) for value in row[:3]] for row in BY_CLASS])
    return float(np.abs(np.round([row[:3] for row in own], 2) - printed).max())


def _nine() -> str:
    own = np.array(_read(EVIDENCE / "report-setting.json")["models"]["multinomial"]["confusion"])
    ours = np.zeros_like(own)
    for cell in _csv(REPORTS / "confusion.csv"):
        ours[int(cell["actual"]), int(cell["predicted"])] = int(cell["images"])
    rows = [
        [f"a {digit} taken for a 9", str(own[digit, 9]), str(ours[digit, 9])]
        for digit in (4, 7, 0, 1, 6)
    ]
    rows += [
        [f"a 9 taken for a {digit}", str(own[9, digit]), str(ours[9, digit])] for digit in (4, 7)
    ]
    rows.append(["mistakes in all", *(f"{c.sum() - np.trace(c):,}" for c in (own, ours))])
    return _table(("images of the holdout", "softmax, C = 0.59", "foldwise"), rows)


def _curves() -> str:
    areas = {row["class"]: float(row["roc_auc"]) for row in _csv(REPORTS / "per_class.csv")}
    ranked = sorted(areas, key=lambda digit: areas[digit])
    listed = ", ".join(f"{digit}: {areas[digit]:.4f}" for digit in ranked)
    own = _read(EVIDENCE / "report-setting.json")["models"]["multinomial"]
    return (
        f"Area under each digit's curve, the hardest first: {listed}. "
        f"At C = 0.59 the fit is right on {percent(own['development_accuracy'])} of the images it "
        f"was fitted on, and on {percent(own['accuracy'])} of the holdout."
    )


def _sampling() -> str:
    drawn = _trials(EVIDENCE / "random-uniform" / "trials.csv")["final"]
    ours = _trials(REPORTS / "trials.csv")["final"]
    best = min(trial["log_loss"] for trial in ours.values())
    rows = [
        [
            strength(C),
            f"{trial['log_loss']:.4f}",
            f"+{trial['log_loss'] - best:.4f}",
            f"{trial['accuracy']:.4f}",
        ]
        for C, trial in sorted(drawn.items())
    ]
    chosen = min(ours, key=lambda C: ours[C]["log_loss"])
    rows.append(
        [
            f"**{strength(chosen)}** (log-uniform, TPE)",
            f"{ours[chosen]['log_loss']:.4f}",
            "–",
            f"{ours[chosen]['accuracy']:.4f}",
        ]
    )
    header = ("C", "inner log-loss", "above our best", "inner accuracy")
    low = sum(C < 1 for C in drawn)
    within = sum(C < 3 * chosen for C in drawn)
    return _table(header, rows) + (
        f"\n\n{low} of the {len(drawn)} draws fell below 1, where the report expected too few, and "
        f"{within} within a factor of three of the optimum: a uniform draw on [0.01, 10] falls "
        f"below {strength(3 * chosen)} once in {round(9.99 / (3 * chosen - 0.01)):,} times."
    )


def _folds() -> str:
    random = _read(EVIDENCE / "random-uniform" / "tuning.json")
    ours = _read(REPORTS / "tuning.json")
    rows = [
        [
            str(theirs["fold"]),
            strength(theirs["C"]),
            strength(own["C"]),
            *(f"{each['outer_log_loss']:.4f}" for each in (theirs, own)),
            *(f"{each['outer_accuracy']:.4f}" for each in (theirs, own)),
        ]
        for theirs, own in zip(random["folds"], ours["folds"], strict=True)
    ]
    rows.append(
        [
            "mean",
            "",
            "",
            *(f"**{each['outer_log_loss']:.4f}**" for each in (random, ours)),
            *(f"**{each['outer_accuracy']:.4f}**" for each in (random, ours)),
        ]
    )
    header = (
        "outer fold",
        "C, uniform draws",
        "C, foldwise",
        "outer log-loss, uniform",
        "foldwise",
        "outer accuracy, uniform",
        "foldwise",
    )
    cost = random["outer_log_loss"] - ours["outer_log_loss"]
    return _table(header, rows) + (
        f"\n\nThe uniform draws cost {cost:.4f} nats an image, "
        f"{percent(cost / ours['outer_log_loss'], digits=0)} of the log-loss."
    )


def _one_vs_rest() -> str:
    softmax, sigmoids = REPORTS, EVIDENCE / "one-vs-rest"
    both = [(_read(each / "tuning.json"), _read(each / "evaluation.json")) for each in (softmax, sigmoids)]
    rows = [
        ["final C", *(strength(tuning["C"]) for tuning, _ in both)],
        [
            "C of the outer folds",
            *(
                f"{strength(min(cs))} to {strength(max(cs))}"
                for cs in ([fold["C"] for fold in tuning["folds"]] for tuning, _ in both)
            ),
        ],
        *(
            [f"outer {metric_label(metric)}", *(f"{t[f'outer_{metric}']:.4f}" for t, _ in both)]
            for metric in ("accuracy", "log_loss", "roc_auc")
        ),
        *(
            [
                f"holdout {metric_label(metric)}",
                *(f"{e[metric]:.4f} ({e[f'{metric}_low']:.4f} to {e[f'{metric}_high']:.4f})" for _, e in both),
            ]
            for metric in ("accuracy", "log_loss", "roc_auc")
        ),
        ["holdout calibration error", *(f"{e['calibration_error']:.4f}" for _, e in both)],
    ]
    return _table(("", "softmax", "one-vs-rest"), rows)


def _four_models() -> str:
    rows = [
        [
            row["title"],
            MODELS.get(row["model"], "–"),
            f"{float(row['accuracy']):.4f} ({float(row['accuracy_low']):.4f} to "
            f"{float(row['accuracy_high']):.4f})",
        ]
        for row in _csv(REPORTS / "comparison" / "models.csv")
    ]
    return _table(("model", "report", "tuned (95 % interval)"), rows)


def _looks() -> str:
    models = len(_csv(REPORTS / "comparison" / "models.csv"))
    return (
        "Behind this page the holdout was looked at by "
        f"{1 + 2 + 1 + models} models: the main job's, two at the report's own setting, the "
        f"one-vs-rest run's, and the {models} of the comparison. Only registered models count "
        "against promotion (the main job's and the one-vs-rest run's, each in the store it was made "
        "in); none of these figures chose anything: every C, gamma, depth and number of neighbours "
        "was chosen on the development set."
    )


def _trials(path: Path) -> dict[str, dict[float, dict[str, float]]]:
    """Each study's trials: mean inner log-loss and accuracy by C."""
    inner: dict[str, dict[float, list[tuple[float, float]]]] = {}
    for row in _csv(path):
        scores = (float(row["log_loss"]), float(row["accuracy"]))
        inner.setdefault(row["study"], {}).setdefault(float(row["C"]), []).append(scores)
    return {
        study: {
            C: dict(zip(("log_loss", "accuracy"), np.mean(scores, axis=0).tolist(), strict=True))
            for C, scores in trials.items()
        }
        for study, trials in inner.items()
    }


def _read(path: Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _table(header: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
