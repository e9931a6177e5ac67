"""What `pip install` gets works away from the checkout: wheel, source distribution, ranges."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools import install

ROOT = Path(__file__).parents[2]
BUILD = (
    "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
)
EXAMPLE = """
import sys
from pathlib import Path
import foldwise
assert Path(foldwise.__file__).is_relative_to(sys.prefix), foldwise.__file__
from sklearn.datasets import load_breast_cancer
X, y = load_breast_cancer(return_X_y=True, as_frame=True)
search = foldwise.NestedSearchCV(cv=3, n_trials=3).fit(X, y)
print(search.outer_summary_.loc["accuracy", "mean"] > 0.9)
from foldwise.report import page
for name in ("card.md.j2", "page.html.j2", "search.html.j2"):
    page._environment().get_template(name)
"""
TESTERS = (
    "pytest>=9.1",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "mpmath",
    "polars",
    "sympy",
)
BEYOND = {  # the documents show the workflow; others need Dask or a browser
    "": ("tests/unit/estimator/test_examples.py",),
    "[workflow]": (
        "tests/unit/search/test_workers_gpu.py",
        "tests/unit/report/test_page_browser.py",
    ),
}
PYTHONS = ("3.11", "3.12", "3.13")

pytestmark = pytest.mark.e2e


def run(*command: str, cwd: Path) -> str:
    """Run a command outside of the checkout; its output."""
    inherited = {name: of for name, of in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=inherited, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: Path) -> Path:
    """A copy of what a build reads."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    return folder


def built(kind: str, source: Path, target: Path) -> Path:
    """Build by the locked setuptools, without a network."""
    run(sys.executable, "-c", BUILD, f"build_{kind}", str(target), cwd=source)
    (found,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


def test_the_wheel_of_the_source_distribution_works_in_another_environment(tmp_path: Path) -> None:
    """Templates and types included; the packages it needs are those of the locks."""
    archive = built("sdist", sources(tmp_path / "checkout"), tmp_path)
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, "data_filter"):  # not in Python 3.11.2
            packed.extraction_filter = tarfile.data_filter
        packed.extractall(tmp_path / "unpacked")  # noqa: S202 - the archive is our own
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = built("wheel", unpacked, tmp_path)
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    kept = ("*.py", "*.j2", "py.typed")
    made = {f for kind in kept for f in (ROOT / "src" / "foldwise").rglob(kind)}
    assert {str(file.relative_to(ROOT / "src")) for file in made} <= names

    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(venv), cwd=tmp_path)
    python = str(venv / "bin" / "python")
    (site,) = venv.glob("lib/*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")  # a wheel is what lies in site-packages
    # A path named here is read after the wheel's own, and the editable checkout in it isn't.
    (site / "locked.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    assert run(python, "-c", EXAMPLE, cwd=tmp_path) == "True\n"
    entry = "from foldwise.app.cli import main; main()"
    assert run(python, "-c", entry, "--version", cwd=tmp_path).startswith("foldwise 0.")


@pytest.fixture(scope="module")
def uv() -> tuple[str, dict[str, str]]:
    """The uv beside this Python, or on the PATH, with pip's settings."""
    found = str(install.UV) if install.UV.exists() else shutil.which("uv")
    if found is None:
        pytest.skip("there is no uv here")
    listed = run(sys.executable, "-m", "pip", "config", "list", cwd=Path.cwd())
    return found, install.for_uv(install.pip_settings(listed), os.environ)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("extra", BEYOND)
@pytest.mark.parametrize("resolved", ["lowest-direct", "highest"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_oldest_and_the_newest_of_each_range_work(
    uv: tuple[str, dict[str, str]], tmp_path: Path, *, python: str, resolved: str, extra: str
) -> None:
    """The estimators' tests on each Python at hand; with the workflow, what reports and records."""
    program, settings = uv
    if subprocess.run(
        [program, "python", "find", python], capture_output=True, check=False
    ).returncode:
        pytest.skip(f"there is no Python {python} here")
    environment = {**os.environ, **settings, "UV_PYTHON": str(tmp_path / "venv")}
    environment.pop("PYTHONPATH", None)

    def do(*command: str) -> None:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"

    do(program, "venv", "--quiet", "--python", python, str(tmp_path / "venv"))
    installed = f"{sources(tmp_path / 'checkout')}{extra}"
    do(program, "pip", "install", "--quiet", "--resolution", resolved, installed)
    do(program, "pip", "install", "--quiet", *TESTERS)
    rooms = ["estimator", "stats"] + (["search", "solver", "report", "runs"] if extra else [])
    tests = [f"tests/unit/{room}" for room in rooms]
    tests += [f"--ignore={file}" for file in BEYOND[extra]]
    do(str(tmp_path / "venv" / "bin" / "python"), "-m", "pytest", "-q", *tests)
