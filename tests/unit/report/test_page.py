"""The page stands alone: it opens anywhere, and says what its pictures show."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from foldwise.report import page
from foldwise.report.findings import Findings
from foldwise.report.picture import Picture
from tests.unit.report.findings_cases import PUBLISHED, make_findings, make_judged

PICTURES = (
    *("curve", "trials", "outer_folds"),
    *("confusion", "roc", "class_f1", "calibration", "confused_pairs", "mistakes", "coefficients"),
)
VOID = {"img", "meta", "br"}


class _Reader(HTMLParser):
    """Keeps tags with their attributes, the text, and which elements are open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

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
    return _Reader(_page(make_findings()))


def test_nothing_is_fetched_and_nothing_runs(reader: _Reader) -> None:
    """No scripts, no links to elsewhere: MLflow shows the page in a sandboxed frame."""
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    style = _page(make_findings()).split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_picture_is_inside_and_has_words(reader: _Reader) -> None:
    """All of search and holdout are there, each with an alternative text."""
    pictures = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(pictures) == len(PICTURES)
    for picture in pictures:
        assert (picture["src"] or "").startswith("data:image/")
        assert len(picture["alt"] or "") > 40


def test_every_element_is_closed(reader: _Reader) -> None:
    """The reader checks each closing tag against what is open."""
    assert reader.open == []


def test_the_answer_stands_before_the_evidence(reader: _Reader) -> None:
    """Question, answer with uncertainty, key picture, then the rest, limits last."""
    order = [
        "at which C?",
        "outer folds choose",
        "Where the best C lies",
        "What the outer folds say",
        "How the final model does on the holdout",
        "What it confuses",
        "Whether its probabilities can be trusted",
        "Where this comes from",
        "What these figures do not say",
    ]
    places = [reader.text.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)


def test_names_are_text_and_never_markup() -> None:
    """A class may be called anything."""
    judged = make_judged(("<script>alert(1)</script>", 'a" onload="x', "&amp;"))
    html = _page(make_findings(judged=judged))
    assert "<script" not in html
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
    pictures = tuple(Picture(name, words, b"a PNG", b"an SVG") for name in PICTURES)
    return page.render(findings, pictures)


def test_its_parameters_are_listed() -> None:
    """All of them, whether they were committed or given to an experiment."""
    findings = replace(make_findings(), parameters={"tune.folds": 5, "prepare.limit": None})
    text = _Reader(_page(findings)).text
    assert "tune.folds 5" in text
    assert "prepare.limit null" in text
