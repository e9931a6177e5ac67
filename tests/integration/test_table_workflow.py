"""A table through all stages in one process: what is told of it, and what is never told."""

import io
import json
import struct
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text

from foldwise.app import anew, commands, compare, evaluate, predict, prepare, tune
from foldwise.app.results import TUNED
from foldwise.app.workspace import Workspace
from foldwise.data.dataset import load
from foldwise.errors import DataError, SettingsError
from foldwise.registry.snapshot import Snapshot, Version
from foldwise.registry.stored_files import CARD, fetch_files
from foldwise.report.figures import style
from foldwise.report.picture import Picture
from foldwise.search.archive import restore
from foldwise.search.summary import outer_estimates
from foldwise.settings import OF_IMAGES
from foldwise.stats.intervals import score_intervals
from foldwise.store.open import open_store
from tests import table_files

TUNE = {"folds": 3, "trials": 5, "startup_trials": 3, "c_high": 100.0}
NAME = "people-classifier"


@dataclass(frozen=True)
class Done:
    """A project whose stages have run, and what was printed."""

    folder: Path
    said: str

    def files(self, *places: str) -> Iterator[tuple[Path, bytes]]:
        """All files below these folders."""
        for place in places:
            for path in sorted((self.folder / place).rglob("*")):
                if path.is_file():
                    yield path, path.read_bytes()

    def change(self, **sections: dict[str, Any]) -> None:
        """Set parameters."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text()) if path.exists() else {}
        path.write_text(yaml.safe_dump(params | sections))

    @property
    def registry(self) -> Snapshot:
        """The registry as it is now."""
        return Snapshot.read(open_store(self.folder), NAME)

    def card(self, version: Version) -> str:
        """The version's card, whole, as it lies in the store."""
        return (fetch_files(open_store(self.folder), version, self.folder) / CARD).read_text()


def words_of(
    name: str, figure: Figure, section: str = "", caption: str = "", *, with_svg: bool = True
) -> Picture:
    """In place of pixels, which can't be searched, all that is written in a figure."""
    texts = [figure.get_label(), *(each.get_text() for each in figure.findobj(Text))]
    words = "\n".join(map(str, texts))
    svg = f"<svg><text>{words}</text></svg>".encode()
    return Picture(name, words, words.encode(), svg if with_svg else None, section, caption)


@pytest.fixture(scope="module", autouse=True)
def in_words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("FOLDWISE_THREADS", "1")  # figures are drawn here, not by another process
        patch.setattr(style, "drawn", words_of)
        yield


def run(folder: Path, table: Any, holdout: object, **more: object) -> Done:
    """A project of a table, its three stages run."""
    table_files.write(table, folder)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    data = {**table_files.PARAMETERS, "name": "people", "holdout": holdout}
    Done(folder, "").change(prepare=data, tune=TUNE | more)
    said = io.StringIO()
    with chdir(folder), redirect_stdout(said), redirect_stderr(said):
        for stage in (prepare, tune, evaluate):
            stage.main()
    return Done(folder, said.getvalue())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Breast cancer, a fifth held out."""
    return run(tmp_path_factory.mktemp("people"), table_files.cancer(), None)


@pytest.fixture(scope="module")
def unheld(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Wine, nothing held out, in a range that ends too early."""
    folder = tmp_path_factory.mktemp("unheld")
    return run(folder, table_files.wine(), "none", trials=3, c_high=0.001)


@pytest.fixture(autouse=True)
def in_its_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for a project works in it."""
    (name,) = {"done", "unheld"}.intersection(request.fixturenames)
    monkeypatch.chdir(request.getfixturevalue(name).folder)


def test_rows_groups_and_rare_values_stand_nowhere_but_in_the_model_s_own_categories(
    done: Done,
) -> None:
    """In no byte of reports or of MLflow's database and artifacts; groups not in the model either.

    The figures are looked at by all that is written in them.
    """
    number = table_files.NUMBER
    secrets = (
        f"{number:.6f}"[:8].encode(),
        struct.pack("<d", number),
        table_files.PERSON.encode(),
        table_files.RARE.encode(),
    )
    told = [*done.files("reports", "mlruns", "models")]
    own = {"model.skops", "search.json"}  # the encoder's categories, stored and kept to be drawn
    found = {
        (path.name, secret)
        for path, content in told
        for secret in secrets
        if secret in content and (secret != secrets[-1] or path.name not in own)
    }
    assert not found
    kept = [content for path, content in told if path.name == "model.skops"]
    assert kept
    assert all(table_files.RARE.encode() in content for content in kept)
    assert not any(secret in content for content in kept for secret in secrets[:3])
    assert any(b"a rare value" in content for _, content in done.files("reports/figures"))


def test_no_group_is_in_two_parts_nor_in_both_splits(done: Done) -> None:
    """As the stages made them: each person's rows in one part, in one split."""
    prepared = done.folder / "data" / "prepared"
    groups, plan = load("development", prepared).groups, restore(done.folder / TUNED).plan
    assert groups is not None
    pairs = {*zip(groups.tolist(), plan.part_of[0].tolist(), strict=True)}
    assert len(pairs) == len(np.unique(groups)) > 100
    people = table_files.cancer()["person"].nunique()
    told = json.loads((done.folder / "reports" / "data.json").read_text())
    assert told["development_groups"] + told["holdout_groups"] == people


