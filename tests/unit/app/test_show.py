"""The result in one screen: what it says, within 80 columns."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from foldwise.app.commands import version_table
from foldwise.app.drawing import Verdict
from foldwise.app.evaluate import _advice
from foldwise.app.show import (
    failing,
    guessing,
    looks_told,
    parameters_told,
    result_rows,
    result_table,
    status,
    to_do,
)
from foldwise.files import encode
from foldwise.registry.audit import CHALLENGER, CHAMPION, Decision
from foldwise.registry.snapshot import Snapshot, Version
from foldwise.report.reference import Reference
from foldwise.report.standing import Standing
from foldwise.report.tables import evaluation, tuning
from foldwise.settings import PrepareSettings, Settings, TuneSettings, flattened
from foldwise.stats.scores import METRICS
from tests.factories import make_result
from tests.unit.report.findings_cases import make_estimates, make_holdout_summary, make_judged

TUNING = tuning(make_result(), make_estimates())
HELD = evaluation(make_holdout_summary(make_judged()))
REFERENCE = Reference("a report", "0.59", {"accuracy": "0.922"}, ("0.9",) * 3)
DIGEST = "h" * 64
PROMOTED = Decision(
    "1", "2026-01-15T10:00:00+00:00", "ann@host", "promote", "promoted", "applied",
    None, None, 1, "", (),
)  # fmt: skip


def registry(**aliases: int) -> Snapshot:
    """A model of two versions, the first of which was promoted."""
    tags = {f"holdout.{DIGEST}.{content}": "{}" for content in ("one", "one.two", "two")}
    versions = (
        Version("m", 1, "r", "m", (), {PROMOTED.tag: PROMOTED.to_json()}),
        Version("m", 2, "r", "m", (), {}),
    )
    return Snapshot("m", versions, aliases, {"m": tags})


def test_the_table_has_a_row_a_metric_and_fits_80_columns() -> None:
    """With the published numbers and without."""
    for reference in (REFERENCE, None):
        table = result_table(TUNING, HELD, reference)
        assert max(map(len, table.splitlines())) <= 80
        assert len(table.splitlines()) == 2 + len(METRICS) + 1 + (reference is not None)
        assert ("reference" in table) == (reference is not None)
        assert ("published figures of these data (a report)" in table) == (reference is not None)
        assert "(95 % interval)" in table
        assert "range 0." in table.splitlines()[2 + len(METRICS)]


def test_without_a_holdout_its_figures_are_not_shown_as_such() -> None:
    """`evaluation.json` then tells those of the outer folds' rows."""
    told = {"scored": "outer folds", **HELD}
    assert {row[2] for row in result_rows(TUNING, told, None)[:-1]} == {"–"}


def test_a_metric_that_the_reports_lack_is_a_dash() -> None:
    """Reports stay as they are until the search is made again."""
    intervals: Any = TUNING["intervals"]
    known = [each for each in intervals if each["metric"] != "f1"]
    held = {key: of for key, of in HELD.items() if not key.startswith("f1")}
    rows = result_rows({**TUNING, "intervals": known}, held, None)
    assert [row for row in rows if "–" in row[1:3]] == [("F1", "–", "–", "–")]


def test_what_guessing_gets_stands_beside_the_result() -> None:
    """The commonest class's share of the development set; older reports lack the counts."""
    told = guessing({"development_class_ill": 30, "development_class_well": 90, "classes": 2})
    assert told == {"guessing": "always well, the commonest class, has accuracy 0.7500"}
    assert guessing({"classes": 2}) == {}


def test_only_parameters_that_are_not_the_defaults_are_told() -> None:
    """By their full keys."""
    assert parameters_told(flattened(Settings())) == "all as foldwise has them by default"
    assert parameters_told(flattened(Settings(tune=TuneSettings(folds=5)))) == "tune.folds = 5"


