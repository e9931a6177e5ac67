"""The model card reads well where MLflow shows it."""

import html
import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np

from foldwise.report.findings import unseen_caution
from foldwise.report.page import render_card
from foldwise.report.wording import limits
from tests.unit.report.findings_cases import PUBLISHED, TAGS, make_findings, make_judged


def test_the_first_line_is_plain_text_and_no_heading_is_of_the_first_level() -> None:
    """The list of versions shows the first line raw; a first-level heading is huge."""
    lines = render_card(make_findings()).splitlines()
    assert lines[0].startswith("toy: accuracy ")
    assert not set(lines[0]) & set("#*|`_[")
    assert not any(line.startswith("# ") for line in lines)


def test_every_table_row_has_as_many_cells_as_its_header() -> None:
    """A class name with a bar or a line's end in it would break the table."""
    judged = make_judged(("a|b", "c\nd", "e"))
    text = render_card(make_findings(judged=judged))
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_class_name_is_text_and_never_markup() -> None:
    """Nobody's browser asks a foreign server because of what a class is called."""
    names = (
        "![p](http://elsewhere/p.png)",
        "<img src=//elsewhere>",
        "[a](javascript:b) `c` www.elsewhere *d* __e__ ~~f~~ &lt;",
    )
    text = render_card(make_findings(judged=make_judged(names)))
    found = [line for line in text.splitlines() if "elsewhere" in line]
    rows = [line for line in found if line.startswith("|")]
    assert len(rows) == len(names)
    (sentence,) = (line.partition("names: ")[2] for line in found if line not in rows)
    assert not set(re.sub(r"&#\d+;", "", sentence)) & set("!<>[]`*_~:&|")
    assert names[0] in html.unescape(sentence)
    for row, name in zip(rows, names, strict=True):
        cell = row.split("&nbsp;&nbsp; |")[0].removeprefix("| ")
        assert html.unescape(cell) == name
        rest = re.sub(r"&#\d+;", "", cell)
        assert not set(rest) & set("!<>[]`*_~:&|")
        assert "www." not in rest


def test_columns_stand_apart_where_nothing_keeps_them_apart() -> None:
    """MLflow shows a table without room between its cells, and two tables as if they were one."""
    text = render_card(make_findings())
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for head, rule, *rows in (table.splitlines() for table in tables):
        assert all("&nbsp; |" in line for line in (head, *rows))
        assert "&" not in rule
    blocks = text.split("\n\n")
    followed = [after for block, after in pairwise(blocks) if block[0] == "|"]
    assert not any(after.startswith("|") for after in followed)


def test_the_card_tells_what_the_model_takes_and_answers() -> None:
    """The version has no input schema that would."""
    findings = make_findings()
    pixels = math.prod(findings.data.image_shape)
    text = render_card(findings)
    assert f"rows of {pixels} numbers: raw pixels, 0 to 255" in text
    assert f"{len(findings.data.classes)} probabilities" in text
    assert f"signature names: {', '.join(map(str, findings.data.classes))}." in text


def test_the_card_tells_how_many_development_images_equal_another() -> None:
    """Nothing where nobody has counted: data that an earlier version prepared."""
    findings = make_findings()
    told = {
        count: render_card(
            replace(findings, data=replace(findings.data, development_duplicates=count))
        )
        for count in (None, 0, 1, 1200)
    }
    assert "equal" not in told[None].split("## Procedure")[0]
    assert "holdout. No development image equals another.\n" in told[0]
    assert "1 development image equals an earlier one: equal images stay in one part." in told[1]
    assert "1,200 development images equal an earlier one" in told[1200]


def test_the_card_tells_origin_and_limits() -> None:
    """Commit, digests and versions, what to type, and all the limits."""
    text = render_card(make_findings())
    facts = (TAGS["git.commit"], TAGS["holdout_digest"], "attempt 2", "numpy 2.4.6", "make repro")
    assert all(fact in text for fact in facts)
    assert all(limit in text for limit in limits(3))


