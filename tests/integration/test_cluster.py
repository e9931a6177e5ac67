"""The search on a real Dask cluster: the local run's results, whoever dies meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from numpy.typing import NDArray

pytest.importorskip("distributed", reason="needs foldwise[dask]")

from distributed import Client

from foldwise.errors import SearchError
from foldwise.search.engines import dask as module
from foldwise.search.engines.batched import BatchedEngine, LocalBackend
from foldwise.search.engines.dask import DaskBackend, connected, deal
from foldwise.search.nested import NestedSearch
from foldwise.search.trials import Progress, SearchResult, Trial
from foldwise.solver.fits import SolverOptions
from foldwise.solver.layout import Layout
from tests.conformance.engine_cases import EngineCases, Given
from tests.conformance.test_engines import CASE, PLAN, STRENGTHS, arranged, batched
from tests.integration.dask_cluster import Cluster, cluster
from tests.unit.search.search_cases import Memory, finished, nested_search

OPTIONS = SolverOptions()

NO_FOLDWISE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "foldwise":
            raise ModuleNotFoundError("No module named 'foldwise'", name=name)
sys.meta_path.insert(0, Refuse())
"""
OTHER_FOLDWISE = """
import foldwise.search.version
foldwise.search.version.SEARCH_VERSION = 0
"""
RECORD = """
import sys
from foldwise.solver import fits
sys.pools = set()
def recorded(threads, made=fits.ThreadPoolExecutor):
    sys.pools.add(threads)
    return made(threads)
fits.ThreadPoolExecutor = recorded
"""


@pytest.fixture(scope="module")
def local() -> tuple[NestedSearch, SearchResult]:
    """A search, and what it gives on this machine."""
    search = nested_search(Memory())
    return search, finished(search)


@pytest.fixture(scope="module")
def lasting() -> Iterator[Cluster]:
    """Two workers, for the tests that leave them alive."""
    with cluster() as running:
        yield running


def layout_of(search: NestedSearch) -> Layout:
    assert isinstance(search.engine, BatchedEngine)
    assert isinstance(search.engine.backend, LocalBackend)
    return search.engine.backend.layout


def through(search: NestedSearch, backend: DaskBackend, book: Memory | None = None) -> NestedSearch:
    """The search anew, its fits made by the cluster."""
    assert isinstance(search.engine, BatchedEngine)
    engine = replace(search.engine, backend=backend, _paths={})
    return replace(search, book=book or Memory(), engine=engine)


def assert_same(result: SearchResult, expected: SearchResult) -> None:
    """Values exactly, scores to 1e-5."""
    assert [(t.study, t.number, t.values) for t in result.trials] == [
        (t.study, t.number, t.values) for t in expected.trials
    ]
    for trial, other in zip(result.trials, expected.trials, strict=True):
        for inner, counterpart in zip(trial.inner, other.inner, strict=True):
            assert inner.scores == pytest.approx(counterpart.scores, abs=1e-5)
    for fold, known in zip(result.outer, expected.outer, strict=True):
        assert fold.best.values == known.best.values
        assert fold.scores == pytest.approx(known.scores, abs=1e-5)
    assert result.final.best.values == expected.final.best.values
    assert result.fits == expected.fits


class TestDask(EngineCases):
    """The batched engine with its fits made by the cluster."""

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls, lasting: Cluster) -> Iterator[Given]:
        def engine_of(X: NDArray[Any]) -> BatchedEngine:
            return replace(batched(X, OPTIONS), backend=backend_of(X))

        with ExitStack() as stack:
            backends: dict[bytes, DaskBackend] = {}

            def backend_of(X: NDArray[Any]) -> DaskBackend:
                key = X.tobytes()
                if key not in backends:
                    where = connected(lasting.address, arranged(X), OPTIONS)
                    backends[key] = stack.enter_context(where)
                return backends[key]

            yield Given(engine_of, CASE.images, CASE.labels, range(10), PLAN, STRENGTHS)


