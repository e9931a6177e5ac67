"""DVC draws the tables that the report writes, by its own templates."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from foldwise.report.tables import calibration_csv, curve_csv, mistakes_csv, roc_csv
from tests.factories import make_result
from tests.unit.report.findings_cases import make_holdout_summary, make_judged

REPOSITORY = Path(__file__).parents[3]
HOLDOUT = make_holdout_summary(make_judged(("a", "b, or c", "ü")))
TABLES = {
    "calibration.csv": calibration_csv(HOLDOUT),
    "curve.csv": curve_csv(make_result()),
    "mistakes.csv": mistakes_csv(HOLDOUT),
    "roc.csv": roc_csv(HOLDOUT),
}
PLOTS = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["plots"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `dvc plots show` makes of a project with such tables: each plot's specification."""
    folder = tmp_path_factory.mktemp("plots")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": PLOTS}), encoding="utf-8")
    (folder / "reports").mkdir()
    for name, text in TABLES.items():
        (folder / "reports" / name).write_text(text, encoding="utf-8")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    command = [sys.executable, "-m", "dvc", "plots", "show", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not told.get("errors")
    return {name: json.dumps(plot[0]["content"]) for name, plot in told["data"].items() if plot}


@pytest.mark.parametrize("plot", [name for each in PLOTS for name in each])
def test_a_plot_is_drawn_from_columns_that_its_table_has(plot: str, shown: dict[str, str]) -> None:
    """DVC leaves no anchor of its template open, and labels the axes as dvc.yaml says."""
    [definition] = [each[plot] for each in PLOTS if plot in each]
    spec = json.loads(shown[plot])
    [table] = definition["y"]
    header = TABLES[Path(table).name].splitlines()[0].split(",")
    assert {definition["x"], *_listed(definition["y"][table])} <= set(header)
    assert len(spec["data"]["values"]) >= TABLES[Path(table).name].count("\n") - 1
    assert all(definition[label] in shown[plot] for label in ("title", "x_label", "y_label"))
    assert "<DVC_METRIC" not in shown[plot]


def test_the_plots_page_says_what_is_missing_without_a_network() -> None:
    """DVC's own page is blank then: the scripts that draw come from elsewhere."""
    config = (REPOSITORY / ".dvc" / "config").read_text(encoding="utf-8")
    [name] = re.findall(r"html_template = (\S+)", config)
    page = (REPOSITORY / ".dvc" / name).read_text(encoding="utf-8")
    assert {"{scripts}", "{plot_divs}", "{refresh_tag}"} <= set(re.findall(r"\{\w+\}", page))
    assert "reports/report.html" in page


def _listed(fields: str | list[str]) -> list[str]:
    return [fields] if isinstance(fields, str) else fields
