"""The generated sections of docs/comparison.md."""

from dataclasses import MISSING, fields

from benchmarks.markdown import table
from docs.quoting import REPORTS, read_csv, with_interval
from foldwise.compare.entries import Plan

FOLDER = REPORTS / "comparison"


def sections() -> dict[str, str]:
    """Every generated section by its name."""
    return {"models": _models(), "pairs": _pairs(), "entry": _entry()}


def _models() -> str:
    header = (
        "model",
        "best values",
        "accuracy (95 % interval)",
        "ROC AUC",
        "log-loss",
        "calibration error",
        "fit, s",
        "predict, s",
    )
    rows = [
        [
            row["title"],
            row["best"],
            with_interval(row, "accuracy"),
            *(_number(row[name]) for name in ("roc_auc", "log_loss", "calibration_error")),
            row["fit_seconds"],
            row["predict_seconds"],
        ]
        for row in read_csv(FOLDER / "models.csv")
    ]
    return table(header, rows)


def _pairs() -> str:
    titles = {row["model"]: row["title"] for row in read_csv(FOLDER / "models.csv")}
    rows = [
        [
            titles[row["first"]],
            titles[row["second"]],
            f"{int(row['first_only']):,}",
            f"{int(row['second_only']):,}",
            row["p_value"],
            row["p_value_holm"],
        ]
        for row in read_csv(FOLDER / "pairs.csv")
    ]
    return table(
        ("first", "second", "only the first right", "only the second", "p", "p, Holm"), rows
    )


def _entry() -> str:
    rows = []
    for field in fields(Plan):
        default = "" if field.default in {MISSING, ""} else f"`{field.default}`"
        rule, meaning = field.metadata["rule"].says, field.metadata["meaning"]
        rows.append([f"`{field.name}`", rule, default, meaning])
    return table(("key", "must be", "default", "meaning"), rows)


def _number(cell: str) -> str:
    return f"{float(cell):.4f}" if cell else "–"
