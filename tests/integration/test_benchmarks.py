"""The benchmark runs, and its table says what was done."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cluster, limit, measured_section, memory, nested, plan, reference, report
from benchmarks.measured import Line, Sample, SampledFit, extrapolated
from benchmarks.workload import LogicalFit, Size, Workload, load, sampled_strengths
from foldwise.model.fitting import SolverOptions
from foldwise.search.engine import LocalEngine

FOLDS, TRIALS = 3, 2
LOGICAL = TRIALS * (FOLDS * (FOLDS - 1) + FOLDS) + FOLDS + 1
TINY = Size(
    rows=600, folds=FOLDS, trials=TRIALS, startup=1, tol=1e-2, repeats=1, sampled=2, longest=600
)


@pytest.fixture(scope="module")
def found() -> report.Findings:
    return nested.measure(TINY, lambda _: None, gemm_edge=256)


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load(TINY)


def test_every_contender_does_all_logical_fits(found: report.Findings) -> None:
    """Each line stands for the same fits; only foldwise makes equal ones once."""
    assert {line.logical for line in found.comparison.lines} == {LOGICAL}
    own = [line for line in found.comparison.lines if "foldwise" in line.name]
    others = [line for line in found.comparison.lines if "foldwise" not in line.name]
    assert {line.fits for line in others} == {LOGICAL}
    # The start-up trials: three pairs and three single parts, where there are nine inner folds.
    assert own[0].fits <= LOGICAL - FOLDS
    assert own[0].fits == own[1].fits
    assert own[2].fits == LOGICAL


def test_what_is_run_whole_is_said_to_be(found: report.Findings) -> None:
    """With time enough, nothing is extrapolated."""
    assert all(line.seconds > 0 for line in found.comparison.lines)
    assert not [line for line in found.comparison.lines if "extrapolated" in line.note]


def test_gaps_are_measured_from_below(found: report.Findings) -> None:
    """Nobody beats the tight reference solution."""
    assert all(line.gap > -1e-7 for line in found.comparison.lines)


def test_the_page_has_every_line_and_the_machine(found: report.Findings, tmp_path: Path) -> None:
    nested.write(found, tmp_path)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert all(line.name in page for line in found.comparison.lines)
    assert all(line in page for line in found.machine)
    assert (tmp_path / report.PICTURE).read_bytes().startswith(b"<?xml")


def test_a_sample_stands_for_the_whole_by_its_rows(workload: Workload) -> None:
    """Ten fits as large as the sampled ones take ten times as long, on two workers half of it."""
    wanted = LogicalFit(frozenset({0, 1}), 0.1, 1)
    model = next(iter(reference.tight_models(workload, [wanted]).values()))
    fit = SampledFit(wanted, model, evaluations=7, seconds=3.0)
    sample = Sample((fit, fit), fit, workers=2)
    assert extrapolated(sample, [wanted] * 10, workload) == pytest.approx(15.0)
    twice_the_rows = replace(wanted, left_out=frozenset({0}))
    assert extrapolated(sample, [twice_the_rows] * 10, workload) == pytest.approx(30.0)


def test_the_tight_reference_has_no_gap(workload: Workload) -> None:
    """A model's gap to itself is zero, and worse coefficients have one."""
    wanted = LogicalFit(frozenset({0, 1}), 0.1, 1)
    tight = reference.tight_models(workload, [wanted])[wanted]
    worse = replace(tight, coefficients=0.9 * tight.coefficients)
    assert reference.relative_gap(tight, tight, wanted, workload) == 0
    assert reference.relative_gap(worse, tight, wanted, workload) > 0.001


def test_less_converged_lines_are_marked() -> None:
    """A gap over twice the first line's gets a dagger, a smaller one doesn't."""
    lines = [
        Line(name, 1.0, 1, 1, 1.0, gap, 0.3, "")
        for name, gap in (("a", 1e-4), ("b", 1.9e-4), ("**foldwise**", 2.1e-4))
    ]
    marked = [line for line in report.contenders(lines).splitlines() if "†" in line]
    assert len(marked) == 1
    assert "foldwise" in marked[0]


