"""``python -m docs.collect [EXPERIMENT ...]``: keep what the documents quote of other runs.

Copies the reports of DVC experiments to docs/evidence/EXPERIMENT and the comparison's picture, if
it was drawn here, to docs/pictures.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from foldwise.files import write_bytes

DOCS = Path(__file__).parent
REPORTS = ("tuning.json", "evaluation.json", "trials.csv")
PICTURE = Path("reports/figures/comparison/accuracy_time.svg")


def main(experiments: list[str]) -> None:
    """Copy what there is of each."""
    for name in experiments:
        commit = _experiment(name)
        for report in REPORTS:
            content = _git("show", f"{commit}:reports/{report}")
            write_bytes(DOCS / "evidence" / name / report, content)
    if PICTURE.exists():
        shutil.copy(PICTURE, DOCS / "pictures")


def _experiment(name: str) -> str:
    """The experiment's git reference."""
    references = _git("for-each-ref", "--format=%(refname)", "refs/exps").decode().split()
    found = [each for each in references if each.endswith(f"/{name}")]
    if len(found) != 1:
        raise SystemExit(f"one experiment must be called {name}, {len(found)} are: dvc exp list")
    return found[0]


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True)
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1:])
