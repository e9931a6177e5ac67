"""The report's figures on the holdout beside ours: table 1, the classes, the 9, the curves."""

import numpy as np

from benchmarks.markdown import table
from docs.published import BY_CLASS
from docs.quoting import EVIDENCE, REPORTS, Json, read_csv, read_json, with_interval
from foldwise.model.scores import METRICS
from foldwise.report.reference import reference_for
from foldwise.report.wording import metric_label, percent, strength

KINDS = ("defaults", "multinomial", "ovr")


def at_the_setting() -> Json:
    """What was fitted at the report's C, by kind."""
    models: Json = read_json(EVIDENCE / "report-setting.json")["models"]
    return models


def table_one() -> str:
    """Its table 1, its own setting fitted by softmax and by one-vs-rest, and the main job."""
    own, ours = at_the_setting(), read_json(REPORTS / "evaluation.json")
    tuned = strength(read_json(REPORTS / "tuning.json")["C"])
    published = reference_for("mnist")
    if published is None:
        raise SystemExit("the reference report's numbers are gone: this page is about them")
    rows = [
        [
            metric_label(metric),
            published.scores[metric],
            *(f"{own[kind][metric]:.4f}" for kind in KINDS),
            with_interval(ours, metric),
        ]
        for metric in METRICS
    ]
    errors = [f"{each['calibration_error']:.4f}" for each in (*(own[k] for k in KINDS), ours)]
    header = (
        "holdout",
        "report, C = 0.59",
        "C = 0.59, scikit-learn's 100 iterations",
        "C = 0.59, converged",
        "C = 0.59, one-vs-rest",
        f"foldwise, C = {tuned} (95 % interval)",
    )
    return table(header, [*rows, ["calibration error", "–", *errors]])


def classes() -> str:
    """Its classification report, cell by cell."""
    own = at_the_setting()["multinomial"]["by_class"]
    ours = read_csv(REPORTS / "per_class.csv")
    rows = [
        [
            str(digit),
            " / ".join(printed[:3]),
            " / ".join(f"{value:.2f}" for value in own[digit][:3]),
            " / ".join(f"{float(ours[digit][name]):.3f}" for name in ("precision", "recall", "f1")),
        ]
        for digit, printed in enumerate(BY_CLASS)
    ]
    printed = np.array([[float(value) for value in row[:3]] for row in BY_CLASS])
    gaps = np.abs(np.round([row[:3] for row in own], 2) - printed).round(2)
    supports = [[int(row["support"]) for row in ours], [row[3] for row in own]]
    same = all(found == [row[3] for row in BY_CLASS] for found in supports)
    return (
        table(("digit", "report", "softmax, C = 0.59", "foldwise"), rows)
        + f"\n\nAt the report's setting {int((gaps == 0).sum())} of its 30 figures come out to the "
        f"digit, the others within {gaps.max():.2f}; the supports are "
        f"{'the same' if same else 'not the same'}."
    )


def column_of_nine() -> str:
    """Who is taken for a 9, and what a 9 is taken for."""
    own = np.array(at_the_setting()["multinomial"]["confusion"])
    ours = np.zeros_like(own)
    for cell in read_csv(REPORTS / "confusion.csv"):
        ours[int(cell["actual"]), int(cell["predicted"])] = int(cell["images"])
    taken = [(digit, 9) for digit in (4, 7, 0, 1, 6)] + [(9, 4), (9, 7)]
    rows = [
        [f"a {actual} taken for a {seen}", *(str(counts[actual, seen]) for counts in (own, ours))]
        for actual, seen in taken
    ]
    mistakes = [f"{counts.sum() - np.trace(counts):,}" for counts in (own, ours)]
    header = ("images of the holdout", "softmax, C = 0.59", "foldwise")
    return table(header, [*rows, ["mistakes in all", *mistakes]])


def areas() -> str:
    """Each digit's area under the curve, and how far from separable the digits are."""
    found = {row["class"]: float(row["roc_auc"]) for row in read_csv(REPORTS / "per_class.csv")}
    listed = ", ".join(f"{digit}: {found[digit]:.4f}" for digit in sorted(found, key=found.get))  # type: ignore[arg-type]
    own = at_the_setting()["multinomial"]
    return (
        f"Area under each digit's curve, the hardest first: {listed}.\n\n"
        f"At C = 0.59 the fit is right on {percent(own['development_accuracy'])} of the images it "
        f"was fitted on, and on {percent(own['accuracy'])} of the holdout."
    )
