"""A Dask worker works on its GPU where it has one and the search asks for it."""

from typing import Any

import pytest

from foldwise.search.engines import dask
from foldwise.search.engines.gpu import DeviceBackend
from foldwise.solver.fits import FitRequest, SolverOptions
from foldwise.solver.paths import RegularisationPath, Stretch, anchors
from tests.unit.solver.numpy_device import NumpyDevice
from tests.unit.solver.solver_cases import two_digits

LAYOUT, OPTIONS = two_digits().layout(), SolverOptions()
REQUEST = FitRequest(frozenset({0}), 0.03)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked for when the worker's GPU was opened; it has one."""
    asked: list[str] = []

    def opening(layout: Any, options: Any, device: str) -> DeviceBackend:
        asked.append(device)
        return DeviceBackend(layout, options, NumpyDevice())

    monkeypatch.setattr("foldwise.search.engines.gpu.opened", opening)
    return asked


def on_worker(monkeypatch: pytest.MonkeyPatch, device: str) -> dask.Pixels:
    pixels = dask.Pixels(LAYOUT, device)
    monkeypatch.setattr(dask, "_here", lambda _, options: (pixels, options))
    return pixels


def test_paths_and_fits_are_made_on_the_workers_gpu(
    monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    """It is opened once, for all rounds."""
    on_worker(monkeypatch, "auto")
    stretch = Stretch(RegularisationPath(frozenset({0}), anchors(0.01, 0.1)), 4)
    *_, path = dask.batch("", "trace", [stretch], OPTIONS)
    [fit] = dask.batch("", "solve", [FitRequest(path.left_out, 0.03, path.at(0.03))], OPTIONS)
    assert fit.device == NumpyDevice.name
    assert opened == ["auto"]


def test_a_search_that_asks_for_none_is_made_by_the_workers_cores(
    monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    on_worker(monkeypatch, "cpu")
    [fit] = dask.batch("", "solve", [REQUEST], OPTIONS)
    assert fit.device is None
    assert opened == []


def test_a_worker_without_a_gpu_uses_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """And doesn't look for one again each round."""
    monkeypatch.setattr("foldwise.search.engines.gpu.torch", None)
    pixels = on_worker(monkeypatch, "auto")
    [fit] = dask.batch("", "solve", [REQUEST], OPTIONS)
    assert fit.device is None
    assert pixels.device == "cpu"