def test_intervals_are_of_rows_drawn_in_groups(done: Done) -> None:
    """Those of the outer folds and of the holdout: not what single rows would give."""
    work = Workspace(done.folder)
    result, groups = restore(done.folder / TUNED), work.data("development").groups
    told = json.loads((done.folder / "reports" / "tuning.json").read_text())["intervals"]
    expected = outer_estimates(result, confidence=0.95, groups=groups)["log_loss"].interval
    (found,) = [each for each in told if each["metric"] == "log_loss"]
    assert found["low"] == pytest.approx(expected.low, abs=1e-6)
    assert expected != outer_estimates(result, confidence=0.95)["log_loss"].interval
    holdout = work.data("holdout")
    said = result.final.model.predict(holdout.images).values
    spans = score_intervals(said, holdout.labels, 0.95, holdout.groups)
    told = json.loads((done.folder / "reports" / "evaluation.json").read_text())
    assert told["accuracy_low"] == pytest.approx(spans["accuracy"].low, abs=1e-6)


def test_the_card_says_what_goes_in_and_that_the_model_holds_its_categories(done: Done) -> None:
    (version,) = done.registry.versions
    card = done.card(version)
    assert "- town: category\n- ward: category" in card
    assert "**The model holds the values of its categories**" in card
    assert "groups of development rows" in card
    assert "image" not in card
    assert "pixel" not in card


def test_the_page_shows_a_table_and_no_picture_of_images(done: Done) -> None:
    names = {path.stem for path, _ in done.files("reports/figures/evaluate")}
    assert names >= {"classes", "coefficients", "precision_recall", "calibration"}
    assert not names & {"confused_pairs", "mistakes"}
    page = (done.folder / "reports" / "report.html").read_text()
    assert "for malignant against benign" in page, "one curve, whose class is named"
    assert "groups, none of them parted" in page
    assert not [name for name in OF_IMAGES if name in page]
    for word in ("image of", "images", "raw pixels", "pixels of", "standardised pixels"):
        assert word not in page


def test_the_page_says_what_promotion_asks_and_what_the_checks_saw(done: Done, capsys: Any) -> None:
    """But for the champion, and what is yet to be stored; `foldwise checks` prints the same."""
    page = (done.folder / "reports" / "report.html").read_text()
    asked = page.split('<h2 id="promotion">')[1].split("<h2")[0]
    for words in ("No other model has been scored", "calibration error", "&lt;= 0.03", "chosen C"):
        assert words in asked
    assert "verification" not in asked
    anew.checks()
    said = capsys.readouterr().out.splitlines()
    assert max(map(len, said)) <= 80
    grave, slight = (sum(f"(matters: {of})" in line for line in said) for of in ("yes", "a little"))
    told = f"of 12 checks {grave or 'none'} matter much, {slight or 'none'} a little"
    assert said[-1] == told
    seen = unescape(page.split('<h2 id="checks">')[1].split("<h2")[0])
    names = [line.partition(" (matters: ")[0] for line in said if "(matters: " in line]
    assert len(names) == 12, "all but the columns that look like groups: these are known"
    assert not [name for name in names if f">{name}<" not in seen]


def test_a_version_of_a_table_verifies_and_is_promoted(done: Done, capsys: Any) -> None:
    commands.verify(None, model=None)
    said = capsys.readouterr().out
    assert "predicted labels" in said
    assert said.endswith("verified\n")
    done.change(promotion={"min_accuracy": 0.5, "max_log_loss": 5.0, "max_calibration_error": 0.5})
    commands.promote("challenger", model=None, reason="", is_dry=False, is_forced=False)
    assert done.registry.champion == done.registry.find("1")


