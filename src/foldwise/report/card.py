"""The model card: a version's description in Markdown, as MLflow's registry shows it."""

import math
from collections.abc import Iterable, Sequence

from foldwise.report.findings import Findings
from foldwise.report.wording import limits, metric_label, number, percent, span, value_text
from foldwise.stats.scores import METRICS


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
        f"## Limits\n\n{_bullets(limits(len(findings.search.folds)))}",
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
    estimates = findings.search.outer
    confidence = percent(next(iter(estimates.values())).corrected.confidence, digits=0)
    header = ("metric", "mean", f"{confidence} corrected", f"{confidence} pooled")
    rows = [
        (
            metric_label(metric),
            number(each.mean),
            span(each.corrected),
            span(each.pooled) if each.pooled else "–",
        )
        for metric, each in estimates.items()
    ]
    return _table(header, rows)


def _folds(findings: Findings) -> str:
    metric = metric_label(findings.search.metric)
    header = (
        "outer fold",
        *findings.search.values,
        f"inner {metric}",
        f"outer {metric}",
        "outer accuracy",
    )
    rows = [
        (
            str(fold.fold),
            *map(value_text, fold.values.values()),
            number(fold.inner),
            number(fold.scores[findings.search.metric]),
            number(fold.scores["accuracy"]),
        )
        for fold in findings.search.folds
    ]
    return _table(header, rows)


def _holdout(findings: Findings) -> str:
    holdout, reference = findings.holdout, findings.reference
    confidence = percent(holdout.intervals["accuracy"].confidence, digits=0)
    header = ["metric", "holdout", f"{confidence} bootstrap"]
    rows = [
        [
            metric_label(metric),
            number(holdout.scores[metric]),
            span(holdout.intervals[metric]),
        ]
        for metric in METRICS
    ]
    if reference:
        header.append(f"{reference.title}, C = {reference.C}")
        for row, metric in zip(rows, METRICS, strict=True):
            row.append(reference.scores[metric])
    error = f"Calibration error: {number(holdout.calibration_error)}."
    return f"{_table(header, rows)}\n\n{error}"


def _classes(findings: Findings) -> str:
    holdout = findings.holdout
    each = zip(holdout.classes, holdout.by_class, holdout.f1_intervals, strict=True)
    rows = [
        (
            name,
            number(scores.precision),
            number(scores.recall),
            number(scores.f1),
            span(interval),
            f"{scores.support:,}",
        )
        for name, scores, interval in each
    ]
    return _table(("class", "precision", "recall", "F1", "F1 interval", "images"), rows)


def _origin(findings: Findings) -> str:
    facts = _bullets(f"{name}: {value}" for name, value in findings.origin.facts)
    commands = "\n".join(findings.origin.commands)
    return f"{facts}\n\n```\n{commands}\n```"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "| " + " | ".join(["---"] * len(header)) + " |"
    lines = (_line(header), rule, *map(_line, rows))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    # MLflow shows tables without any room between their columns.
    return "| " + "&nbsp;&nbsp; | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    # A class may be called anything; a bar would end the cell.
    return text.replace("|", "\\|").replace("\n", " ")


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
