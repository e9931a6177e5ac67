"""DVC's plot templates fit the tables they are meant for."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from foldwise.report.tables import calibration_csv, confusion_csv, curve_csv, roc_csv
from tests.factories import make_result
from tests.unit.report.findings_cases import make_holdout_summary, make_judged

TEMPLATES = Path(__file__).parents[3] / ".dvc" / "plots"
HOLDOUT = make_holdout_summary(make_judged())
TABLES = {
    "study_curves": curve_csv(make_result()),
    "class_curves": roc_csv(HOLDOUT),
    "calibration": calibration_csv(HOLDOUT),
    "confusion_cells": confusion_csv(HOLDOUT),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_template_names_only_columns_that_its_table_has(name: str) -> None:
    """DVC fills in x and y; every other column is named by the template itself."""
    text = (TEMPLATES / f"{name}.json").read_text(encoding="utf-8")
    columns = set(next(csv.reader(io.StringIO(TABLES[name]))))
    fields = set(re.findall(r'"field": "(\w+)"', text)) | set(re.findall(r"datum\.(\w+)", text))
    assert fields - {"rev", "ideal"} <= columns


@pytest.mark.parametrize("name", TABLES)
def test_a_template_takes_what_dvc_fills_in(name: str) -> None:
    """Data, axes and titles come from dvc.yaml."""
    text = (TEMPLATES / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(text)["data"] == {"values": "<DVC_METRIC_DATA>"}
    for anchor in ("X", "Y", "X_LABEL", "Y_LABEL", "TITLE"):
        assert f'"<DVC_METRIC_{anchor}>"' in text


def test_no_template_is_left_untested() -> None:
    """Each one in the folder has its table here."""
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(TABLES)


def test_the_plots_page_says_what_is_missing_without_a_network() -> None:
    """DVC's own page is blank then: the scripts that draw come from elsewhere."""
    config = (TEMPLATES.parent / "config").read_text(encoding="utf-8")
    [name] = re.findall(r"html_template = (\S+)", config)
    page = (TEMPLATES.parent / name).read_text(encoding="utf-8")
    assert {"{scripts}", "{plot_divs}", "{refresh_tag}"} <= set(re.findall(r"\{\w+\}", page))
    assert "reports/report.html" in page
