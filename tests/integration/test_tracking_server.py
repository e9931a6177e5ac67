"""The store behind a real MLflow server: recorded there, and what happens when it goes away."""

import math
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from foldwise.app.ui import serve_ui
from foldwise.app.views import page_links, recorded_data, refresh_page
from foldwise.errors import StoreError
from foldwise.registry.champion import promote, rollback
from foldwise.registry.registration import register
from foldwise.registry.stored_files import fetch_files
from foldwise.registry.verify import verify
from foldwise.runs.ledger import Ledger
from foldwise.runs.recorder import Recorder
from foldwise.store.open import Store, check_server, open_store
from tests.factories import make_events, make_result, outer
from tests.integration.registry_cases import (
    NAME,
    SETTINGS,
    as_found,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
)
from tests.run_tree import FIGURE, make_lineage, record_search
from tests.tracking_server import TrackingServer
from tests.waiting import free_port

RESULT = make_result(trials=1)
NO_SUCH_EXPERIMENT = '{"error_code": "RESOURCE_DOES_NOT_EXIST"}'


@contextmanager
def _hanging(server: TrackingServer) -> Iterator[None]:
    """Stopped, and waited for a second at most: alive it may take longer."""
    server.signal(signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
            yield
    finally:
        server.signal(signal.SIGCONT)


def _statuses(store: Store, recorder: Recorder) -> list[str]:
    tree = f"tags.pipeline = '{recorder.run_id}'"
    runs = store.client.search_runs([store.experiment("blobs")], tree)
    return [run.info.status for run in runs]


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a recorder asks its store, while it leaves one that failed alone."""
    counted: Counter[str] = Counter()

    def counting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            counted[name] += 1
            return method(*args)

        return call

    monkeypatch.setattr(Ledger, "write", counting("write", Ledger.write))
    monkeypatch.setattr(Store, "check", counting("check", Store.check))
    monkeypatch.setattr("foldwise.runs.recorder._REST", math.inf)
    return counted


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each request is told of how long it may take."""
    from mlflow.utils import rest_utils

    told: list[dict[str, Any]] = []
    ask: Any = rest_utils.http_request

    def asking(*args: Any, **options: Any) -> Any:
        told.append({name: options.get(name) for name in ("max_retries", "timeout")})
        return ask(*args, **options)

    monkeypatch.setattr(rest_utils, "http_request", asking)
    return told


@contextmanager
def _answering(status: int, body: str, *, after: float = 0.0) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(after)
            with suppress(OSError):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.e2e
def test_a_search_is_recorded_through_a_server(team_store: Store) -> None:
    """Runs, figures, views and links, without a file of ours on this machine."""
    lineage = make_lineage(search_key="through")
    before = {*recorded_data(team_store)}  # the server is the session's
    for _ in range(2):
        record_search(team_store, lineage, RESULT)
        refresh_page(team_store, "blobs")
    experiment_id = team_store.experiment("blobs")
    query = "tags.search_key = 'through'"
    [pipeline] = team_store.client.search_runs([experiment_id], query)
    tree = f"tags.pipeline = '{pipeline.info.run_id}'"
    runs = team_store.client.search_runs([experiment_id], tree)
    assert len(runs) == 1 + 4 + 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    files = team_store.client.list_artifacts(pipeline.info.run_id)
    assert [file.path for file in files] == ["report.html"]
    assert {*recorded_data(team_store)} == before | {"blobs"}
    assert [link.name for link in page_links(team_store, "blobs")] == [
        "Pipelines",
        "Studies of the newest pipeline",
        "Trials of the newest pipeline",
        "Report",
    ]
    assert not (team_store.root / "mlruns").exists()


@pytest.mark.e2e
def test_a_password_in_the_address_reaches_no_run_and_no_message(
    team_store: Store, server: TrackingServer
) -> None:
    """Tags and params are read by the whole team."""
    lineage = make_lineage(search_key="secret")
    record_search(team_store, lineage, RESULT)
    assert team_store.tracking_uri == server.url
    runs = team_store.client.search_runs([team_store.experiment("blobs")])
    told = repr([run.to_dictionary() for run in runs]) + repr(team_store)
    assert "s3cr3t" not in told
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "s3cr3t"  # noqa: S105


@pytest.mark.e2e
def test_a_server_that_hangs_in_the_middle_costs_seconds_and_nothing_is_lost(
    team_store: Store,
    server: TrackingServer,
    tries: Counter[str],
) -> None:
    """It is left alone after one failure; when it is back, the rest is written."""
    events = make_events(RESULT)
    with Recorder.open(team_store, make_lineage(search_key="hang")) as recorder:
        recorder.record(events[0])
        tries.clear()
        with _hanging(server):
            for event in events[1:]:
                recorder.record(event)
            recorder.record_artifacts(outer(0), {"figures/a.png": FIGURE})
            assert tries == {"write": 1}
        assert len(recorder.unrecorded) == len(events)
    assert recorder.unrecorded == ()
    assert _statuses(team_store, recorder) == ["FINISHED"] * 9


@pytest.mark.e2e
def test_a_server_that_stays_away_is_told_at_the_end_and_the_next_run_replays(
    team_store: Store,
    server: TrackingServer,
    tries: Counter[str],
) -> None:
    """The results are kept, the stage fails, and the same command records what is missing."""
    lineage = make_lineage(search_key="away")
    first = Recorder.open(team_store, lineage)
    tries.clear()
    with _hanging(server):
        first.record_all(RESULT)
        with pytest.raises(StoreError, match=r"outer-0, .* and 7 more missing; .*same command"):
            first.end()
        # As the first failure leaves it in doubt, and then the last try, and the run's end.
        assert tries == {"write": 1, "check": 2}
    with Recorder.open(team_store, lineage) as second:
        second.record_all(RESULT)
    assert second.run_id == first.run_id
    assert _statuses(team_store, second) == ["FINISHED"] * 9


def test_a_dead_server_is_told_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: list[dict[str, Any]]
) -> None:
    """It is asked once, for five; MLflow alone tries for two minutes. No password is told."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:s3cr3t@127.0.0.1:{free_port()}")
    told = r"can't be reached, http://127\.0\.0\.1:\d+ \(connection refused\): start it"
    with pytest.raises(StoreError, match=told) as caught:
        open_store(tmp_path)
    assert limits == [{"max_retries": 0, "timeout": 5.0}]
    assert "s3cr3t" not in str(caught.value)
    assert not (tmp_path / "mlruns").exists()


@pytest.fixture
def no_proxy_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address is asked past a proxy, whatever this machine's environment says."""
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_proxy_exceptions")
def test_a_dead_proxy_is_told_from_a_dead_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server runs; to start it would help nobody, to go past the proxy does."""
    with _answering(404, NO_SUCH_EXPERIMENT) as url:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(StoreError, match=r"the proxy .* name the server's host in NO_PROXY"):
            check_server(url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        check_server(url)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:99999", "http://127.0.0.1:abc"])
@pytest.mark.usefixtures("no_proxy_exceptions")
def test_a_proxy_that_is_no_address_is_told_from_a_dead_server(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """The server runs; without that proxy it answers."""
    with _answering(404, NO_SUCH_EXPERIMENT) as url:
        monkeypatch.setenv("http_proxy", proxy)
        with pytest.raises(
            StoreError, match=r"the proxy, is no address\): .* HTTP_PROXY and HTTPS"
        ):
            check_server(url)
        monkeypatch.delenv("http_proxy")
        check_server(url)


def test_how_a_server_spaces_its_json_is_its_own_affair() -> None:
    """One behind a gateway may write none between name and value."""
    with _answering(404, NO_SUCH_EXPERIMENT.replace(" ", "")) as url:
        check_server(url)


def test_https_to_a_server_that_speaks_http_is_told_so() -> None:
    """With http, as the line says, it answers."""
    with _answering(404, NO_SUCH_EXPERIMENT) as url:
        told = r"\(it speaks http, not https\): correct MLFLOW_TRACKING_URI to http://"
        with pytest.raises(StoreError, match=told):
            check_server(url.replace("http:", "https:"))
        check_server(url)


def test_what_speaks_no_http_is_told_so() -> None:
    """As a port of SSH or of a database; the line named a type of MLflow's for the cause."""

    def greet(listening: socket.socket) -> None:
        with listening.accept()[0] as asked:
            asked.recv(65536)
            asked.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=greet, args=(listening,), daemon=True).start()
        with pytest.raises(StoreError, match=r"\(it speaks no HTTP\): correct MLFLOW_TRACKING_URI"):
            check_server(f"http://127.0.0.1:{listening.getsockname()[1]}")


