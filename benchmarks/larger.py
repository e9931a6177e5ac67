"""The pipeline on more rows: `python -m benchmarks.larger rows copies`.

``rows``: MNIST and ten times MNIST; seconds and memory of each stage, and the scores. ``copies``:
what shifted copies do to the scores. Each stage is a process of its own in a temporary project,
with the settings of params.yaml but for what is asked here. The tables go into docs/scaling.md,
or, where less than all was asked for, into a draft under build/.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.markdown import DOCS, load_average, table, write_measured

ROOT = DOCS.parent
ROWS = (0, 9)
COPIES = (0, 4, 8)
ORIGINALS, SEEDS = 6000, (1, 2, 3)
SCORED = ("C", "outer accuracy", "outer log-loss", "holdout accuracy", "holdout log-loss")


class Used(NamedTuple):
    """What a process took: processor and wall seconds, and the most bytes held at once."""

    processor: float
    wall: float
    memory: int


class Piped(NamedTuple):
    """A run of the pipeline: what each stage took, and what the reports say."""

    used: Mapping[str, Used]
    data: Mapping[str, Any]
    tuning: Mapping[str, Any]
    evaluation: Mapping[str, Any]

    @property
    def rows(self) -> str:
        """Development rows, copies among them."""
        return f"{self.data['development_rows']:,}"

    @property
    def scores(self) -> tuple[str, ...]:
        """The cells under SCORED."""
        outer = {each["metric"]: each["mean"] for each in self.tuning["intervals"]}
        metrics = ("accuracy", "log_loss")
        both = [scores[metric] for scores in (outer, self.evaluation) for metric in metrics]
        return f"{self.tuning['C']:.2g}", *(f"{score:.4f}" for score in both)


def main() -> None:
    """Measure, print and write the tables asked for; both by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.larger", description=__doc__)
    parser.add_argument("table", nargs="*", help="rows, copies; default: both")
    parser.add_argument("--limit", type=int, help="originals; default: all, and 6,000 for copies")
    parser.add_argument("--trials", type=int, help="of each study; default: as in params.yaml")
    asked, makers = parser.parse_args(), {"rows": _rows, "copies": _copies}
    if unknown := set(asked.table) - set(makers):
        parser.error(f"no table is called {', '.join(sorted(unknown))}: take rows or copies")
    given = {f"--{each}": getattr(asked, each) for each in ("limit", "trials")}
    told = "".join(f" {option} {value}" for option, value in given.items() if value is not None)
    for name in asked.table or list(makers):
        load, content = load_average(), "\n".join(makers[name](asked))
        command = f"python -m benchmarks.larger {name}{told}"
        write_measured("scaling", {name: content}, whole=not told, command=command, load=load)


def _rows(asked: argparse.Namespace) -> Iterator[str]:
    runs = [piped(asked, originals=asked.limit, copies=copies, seed=1) for copies in ROWS]
    yield table(
        ("stage", "rows", "processor s", "wall s", "peak memory MiB"),
        (
            (stage, run.rows, f"{used.processor:.1f}", f"{used.wall:.1f}",
             f"{used.memory / 2**20:,.0f}")
            for stage in runs[0].used for run in runs for used in [run.used[stage]]
        ),
    )  # fmt: skip
    first, last = (run.used["tune"] for run in runs)
    yield (
        f"\nFrom {runs[0].rows} to {runs[-1].rows} rows, `tune` takes"
        f" {last.processor / first.processor:.1f} times the processor time and"
        f" {last.memory / first.memory:.1f} times the memory.\n"
    )
    yield table(("rows", *SCORED), ((run.rows, *run.scores) for run in runs))


def _copies(asked: argparse.Namespace) -> Iterator[str]:
    runs = {
        (seed, copies): piped(asked, originals=asked.limit or ORIGINALS, copies=copies, seed=seed)
        for seed in SEEDS
        for copies in COPIES
    }
    yield table(
        ("seed", "copies", "rows", *SCORED),
        ((f"{seed}", f"{copies}", run.rows, *run.scores) for (seed, copies), run in runs.items()),
    )
    yield ""
    for copies in COPIES[1:]:
        # In how many of the outer folds copies help: a fold's originals are the same with any.
        without, with_them = (
            [fold["outer_log_loss"] for seed in SEEDS for fold in runs[seed, count].tuning["folds"]]
            for count in (0, copies)
        )
        more = [after - before for before, after in zip(without, with_them, strict=True)]
        yield (
            f"- {copies} copies: log-loss is lower in {sum(each < 0 for each in more)} of"
            f" {len(more)} outer folds than without; mean difference {sum(more) / len(more):+.4f}."
        )


def piped(asked: argparse.Namespace, *, originals: int | None, copies: int, seed: int) -> Piped:
    """Run the stages of dvc.yaml in a temporary project with these changes to params.yaml."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text()) | {"seed": seed}
    params["prepare"] |= {"limit": originals, "augment": copies}
    params["tune"]["trials"] = asked.trials or params["tune"]["trials"]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    with tempfile.TemporaryDirectory() as folder:
        project, used = Path(folder), {}
        (project / "params.yaml").write_text(yaml.safe_dump(params))
        (project / "dvc.yaml").touch()
        (project / "data").mkdir()
        (project / "data" / "raw").symlink_to(ROOT / "data" / "raw")
        for name, stage in stages.items():
            used[name] = _run(stage["cmd"], project)
            print(f"seed {seed}, {copies} copies: {name}, {used[name].wall:.0f} s", file=sys.stderr)
        reports = ("data.json", "tuning.json", "evaluation.json")
        return Piped(used, *(json.loads((project / "reports" / n).read_text()) for n in reports))


def _run(command: str, project: Path) -> Used:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FOLDWISE_"))}
    began = os.times().elapsed
    arguments = [sys.executable, *command.split()[1:]]
    process = subprocess.Popen(arguments, cwd=project, env=inherited | {"FOLDWISE_QUIET": "1"})
    # Linux begins a process's peak at its parent's memory: nothing large is imported here.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with status {process.returncode}")
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Used(usage.ru_utime + usage.ru_stime, os.times().elapsed - began, memory)


if __name__ == "__main__":
    main()
