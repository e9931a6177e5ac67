"""Two checkouts, one PostgreSQL, one MLflow server: the whole pipeline, as a team runs it."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import requests

from foldwise.data.dataset import load
from tests.e2e.project import Ended, Project, ended, make_project, stage_command
from tests.e2e.team import Postgres, mlflow_server, postgres, postgres_program
from tests.integration.test_study_storage import opened
from tests.waiting import PATIENCE, free_port, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(1200)]

LENIENT = {"min_accuracy": 0.5, "max_log_loss": 2.0, "max_calibration_error": 0.5}
ADMIN = ("admin", "the admin's own password")
COLLEAGUE = ("colleague", "a colleague's own password")


@dataclass(frozen=True, slots=True)
class Team:
    """Two checkouts, the first the admin's, and where the servers are."""

    first: Project
    second: Project
    database: Postgres
    address: str

    def environment(self, project: Project) -> dict[str, str]:
        """What the shell says of the servers."""
        user, password = ADMIN if project == self.first else COLLEAGUE
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
            "FOLDWISE_STUDY_STORAGE": self.database.url("optuna"),
        }

    def finish(self, project: Project, stage: str) -> Ended:
        """Run a stage to its good end."""
        done = ended(project.start(*stage_command(stage), **self.environment(project)), timeout=900)
        assert done.status == 0, done.errors
        return done

    def foldwise(self, project: Project, *arguments: str) -> Ended:
        """Run a command of ours."""
        program = str(Path(sys.executable).with_name("foldwise"))
        return project.run(program, *arguments, **self.environment(project))


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The servers, and two checkouts that differ by a parameter; nothing run."""
    pytest.importorskip("psycopg", reason="needs foldwise[postgres]")
    if postgres_program("initdb") is None:
        pytest.skip("needs PostgreSQL's server: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("team")
    with postgres() as database, mlflow_server(database, folder / "server") as address:
        projects = [make_project(folder / name) for name in ("first", "second")]
        for project in projects:
            project.change("promotion", **LENIENT)
        projects[1].change("tune", folds=4)  # another search: of more trials it is the same
        created = requests.post(
            f"{address}/api/2.0/mlflow/users/create",
            json=dict(zip(("username", "password"), COLLEAGUE, strict=True)),
            auth=ADMIN,
            timeout=60,
        )
        assert created.ok, created.text
        yield Team(projects[0], projects[1], database, address)


def test_processes_that_create_the_study_storage_at_once_do_not_collide(team: Team) -> None:
    """Six at one moment, on a database without tables."""
    team.database.create("race")
    forks = get_context("forkserver")
    forks.set_forkserver_preload([opened.__module__])
    with forks.Pool(6) as pool:
        told = pool.starmap_async(opened, [(team.database.url("race"), "key")] * 6, chunksize=1)
        assert told.get(timeout=PATIENCE) == [0] * 6


def test_two_checkouts_search_side_by_side(team: Team) -> None:
    """Both at one time, each its own search, and every version in the one registry."""
    both = (team.first, team.second)
    for project in both:
        team.finish(project, "prepare")
    searches = [
        project.start(*stage_command("tune"), **team.environment(project)) for project in both
    ]
    for done in [ended(process, timeout=900) for process in searches]:
        assert done.status == 0, done.errors
    for project, number in zip(both, (1, 2), strict=True):
        assert f"registered: version {number}" in team.finish(project, "evaluate").output
        own = [path.name for path in (project.folder / "mlruns").iterdir()]
        assert sorted({*own} - {"README.md"}) == ["paths"]


def test_a_repeated_stage_finds_what_the_other_checkout_did(team: Team) -> None:
    """The second checkout's evaluate of the same result makes no version of its own."""
    again = team.finish(team.second, "evaluate")
    assert "registered: version 2" in again.output


def test_either_checkout_verifies_and_promotes_for_both(team: Team) -> None:
    """The decision made in one, by an ordinary user, is in the history of the other.

    What the other verifies is in its checkout's record: pulled, as with the reports.
    """
    verified = team.foldwise(team.second, "verify", "challenger")
    assert verified.status == 0, verified.errors + verified.output
    # The last 900 digits are of other writers than the folds: the gate says so, rightly.
    promoted = team.foldwise(team.second, "promote", "--force", "--reason", "other writers")
    assert promoted.status == 0, promoted.errors + promoted.output
    told = team.foldwise(team.first, "history")
    assert told.status == 0, told.errors
    assert "forced" in told.output
    assert "other writers" in told.output
    unknown = team.foldwise(team.first, "verify", "champion")
    assert unknown.status == 1
    assert "\n    pull the record of who registered it, or evaluate again" in unknown.output
    record = Path("reports", "registered.json")
    shutil.copy(team.second.folder / record, team.first.folder / record)
    again = team.foldwise(team.first, "verify", "champion")
    assert again.status == 0, again.errors


