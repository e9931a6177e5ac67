"""How a case becomes a project folder of a checkout, and how that checkout's stages are called.

The checkout's own dvc.yaml tells what they are: no module's name is known here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.golden.cases import Case

HERE = Path(__file__).parents[2]
_SEARCH = ("prepare", "tune", "evaluate")
_DRIVER = Path(__file__).with_name("driver.py")
_OUTSIDE = ("DVC_", "FOLDWISE_", "MLFLOW_", "PYTHON", "GIT_", "OPENBLAS_", "OMP_")
# What stages import only when they come to need it.
LIBRARIES = (
    "filelock",
    "matplotlib.axes",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracing.processor.base_mlflow",
    "optuna.storages._rdb.models",
    "sklearn.datasets",
    "sklearn.tree",
    "skops.io",
    "sqlalchemy.dialects.sqlite",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A case that was run: its folder, and the folder whose ``mlruns`` has its records."""

    case: Case
    folder: Path
    root: Path
    seconds: float


def run_cases(
    cases: Iterable[Case],
    root: Path,
    *,
    checkout: Path = HERE,
    python: Path | None = None,
    **environment: str,
) -> tuple[Ran, ...]:
    """Run cases with a checkout's sources, all into one store below ``root``.

    Parameters
    ----------
    python : Path, optional
        An environment's interpreter; this one by default.
    environment
        Variables besides: such as another processor's kernels.
    """
    commands = _commands(checkout)
    made = [(case, _make_folder(case, root / case.name, checkout)) for case in cases]
    order = {
        "import": [*LIBRARIES, *sorted({module for module, *_ in commands.values()})],
        "folders": {str(folder): _modules(case, commands) for case, folder in made},
    }
    done = subprocess.run(
        [str(python or sys.executable), str(_DRIVER)],
        input=json.dumps(order),
        env=_environment(checkout, root) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    took = json.loads(done.stdout)
    return tuple(Ran(case, folder, root, took[case.name]) for case, folder in made)


def _commands(checkout: Path) -> dict[str, list[str]]:
    """By stage, the module that its command runs, and its arguments."""
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text())["stages"]
    told = {name: stages[name]["cmd"] for name in _SEARCH}
    compared = yaml.safe_load((checkout / "comparison" / "dvc.yaml").read_text())["stages"]
    told["compare"] = compared["compare"]["do"]["cmd"].replace("${key}", "").strip()
    assert all("python -m " in command for command in told.values()), told
    return {name: command.partition("python -m ")[2].split() for name, command in told.items()}


def _modules(case: Case, commands: dict[str, list[str]]) -> list[list[str]]:
    if case.classifiers:
        entries = [[*commands["compare"], entry] for entry in case.classifiers]
        return [commands["prepare"], *entries]
    return [commands[name] for name in (_SEARCH if case.is_evaluated else _SEARCH[:2])]


def _make_folder(case: Case, folder: Path, checkout: Path) -> Path:
    folder.mkdir(parents=True)
    prepare = {"source": "idx"} | case.params.get("prepare", {}) | {"name": case.name}
    _write_yaml(folder / "params.yaml", {"seed": 1} | case.params | {"prepare": prepare})
    (folder / "dvc.yaml").write_text((checkout / "dvc.yaml").read_text())
    if case.make:
        case.make(folder / "data" / "raw")
    if case.classifiers:
        (folder / "comparison").mkdir()
        _write_yaml(folder / "comparison" / "params.yaml", {"models": case.classifiers})
    return folder


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content))


def _environment(checkout: Path, root: Path) -> dict[str, str]:
    """The developer's environment without what it says of stores; one thread everywhere."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OUTSIDE)}
    return inherited | {
        "PYTHONPATH": str(checkout / "src"),
        "DVC_ROOT": str(root),
        "FOLDWISE_THREADS": "1",
        "FOLDWISE_QUIET": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
