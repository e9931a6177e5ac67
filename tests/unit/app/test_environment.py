"""What the environment says of where a search runs and its trials are kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from foldwise.app.exits import is_quiet
from foldwise.app.tune import _backend
from foldwise.app.workspace import is_fresh, study_storage
from foldwise.errors import SearchError, SettingsError
from foldwise.search.engines.batched import LocalBackend
from foldwise.search.engines.gpu import DeviceBackend
from foldwise.search.engines.scoring import DeviceScores
from foldwise.solver.fits import SolverOptions
from foldwise.threads import device
from tests.unit.solver.numpy_device import NumpyDevice
from tests.unit.solver.solver_cases import digits

ROOT = Path("/project")


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("", "sqlite:////project/mlruns/optuna.db"),
        ("  ", "sqlite:////project/mlruns/optuna.db"),
        ("sqlite:///team/optuna.db", "sqlite:////project/team/optuna.db"),
        ("sqlite:////shared/optuna.db", "sqlite:////shared/optuna.db"),
        ("postgresql://host/optuna", "postgresql://host/optuna"),
        ("sqlite:///", "sqlite:///"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
    ],
)
def test_a_file_lies_in_the_project_wherever_the_stage_runs(
    told: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC's queue runs stages in copies that are gone afterwards."""
    monkeypatch.setenv("FOLDWISE_STUDY_STORAGE", told)
    assert study_storage(ROOT) == address


@pytest.mark.parametrize("told", ["", "sqlite:///team/optuna.db"])
def test_a_folder_whose_path_no_database_can_have_is_told_of(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is the remedy, not the cause: mostly it isn't set."""
    monkeypatch.setenv("FOLDWISE_STUDY_STORAGE", told)
    path = r"/home/a%2Fb/(mlruns|team)/optuna\.db"
    with pytest.raises(SearchError, match=rf"may not contain '%', got '{path}': rename the folder"):
        study_storage(Path("/home/a%2Fb"))
    monkeypatch.setenv("FOLDWISE_STUDY_STORAGE", "sqlite:////elsewhere/optuna.db")
    assert study_storage(Path("/home/a%2Fb")) == "sqlite:////elsewhere/optuna.db"


@pytest.mark.parametrize(("name", "read"), [("FRESH", is_fresh), ("QUIET", is_quiet)])
def test_a_switch_takes_the_usual_words_and_refuses_others(
    name: str, read: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that is passed over would leave the old search open, and nobody would know."""
    for word, is_on in {
        **dict.fromkeys(["1", "true", "YES", " on "], True),
        **dict.fromkeys(["", "0", "false", "No", "off"], False),
    }.items():
        monkeypatch.setenv(f"FOLDWISE_{name}", word)
        assert read() is is_on
    monkeypatch.setenv(f"FOLDWISE_{name}", "yess")
    with pytest.raises(
        SettingsError, match=rf"FOLDWISE_{name} must be one of 1, on, .* 'yess': cor"
    ):
        read()


def test_the_device_is_one_of_three_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word it is the cores, whose bits are those of before."""
    monkeypatch.delenv("FOLDWISE_DEVICE", raising=False)
    assert device() == "cpu"
    for word in ("cpu", "cuda", " auto "):
        monkeypatch.setenv("FOLDWISE_DEVICE", word)
        assert device() == word.strip()
    monkeypatch.setenv("FOLDWISE_DEVICE", "gpu")
    with pytest.raises(SettingsError, match="FOLDWISE_DEVICE must be cpu, cuda or auto, got 'gpu'"):
        device()


def test_the_search_is_made_by_the_device_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It fits and scores; a GPU that isn't there is one line, or with "auto" the cores do it."""
    case = digits(200)
    given = case.layout(), SolverOptions(), None
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    for word in ("cpu", "auto"):
        monkeypatch.setenv("FOLDWISE_DEVICE", word)
        with _backend(*given) as (backend, scorer_of):
            assert isinstance(backend, LocalBackend)
            assert scorer_of is None
    monkeypatch.setenv("FOLDWISE_DEVICE", "cuda")
    with pytest.raises(SearchError, match="FOLDWISE_DEVICE=cuda needs"), _backend(*given):
        pass
    monkeypatch.setattr("foldwise.search.engines.gpu.found", lambda _: NumpyDevice())
    with _backend(*given) as (backend, scorer_of):
        assert isinstance(backend, DeviceBackend)
        assert scorer_of is not None
        assert isinstance(scorer_of([(case.images, case.labels)]), DeviceScores)
