"""Each benchmark runs on its smallest size, and makes the tables that the documents have."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from benchmarks import filters, growth, markdown, nested, own, solver, tables
from benchmarks.contenders import Line, Made, contenders, extrapolated
from benchmarks.work import Size, Wanted, Work
from validation import calibrate
from validation import own as validated
from validation.challengers import _population
from validation.coverage import Cell

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

FOLDS, TRIALS = 3, 2
LOGICAL = TRIALS * (FOLDS * (FOLDS - 1) + FOLDS) + FOLDS + 1
TINY = Size(rows=600, folds=FOLDS, trials=TRIALS, startup=1, tol=1e-2, repeats=1, sampled=2)


@pytest.fixture(scope="module")
def work() -> Work:
    return solver.load(TINY)


@pytest.fixture(scope="module")
def searched(work: Work) -> solver.Searched:
    return own.search(work)


@pytest.fixture(scope="module")
def lines(searched: solver.Searched) -> list[Line]:
    return nested.compare(searched, contenders(searched), lambda _: None)[0]


def headers(text: str) -> list[str]:
    """First lines of tables, the counts in them left out."""
    found = re.findall(r"^(\|.*\|)\n\| ?:?---?", text, re.MULTILINE)
    return [re.sub(r"\d+", "N", each) for each in found]


def section(page: str, name: str) -> str:
    """What stands in a page's generated section."""
    text = (markdown.DOCS / page).read_text(encoding="utf-8")
    return text.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]


def test_every_contender_stands_for_all_logical_fits(lines: list[Line]) -> None:
    """Each line stands for the same fits; only foldwise makes equal ones once."""
    assert {line.logical for line in lines} == {LOGICAL}
    mine = [line for line in lines if "foldwise" in line.name]
    assert {line.fits for line in lines if "foldwise" not in line.name} == {LOGICAL}
    # The start-up trials: three pairs and three single parts, where there are nine inner folds.
    assert mine[0].fits <= LOGICAL - FOLDS
    assert mine[0].fits == mine[1].fits
    assert mine[2].fits == LOGICAL
    assert all(line.seconds > 0 for line in lines)


def test_gaps_are_measured_from_below(lines: list[Line]) -> None:
    """Nobody beats the tight reference solution."""
    assert all(line.gap > -1e-7 for line in lines)


def test_the_page_gets_the_tables_it_has() -> None:
    """As many sections, and in each the same columns."""
    sections = nested.measure(TINY, lambda _: None, gemm_edge=256)
    page = (markdown.DOCS / "benchmarks.md").read_text(encoding="utf-8")
    others = {"filters", "tables"}  # by programs of their own
    assert set(sections) == set(re.findall(r"<!-- ([a-z-]+) -->", page)) - others
    for name, content in sections.items():
        assert headers(content) == headers(section("benchmarks.md", name)), name


def test_a_sample_stands_for_the_whole_by_its_rows(searched: solver.Searched) -> None:
    """Half of the rows take half of the time, two workers half of it again."""
    task = searched.task
    model = solver.as_searched(task.work, task.sampled)[task.sampled[0][:2]]

    def seconds(left_out: set[int], workers: int) -> float:
        work = replace(task.work, threads=workers)
        made = Made(Wanted(frozenset(left_out), 0.1, 1), model, 7, 3.0)
        return extrapolated(replace(task, work=work), [made])[0]

    rows = {out: len(task.work.training_rows(out)) for out in task.work.training_sets}
    every = sum(rows[fit.left_out] for fit in task.wanted)
    assert seconds({0, 1}, 1) == pytest.approx(3.0 * every / rows[frozenset({0, 1})])
    assert seconds({0}, 1) == pytest.approx(3.0 * every / rows[frozenset({0})])
    assert seconds({0}, 2) == pytest.approx(seconds({0}, 1) / 2)


def test_the_tight_reference_has_no_gap(work: Work) -> None:
    """A model's gap to itself is zero, and worse coefficients have one."""
    wanted = Wanted(frozenset({0, 1}), 0.1, 1)
    tight = solver.tight(work, (wanted,))[wanted[:2]]
    worse = replace(tight, coefficients=0.9 * tight.coefficients)
    assert solver.gap(work, tight, tight, wanted.left_out) == 0
    assert solver.gap(work, worse, tight, wanted.left_out) > 0.001


def test_less_converged_lines_are_marked() -> None:
    """A gap over twice the first line's gets a dagger, a smaller one doesn't."""
    lines = [
        Line(name, 1.0, 1, 1, 1.0, gap, 0.3, "")
        for name, gap in (("a", 1e-4), ("b", 1.9e-4), ("**foldwise**", 2.1e-4))
    ]
    marked = [line for line in nested.tabled(lines).splitlines() if "†" in line]
    assert len(marked) == 1
    assert "foldwise" in marked[0]


