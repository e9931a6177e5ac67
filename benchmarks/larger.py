"""The pipeline on more rows: `python -m benchmarks.larger --augment 9`; processor time and memory.

Each stage is a process of its own in a temporary project on MNIST, with few trials: what grows is
the rows. ``--limit`` takes a part of MNIST before the copies are made.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.workload import ROOT

STAGES = ("prepare", "tune", "evaluate")


@dataclass(frozen=True, slots=True)
class Used:
    """What a process took: processor and wall seconds, and the most bytes held at once."""

    processor: float
    wall: float
    memory: int


def main() -> None:
    """Run the stages and print a table."""
    asked = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        _make(project, asked)
        print("| stage | processor s | wall s | peak memory MiB |\n|---|---|---|---|")
        for stage in STAGES:
            used = _run(stage, project)
            print(
                f"| {stage} | {used.processor:.0f} | {used.wall:.0f} | {used.memory / 2**20:.0f} |"
            )
        print(_scores(project / "reports"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.larger", description=__doc__)
    parser.add_argument("--augment", type=int, default=0, help="shifted copies of each image")
    parser.add_argument("--limit", type=int, help="development images before that; default all")
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--c-high", type=float, default=0.001)
    return parser


def _make(project: Path, asked: argparse.Namespace) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prepare"] |= {"augment": asked.augment, "limit": asked.limit}
    startup = (asked.trials + 1) // 2
    params["tune"] |= {
        "folds": 3,
        "trials": asked.trials,
        "startup_trials": startup,
        "c_high": asked.c_high,
    }
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    (project / "dvc.yaml").touch()
    (project / "data").mkdir()
    (project / "data" / "raw").symlink_to(ROOT / "data" / "raw")


def _run(stage: str, project: Path) -> Used:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FOLDWISE_"))}
    began = os.times().elapsed
    process = subprocess.Popen(
        [sys.executable, "-m", f"foldwise.stages.{stage}"],
        cwd=project,
        env=inherited | {"FOLDWISE_QUIET": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{stage} ended with status {process.returncode}")
    processor = usage.ru_utime + usage.ru_stime
    return Used(processor, os.times().elapsed - began, usage.ru_maxrss * 1024)


def _scores(reports: Path) -> str:
    data, tuning, evaluation = (
        _read(reports / name) for name in ("data.json", "tuning.json", "evaluation.json")
    )
    outer = {each["metric"]: each["mean"] for each in tuning["intervals"]}
    return (
        f"\n{data['development_rows']:,} rows; C = {tuning['C']:.3g}; outer folds: accuracy "
        f"{outer['accuracy']:.4f}, log-loss {outer['log_loss']:.4f}; holdout: accuracy "
        f"{evaluation['accuracy']:.4f}, log-loss {evaluation['log_loss']:.4f}"
    )


def _read(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(path.read_text())
    return told


if __name__ == "__main__":
    main()
