"""What foldwise alone needs, and what its extras bring: a notebook needs no MLflow and no DVC."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from foldwise.errors import with_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# By what is imported, where it isn't called so.
PACKAGES = {"ruamel": "ruamel.yaml", "sklearn": "scikit-learn", "yaml": "pyyaml"}
BROUGHT = {
    "PIL": "matplotlib",
    "pydantic_core": "pydantic",
    "dask": "distributed",
    "pyarrow": "mlflow",
    "triton": "torch",
}

OPTUNAS = {"packaging"}
"""What an extra needs, too, and the estimators get from another."""

WITHOUT_EXTRAS = """
import sys
for name in {absent}:
    sys.modules[name] = None
import foldwise, numpy
for name in foldwise._HOME:
    getattr(foldwise, name)
rows = numpy.random.default_rng(0).normal(size=(60, 2))
search = foldwise.NestedSearchCV(cv=3, n_trials=3).fit(rows, rows.sum(axis=1) > 0)
print(search.outer_summary_.loc["accuracy", "mean"] > 0.8)
try:
    import foldwise.app.cli
except SystemExit as ended:
    print(ended)
"""


def declared(requirements: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[\[<>=~; ]", each)[0] for each in requirements}


def imported() -> set[str]:
    """The packages that the sources import anywhere, but for Python's own."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.split(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"foldwise"}


def test_every_package_that_is_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    known = declared(PROJECT["dependencies"]).union(*map(declared, extras.values()))
    assert {BROUGHT.get(name, PACKAGES.get(name, name)) for name in imported()} <= known


def test_joblib_is_as_young_as_the_estimator_engine_needs_it() -> None:
    """scikit-learn, through which it comes, takes one that can't hand over fits as they end."""
    (told,) = (each for each in PROJECT["dependencies"] if each.startswith("joblib"))
    least = re.search(r">=(\d+)\.(\d+)", told)
    assert least is not None
    assert tuple(map(int, least.groups())) >= (1, 4)


def test_every_range_has_both_ends() -> None:
    """The oldest and the newest of each are tried; what comes after that is not known."""
    extras = PROJECT["optional-dependencies"]
    for each in [*PROJECT["dependencies"], *extras["report"], *extras["workflow"]]:
        assert re.search(r">=.*,<|~=|^foldwise\[", each), each


def test_the_estimator_works_without_the_extras_and_a_command_says_which_one_it_needs() -> None:
    """Blocked as if they weren't installed: in one line, with what to type."""
    extras = PROJECT["optional-dependencies"]
    absent = sorted(declared(extras["workflow"] + extras["report"]) - {"foldwise", *OPTUNAS})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_EXTRAS.format(absent=absent)],
        capture_output=True,
        text=True,
        check=False,
    )
    worked, told = done.stdout.splitlines() or [done.stderr, ""]
    assert worked == "True", done.stderr
    assert told == (
        "foldwise: the workflow needs click, dvc, jinja2, mlflow, which this Python lacks:"
        f" run `{sys.executable} -m pip install {with_extra('workflow')}`"
    )


def came_from(origin: dict[str, object] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let foldwise have been installed from there, or from an index."""
    kept = SimpleNamespace(read_text={"direct_url.json": origin and json.dumps(origin)}.get)
    monkeypatch.setattr("foldwise.errors.distribution", lambda _: kept)


def told_by_pip(folder: Path, origin: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> str:
    """What pip would do with the extra, told of one foldwise's origin; without a network."""
    came_from(origin, monkeypatch)
    alone = "--dry-run --no-deps --no-build-isolation --no-index --force-reinstall"
    command = f"{sys.executable} -m pip install {alone} {with_extra('report')}"
    typed = ["sh", "-c", command]
    done = subprocess.run(typed, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, command + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("is_editable", [False, True])
def test_pip_takes_what_is_told_of_an_extra_from_where_foldwise_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_editable: bool
) -> None:
    """On no index does it have to be: a folder, even one whose name asks for quotes."""
    checkout = tmp_path / "a friend's copy"
    shutil.copytree(ROOT / "src", checkout / "src")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    origin: dict[str, object] = {"url": checkout.as_uri(), "dir_info": {"editable": is_editable}}
    assert told_by_pip(tmp_path, origin, monkeypatch).startswith("Would install foldwise-")


def test_a_repository_is_named_with_its_commit_and_an_index_by_no_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vcs = {"vcs": "git", "commit_id": "abc"}
    came_from({"url": "https://example.org/foldwise", "vcs_info": vcs}, monkeypatch)
    assert with_extra("gpu") == "'foldwise[gpu] @ git+https://example.org/foldwise@abc'"
    came_from(None, monkeypatch)
    assert with_extra("gpu") == "'foldwise[gpu]'"