def test_needed_operations_are_counted_from_the_formula(work: Work) -> None:
    """4 · rows · lit pixels · classes; what is multiplied is counted block by block."""
    lit = int((work.images != 0).any(axis=0).sum())
    needed, performed = solver.operations(work, frozenset({0}))
    assert needed == 4 * 400 * lit * 10
    assert 0 < performed < 1.3 * needed


def test_evaluations_are_timed_in_the_order_asked_for(work: Work) -> None:
    """Each has its own count of fits and threads, and the operations of its own training sets."""
    found = growth.evaluations(work, (1, 6), (1, 2))
    assert [(each.fits, each.threads) for each in found] == [(1, 1), (1, 2), (6, 1), (6, 2)]
    # The six training sets: three of 400 rows, three of 200.
    assert found[2].operations[0] == 4.5 * found[0].operations[0]


def test_memory_is_measured_in_a_process_of_its_own(work: Work) -> None:
    """The peak covers at least the histories of all paths: 160 vectors each."""
    more = replace(work, size=replace(work.size, folds=6))
    peaks = [growth.peak(each, 2) for each in (work, more)]
    paths = [folds * (folds + 1) // 2 + 1 for folds in (work.size.folds, 6)]
    vectors = 160 * 10 * solver.layout(work).width * 4
    assert peaks[1] - peaks[0] > 0.5 * (paths[1] - paths[0]) * vectors


def test_sampled_strengths_are_middles_of_equal_shares(searched: solver.Searched) -> None:
    """Two shares: the quartiles of all inner fits by C."""
    task = searched.task
    every = sorted(C for study, tried in task.tried.items() for C in tried
                   for _ in task.work.inner(study))  # fmt: skip
    quarter = len(every) // 4
    assert tuple(fit.C for fit in task.sampled[:-1]) == (every[quarter], every[3 * len(every) // 4])


@pytest.fixture
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables of less than the whole work go."""
    monkeypatch.setattr(markdown, "DRAFTS", tmp_path)
    return tmp_path


def test_filters_give_the_page_their_table(drafts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search on 1,024 features, what scikit-learn's is extrapolated from, and predictions."""
    monkeypatch.setattr(Size, "from_environment", lambda: TINY)
    filters.main()
    draft = (drafts / "benchmarks.md").read_text(encoding="utf-8").split("<!-- filters -->")[1]
    assert headers(draft)[0] == "|  | features | search | ratio | fits | timed |"
    assert f"1,024 features of {TINY.rows} images, {FOLDS} outer folds" in draft
    assert f" for {LOGICAL} | whole |" in draft
    assert headers(draft)[1] == "|  | N,N images | one image | ratio |"
    told = (drafts / "how-to.md").read_text(encoding="utf-8").split("<!-- filters -->")[1]
    assert "A whole search with the bank as shipped has an outer accuracy of 0." in told
    assert f"the features of the {TINY.rows} images" in told


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_glmnet_searches_what_foldwise_does(load: Any) -> None:
    """Of two classes and of more, on the same parts: a like choice of C, and so a like loss."""
    X, y = load(return_X_y=True)
    found = own.table_search(X, y, cv=4)
    told = tables.by_glmnet(X, y, found.part_of, values=12)
    if told.startswith("skipped"):
        pytest.skip(told)
    seconds, loss = map(float, told.split())
    assert seconds > 0
    assert loss == pytest.approx(found.outer_loss, rel=0.15)


def test_where_r_is_not_installed_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told = tables.by_glmnet(np.zeros((4, 1)), np.arange(4), np.arange(4), values=2)
    assert told == "skipped: no Rscript here"


FEW: dict[str, Any] = {
    "SEQUENCES": {"digits": 3}, "CHAMPIONS": calibrate.CHAMPIONS[:1], "GAINS": (0.01,),
    "POWER_TRIALS": 3, "MARGIN_TRIALS": 3, "DIFFERENCES": (0.0,),
    "ATTACKED": 1, "ATTACKED_ROWS": 100, "CALIBRATED_SAMPLES": 2,
    "CELLS": (Cell("balanced", 120, 25),),
}  # fmt: skip


def test_the_validation_gives_the_page_its_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each but the holdout's coverage, on few trials with the small population."""
    for name, value in FEW.items():
        monkeypatch.setattr(calibrate, name, value)
    people = _population("digits", 297, validated.digits(holdout=297), tmp_path)
    stated = next(iter(people.models.values())), people.labels
    monkeypatch.setattr(calibrate, "one_model", lambda: stated)
    tables = {
        "false-promotions": calibrate._false_promotions((people,)),
        "power": calibrate._power(people),
        "margin": calibrate._margin(),
        "attack": calibrate._attack(),
        "calibration": calibrate._calibration(),
        "coverage": calibrate._coverage(tmp_path),
        "two-class-coverage": calibrate._two_class_coverage(tmp_path),
    }
    for name, written in tables.items():
        assert headers("\n".join(written)) == headers(section("statistics.md", name)), name