def done_by(engine: DaskBackend) -> list[int]:
    """How many sub-batches each worker has solved, since it began."""
    counts = engine.client.run(lambda dask_worker: dask_worker.state.executed_count)
    return list(counts.values())


def test_a_cluster_gives_the_local_runs_results(
    lasting: Cluster, local: tuple[NestedSearch, SearchResult]
) -> None:
    """Both workers take part; the pixels reach each once, and never from each other."""
    search, expected = local
    with connected(lasting.address, layout_of(search), OPTIONS) as engine:
        assert_same(finished(through(search, engine)), expected)
        assert min(done_by(engine)) > 0
        exchanged = engine.client.run(lambda dask_worker: len(dask_worker.transfer_incoming_log))
        assert list(exchanged.values()) == [0, 0]


def test_a_worker_works_on_all_its_threads(local: tuple[NestedSearch, SearchResult]) -> None:
    """One of three threads and one of one: the local run's results, whatever share each has."""
    search, expected = local
    with cluster(0) as running:
        for threads in (3, 1):
            running.add_worker(threads=threads, before=RECORD)
        running.wait_for_workers(2)
        with connected(running.address, layout_of(search), OPTIONS) as engine:
            assert_same(finished(through(search, engine)), expected)
            used = engine.client.run(lambda: __import__("sys").pools)
            # The curve's minima come one at a time: the smaller worker may be left without work.
            assert sorted(used.values(), key=sorted) in ([{1}, {3}], [set(), {3}])


def test_a_killed_workers_fits_are_made_by_the_others(
    local: tuple[NestedSearch, SearchResult],
) -> None:
    """One worker is frozen with work in its hands, then killed in mid-round."""
    search, expected = local
    with cluster() as running, connected(running.address, layout_of(search), OPTIONS) as engine:
        running.freeze(0)
        events = through(search, engine).run()
        assert isinstance(next(events), Trial | Progress)
        running.workers[0].kill()
        *_, result = events
        assert isinstance(result, SearchResult)
        assert_same(result, expected)
        assert len(done_by(engine)) == 1


def test_a_worker_that_joins_late_gets_the_pixels_too(
    local: tuple[NestedSearch, SearchResult],
) -> None:
    """The first worker dies with all that it held; the search waits for the next."""
    search, expected = local
    with cluster(1) as running, connected(running.address, layout_of(search), OPTIONS) as engine:
        running.freeze(0)
        running.add_worker()
        running.wait_for_workers(2)
        running.workers[0].kill()
        assert_same(finished(through(search, engine)), expected)