@pytest.mark.usefixtures("no_proxy_exceptions")
def test_a_host_that_nobody_knows_is_no_server_to_be_started() -> None:
    """A typing error in the address is corrected there."""
    with pytest.raises(StoreError, match=r"\(unknown host\): correct MLFLOW_TRACKING_URI"):
        check_server("http://mlflow.invalid")


def test_a_server_that_never_answers_is_given_up() -> None:
    """It takes the connection and then says nothing."""
    silent = _answering(200, "{}", after=60)
    with silent as url, pytest.raises(StoreError, match=r"no answer (in time|within 4 s)"):
        check_server(url, seconds=4.0)


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken network can hold a look-up for minutes, and it takes no time limit."""
    released = Event()

    def hang(*_: object, **__: object) -> None:
        released.wait(60)
        raise OSError

    monkeypatch.setattr("socket.getaddrinfo", hang)
    waits = []

    class Waited(Thread):
        def join(self, timeout: float | None = None) -> None:
            waits.append(timeout)
            super().join(timeout)

    monkeypatch.setattr("foldwise.store.open.Thread", Waited)
    try:
        with pytest.raises(StoreError, match="no answer within 1 s"):
            check_server("http://mlflow.example.org", seconds=1.0)
    finally:
        released.set()
    assert waits == [1.0]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_names_the_variables_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Another fault than a dead server, with another remedy."""
    with _answering(status, "You are not authenticated") as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(StoreError, match=r"refuses the login .*MLFLOW_TRACKING_USERNAME"):
            open_store(tmp_path)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>"),
        (404, "not here"),
        (502, "bad gateway"),
        (200, "{}"),
        (200, '{"status": "no \\"experiments\\" today"}'),
        (200, '{"experiments": []}'),
        (200, '{"experiments": [{"experiment_id": "1", "name": "Default"}]}'),
        (404, '{"error_code": "ENDPOINT_NOT_FOUND"}'),
    ],
)
def test_what_is_no_mlflow_server_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: str
) -> None:
    """A wrong port often has another program behind it."""
    with _answering(status, body) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(
            StoreError, match=rf"doesn't answer as an MLflow server \(HTTP {status}"
        ):
            open_store(tmp_path)


