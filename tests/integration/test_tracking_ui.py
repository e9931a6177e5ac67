"""What `foldwise ui` starts and prints, and the page it leads to."""

import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from foldwise.app.ui import _server, serve_ui
from foldwise.app.views import page_links, recorded_data, refresh_page
from foldwise.errors import StoreError
from foldwise.runs.recorder import Recorder
from foldwise.store.open import Store
from tests.factories import make_result
from tests.run_tree import FIGURE, make_lineage, record_search
from tests.waiting import PATIENCE, free_port

LINEAGE = make_lineage()
RESULT = make_result(trials=1)

_SERVE = "from foldwise.app.cli import main; main()"


def _experiment_tags(store: Store) -> dict[str, str]:
    tags: dict[str, str] = store.client.get_experiment(store.experiment("blobs")).tags
    return tags


def test_a_recorded_search_sets_up_the_experiments_page(store: Store) -> None:
    """Three views, and a note whose first line links to them and to the report."""
    record_search(store, LINEAGE, RESULT)
    refresh_page(store, "blobs")
    tags = _experiment_tags(store)
    views = {tag for tag in tags if tag.startswith("mlflow.sharedViewState.")}
    assert {view.rpartition(".")[2] for view in views} == {"pipelines", "studies", "trials"}
    links = tags["mlflow.note.content"].splitlines()[0]
    assert links.startswith("Views: [Pipelines](#/experiments/1/runs?workflowType=")
    assert "artifacts/report.html" in links


def test_the_page_shows_the_newest_pipeline_whatever_is_told_again(store: Store) -> None:
    """A replay of an old search must not push the new one off the page."""
    record_search(store, LINEAGE, RESULT)
    with Recorder.open(store, replace(LINEAGE, attempt=2)) as newest:
        newest.record_all(RESULT)
    record_search(store, LINEAGE, RESULT)
    store.client.log_text(newest.run_id, "<p>", "report.html")
    report = {link.name: link.path for link in page_links(store, "blobs")}["Report"]
    assert newest.run_id in report


def test_a_pipeline_without_studies_has_no_view_of_them(store: Store) -> None:
    """A comparison's runs have trials of one study only; an empty chart would puzzle."""
    with Recorder.open(store, LINEAGE) as recorder:
        recorder.log_metrics({"holdout_accuracy": 0.9})
    assert [link.name for link in page_links(store, "blobs")] == ["Pipelines"]


def test_the_newest_version_is_linked_once_there_is_one(store: Store) -> None:
    """The model's page is where its card can be read."""
    record_search(store, LINEAGE, RESULT)
    assert not [link for link in page_links(store, "blobs") if "models" in link.path]
    store.client.create_registered_model("blobs-classifier")
    for _ in range(2):
        store.client.create_model_version("blobs-classifier", str(store.artifacts))
    [link] = [link for link in page_links(store, "blobs") if "models" in link.path]
    assert link.path.startswith("#/models/blobs-classifier/versions/2?")


def test_data_are_listed_by_their_latest_pipeline(store: Store) -> None:
    """A store may hold searches of several data; the default experiment holds none."""
    for name, attempt in (("old", 1), ("new", 1), ("old", 2)):
        told = replace(LINEAGE, experiment=name, attempt=attempt)
        with Recorder.open(store, told, today=date(2026, 1, 15)):
            pass
    assert recorded_data(store) == ("old", "new")


def test_without_a_store_the_ui_says_what_to_run_and_makes_none(tmp_path: Path) -> None:
    """A server started on nothing would create a store that only it can write to."""
    with pytest.raises(StoreError, match=r"no tracking database .* run `dvc repro`$"):
        serve_ui(root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_with_an_empty_store_the_ui_says_what_to_run(root: Path) -> None:
    """There is nothing to look at yet."""
    with pytest.raises(StoreError, match=r"recorded yet: run `dvc repro`$"):
        serve_ui(root=root)


def test_a_port_that_is_taken_is_told_with_the_way_out(store: Store) -> None:
    """MLflow alone would print a traceback into its log."""
    record_search(store, LINEAGE, RESULT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=rf"can't listen on 127\.0\.0\.1:{port} .*--port"):
            serve_ui(root=store.root, port=port)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 0),
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGTERM, 0, marks=pytest.mark.soak),
    ],
)
def test_the_ui_serves_pages_and_figures_and_ends_whole(
    number: signal.Signals, status: int, store: Store
) -> None:
    """Links are printed once they work, for this machine alone; nothing is left when it ends."""
    record_search(store, LINEAGE, RESULT)
    (store.root / "dvc.yaml").touch()
    port = free_port()
    serving = subprocess.Popen(
        [sys.executable, "-c", _SERVE, "ui", "--port", str(port)],
        cwd=store.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with serving as ui, ExitStack() as last:
        last.callback(ui.kill)
        assert ui.stdout is not None
        assert ui.stderr is not None
        printed = ""
        while "Ctrl-C ends it." not in printed:
            line = ui.stdout.readline()
            assert line, f"the UI ended: {printed} {ui.stderr.read()}"
            printed += line
        base = f"http://127.0.0.1:{port}"
        assert f"{base}/#/experiments/1/runs?workflowType=machine_learning" in printed
        studies = "tags.study = 'outer-0' AND tags.level = 'study'"
        study = store.client.search_runs(["1"], studies)[0].info.run_id
        figure = f"{base}/get-artifact?path=figures/curve.png&run_uuid={study}"
        with urllib.request.urlopen(figure) as answer:  # noqa: S310 - the address is our own
            assert answer.read() == FIGURE
        # Of the loopback network, too: a server on all interfaces would answer there.
        with pytest.raises(OSError, match=r"refused|assign"):
            socket.create_connection(("127.0.0.2", port), timeout=10)
        ui.send_signal(number)
        assert ui.wait(timeout=PATIENCE) == status
        assert ui.stderr.read() == ""
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_sigterm_ends_the_ui_as_ctrl_c_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One handler ends the server on both, where they weren't ignored; that of SIGINT is tried."""
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    taken: dict[int, object] = {}
    monkeypatch.setattr("foldwise.app.ui.signal.signal", taken.__setitem__)
    server = _server(store)
    with server.capture_signals():
        assert taken == dict.fromkeys((signal.SIGINT, signal.SIGTERM), server.handle_exit)