def test_the_champion_is_served_from_the_server_alone(team: Team, tmp_path: Path) -> None:
    """Elsewhere, without a checkout: its files come through the MLflow server."""
    port = free_port()
    server = Project(tmp_path).start(
        *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", "models:/digits-classifier@champion", "--port", str(port)),
        **team.environment(team.second),
    )
    images = load("holdout", team.first.folder / "data" / "prepared").images
    try:
        answer = _ask(f"http://127.0.0.1:{port}/invocations", images.tolist())
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        ended(server)
    told = np.loadtxt(
        team.second.folder / "reports" / "predictions.csv", delimiter=",", skiprows=1, dtype=str
    )
    predicted = np.array(answer)
    assert predicted.shape == (len(images), 10)
    assert [str(code) for code in predicted.argmax(axis=1)] == list(told[:, _PREDICTED])


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "FOLDWISE_STUDY_STORAGE"])
def test_a_wrong_password_is_one_line_without_the_password(team: Team, name: str) -> None:
    """Refused at once, and nothing is given away."""
    environment = team.environment(team.first)
    right = environment[name]
    wrong = right.replace("secret", "guess").replace("own", "guessed")
    done = team.first.stage("tune", **(environment | {name: wrong}))
    assert done.status == 1
    assert len(done.said) == 1
    assert "guess" not in done.errors
    assert "password" in done.said[0].lower()


def test_one_search_is_one_checkouts_at_a_time(team: Team) -> None:
    """The second is told so at once; later it finds all trials made."""
    for project in (team.first, team.second):
        project.change("tune", trials=6, folds=3)
    first = team.first.start(*stage_command("tune"), **team.environment(team.first))
    _wait_for_a_searcher(team.database)
    first.send_signal(signal.SIGSTOP)
    try:
        refused = team.second.stage("tune", **team.environment(team.second))
        assert refused.status == 1
        assert len(refused.said) == 1
        assert "another is at it: wait for it to end" in refused.said[0]
    finally:
        first.send_signal(signal.SIGCONT)
    done = ended(first, timeout=900)
    assert done.status == 0, done.errors
    team.finish(team.second, "tune")
    told = [
        (each.folder / "reports" / "trials.csv").read_bytes() for each in (team.first, team.second)
    ]
    assert told[0] == told[1]


def test_a_login_in_the_address_works_and_is_written_nowhere(team: Team) -> None:
    """Not in what is printed, not in the databases, not in a file of the checkout."""
    login = ":".join(map(quote, COLLEAGUE))
    environment = team.environment(team.second) | {
        "MLFLOW_TRACKING_URI": team.address.replace("://", f"://{login}@"),
        "MLFLOW_TRACKING_USERNAME": "",
        "MLFLOW_TRACKING_PASSWORD": "",
    }
    done = team.second.stage("evaluate", **environment)
    assert done.status == 0, done.errors
    databases = [team.database.content(name) for name in ("mlflow", "optuna")]
    assert all("digits" in content or "foldwise" in content for content in databases)
    files = [path for path in team.second.folder.rglob("*") if path.is_file()]
    written = [done.output, done.errors, *databases, *map(_text, files)]
    for secret in (ADMIN[1], COLLEAGUE[1], quote(COLLEAGUE[1]), "a+secret", "a%2Bsecret"):
        assert not [text[:80] for text in written if secret in text]


_PREDICTED = 2


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1")


def _wait_for_a_searcher(database: Postgres) -> None:
    wait_until(lambda: database.holders() > 0, "somebody who holds a search")


def _ask(address: str, images: list[list[int]]) -> list[list[float]]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            answer = requests.post(address, json={"inputs": images}, timeout=PATIENCE)
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the server didn't come up"
            time.sleep(0.5)
        else:
            assert answer.status_code == 200, answer.text
            predictions: list[list[float]] = answer.json()["predictions"]
            return predictions
