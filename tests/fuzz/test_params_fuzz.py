"""Whatever stands in params.yaml, it becomes valid Settings or one line."""

import io
import string
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from foldwise.errors import SettingsError
from foldwise.settings import Settings, flattened, load_settings

KEYS = [*flattened(Settings())]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 120),
    st.floats(),
    st.floats(0, 1),
    st.text(string.printable, max_size=12),
    st.sampled_from(["1e-4", "../x", "/etc", "idx", "openml", "digits", "tpe", "ovr", "f1", "a/b"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)
)
syntax = st.text(st.sampled_from("seedtun:prac{}[],&*!<|>-?#%@`'\"\n \t0123456789.e~\\\u2028é"))


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**32 - 1),
    "prepare.name": st.text("abz.09_-", min_size=1),
    "prepare.path": st.text("ab./ ", min_size=1),
    "prepare.limit": st.none() | st.integers(10, 300),
    "prepare.augment": st.integers(0, 24),
    "tune.folds": st.integers(3, 100),
    "tune.c_low": st.floats(1e-10, 1e10),
    "tune.c_high": st.floats(1e-10, 1e10) | st.integers(1, 10**10),
    "tune.tol": st.floats(1e-12, 0.5),
    "evaluate.confidence": st.floats(0, 1),
    "promotion.max_log_loss": st.floats(0, 1000),
}


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a YAML text: mostly good values, sometimes any value or key; or mere syntax."""
    what = draw(st.sampled_from(["good"] * 4 + ["any value"] * 4 + ["any key", "syntax"]))
    if what == "syntax":
        return draw(st.text(max_size=80) | syntax)
    drawn = {key: draw(GOOD[key]) for key in draw(st.lists(st.sampled_from([*GOOD]), max_size=4))}
    if what == "any value":
        drawn[draw(st.sampled_from(KEYS))] = draw(scalars | values)
    tree: dict[str, Any] = {"seed": 1}
    for key, value in drawn.items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    if what == "any key":
        tree[draw(st.text(string.printable, max_size=8))] = draw(values)
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, text)
    return text.getvalue()


def ends_well(text: str) -> None:
    """Load the text: every value obeys its rule, or the error is one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        said, loaded = "", Settings()
        try:
            loaded = load_settings(path)
        except SettingsError as error:
            said = str(error).replace(str(path), "params.yaml")
    assert len(said.splitlines()) <= 1
    assert len(said) < 700
    again = TypeAdapter(Settings).validate_python(asdict(loaded))
    assert again == loaded, "what was read breaks a rule"


@settings(max_examples=60, deadline=None)
@given(documents())
def test_any_params_file_ends_in_settings_or_one_line(text: str) -> None:
    """Known keys with any values, unknown keys, and texts that are hardly YAML."""
    ends_well(text)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=600, deadline=None)
@given(documents())
def test_any_params_file_ends_in_settings_or_one_line_at_length(text: str) -> None:
    """The same, ten times as often."""
    ends_well(text)
