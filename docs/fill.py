"""``python -m docs.fill``: write the figures in README and docs from the files they come from.

A section between ``<!-- name -->`` and ``<!-- /name -->`` is written anew; a test holds what is
committed to what this would write.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.markdown import with_section
from docs import beside_the_report, compared
from foldwise.report.reference import reference_for
from foldwise.report.wording import metric_label
from foldwise.settings.reference import reference_tables

ROOT = Path(__file__).parent.parent
METRICS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss")


def filled() -> dict[Path, str]:
    """Every document with a generated section, as it should read."""
    sections = {
        "README.md": {"results": _results(ROOT / "reports")},
        "docs/reference.md": {"parameters": reference_tables()},
        "docs/comparison.md": compared.sections(),
        "docs/reference-report.md": beside_the_report.sections(),
    }
    return {ROOT / name: _with_sections(ROOT / name, each) for name, each in sections.items()}


def _with_sections(path: Path, sections: Mapping[str, str]) -> str:
    text = path.read_text()
    for name, content in sections.items():
        text = with_section(text, name, content)
    return text


def _results(reports: Path) -> str:
    tuning = json.loads((reports / "tuning.json").read_text())
    evaluation = json.loads((reports / "evaluation.json").read_text())
    outer = {each["metric"]: each for each in tuning["intervals"]}
    published = reference_for("mnist")
    if published is None:
        raise SystemExit("the reference report of mnist is gone: README compares with it")
    lines = [
        "| | outer folds, mean (95 % interval) | holdout (95 % interval) | reference report |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        each = outer[metric]
        lines.append(
            f"| {metric_label(metric)} "
            f"| {each['mean']:.4f} ({each['low']:.4f} to {each['high']:.4f}) "
            f"| {evaluation[metric]:.4f} ({evaluation[f'{metric}_low']:.4f} to "
            f"{evaluation[f'{metric}_high']:.4f}) | {published.scores[metric]} |"
        )
    chosen = sorted(fold["C"] for fold in tuning["folds"])
    lines += [
        f"| C | {chosen[0]:.3g} to {chosen[-1]:.3g} | {tuning['C']:.3g} | {published.C} |",
        "",
        (
            f"{tuning['fits']['logical']} logical fits, {tuning['fits']['distinct']} distinct "
            f"ones, {tuning['fits']['converged']} converged. The outer interval is Nadeau and "
            "Bengio's corrected one, which is conservative; the holdout's is a bootstrap over its "
            "images. `reports/tuning.json` and `reports/evaluation.json` hold all digits."
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    for path, text in filled().items():
        path.write_text(text)
