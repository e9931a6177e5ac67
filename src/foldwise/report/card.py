"""The model card: a version's description in Markdown, as MLflow's registry shows it."""

import math
from collections.abc import Iterable

from foldwise.report.findings import Findings
from foldwise.report.wording import (
    escaped,
    limits,
    markdown_table,
    number,
    percent,
    span,
    value_text,
)
from foldwise.stats.scores import METRICS, metric_label


def render(findings: Findings) -> str:
    """Write the card.

    The first line is plain text, because the list of versions shows it raw; headings begin at the
    second level, because MLflow shows the first one huge.
    """
    sections = (
        findings.headline(),
        *(f"> **Caution.** {caution}" for caution in findings.cautions()),
        f"## Use\n\n{_use(findings)}",
        f"## Data\n\n{_data(findings)}",
        f"## Procedure\n\n{findings.procedure()}",
        f"## Outer estimate\n\n{findings.answer()}\n\n{_outer(findings)}",
        f"Each outer fold by itself:\n\n{_folds(findings)}",
        f"## Holdout\n\n{_holdout(findings)}",
        f"Each class against the rest:\n\n{_classes(findings)}",
        f"## Origin\n\n{_origin(findings)}",
        f"## Limits\n\n{_bullets(limits(len(findings.search.outer)))}",
    )
    return "\n\n".join(sections) + "\n"


def _use(findings: Findings) -> str:
    shape = findings.data.image_shape
    return (
        f"Give rows of {math.prod(shape)} numbers: raw pixels, 0 to 255, of images of"
        f" {' × '.join(map(str, shape))}, flattened row by row, unscaled. The answer is a row of"
        f" {len(findings.data.classes)} probabilities for each, in the order of the classes."
    )


def _data(findings: Findings) -> str:
    data = findings.data
    shape = " × ".join(map(str, data.image_shape))
    return (
        f"{data.name}: {data.development_rows:,} development images, {data.holdout_rows:,} holdout "
        f"images of {shape} pixels (0 to 255), {len(data.classes)} classes. No fit and no "
        "choice used the holdout."
    )


def _outer(findings: Findings) -> str:
    confidence = percent(findings.outer[METRICS[0]].interval.confidence, digits=0)
    return markdown_table(
        ("metric", "mean", f"{confidence} interval", "corrected"),
        (
            (
                metric_label(metric),
                number(each.mean),
                span(each.interval),
                span(each.corrected),
            )
            for metric, each in findings.outer.items()
        ),
    )


def _folds(findings: Findings) -> str:
    search = findings.search
    label = metric_label(search.metric)
    scores = (f"inner {label}", f"outer {label}", "outer accuracy")
    return markdown_table(
        ("outer fold", *map(escaped, search.final.best.values), *scores),
        (
            (
                str(fold.fold),
                *(escaped(value_text(value)) for value in fold.best.values.values()),
                number(fold.best.mean(search.metric)),
                number(fold.scores[search.metric]),
                number(fold.scores["accuracy"]),
            )
            for fold in search.outer
        ),
    )


def _holdout(findings: Findings) -> str:
    holdout, reference = findings.holdout, findings.reference
    confidence = percent(holdout.intervals["accuracy"].confidence, digits=0)
    published = [escaped(f"{reference.title}, C = {reference.C}")] if reference else []
    table = markdown_table(
        ("metric", "holdout", f"{confidence} interval", *published),
        (
            (
                metric_label(metric),
                number(holdout.scores[metric]),
                span(holdout.intervals[metric]),
                *([reference.scores.get(metric, "–")] if reference else []),
            )
            for metric in METRICS
        ),
    )
    return f"{table}\n\nCalibration error: {number(holdout.calibration_error)}."


def _classes(findings: Findings) -> str:
    holdout = findings.holdout
    return markdown_table(
        ("class", "precision", "recall", "F1", "F1 interval", "images"),
        (
            (
                escaped(name),
                *map(number, (scores.precision, scores.recall, scores.f1)),
                span(interval),
                f"{scores.support:,}",
            )
            for name, scores, interval in zip(
                holdout.classes, holdout.by_class, holdout.f1_intervals, strict=True
            )
        ),
    )


def _origin(findings: Findings) -> str:
    facts = _bullets(f"{name}: {value}" for name, value in findings.origin.items())
    commands = "\n".join(findings.commands)
    return f"{facts}\n\n```\n{commands}\n```"


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
