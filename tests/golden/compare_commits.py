"""Run the cases in two checkouts and list every difference, bit by bit.

``python -m tests.golden.compare_commits BEFORE AFTER``: two folders, each with a checkout and its
environment in ``.venv``. What is new is listed and does no harm; the status is 1 if anything
changed or is gone. Run both on one machine: another processor's kernels sum in another order.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.golden.cases import CASES, Case
from tests.golden.differences import differences
from tests.golden.documents import Quantities, read_all
from tests.golden.running import run_cases


def main() -> None:
    """Compare as the command line says."""
    told = _arguments()
    cases = [case for case in CASES if not told.case or case.name in told.case]
    with tempfile.TemporaryDirectory() as root:
        before, after = (
            _run(cases, Path(root) / side, checkout.resolve())
            for side, checkout in (("before", told.before), ("after", told.after))
        )
    counts: Counter[str] = Counter()
    for case in cases:
        found = list(differences(_renamed(before[case.name], told.rename), after[case.name]))
        counts.update(line[:9].strip() for line in found)
        quantities = sum(map(len, before[case.name].values()))
        sys.stdout.write(f"{case.name}: {quantities} quantities, {len(found)} differences\n")
        sys.stdout.writelines(f"  {line}\n" for line in found)
    sys.exit(int(bool(counts["changed"] or counts["gone"])))


def _run(cases: list[Case], root: Path, checkout: Path) -> dict[str, Quantities]:
    python = checkout / ".venv" / "bin" / "python"
    return {
        ran.case.name: read_all(ran)
        for ran in run_cases(cases, root, checkout=checkout, python=python)
    }


def _renamed(found: Quantities, renames: list[str]) -> Quantities:
    """The quantities under the names that the other side has for them."""
    renamed: Quantities = {}
    for item, fields in found.items():
        for field, value in fields.items():
            name = f"{item}: {field}"
            for rename in renames:
                pattern, _, words = rename.partition("=")
                name = re.sub(pattern, words, name)
            item_now, _, field_now = name.partition(": ")
            renamed.setdefault(item_now, {})[field_now] = value
    return renamed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.compare_commits",
        description="Run the golden cases in two checkouts and list every difference, bit by bit.",
    )
    parser.add_argument("before", type=Path, help="folder of a checkout with .venv in it")
    parser.add_argument("after", type=Path, help="the other one's")
    parser.add_argument("--case", action="append", help="only this case; may be repeated")
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="PATTERN=WORDS",
        help="a regular expression in BEFORE's 'item: field' and what AFTER calls it; repeatable",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