def test_of_a_run_s_parameters_the_defaults_are_known_again() -> None:
    """As text, which MLflow keeps; what only another version of foldwise knows is told."""
    given = {key: str(value) for key, value in flattened(Settings()).items()}
    assert parameters_told(given) == "all as foldwise has them by default"
    assert parameters_told({**given, "seed": "7", "tune.new": "1"}) == "seed = 7, tune.new = 1"
    assert parameters_told({**given, "tune.new": "None"}) == "tune.new = None"


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("prepare: {source: digits, name: digits}", "show`, then `foldwise promote --dry-run`"),
        ("prepare: {source: digits, name: other}", "show --model digits-classifier`"),
        ("prepare: {source: digits, name: digits, limit: 300}", "history`, which lists it: this"),
        ("seed: -1", "show --model digits-classifier`"),
    ],
)
def test_what_is_advised_after_a_run_is_about_its_model(
    tmp_path: Path, params: str, told: str
) -> None:
    """Which the folder that a command is typed in may not mean, or not be able to tell."""
    (tmp_path / "params.yaml").write_text(params)
    info = SimpleNamespace(name="digits")
    settings = Settings(prepare=PrepareSettings(source="digits", name="digits"))
    work: Any = SimpleNamespace(
        root=tmp_path, info=info, model_name="digits-classifier", settings=settings
    )
    assert _advice(work).startswith(f"`foldwise {told}")


def test_the_looks_at_the_holdout_are_models_not_comparisons() -> None:
    """One that met a champion looked once."""
    assert looks_told(registry(), DIGEST).startswith("seen by 2 models")
    assert looks_told(registry(), "other").startswith("seen by 0 models")


@pytest.mark.parametrize(
    ("aliases", "told", "then"),
    [
        ({}, "no version is the champion yet, nor registered", "dvc repro && dvc repro --force"),
        ({CHALLENGER: 2}, "version 2 is the challenger", "promote --dry-run"),
        (
            {CHALLENGER: 2, CHAMPION: 1},
            "version 1 is the champion, promoted on 2026-01-15 by ann@host, version 2",
            "promote --dry-run",
        ),
        ({CHALLENGER: 2, CHAMPION: 2}, "version 2 is the champion", "verify"),
    ],
)
def test_the_status_says_who_is_in_use_since_when_and_what_is_next(
    aliases: dict[str, int], told: str, then: str
) -> None:
    """Who was put there by hand has no date."""
    found = status(registry(**aliases))
    assert told in found["status"]
    assert ("2026" in found["status"]) == (aliases.get(CHAMPION) == 1)
    assert then in found["next"]


def test_the_status_says_what_the_challenger_fails_already(tmp_path: Path) -> None:
    """As `evaluate` found it, of the model that lies here: of another one nothing is known."""
    assert failing(tmp_path) == {}
    folder = tmp_path / "models" / "evaluated"
    folder.mkdir(parents=True)
    standing = Standing("m", gate=(("fits", "1 of 2", "all", "warning"), ("C", "1", "2", "fail")))
    verdict = Verdict("two", DIGEST, "r", {}, standing=standing)
    (folder / "result.json").write_text(encode(verdict))
    few = "fails 1 of 2 checks that need no champion: C"
    assert failing(tmp_path) == {"two": few}
    known = registry(challenger=2)
    own = replace(known.versions[1], tags={"content_digest": "two"})
    told = status(replace(known, versions=(known.versions[0], own)), failing(tmp_path))["status"]
    assert told.endswith(f"version 2 is the challenger, which {few}")
    assert "fails" not in status(known, failing(tmp_path))["status"]


def test_the_status_says_of_a_challenger_that_it_is_an_earlier_version_s_model() -> None:
    """By its content: equal figures alone say nothing."""
    known = registry(challenger=2)
    alike = tuple(replace(each, tags={"content_digest": "one"}) for each in known.versions)
    told = status(replace(known, versions=alike))["status"]
    assert told.endswith("version 2 is the challenger, which is the same model as version 1")
    unlike = (alike[0], replace(alike[1], tags={"content_digest": "two"}))
    assert "same model" not in status(replace(known, versions=unlike))["status"]
    assert "same model" not in version_table(known.versions)
    assert version_table(alike).splitlines()[-1].strip() == "the same model as version 1"


def test_what_there_is_to_do_with_versions_is_told_as_far_as_there_are_any() -> None:
    """No comparison without two, no way back without a second champion."""
    assert to_do(replace(registry(), versions=())) == {}
    assert "undoes a promotion, once a second" in to_do(registry())["foldwise rollback"]
    alone = to_do(registry(champion=1, challenger=1))
    assert "foldwise compare" not in alone
    assert "once a second version was promoted" in alone["foldwise rollback"]
    both = to_do(registry(champion=2, challenger=1, previous_champion=1))
    assert "champion challenger" in both["foldwise compare"]
    assert "to version 1" in both["foldwise rollback"]