def test_a_killed_scheduler_loses_no_completed_trial(
    local: tuple[NestedSearch, SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how to go on; going on here gives the whole result."""
    search, expected = local
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 2.0)
    book = Memory()
    with (
        cluster() as running,
        pytest.raises(SearchError, match="completed trials are kept"),
        connected(running.address, layout_of(search), OPTIONS) as engine,
    ):
        for event in through(search, engine, book).run():
            if isinstance(event, Trial) and len(book.trials) == 13:
                running.scheduler.kill()
    kept = len(book.trials)
    assert 13 <= kept < len(expected.trials)
    assert_same(finished(replace(search, book=book)), expected)
    assert book.added == len(expected.trials)


def test_losing_every_worker_ends_the_search(
    local: tuple[NestedSearch, SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for its patience, and no longer."""
    search, _ = local
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    with (
        cluster(1) as running,
        pytest.raises(SearchError, match="no worker for 1 s"),
        connected(running.address, layout_of(search), OPTIONS) as engine,
    ):
        running.workers[0].kill()
        finished(through(search, engine))


@pytest.mark.parametrize("listening", [True, False])
def test_without_workers_or_scheduler_there_is_soon_an_error(
    *, listening: bool, local: tuple[NestedSearch, SearchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a cluster that isn't there: each of both is given its seconds."""
    search, _ = local
    waits = {}
    client: Any = vars(module)["Client"]

    class Asked(client):  # type: ignore[misc]  # has no types
        def __init__(self, *address: str, timeout: float, **options: Any) -> None:
            waits["scheduler"] = timeout
            super().__init__(*address, timeout=timeout, **options)

        def wait_for_workers(self, count: int, timeout: float) -> Any:
            waits["workers"] = timeout
            return super().wait_for_workers(count, timeout)

    monkeypatch.setattr(module, "_ANSWER_SECONDS", 1.5)
    monkeypatch.setattr(module, "Client", Asked)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    with cluster(0) as running:
        if not listening:
            running.kill()
        with (
            pytest.raises(SearchError, match=f"scheduler {running.address} must answer"),
            connected(running.address, layout_of(search), OPTIONS),
        ):
            pytest.fail("there is no worker")
    assert waits == {"scheduler": 1.5, **({"workers": 1.0} if listening else {})}


@pytest.mark.parametrize("before", [NO_FOLDWISE, OTHER_FOLDWISE], ids=["none", "another"])
def test_a_worker_without_this_foldwise_is_refused(
    before: str, local: tuple[NestedSearch, SearchResult]
) -> None:
    """Else it would give other fits, or a traceback from far away."""
    search, _ = local
    with cluster(0) as running:
        running.add_worker(before=before)
        running.wait_for_workers(1)
        with (
            pytest.raises(SearchError, match="every Dask worker must have this same version"),
            connected(running.address, layout_of(search), OPTIONS),
        ):
            pytest.fail("the worker can't do the work")


def test_another_foldwise_that_joins_late_ends_the_search(
    local: tuple[NestedSearch, SearchResult],
) -> None:
    """Its fits might be others."""
    search, _ = local
    with (
        cluster(1) as running,
        pytest.raises(SearchError, match="every Dask worker must have this same version"),
        connected(running.address, layout_of(search), OPTIONS) as engine,
    ):
        running.add_worker(before=OTHER_FOLDWISE)
        running.wait_for_workers(2)
        running.workers[0].kill()
        finished(through(search, engine))


def test_the_pixels_of_killed_searches_are_freed(
    lasting: Cluster, local: tuple[NestedSearch, SearchResult]
) -> None:
    """A search that ends frees its own; the next one frees those of one that couldn't."""
    search, _ = local
    with Client(lasting.address, set_as_default=False) as killed:
        pixels = module.Pixels(layout_of(search), "cpu")
        killed.register_plugin(pixels, name=f"foldwise-{killed.id}")
    with connected(lasting.address, layout_of(search), OPTIONS) as engine:
        held = engine.client.run(lambda dask_worker: list(dask_worker.plugins))
        for names in held.values():
            mine = [name for name in names if name.startswith("foldwise-")]
            assert mine == [f"foldwise-{engine.client.id}"]


def test_a_search_without_a_cluster_needs_no_distributed() -> None:
    """It is an extra, and takes a second to import."""
    program = "import sys, foldwise.app.tune; sys.exit('distributed' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_distributed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, module.__name__)
    with pytest.raises(SearchError, match=r"pip install .*\[dask\]"):
        import_module(module.__name__)


def test_each_worker_gets_its_share_by_its_threads() -> None:
    """Every item once and in order, nothing for a worker beyond them."""
    items = list("abcdefghi")
    dealt = deal(items, {"large": 16, "small": 4, "last": 4})
    assert {worker: len(run) for worker, run in dealt.items()} == {
        "large": 6, "small": 1, "last": 2,
    }  # fmt: skip
    assert [item for run in dealt.values() for item in run] == items
    assert deal(items[:2], dict.fromkeys("abcd", 1)) == {"b": ("a",), "d": ("b",)}
    assert deal(items, {}) == {None: tuple(items)}
    assert deal([], {"any": 1}) == deal([], {}) == {}