def test_published_numbers_stand_beside_ours_where_there_are_any() -> None:
    ours = make_findings()
    text = render_card(replace(ours, reference=PUBLISHED))
    assert "reference report, C = 0.59" in text
    assert all(f"| {value} |" in text for value in PUBLISHED.scores.values())
    assert "reference report" not in render_card(ours)


def test_the_procedure_says_how_c_was_drawn_and_what_was_fitted() -> None:
    """A linear search is not told as a logarithmic one."""
    findings = make_findings()
    assert "TPE on a logarithmic scale" in render_card(findings)
    space = replace(findings.search.space, sampler="random_uniform")
    linear = replace(findings, search=replace(findings.search, space=space))
    assert "logarithmic" not in render_card(linear)
    ovr = replace(findings, multiclass="ovr")
    assert "one against the rest" in render_card(ovr)


def test_a_search_by_the_curve_tells_how_well_the_optimum_is_known() -> None:
    """By the folds' spread, as a factor; by another sampler it tells no such thing."""
    findings = make_findings()
    assert "how finely the search looked" in render_card(findings)
    best = [
        replace(f.best, values={"C": C})
        for f, C in zip(findings.search.outer, (1, 2, 4), strict=True)
    ]
    outers = tuple(
        replace(fold, best=each) for fold, each in zip(findings.search.outer, best, strict=True)
    )
    space = replace(findings.search.space, sampler="curve")
    search = replace(findings.search, space=space, outer=outers)
    text = render_card(replace(findings, search=search))
    assert "minima of the spline" in text
    assert "finely" not in text
    # Of three choices a factor of 2 apart: sqrt(2/3 (1 + 0 + 1)) of these factors.
    assert f"to a factor of {2 ** (4 / 3) ** 0.5:.2f}" in text


def test_the_card_says_that_the_curve_of_a_stepped_metric_was_smoothed() -> None:
    findings = make_findings()
    space = replace(findings.search.space, sampler="curve", metric="accuracy")
    stepped = replace(findings, search=replace(findings.search, space=space))
    assert "a smoothing one, as accuracy moves in steps" in render_card(stepped)


def test_limits_tell_the_shares_of_the_rows() -> None:
    """With six folds the procedure trains on 5/6, and outer folds choose on 2/3."""
    text = " ".join(limits(6))
    assert "trained on 5/6 of the development rows" in text
    assert "each outer fold's by fits on 2/3" in text


def test_other_data_than_the_version_befores_are_the_first_caution() -> None:
    """Whoever compares two versions must know; without a change the card says nothing of it."""
    findings = make_findings()
    said = "The data are not those of version 1: holdout 40 instead of 41."
    assert "not those of" not in render_card(findings)
    blocks = render_card(replace(findings, data_change=said)).split("\n\n")
    assert blocks[1] == f"> **Caution.** {said}"


def test_images_in_which_filters_find_nothing_are_counted_and_plain_ones_are_not() -> None:
    """A sheet of one grey has nothing to be found, at any threshold."""
    images = np.array([[0, 0], [9, 9], [0, 16], [0, 16], [0, 255]], np.uint8)
    features = np.array([[0], [0], [0], [1], [7]], np.uint8)
    assert unseen_caution(images, features).startswith("1 of 5 images ")
    assert not unseen_caution(images[[0, 1, 3, 4]], features[[0, 1, 3, 4]])


def test_a_device_other_than_the_cores_is_named() -> None:
    """Of a search that was begun on one and went on on the other, both."""
    findings = make_findings()
    assert "computed on" not in render_card(findings)
    final = replace(findings.search.final, facts={"device": "a GPU"})
    search = replace(findings.search, final=final)
    told = render_card(replace(findings, search=search))
    assert "They were computed on a GPU and processor cores." in told
