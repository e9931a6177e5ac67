"""The page stands alone: it opens anywhere, and says what its pictures show."""

import json
import math
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from foldwise.data.dataset import TableInfo
from foldwise.report import page
from foldwise.report.findings import Findings
from foldwise.report.picture import Picture
from foldwise.report.standing import Remark, Standing
from tests.unit.report.findings_cases import (
    PUBLISHED,
    make_findings,
    make_judged,
    make_model_pictures,
)

PICTURES = {
    "classes": "data",
    "curve": "search",
    "trials": "search",
    "outer_folds": "outer",
    "confusion": "mistakes",
    "roc": "holdout",
    "class_f1": "holdout",
    "mistakes": "mistakes",
    "calibration": "calibration",
    "confused_pairs": "mistakes",
    "coefficients": "looks",
}
"""Their names, and the sections that they stand in."""
VOID = {"img", "meta", "br"}


class _Reader(HTMLParser):
    """Keeps tags with their attributes, the text, and which elements are open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += " ".join(data.split()) + " "


@pytest.fixture(scope="module")
def reader() -> _Reader:
    return _Reader(_page(_registered()))


def test_nothing_is_fetched_and_one_script_runs(reader: _Reader) -> None:
    """That one sorts tables, and knows no address; links lead to places of the page, or wait."""
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {t for t, _ in reader.tags}
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "action", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
        if (place := attributes.get("href")) is not None:
            assert tag == "a"
            assert place.startswith(("#", "http://127.0.0.1:5000/#/"))
    html = _page(_registered())
    style = html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    script = html.split("<script>")[1].split("</script>")[0]
    assert html.count("<script") == 1
    assert not [word for word in ("http", "fetch", "import", "src", "Request") if word in script]


def test_every_picture_is_inside_and_has_words(reader: _Reader) -> None:
    """All of search and holdout are there, each with an alternative text."""
    words = [attributes.get("aria-label") for tag, attributes in reader.tags if tag == "svg"]
    assert len(words) == len(PICTURES)
    assert all(len(each or "") > 40 for each in words)
    picture = Picture("mistakes", "Words, of images.", b"a PNG", None)
    assert [name for name in PICTURES if f"How to read {name}." not in reader.text] == []
    assert picture.markup.startswith('<img src="data:image/png;base64,')
    assert 'alt="Words, of images."' in picture.markup


def test_a_page_of_ten_classes_of_images_is_at_most_5_mb(rendered: tuple[Picture, ...]) -> None:
    """Of images as large as MNIST's, and noisier than any: nothing of them can be compressed."""
    judged = make_judged(tuple("abcdefghij"), shape=(28, 28), rows=600)
    searched = (each for each in rendered if each.section in ("search", "outer"))
    pictures = (*searched, *make_model_pictures(judged))
    assert {each.name for each in pictures} >= PICTURES.keys()
    size = len(page.render(make_findings(judged=judged), pictures).encode())
    assert 200_000 < size <= 5_000_000


def test_every_element_is_closed(reader: _Reader) -> None:
    """The reader checks each closing tag against what is open."""
    assert reader.open == []


def test_the_answer_stands_before_the_evidence(reader: _Reader) -> None:
    """Score with its interval, what it is better than, its standing, the evidence, limits last."""
    order = [
        "of 90 held-out images are told right (95 % interval",
        "always a, the commonest class",
        "The weakest class is",
        "outer folds choose",
        "Registered as challenger of toy-classifier",
        "What there is to learn from",
        "Where the best C lies",
        "What the outer folds say",
        "How the final model does on the holdout",
        "What it confuses",
        "Whether its probabilities can be trusted",
        "What promotion asks",
        "What the checks saw",
        "Where this comes from",
        "What these figures do not say",
    ]
    answers = 5  # what follows them stands in the list of contents, too
    found = [reader.text.find(words) for words in order[:answers]]
    places = [*found, *(reader.text.rfind(words) for words in order[answers:])]
    assert -1 not in places
    assert places == sorted(places)


def test_names_are_text_and_never_markup() -> None:
    """A class may be called anything."""
    judged = make_judged(("<script>alert(1)</script>", 'a" onload="x', "&amp;"))
    html = _page(make_findings(judged=judged))
    assert "<script>alert" not in html
    read = _Reader(html)
    assert "<script>alert(1)</script>" in read.text
    assert not any("onload" in attributes for _, attributes in read.tags)


