"""A search is known by what determines its result, and by nothing else."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from foldwise.search import version
from foldwise.search.version import search_key
from foldwise.settings import TuneSettings

TUNE = asdict(TuneSettings())


def test_other_data_parameters_or_seeds_are_other_searches() -> None:
    """Every parameter of the search counts."""
    keys = [search_key("a", TUNE, 1), search_key("b", TUNE, 1), search_key("a", TUNE, 2)]
    for name, value in TUNE.items():
        other: Any = f"{value}?" if isinstance(value, str) else (value or 0) + 1
        keys.append(search_key("a", {**TUNE, name: other}, 1))
    assert len({*keys}) == len(keys) == 3 + len(fields(TuneSettings))
    assert search_key("a", asdict(TuneSettings()), 1) == keys[0]


def test_the_order_of_the_parameters_is_nobodys_business() -> None:
    """Mappings are equal, and so are their searches."""
    assert search_key("a", dict(reversed(TUNE.items())), 1) == search_key("a", TUNE, 1)


def test_another_version_of_the_search_is_another_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that comes to other numbers must not go on with trials of the code before."""
    here = search_key("a", TUNE, 1)
    monkeypatch.setattr(version, "SEARCH_VERSION", version.SEARCH_VERSION + 1)
    assert search_key("a", TUNE, 1) != here