@pytest.mark.e2e
def test_with_a_team_server_the_ui_only_prints_its_links(
    team_store: Store, server: TrackingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to start; the address is printed without the password."""
    record_search(team_store, make_lineage(search_key="links"), RESULT)
    serve_ui(root=team_store.root)
    printed = capsys.readouterr().out
    assert f"Pipelines                       {server.url}/#/experiments/" in printed
    assert "s3cr3t" not in printed


@pytest.mark.e2e
def test_models_are_registered_promoted_and_verified_on_a_team_server(
    team_store: Store, tmp_path: Path
) -> None:
    """Files and records go through the server; the digests of what comes back still fit."""
    split = make_holdout()
    for error in (0.1, 0.0):
        register(team_store, submission(model_of(error), split, start_run(team_store)))
        outcome = promote(
            team_store,
            NAME,
            "challenger",
            holdout=as_found(split),
            settings=SETTINGS,
        )
        assert outcome.decision == "promoted"
    rollback(team_store, NAME, reason="a try")
    champion = seen(team_store).find("champion")
    assert verify(team_store, champion, as_found(split), SETTINGS).holds
    folder = fetch_files(team_store, champion, tmp_path)
    assert len(list((folder / "audit").iterdir())) == 2
    assert champion.number == 1
    assert seen(team_store).unrecorded == ()
