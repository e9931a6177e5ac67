"""A project after its first ``dvc repro``, and what there was then."""

from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from tests.e2e.outcome import StoredTrial, result_files, stored_trials
from tests.e2e.project import Project, commit, make_project


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What a ``dvc repro`` made: its runs in MLflow, its trials and the content of its files."""

    project: Project
    runs: tuple[Run, ...]
    files: dict[str, bytes]
    trials: tuple[StoredTrial, ...]

    def at(self, level: str) -> list[Run]:
        """The runs of a level of the tree."""
        return [run for run in self.runs if run.data.tags["level"] == level]


def client_of(project: Project) -> MlflowClient:
    """MLflow's client for a project's own store."""
    uri = f"sqlite:///{project.folder}/mlruns/mlflow.db"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def all_runs(project: Project) -> tuple[Run, ...]:
    """Every run of every experiment, those that were deleted too."""
    client = client_of(project)
    experiments = [each.experiment_id for each in client.search_experiments()]
    found = client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=1000)
    return tuple(sorted(found, key=lambda run: str(run.info.run_id)))


def reproduce(folder: Path, commands: Path) -> Reproduced:
    """Make a clone, run ``dvc repro`` in it, and commit the results as the README says."""
    project = commit(make_project(folder, commands=commands))
    ended = project.dvc("repro")
    assert ended.status == 0, ended.errors
    for command in (("add", "--all"), ("commit", "--quiet", "--message=Run")):
        assert project.run("git", *command).status == 0
    return Reproduced(project, all_runs(project), result_files(folder), stored_trials(folder))
