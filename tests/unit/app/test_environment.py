"""What the environment says of where a search's trials are kept."""

from pathlib import Path

import pytest

from foldwise.app.workspace import study_storage

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
