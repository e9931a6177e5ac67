"""``python -m docs.fill``: write the figures in README and docs from the files they come from.

A section between ``<!-- name -->`` and ``<!-- /name -->`` is written anew; a test holds what is
committed to what this would write.
"""

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from benchmarks.markdown import table, with_section
from docs.quoting import REPORTS, ROOT, read_csv, read_json, with_interval
from foldwise.app.show import result_rows
from foldwise.entries import Entry
from foldwise.report.reference import REFERENCES, read_reference
from foldwise.report.wording import known
from foldwise.rules import shown
from foldwise.settings import Settings
from foldwise.stats.scores import PUBLISHED

COMPARISON = ROOT / "comparison" / "reports"


def filled() -> dict[Path, str]:
    """Every document with a generated section, as it should read."""
    sections = {
        "README.md": {"results": _results()},
        "docs/statistics.md": {"optimum": _optimum()},
        "docs/reference.md": {"parameters": reference_tables()},
        "docs/comparison.md": {"models": models(), "pairs": _pairs(), "entry": _entry()},
    }
    return {ROOT / name: _with_sections(ROOT / name, each) for name, each in sections.items()}


def _with_sections(path: Path, sections: Mapping[str, str]) -> str:
    text = path.read_text()
    for name, content in sections.items():
        text = with_section(text, name, content)
    return text


def _results() -> str:
    names = ("data", "tuning", "evaluation")
    data, tuning, evaluation = (read_json(REPORTS / f"{name}.json") for name in names)
    published = read_reference(data["name"], data["classes"], ROOT / REFERENCES)
    if published is None:
        raise SystemExit(f"{REFERENCES} must have {data['name']}: README compares with it")
    lines = [
        "| | outer folds, mean (95 % interval) | holdout (95 % interval) | reference report |",
        "|---|---|---|---|",
    ]
    error = tuning.get("log10_error")
    for name, spread, *others in result_rows(tuning, evaluation, published):
        more = f" ({known(error)})" if error and name in tuning["range"] else ""
        lines.append(f"| {' | '.join((name, spread + more, *others))} |")
    lines += [
        "",
        (
            f"{tuning['fits']['logical']} logical fits, {tuning['fits']['distinct']} distinct "
            f"ones, {tuning['fits']['converged']} converged. `reports/tuning.json` has more "
            "digits; of the holdout [no more are shown](docs/statistics.md#three-decimals)."
        ),
    ]
    return "\n".join(lines)


def _optimum() -> str:
    tuning = read_json(REPORTS / "tuning.json")
    chosen = sorted(fold["C"] for fold in tuning["folds"])
    span = f"On MNIST the outer folds choose C from {chosen[0]:.3g} to {chosen[-1]:.3g}"
    error = tuning.get("log10_error")
    if error is None:
        return f"{span}. They were drawn by TPE: their spread says how finely it looked, no more."
    return (
        f"{span}; the standard error of log10 C is {error:.3f}, so that the best C is known to a "
        f"factor of {10**error:.2f}."
    )


def models() -> str:
    """The comparison of classifiers, as a table."""
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
        for row in read_csv(COMPARISON / "models.csv")
    ]
    return table(header, rows)


def _pairs() -> str:
    titles = {row["model"]: row["title"] for row in read_csv(COMPARISON / "models.csv")}
    rows = [
        [
            titles[row["first"]],
            titles[row["second"]],
            f"{int(row['first_only']):,}",
            f"{int(row['second_only']):,}",
            row["p_value"],
            row["p_value_holm"],
        ]
        for row in read_csv(COMPARISON / "pairs.csv")
    ]
    return table(
        ("first", "second", "only the first right", "only the second", "p", "p, Holm"), rows
    )


def reference_rows(kind: Any, *, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """For each parameter of a model: its full key, its rule, its default and its meaning."""
    for name, field in kind.__pydantic_fields__.items():
        if field.description:
            default = "" if field.is_required() else field.default
            words = default if isinstance(default, str) else shown(default)
            words = str([*default]) if isinstance(default, tuple) else words
            words = "{}" if default == {} else words
            rule, meaning = field.json_schema_extra["rule"], " ".join(field.description.split())
            yield f"{prefix}{name}", rule, words, meaning


def reference_tables() -> str:
    """One Markdown table for the top level and one for each section of params.yaml."""
    sections = [
        (field.annotation, f"{name}.")
        for name, field in vars(Settings)["__pydantic_fields__"].items()
        if is_dataclass(field.annotation)
    ]
    tables = []
    for kind, prefix in [(Settings, ""), *sections]:
        title = f"### {prefix[:-1]}\n\n{kind.__doc__}\n\n" if prefix else ""
        rows = [
            f"| `{key}` | {rule} | `{default}` | {meaning} |\n"
            for key, rule, default, meaning in reference_rows(kind, prefix=prefix)
        ]
        head = "| parameter | must be | default | meaning |\n|---|---|---|---|\n"
        tables.append("".join([title, head, *rows]))
    return "\n".join(tables)


def _entry() -> str:
    rows = [
        [f"`{key}`", rule, f"`{default}`" if default else "", meaning]
        for key, rule, default, meaning in reference_rows(Entry)
    ]
    return table(("key", "must be", "default", "meaning"), rows)


def _number(cell: str) -> str:
    return f"{float(cell):.{PUBLISHED}f}" if cell else "–"


if __name__ == "__main__":
    for path, text in filled().items():
        path.write_text(text)