def test_the_holdout_s_figures_have_as_many_decimals_as_may_be_shown() -> None:
    """Three of log-loss, ROC AUC and calibration error, not a fourth that is always 0."""
    findings = make_findings()
    read, holdout = _Reader(_page(findings)).text, findings.holdout
    areas = [each.roc_auc for each in holdout.by_class]
    for told in (holdout.scores["log_loss"], holdout.calibration_error, *areas):
        assert re.search(rf"\b{told:.3f}(?!\d)", read)
        assert f"{told:.3f}0" not in read


def test_published_numbers_stand_beside_ours_where_there_are_any() -> None:
    ours = make_findings()
    text = _Reader(_page(replace(ours, reference=PUBLISHED))).text
    assert "Reference report" in text
    assert all(value in text for value in (*PUBLISHED.scores.values(), *PUBLISHED.f1))
    assert "eference report" not in _Reader(_page(ours)).text


def test_what_went_wrong_quietly_is_said_aloud(reader: _Reader) -> None:
    """One fit of thirty ended before it converged."""
    assert "Caution. 1 of 30 fits ended at tune.max_iter" in reader.text


def _page(findings: Findings) -> str:
    """A page with small pictures in place of drawn ones."""
    words = "What the figure shows, and what it says of itself."
    pictures = [
        Picture(name, words, b"a PNG", b"<?xml?><svg></svg>", section, f"How to read {name}.")
        for name, section in PICTURES.items()
    ]
    return page.render(findings, pictures)


STANDING = Standing(
    "toy-classifier",
    gate=(("holdout accuracy", "0.91", ">= 0.9", "pass"), ("fits", "1 of 2", "all", "warning")),
    looks=3,
    comparison=4,
    errors=(2.61, 2.82, 2.87),
    champion="the champion, version 2",
    champion_scores={"log_loss": 0.9, "accuracy": 0.5},
    untuned=({"log_loss": 0.5}, {"log_loss": 0.1}, {"log_loss": 0.6}),
    duration="3 min, with 12 trials from before",
    links=(("this run", "http://127.0.0.1:5000/#/experiments/1/runs/b0b"),),
)
REMARKS = (
    Remark("duplicates", "9 rows", "yes", "take them out"),
    Remark("shift", "none", "no", "look at the holdout"),
)


def _registered(**more: Any) -> Findings:
    """Findings as `evaluate` leaves them."""
    return replace(make_findings(), standing=replace(STANDING, **more), remarks=REMARKS)


def test_it_is_compared_with_what_is_simpler_and_what_is_in_use(reader: _Reader) -> None:
    """The commonest class, C = 1 in the outer folds, the champion: figures, and which is better."""
    ours = make_findings()
    accuracy, loss = ours.holdout.scores["accuracy"], ours.holdout.scores["log_loss"]
    outer = ours.outer["log_loss"].mean
    told = (
        f"always a, the commonest class holdout accuracy 0.3333 {accuracy:.4f} better",
        f"untuned, C = 1 outer log-loss 0.4000 {outer:.4f} better, in 2 of 3 folds",
        f"the champion, version 2 holdout log-loss 0.900 {loss:.3f} better; whether by more than",
    )
    assert [words for words in told if words not in reader.text] == []


def test_what_is_no_better_untuned_says_in_how_many_folds() -> None:
    """Of the folds that say the same; where 1 lies outside the range nothing is said."""
    (_, untuned, *_) = _registered(untuned=({"log_loss": 0.0},) * 3).baselines()
    assert untuned[-1] == "not better, in 3 of 3 folds"
    assert not [name for name, *_ in _registered(untuned=()).baselines() if "untuned" in name]


def test_how_well_the_best_value_is_known_stands_at_the_top() -> None:
    """Where the folds' choices tell it."""
    findings = _registered()
    space = replace(findings.search.space, sampler="curve")
    told = _text(replace(findings, search=replace(findings.search, space=space)))
    assert "known to a factor of 1." in told.partition("Compared with")[0]


def test_a_model_that_was_registered_before_is_named_as_such(reader: _Reader) -> None:
    """Else equal figures look like a coincidence."""
    assert "same model" not in reader.text
    told = _text(_registered(same="the same model as version 1"))
    assert "Registered as challenger of toy-classifier, the same model as version 1." in told


