"""``python -m docs.collect NAME``: keep a DVC experiment's reports as evidence for the docs.

Copies what the documents quote from the experiment's commit to docs/evidence/NAME.
"""

import subprocess
import sys
from pathlib import Path

from foldwise.atomic import write_bytes

EVIDENCE = Path(__file__).parent / "evidence"
REPORTS = ("tuning.json", "evaluation.json", "trials.csv")


def main(name: str) -> None:
    """Find the experiment of that name and copy its reports."""
    references = _git("for-each-ref", "--format=%(refname)", "refs/exps").decode().split()
    [found] = [each for each in references if each.endswith(f"/{name}")]
    for report in REPORTS:
        write_bytes(EVIDENCE / name / report, _git("show", f"{found}:reports/{report}"))


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], capture_output=True, check=True)  # noqa: S607
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1])
