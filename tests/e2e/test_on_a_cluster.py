"""The tune stage on a real Dask cluster, by its environment alone."""

from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs foldwise[dask]")

from tests.e2e.project import make_project
from tests.integration.dask_cluster import cluster

pytestmark = pytest.mark.e2e


def test_the_tune_stage_gives_the_same_files_on_a_cluster(commands: Path, tmp_path: Path) -> None:
    """FOLDWISE_DASK is no part of the search: same key, same reports to the byte."""
    project = make_project(tmp_path / "project", commands=commands)
    project.change("tune", trials=3)
    assert project.stage("prepare").status == 0
    told = {}
    with cluster() as running:
        for place in (running.address, ""):
            done = project.stage("tune", FOLDWISE_DASK=place, FOLDWISE_FRESH="1")
            assert done.status == 0, done.errors
            run = (project.folder / "models" / "run.json").read_text()
            told[place] = (
                (project.folder / "reports" / "tuning.json").read_bytes(),
                (project.folder / "reports" / "trials.csv").read_bytes(),
                [line for line in run.splitlines() if "search_key" in line],
            )
        assert told[running.address] == told[""]
        running.scheduler.kill()
        done = project.stage("tune", FOLDWISE_DASK=running.address)
    assert done.status == 1
    assert len(done.said) == 1
    assert "completed trials are kept" in done.said[0]
