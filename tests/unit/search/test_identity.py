"""A search is known by what determines its result, and by nothing else."""

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import foldwise
from foldwise.search.version import SEARCH_ROOMS, code_digest, search_key
from foldwise.settings import TuneSettings

TUNE = TuneSettings()


def test_other_data_parameters_or_seeds_are_other_searches() -> None:
    """Every parameter of the search counts."""
    keys = [search_key("a", TUNE, 1), search_key("b", TUNE, 1), search_key("a", TUNE, 2)]
    for field in fields(TuneSettings):
        value = getattr(TUNE, field.name)
        other: Any = f"{value}?" if isinstance(value, str) else value + 1
        keys.append(search_key("a", replace(TUNE, **{field.name: other}), 1))
    assert len({*keys}) == len(keys) == 3 + len(fields(TuneSettings))
    assert search_key("a", TuneSettings(), 1) == keys[0]


@pytest.mark.parametrize("room", SEARCH_ROOMS)
def test_other_code_is_another_search(
    room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the sources lie: a byte more in one of them, or a file more."""
    copy = tmp_path / "foldwise"
    shutil.copytree(Path(foldwise.__file__).parent, copy)
    here = search_key("a", TUNE, 1)
    monkeypatch.setattr(foldwise, "__file__", str(copy / "__init__.py"))
    assert search_key("a", TUNE, 1) == here
    digests = {code_digest()}
    source = max((copy / room).rglob("*.py"))
    source.write_text(f"{source.read_text()}\n")
    digests.add(code_digest())
    (copy / room / "more.py").touch()
    digests.add(code_digest())
    assert len(digests) == 3
    assert search_key("a", TUNE, 1) != here
