"""The pipeline on more rows: `python -m benchmarks.larger rows copies`.

``rows``: MNIST and ten times MNIST; seconds and memory of each stage, and the scores. ``copies``:
what shifted copies do to the scores, on 6,000 originals. Each stage is a process of its own in a
temporary project, with the settings of params.yaml but for what is asked here. The tables go into
docs/scaling.md, or, where less than all was asked for, into a draft under build/.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measured_section import ROOT, load_average, origin, write
from docs.quoting import Json, read_json, table

STAGES = ("prepare", "tune", "evaluate")
ROWS = (0, 9)
COPIES = (0, 4, 8)
ORIGINALS = 6000
SEEDS = 3
SCORED = ("C", "outer accuracy", "outer log-loss", "holdout accuracy", "holdout log-loss")


@dataclass(frozen=True, slots=True)
class Used:
    """What a process took: processor and wall seconds, and the most bytes held at once."""

    processor: float
    wall: float
    memory: int


@dataclass(frozen=True, slots=True)
class Piped:
    """A run of the pipeline: what each stage took, and what the reports say."""

    used: Mapping[str, Used]
    data: Json
    tuning: Json
    evaluation: Json

    @property
    def rows(self) -> str:
        """Development rows, copies among them."""
        return f"{self.data['development_rows']:,}"


def main() -> None:
    """Measure, print and write the tables asked for; both by default."""
    parser = _parser()
    asked = parser.parse_args()
    makers = {"rows": _rows, "copies": _copies}
    if unknown := set(asked.table) - set(makers):
        parser.error(f"no table is called {', '.join(sorted(unknown))}: take rows or copies")
    for name in asked.table or list(makers):
        load = load_average()
        content = "\n".join(makers[name](asked))
        command = f"python -m benchmarks.larger {name}{_options(asked, name)}"
        content = f"{content}\n\n{origin(command, load)}"
        whole = asked.limit is None and asked.trials is None
        print(f"{content}\n\nwritten: {write(name, content, whole=whole)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.larger", description=__doc__)
    parser.add_argument("table", nargs="*", help="rows, copies; default: both")
    parser.add_argument("--limit", type=int, help="originals; default: all, and 6,000 for copies")
    parser.add_argument("--trials", type=int, help="of each study; default: as in params.yaml")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="for copies: 1, 2, ...")
    return parser


def _options(asked: argparse.Namespace, name: str) -> str:
    told = {"limit": asked.limit, "trials": asked.trials}
    told |= {"seeds": asked.seeds} if name == "copies" and asked.seeds != SEEDS else {}
    return "".join(f" --{option} {value}" for option, value in told.items() if value is not None)


def _rows(asked: argparse.Namespace) -> Iterator[str]:
    runs = [
        piped(_changes(asked, limit=asked.limit, augment=copies, seed=1), f"{copies} copies")
        for copies in ROWS
    ]
    yield table(
        ("stage", "rows", "processor s", "wall s", "peak memory MiB"),
        (
            (
                stage, run.rows, f"{run.used[stage].processor:.1f}",
                f"{run.used[stage].wall:.1f}", f"{run.used[stage].memory / 2**20:,.0f}",
            )
            for stage in STAGES for run in runs
        ),
    )  # fmt: skip
    first, last = (run.used["tune"] for run in runs)
    yield ""
    yield (
        f"From {runs[0].rows} to {runs[-1].rows} rows, `tune` takes"
        f" {last.processor / first.processor:.1f} times the processor time and"
        f" {last.memory / first.memory:.1f} times the memory."
    )
    yield ""
    yield table(("rows", *SCORED), ((run.rows, *_scores(run)) for run in runs))


def _copies(asked: argparse.Namespace) -> Iterator[str]:
    runs = {
        (seed, copies): piped(
            _changes(asked, limit=asked.limit or ORIGINALS, augment=copies, seed=seed),
            f"seed {seed}, {copies} copies",
        )
        for seed in range(1, asked.seeds + 1)
        for copies in COPIES
    }
    yield table(
        ("seed", "copies", "rows", *SCORED),
        ((f"{seed}", f"{copies}", run.rows, *_scores(run)) for (seed, copies), run in runs.items()),
    )
    yield ""
    yield from _verdicts(runs, asked.seeds)


def _scores(run: Piped) -> Sequence[str]:
    outer = {each["metric"]: each["mean"] for each in run.tuning["intervals"]}
    scores = (
        outer["accuracy"], outer["log_loss"],
        run.evaluation["accuracy"], run.evaluation["log_loss"],
    )  # fmt: skip
    return f"{run.tuning['C']:.2g}", *(f"{score:.4f}" for score in scores)


def _verdicts(runs: Mapping[tuple[int, int], Piped], seeds: int) -> Iterator[str]:
    """How many of the outer folds the copies help: a fold's originals are the same with any."""
    for copies in COPIES[1:]:
        pairs = [
            (without["outer_log_loss"], fold["outer_log_loss"])
            for seed in range(1, seeds + 1)
            for without, fold in zip(
                runs[seed, 0].tuning["folds"], runs[seed, copies].tuning["folds"], strict=True
            )
        ]
        lower = sum(fold < without for without, fold in pairs)
        mean = sum(fold - without for without, fold in pairs) / len(pairs)
        yield (
            f"- {copies} copies: log-loss is lower in {lower} of {len(pairs)} outer folds than"
            f" without; mean difference {mean:+.4f}."
        )


def _changes(
    asked: argparse.Namespace, *, limit: int | None, augment: int, seed: int
) -> dict[str, Any]:
    tune = {} if asked.trials is None else {"trials": asked.trials}
    return {"seed": seed, "prepare": {"limit": limit, "augment": augment}, "tune": tune}


def piped(changes: Mapping[str, Any], title: str) -> Piped:
    """Run the three stages with these changes to params.yaml."""
    with _project(changes) as project:
        used = {}
        for stage in STAGES:
            used[stage] = _run(stage, project)
            print(f"{title}: {stage}, {used[stage].wall:.0f} s", file=sys.stderr, flush=True)
        names = ("data.json", "tuning.json", "evaluation.json")
        return Piped(used, *(read_json(project / "reports" / name) for name in names))


@contextmanager
def _project(changes: Mapping[str, Any]) -> Iterator[Path]:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["prepare"] |= changes["prepare"]
    params["tune"] |= changes["tune"]
    params["tune"]["startup_trials"] = min(
        params["tune"]["startup_trials"], params["tune"]["trials"]
    )
    params["seed"] = changes["seed"]
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        (project / "dvc.yaml").touch()
        (project / "data").mkdir()
        (project / "data" / "raw").symlink_to(ROOT / "data" / "raw")
        yield project


def _run(stage: str, project: Path) -> Used:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FOLDWISE_"))}
    began = os.times().elapsed
    process = subprocess.Popen(
        [sys.executable, "-m", f"foldwise.stages.{stage}"],
        cwd=project,
        env=inherited | {"FOLDWISE_QUIET": "1"},
    )
    # Linux begins a process's peak at its parent's memory: nothing large is imported here.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{stage} ended with status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    processor = usage.ru_utime + usage.ru_stime
    return Used(processor, os.times().elapsed - began, usage.ru_maxrss * unit)


if __name__ == "__main__":
    main()
