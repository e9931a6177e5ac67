"""What the environment says of where a search's trials are kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from foldwise.app.exits import is_quiet
from foldwise.app.workspace import is_fresh, study_storage
from foldwise.errors import SettingsError

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
