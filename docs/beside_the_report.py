"""The generated sections of docs/reference-report.md."""

from benchmarks.markdown import table
from docs.published import MODELS
from docs.quoting import REPORTS, read_csv, read_json, with_interval
from docs.report_classes import areas, classes, column_of_nine, table_one
from docs.report_search import one_vs_rest, outer_folds, sampling


def sections() -> dict[str, str]:
    """Every generated section by its name."""
    return {
        "splits": _splits(),
        "sampling": sampling(),
        "folds": outer_folds(),
        "setting": table_one(),
        "four-models": _four_models(),
        "nine": column_of_nine(),
        "by-class": classes(),
        "one-vs-rest": one_vs_rest(),
        "curves": areas(),
        "looks": _looks(),
    }


def _splits() -> str:
    data = read_json(REPORTS / "data.json")
    counts = [data[key] for key in data if key.startswith("development_class_")]
    parts = len(read_json(REPORTS / "tuning.json")["folds"])
    rows = data["development_rows"]
    return (
        f"{rows:,} development and {data['holdout_rows']:,} holdout images; {parts} parts of "
        f"{rows // parts:,}; {min(counts):,} to {max(counts):,} development images a digit."
    )


def _four_models() -> str:
    rows = [
        [row["title"], MODELS.get(row["model"], "–"), with_interval(row, "accuracy")]
        for row in read_csv(REPORTS / "comparison" / "models.csv")
    ]
    return table(("holdout accuracy", "report", "tuned (95 % interval)"), rows)


def _looks() -> str:
    compared = len(read_csv(REPORTS / "comparison" / "models.csv"))
    return (
        f"The figures of this page come from {1 + 3 + 1 + compared} models scored on the holdout: "
        "the main job's, three at the report's own setting, the one-vs-rest run's, and the "
        f"{compared} of the comparison. `foldwise promote` counts those that were registered, the "
        "main job's and the one-vs-rest run's. None of the figures chose anything: every C, gamma, "
        "depth and number of neighbours was chosen on the development set. One more had been "
        "scored before: a decision tree tuned on 24,000 rows, which came to 0.858. The present "
        "one is tuned on all rows, since the best `ccp_alpha` shrinks with their number."
    )
