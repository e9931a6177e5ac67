"""What `make gpu` tells where there is no GPU, and the tables of its page."""

import os
import re
import sys
from dataclasses import replace
from subprocess import run

import numpy as np
import pytest

from benchmarks import gpu, markdown, on_card, solver
from benchmarks.clock import ROOT
from benchmarks.on_card import Measured
from benchmarks.solver import Searched
from benchmarks.work import Size, Task, Work
from foldwise.search.space import Space
from foldwise.search.trials import InnerFold, Part, Study, Trial
from foldwise.settings import Between
from foldwise.solver.linear import Fit, FitOutcome, LinearModel, Status
from tests.unit.solver.numpy_device import NumpyDevice
from tests.unit.solver.solver_cases import sparse_noise

SET = frozenset({0, 1})
SECONDS = {"whole": 0.9, "paths": 0.5, "fits": 0.2}
MEASURED = Measured(60_000, SECONDS, 1.0, 400, 0.001, 4e13, 4e14, 8e-5)


def searched(
    loss: float = 0.3, C: float = 0.01, weight: float = 1.0, status: Status = "converged"
) -> Searched:
    """A search of one study and one fit that counts."""
    model = LinearModel(C, "multinomial", *(np.full((1, 1), weight) for _ in range(4)))
    fit = Fit(SET, model, FitOutcome(status, 1, 1.0, 0.3))
    inner = {(frozenset({0, part}), C, part): {"log_loss": loss} for part in range(1, 6)}
    scores = {**inner, (frozenset({0}), C, 0): {"log_loss": loss}}
    nothing = np.zeros(0, np.int64)
    work = Work(Size(), np.zeros((0, 0), np.uint8), nothing, nothing)
    task = Task(work, {}, {frozenset({0}): C})
    return Searched(task, {(SET, C): fit}, scores, SECONDS)


def test_without_a_gpu_it_says_why_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    gpu.main()
    assert capsys.readouterr().out.startswith("skipped: FOLDWISE_DEVICE=cuda needs")


def test_a_python_without_numpy_is_told_so() -> None:
    """As a newcomer's is; with another it is no more than skipped."""
    for python, why in ((f"{sys.executable} -S", "numpy, scipy and scikit-learn"),
                        (sys.executable, "FOLDWISE_DEVICE=cuda needs")):  # fmt: skip
        command = ["make", "--no-print-directory", "gpu", f"PYTHON={python}"]
        hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        told = run(command, cwd=ROOT, env=hidden, check=True, capture_output=True, text=True)
        assert told.stdout.startswith(f"skipped: {why}")


def test_it_needs_nothing_that_a_gpu_machine_has_not() -> None:
    """Numpy, scipy and scikit-learn are there, beside the array library."""
    without = ("dvc", "filelock", "mlflow", "optuna", "pandas", "pydantic", "rich", "ruamel")
    code = f"import sys; sys.modules.update(dict.fromkeys({without})); import benchmarks.gpu"
    run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("cores", "again", "measured", "row"),
    [
        (searched(loss=0.3002), searched(), MEASURED, "inner or outer log-loss"),
        (searched(C=0.0102), searched(), MEASURED, "chosen C"),
        (searched(), searched(weight=2.0), MEASURED, "other bits"),
        (searched(), searched(), MEASURED._replace(gradient=1.1e-4), "largest gradient entry"),
    ],
)
def test_what_does_not_agree_is_told(
    cores: Searched, again: Searched, measured: Measured, row: str
) -> None:
    """In its own row, and the program ends badly."""
    mine = searched()
    if row == "chosen C":
        cores = replace(cores, scores={**mine.scores, **cores.scores})
    told, holds = gpu.agreement({"60,000 rows": (measured, mine, again), "cores": cores})
    assert not holds
    [wrong] = [line for line in told.splitlines() if "**no**" in line]
    assert row in wrong


def test_a_fit_that_did_not_converge_is_told() -> None:
    stalled = searched(status="stalled")
    told, holds = gpu.agreement({"60,000 rows": (MEASURED, stalled, stalled), "cores": searched()})
    assert not holds
    assert "| fits that did not converge | 1 | 0 | **no** |" in told


def test_what_agrees_holds() -> None:
    found_by = {"60,000 rows": (MEASURED, searched(), searched()), "cores": searched()}
    told, holds = gpu.agreement(found_by)
    assert holds
    assert "**no**" not in told


def test_the_page_has_the_tables_that_are_written() -> None:
    """The same columns, so that a run puts its figures in their places."""
    page = (markdown.DOCS / "gpu.md").read_text(encoding="utf-8")
    found_by = {
        "cold process": 12.0, "60,000 rows": (MEASURED, searched(), searched()),
        "scikit-learn": 180.0, "cores": searched(),
    }  # fmt: skip
    for name, table in {
        "sizes": gpu.sizes(found_by),
        "others": gpu.others(found_by),
        "agreement": gpu.agreement(found_by)[0],
    }.items():
        section = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", page, re.DOTALL)
        assert section
        assert section[1].splitlines()[0] == table.splitlines()[0]


def test_a_study_asks_what_the_default_search_asks() -> None:
    """From the first trial to the last, by their losses, with five inner folds and with six."""
    size, curve = Size(), gpu.Curve()
    space = Space({"C": Between(solver.LOW, solver.HIGH, is_log=True)}, "curve", size.startup, 1,
                  "log_loss")  # fmt: skip
    for parts in ([Part(0, part) for part in range(first, size.folds)] for first in (0, 1)):
        trials: list[Trial] = []
        for number in range(size.trials):
            [asked] = curve.ready([*curve.numbers(size.trials)][number:])
            C = curve.propose(Study(), asked, trials)["C"]
            assert solver.LOW <= C <= solver.HIGH
            assert space.propose(Study(), number, trials)["C"] == pytest.approx(C)
            away = abs(np.log(C / 0.012)) ** 1.5
            inner = (InnerFold(part, {"log_loss": 0.27 + away / (5 + part.fold)}) for part in parts)
            trials.append(Trial(Study(), asked, {"C": C}, tuple(inner)))
        assert curve.chosen(trials, "best") == space.chosen(trials)


def test_a_search_by_a_device_comes_out_the_same_again_and_agrees_with_the_cores() -> None:
    """With C's inside the range, to a tolerance that leaves less open than the bounds."""
    case = replace(sparse_noise(), folds=3)
    part_of = np.zeros(len(case.labels), np.int64)
    for part, rows in enumerate(case.parts):
        part_of[rows] = part
    work = Work(Size(folds=3, trials=6, tol=1e-5), case.images, case.labels, part_of)
    layout, device = solver.layout(work), NumpyDevice()
    backend, scorer = on_card.engine(work, device, layout)
    one, two = (solver.search(work, gpu.Curve(), backend, scorer) for _ in range(2))
    cores = gpu.reference(work)
    assert {fit.device for fit in one.fits.values()} == {NumpyDevice.name}
    assert all(solver.LOW < C < solver.HIGH for C in one.task.best.values())
    assert all(gpu.is_same(one, two, at) for at in one.fits)
    chosen, loss, _ = gpu.differences(one, cores)
    assert chosen <= 0.01
    assert loss <= 1e-4
