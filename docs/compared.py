"""The generated sections of docs/comparison.md."""

import csv
from dataclasses import MISSING, fields
from pathlib import Path

from foldwise.compare.entries import Plan

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "reports" / "comparison"


def sections() -> dict[str, str]:
    """Every generated section by its name."""
    return {"entry": _entry(), "models": _models(), "pairs": _pairs()}


def _entry() -> str:
    lines = ["| key | must be | default | meaning |", "|---|---|---|---|"]
    for field in fields(Plan):
        default = "" if field.default is MISSING else f"`{field.default}`" if field.default else ""
        rule, meaning = field.metadata["rule"].says, field.metadata["meaning"]
        lines.append(f"| `{field.name}` | {rule} | {default} | {meaning} |")
    return "\n".join(lines)


def _models() -> str:
    lines = [
        "| model | best values | accuracy (95 % interval) | ROC AUC | log-loss | calibration error "
        "| fit, s | predict, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in _csv("models.csv"):
        lines.append(
            f"| {row['title']} | {row['best']} | {float(row['accuracy']):.4f} "
            f"({float(row['accuracy_low']):.4f} to {float(row['accuracy_high']):.4f}) "
            f"| {float(row['roc_auc']):.4f} | {_number(row['log_loss'])} "
            f"| {_number(row['calibration_error'])} "
            f"| {row['fit_seconds']} | {row['predict_seconds']} |"
        )
    return "\n".join(lines)


def _pairs() -> str:
    titles = {row["model"]: row["title"] for row in _csv("models.csv")}
    lines = [
        "| | | right alone: first | second | p | p, Holm |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {titles[row['first']]} | {titles[row['second']]} | {int(row['first_only']):,} "
        f"| {int(row['second_only']):,} | {row['p_value']} | {row['p_value_holm']} |"
        for row in _csv("pairs.csv")
    ]
    return "\n".join(lines)


def _number(cell: str) -> str:
    return f"{float(cell):.4f}" if cell else "–"


def _csv(name: str) -> list[dict[str, str]]:
    with (REPORTS / name).open() as file:
        return list(csv.DictReader(file))