def test_what_is_for_images_is_refused_in_one_line(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, candidates, and the comparison's entries, which are given pixels."""
    for name, value in {"features": "filters", "candidates": ["plain"]}.items():
        done.change(tune={**TUNE, name: value})
        said = f"tune.{name} must be .* table, because filters and candidates are for images, got"
        with pytest.raises(SettingsError, match=said):
            tune.main()
    done.change(tune=TUNE)
    entry = {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "space": {"C": {"log": [0.1, 1.0]}},
    }
    (done.folder / "comparison").mkdir()
    entries = yaml.safe_dump({"models": {"plain": entry}})
    (done.folder / "comparison" / "params.yaml").write_text(entries)
    monkeypatch.setattr(sys, "argv", ["compare", "plain"])
    with pytest.raises(SettingsError, match="the comparison needs images, got a table"):
        compare.main()


def test_asked_for_rows_are_shown(done: Done) -> None:
    """With report.rows the example is rows of the table, and rare values have their names."""
    done.change(report={"rows": True})
    evaluate.main()
    page = (done.folder / "reports" / "report.html").read_text()
    assert "the champion, version 1, is this very model" in page
    version = done.registry.versions[-1]
    assert version.number == 2
    examples = [
        content
        for path, content in done.files("mlruns")
        if path.name == "input_example.json" and version.model_id in path.as_posix()
    ]
    assert len(json.loads(examples[0])["data"]) == 3
    assert any(
        f"town: {table_files.RARE}".encode() in text for _, text in done.files("reports/figures")
    )


def test_a_table_is_predicted_as_it_was_evaluated(done: Done, tmp_path: Path) -> None:
    """From a CSV file with its columns in another order; what has no number there is told."""
    held = Workspace(done.folder).data("holdout").images
    held = held[[*reversed(held.columns)]]
    given, output = tmp_path / "new.csv", tmp_path / "answers.csv"
    held.to_csv(given, index=False)
    asked: Any = {"output": output, "which": None, "model": None}
    predict.predict(given, **asked, keeps_errors=False)
    told = pd.read_csv(done.folder / "reports" / "predictions.csv").drop(columns="label")
    found = pd.read_csv(output)
    assert [*found] == [*told]
    output.unlink()
    pd.testing.assert_frame_equal(found, told, atol=2e-6)
    number = next(name for name in held if held[name].dtype.kind == "f")
    held.astype({number: object}).assign(**{number: "?!"}).iloc[:3].to_csv(given, index=False)
    with pytest.raises(DataError, match=r"row 0, .* '\?!' where a number belongs"):
        predict.predict(given, **asked, keeps_errors=False)
    held.drop(columns=number).to_csv(given, index=False)
    with pytest.raises(DataError, match=f"lacks {number!r}"):
        predict.predict(given, **asked, keeps_errors=True)


def test_truths_are_predicted_as_the_numbers_that_they_were_learned_as(
    done: Done, tmp_path: Path
) -> None:
    """What a CSV file has of a column of booleans, missing ones among them."""
    held = Workspace(done.folder).data("holdout").images.iloc[:4]
    number = next(name for name in held if held[name].dtype.kind == "f")
    given, output, answers = tmp_path / "new.csv", tmp_path / "answers.csv", []
    for cells in (["True", "False", None, "true"], [1, 0, None, 1]):
        held.assign(**{number: cells}).to_csv(given, index=False)
        predict.predict(given, output=output, which=None, model=None, keeps_errors=False)
        answers.append(output.read_text())
        output.unlink()
    assert answers[0] == answers[1]


def test_nothing_held_out_is_said_by_evidence_card_and_page(unheld: Done) -> None:
    (version,) = unheld.registry.versions
    card = unheld.card(version)
    assert "nothing held out" in card.splitlines()[0]
    assert "There is no holdout" in card
    page = (unheld.folder / "reports" / "report.html").read_text()
    assert "There is no holdout" in page
    assert "dvc repro" in page, "what makes it again: there is no Makefile"
    assert "make repro" not in page
    told = json.loads((unheld.folder / "reports" / "evaluation.json").read_text())
    tuning = json.loads((unheld.folder / "reports" / "tuning.json").read_text())
    assert (told["scored"], told["rows"]) == ("outer folds", 178)
    assert told["log_loss"] == tuning["outer_log_loss"]
    (evidence,) = (of for path, of in unheld.files("mlruns") if path.name == "evidence.json")
    assert json.loads(evidence)["holdout"] == {}
    store = open_store(unheld.folder)
    metrics = store.client.get_run(version.run_id).data.metrics
    assert not [name for name in metrics if name.startswith("holdout")]
    assert not unheld.registry.looks(version.tags["holdout_digest"])


def test_an_optimum_at_an_edge_of_the_range_is_said_by_tune_and_evaluate(unheld: Done) -> None:
    """On the terminal, where who has chosen the range looks."""
    told = "A chosen C lies at an edge of the range: widen it in params.yaml."
    assert unheld.said.count(told) == 2


def test_nothing_held_out_verifies_and_is_promoted_by_force_alone(
    unheld: Done, capsys: Any
) -> None:
    commands.verify(None, model=None)
    assert capsys.readouterr().out.endswith("verified\n")
    with pytest.raises(SystemExit):
        commands.promote("challenger", model=None, reason="", is_dry=False, is_forced=False)
    assert "nested estimates alone" in capsys.readouterr().out
    assert "champion" not in unheld.registry.aliases
    commands.promote(
        "challenger", model=None, reason="the only one yet", is_dry=False, is_forced=True
    )
    assert unheld.registry.champion == unheld.registry.find("1")
    assert unheld.registry.decisions[-1].decision == "forced"
