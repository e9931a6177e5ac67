"""What `make gpu` tells where there is no GPU, and the tables of its page."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu
from foldwise.solver.linear import Fit, FitOutcome, LinearModel

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


def test_the_rounds_are_those_of_the_default_search() -> None:
    """A trial of each study at a time; the final study is one of them."""
    rounds = gpu.rounds()
    assert len(rounds) == 12
    assert all(len(asked) == gpu.FOLDS + 1 for asked in rounds)
    assert all(gpu.LOW <= C <= gpu.HIGH for asked in rounds for C in asked.values())
