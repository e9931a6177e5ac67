"""What `make gpu` tells where there is no GPU, and the tables of its page."""

import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from subprocess import run

import numpy as np
import pytest

from benchmarks import gpu
from foldwise.search.engines.gpu import DeviceBackend
from foldwise.search.engines.scoring import DeviceScores
from foldwise.search.space import Space
from foldwise.search.trials import InnerFold, Part, Study, Trial
from foldwise.settings import Between
from foldwise.solver.fits import SolverOptions
from foldwise.solver.linear import Fit, FitOutcome, LinearModel
from tests.unit.solver.numpy_device import NumpyDevice
from tests.unit.solver.solver_cases import sparse_noise

SET = frozenset({0, 1})
MEASURED = gpu.Measured(
    60_000, 0.9, {"paths": 0.5, "fits": 0.2, "scores": 0.2}, 1.0, 400, 0.001, 4e13, 4e14,
    {"converged": 1}, 8e-5,
)  # fmt: skip


def searched(loss: float = 0.3, C: float = 0.01, weight: float = 1.0) -> gpu.Searched:
    """A search of one study and one fit that counts."""
    model = LinearModel(C, "multinomial", *(np.full((1, 1), weight) for _ in range(4)))
    fit = Fit(SET, model, FitOutcome("converged", 1, 1.0, 0.3))
    inner = {(frozenset({0, part}), C, part): {"log_loss": loss} for part in range(1, 6)}
    scores = {**inner, (frozenset({0}), C, 0): {"log_loss": loss}}
    return gpu.Searched({(SET, C): fit}, scores, {frozenset({0}): C}, {"paths": 1.0})


def test_without_a_gpu_it_says_why_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    gpu.main()
    assert capsys.readouterr().out.startswith("skipped: FOLDWISE_DEVICE=cuda needs")


def test_it_needs_nothing_that_a_gpu_machine_has_not() -> None:
    """Numpy, scipy and scikit-learn are there, beside the array library."""
    without = ("dvc", "filelock", "mlflow", "optuna", "pandas", "pydantic", "rich", "ruamel")
    code = f"import sys; sys.modules.update(dict.fromkeys({without})); import benchmarks.gpu"
    run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("cores", "again", "row"),
    [
        (searched(loss=0.3002), searched(), "inner or outer log-loss"),
        (searched(C=0.0102), searched(), "chosen C"),
        (searched(), searched(weight=2.0), "other bits"),
    ],
)
def test_what_does_not_agree_is_told(cores: gpu.Searched, again: gpu.Searched, row: str) -> None:
    """In its own row, and the program ends badly."""
    mine = searched()
    if row == "chosen C":
        cores = replace(cores, scores={**mine.scores, **cores.scores})
    told, holds = gpu.agreement({"60,000 rows": (MEASURED, mine, again), "cores": (cores, 40.0)})
    assert not holds
    [wrong] = [line for line in told.splitlines() if "**no**" in line]
    assert row in wrong


def test_what_agrees_holds() -> None:
    found_by = {"60,000 rows": (MEASURED, searched(), searched()), "cores": (searched(), 40.0)}
    told, holds = gpu.agreement(found_by)
    assert holds
    assert "**no**" not in told


def test_the_page_has_the_tables_that_are_written() -> None:
    """The same columns, so that a run puts its figures in their places."""
    page = Path(gpu.PAGE).read_text(encoding="utf-8")
    found_by = {
        "cold process": 12.0, "60,000 rows": (MEASURED, searched(), searched()),
        "scikit-learn": 180.0, "cores": (searched(), 40.0),
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
    """After each of the report's trials, by their losses; its last study leaves no part out."""
    space = Space({"C": Between(gpu.LOW, gpu.HIGH, is_log=True)}, "curve", 8, 1, "log_loss")
    asked = gpu.reported()
    assert {len(study) for study in asked} == {0, 1}
    assert len(asked) == gpu.FOLDS + 1
    for study, strengths in asked.items():
        assert len(strengths) == gpu.TRIALS == 12
        assert all(gpu.LOW <= C <= gpu.HIGH for C in strengths)
        inner = [Part(0, part) for part in range(gpu.FOLDS) if part not in study]
        losses = {C: [0.27 + abs(np.log(C / 0.012)) ** 1.5 / of for of in range(5, 5 + len(inner))]
                  for C in strengths}  # fmt: skip
        trials = [
            Trial(Study(), number, {"C": C}, tuple(
                InnerFold(part, {"log_loss": loss})
                for part, loss in zip(inner, losses[C], strict=True)
            ))
            for number, C in enumerate(strengths)
        ]  # fmt: skip
        for known in range(gpu.TRIALS):
            own = gpu.proposed([(C, losses[C]) for C in strengths[:known]])
            assert own == pytest.approx(space.propose(Study(), known, trials[:known])["C"])


def test_a_search_by_a_device_comes_out_the_same_again_and_agrees_with_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With C's inside the range, to a tolerance that leaves less open than the bounds."""
    for name, value in {"FOLDS": 3, "TRIALS": 6, "CLASSES": 3, "TOLERANCE": 1e-5}.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(gpu, "_walk", cache(gpu._walk.__wrapped__))
    case = replace(sparse_noise(), folds=3)
    images = gpu.Images(case.images, case.labels, tuple(case.parts))
    options = SolverOptions(tol=gpu.TOLERANCE, scale_floor=gpu.FLOOR)
    device = NumpyDevice()
    solver = DeviceBackend(images.layout, options, device)
    scorer = DeviceScores(device, images.scored, gpu.CLASSES)
    one, two = (gpu.Search(solver, scorer, images).run() for _ in range(2))
    cores, _ = gpu.reference(images)
    assert {fit.device for fit in one.fits.values()} == {NumpyDevice.name}
    assert all(gpu.LOW < C < gpu.HIGH for C in one.best.values())
    assert all(gpu.is_same(one, two, at) for at in one.fits)
    chosen, loss, _ = gpu.differences(one, cores)
    assert chosen <= 0.01
    assert loss <= 1e-4
