"""Paths on the disk: kept whole, found again to the bit, and missed without harm."""

from pathlib import Path

import numpy as np
import pytest

from foldwise.search.engines.batched import PathShelf
from foldwise.search.trials import Event, Progress, SearchResult
from foldwise.solver.paths import RegularisationPath
from tests.unit.search.search_cases import Memory, finished, nested_search

PATH = RegularisationPath(
    frozenset({2, 0}),
    np.geomspace(1e-4, 10, 5),
    tuple(np.random.default_rng(1).normal(size=(5, 3, 7)).astype(np.float32)),
    123,
)


def test_what_was_kept_is_found_to_the_bit(tmp_path: Path) -> None:
    shelf = PathShelf(tmp_path / "paths")
    shelf.keep(PATH)
    found = shelf.find(frozenset({0, 2}))
    assert found is not None
    np.testing.assert_array_equal(found.solutions, PATH.solutions)
    assert found.anchors.tobytes() == PATH.anchors.tobytes()
    assert (found.left_out, found.evaluations) == (PATH.left_out, 123)
    assert shelf.find(frozenset({0})) is None
    assert shelf.find(frozenset()) is None


@pytest.mark.parametrize("left", [0, 10, 300, -1])
def test_a_file_cut_short_is_no_path(tmp_path: Path, left: int) -> None:
    shelf = PathShelf(tmp_path)
    shelf.keep(PATH)
    [file] = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:left])
    assert shelf.find(PATH.left_out) is None


def test_a_place_that_takes_no_files_costs_only_time(tmp_path: Path) -> None:
    """Where the folder should be there is a file: nothing is kept, nothing raised."""
    (tmp_path / "paths").write_text("in the way")
    shelf = PathShelf(tmp_path / "paths")
    shelf.keep(PATH)
    assert shelf.find(PATH.left_out) is None


def test_a_search_traces_each_path_once_and_ends_the_same(tmp_path: Path) -> None:
    """With the shelf full nothing is traced; with half of it lost the result is the same."""
    folder = tmp_path / "paths"
    shelf = PathShelf(folder)
    first = finished(nested_search(Memory(), shelf=shelf))
    files = sorted(folder.iterdir())
    assert len(files) == 7  # three pairs, three parts, none
    again = list(nested_search(Memory(), shelf=shelf).run())
    assert not _traced(again)
    for file in files[::2]:
        file.unlink()
    events = list(nested_search(Memory(), shelf=shelf).run())
    assert _traced(events)
    for result in (again[-1], events[-1]):
        assert isinstance(result, SearchResult)
        assert result.trials == first.trials
    shelf.clear()
    assert not folder.exists()


def _traced(events: list[Event]) -> bool:
    return any(isinstance(event, Progress) and event.what != "fits" for event in events)