def test_status_and_next_step_are_as_the_checks_say(reader: _Reader) -> None:
    """All hold, some fail, or there is no holdout to judge by."""
    assert "It passes all 2 checks that need no champion . Next: foldwise promote" in reader.text
    failing = (*STANDING.gate, ("chosen C", "at an edge", "inside", "fail"))
    assert "Of 3 checks that need no champion it fails 1: chosen C." in _text(
        _registered(gate=failing)
    )
    told = _registered()
    unheld = replace(told, data=replace(told.data, holdout_rows=0))
    assert "foldwise promote refuses it, unless it is forced" in _text(unheld)


def test_the_looks_at_the_holdout_are_counted_and_what_they_ask_is_said(reader: _Reader) -> None:
    assert "This holdout has been looked at by 3 models, this one included." in reader.text
    assert "would now be number 4" in reader.text
    asked = re.search(
        r"about ([\d.]+) standard .* needs ([\d.]+); .* must be ([\d.]+)\.", reader.text
    )
    assert asked
    assert asked.groups() == ("2.82", "2.61", "2.87")
    assert "No other model has been scored on this holdout." in _text(_registered(looks=1))
    first = _text(_registered(comparison=1, errors=(2.61, 2.61, 2.67)))
    assert "about 2.61 standard errors; the next challenger's must be 2.67." in first
    assert "uses up a number, a refused one too; who was only met as champion uses up none" in first


def test_checks_that_matter_are_named_at_the_top_and_all_below(reader: _Reader) -> None:
    assert "Of the checks of search and data these matter: duplicates." in reader.text
    assert "duplicates 9 rows yes take them out" in reader.text
    assert "shift none no –" in reader.text


def test_the_weakest_class_is_that_of_the_lowest_f1(reader: _Reader) -> None:
    """In the sentence as in the picture."""
    holdout = make_findings().holdout
    f1 = [each.f1 for each in holdout.by_class]
    name = holdout.classes[f1.index(min(f1))]
    assert f"The weakest class is {name}, by F1: {min(f1):.4f}" in reader.text


def test_it_says_how_to_use_the_model_and_in_which_order_it_answers(reader: _Reader) -> None:
    """From what goes in to the commands."""
    names = ", ".join(map(str, make_findings().data.classes))
    assert f"in the order of the classes, which the signature names: {names}." in reader.text
    assert f"mlflow models serve -m models:/{STANDING.model}@champion" in reader.text
    assert "which may be another version than the one that this page tells of" in reader.text


@pytest.mark.parametrize("names", [(), ("age", "it's", 'a "name"')])
def test_the_request_it_shows_is_one_row_as_the_model_takes_it(names: tuple[str, ...]) -> None:
    """By the shell, whatever the columns are called."""
    findings = make_findings()
    table = TableInfo(tuple((name, "number") for name in names)) if names else None
    line = replace(findings, data=replace(findings.data, table=table)).request()
    sent = 'curl() { [ "$5" = @- ] && cat || printf %s "$5"; }\n' + line
    told = json.loads(subprocess.run(["sh", "-c", sent], check=True, capture_output=True).stdout)
    frame = {"columns": [*names], "data": [[None] * len(names)]}
    row = {"inputs": [[0] * math.prod(findings.data.image_shape)]}
    assert told == ({"dataframe_split": frame} if names else row)
    assert line.endswith("/invocations")


def test_shifted_copies_are_told_apart_from_the_images_they_are_of() -> None:
    """Who reads of 36 images must not take them for 36 that were collected."""
    findings = make_findings()
    plan = findings.search.plan
    is_scored = np.arange(len(plan.is_scored)) % 3 == 0
    search = replace(findings.search, plan=replace(plan, is_scored=is_scored))
    copied = replace(findings, search=search)
    assert "12 development images and 24 shifted copies of them to learn from" in _text(copied)
    assert "12 development images and 24 shifted copies of them, " in page.render_card(copied)
    assert "36 development images to learn from" in _text(findings)


def test_duration_and_runs_are_told(reader: _Reader) -> None:
    assert "The search took 3 min, with 12 trials from before" in reader.text
    assert ("a", {"href": STANDING.links[0][1]}) in reader.tags


def _text(findings: Findings) -> str:
    return _Reader(_page(findings)).text


def test_its_parameters_are_listed_and_what_differs_from_the_defaults_is_marked() -> None:
    """All of them, whether they were committed or given to an experiment."""
    told = {"tune.folds": 5, "prepare.limit": None}
    findings = replace(make_findings(), parameters=told, defaults={"tune.folds": 6})
    text = _text(findings)
    assert "tune.folds 5 (default: 6)" in text
    assert "prepare.limit null" in text
    assert "those in bold differ from their defaults" in text
    assert "all are the defaults" in _text(replace(findings, defaults={}))