def test_needed_operations_are_counted_from_the_formula(workload: Workload) -> None:
    """4 · rows · lit pixels · classes; what is multiplied is counted block by block."""
    lit = int((workload.images != 0).any(axis=0).sum())
    operations = limit.operations_of(workload.layout, frozenset({0}))
    assert operations.needed == 4 * 400 * lit * 10
    assert 0 < operations.performed < 1.3 * operations.needed


def test_memory_is_measured_in_a_process_of_its_own(workload: Workload) -> None:
    """The peak covers at least the histories of all paths: 160 vectors each."""
    more = replace(workload, size=replace(workload.size, folds=6))
    peaks = [memory.measure(each, 2).solver for each in (workload, more)]
    paths = [folds * (folds + 1) // 2 + 1 for folds in (workload.size.folds, 6)]
    vectors = 160 * 10 * workload.layout.width * 4
    assert peaks[1] - peaks[0] > 0.5 * (paths[1] - paths[0]) * vectors


def test_sampled_strengths_are_middles_of_equal_shares(found: report.Findings) -> None:
    """Two shares: the quartiles of all inner fits by C."""
    result = found.comparison.searched.result
    every = sorted(trial.C for trial in result.trials for _ in trial.inner)
    quarter = len(every) // 4
    assert sampled_strengths(result, 2) == (every[quarter], every[3 * len(every) // 4])


def test_a_places_work_is_all_paths_and_the_start_up_round(workload: Workload) -> None:
    """Three folds: six sets that leave out a part or two, and none; one C of six. One bit shows."""
    engine = LocalEngine(workload.layout, SolverOptions(tol=TINY.tol))
    made = cluster.work(cluster.Place("here", engine, 0.0, time.process_time), workload)
    assert len(made.paths) == 7
    assert len(made.fits) == 6
    assert made.tracing.processor > 0
    cluster.check_same(made, made)
    path = made.paths[-1]
    points = path.points.copy()
    points[-1, 0, 0] = np.nextafter(points[-1, 0, 0], np.float32(2))
    other = replace(made, paths=(*made.paths[:-1], replace(path, points=points)))
    with pytest.raises(SystemExit, match="aren't those of here"):
        cluster.check_same(other, made)
    known = cluster.known(workload, made, {1: 2.0, 6: 1.0})
    assert (known.paths, known.startup_fits, known.rounds) == (7, 6, 1)
    assert known.dearer(1, 6) == 2.0


def test_the_plan_grows_with_the_rows_and_waits_for_the_largest_share() -> None:
    """By hand: an hour of a core a path, a sixth of it a fit, at 8.1 million images."""
    known = plan.Known(
        rows=81_000, folds=4, rounds=2, pixels=10**6, image=784, paths=11, startup_fits=50,
        tracing=11 * 36.0, solving=50 * 6.0, side_by_side={2: 2.0, 7: 1.0},
    )  # fmt: skip
    here, there = plan.reckon(known, 1), plan.reckon(known, 8)
    # 16 tasks on 16 cores: all are busy.
    assert here.paths == pytest.approx(11 / 16)
    assert here.rounds == pytest.approx(2 * 16 / 6 / 16)
    # The largest shares are 2 of 11 paths, 7 of 50 fits, 2 of 16; two cost twice as much each.
    assert there.paths == pytest.approx(2 * 2 / 16)
    assert there.startup == pytest.approx(7 / 6 / 16)
    assert there.rounds == pytest.approx(2 * 2 * 2 / 6 / 16)
    assert f"**{60 * here.all:.0f} min" in plan.eight_million(known)
    assert plan.reckon(replace(known, rows=40_500), 1).all == pytest.approx(2 * here.all)
    # 24 tasks on 16 cores take two turns: a quarter of the time is lost.
    six = plan.reckon(replace(known, folds=6), 1)
    assert six.paths == pytest.approx(11 / 12)


@pytest.mark.parametrize("name", ["rows", "copies", "fits", "workers", "plan"])
def test_the_page_of_scaling_has_every_measured_section(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of the work goes into a draft, and leaves the page as it is."""
    before = measured_section.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(measured_section, "DRAFT", tmp_path / "build" / "scaling.md")
    draft = measured_section.write(name, "as measured", whole=False)
    assert f"<!-- {name} -->\nas measured\n<!-- /{name} -->" in draft.read_text(encoding="utf-8")
    assert measured_section.PAGE.read_text(encoding="utf-8") == before
