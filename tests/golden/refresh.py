"""``python -m tests.golden.refresh``: run all cases and pin what comes out, instead of what was.

For a change of results that is meant; look at the difference of the files before committing it.
"""

import sys
import tempfile
from pathlib import Path

from tests.golden.cases import CASES
from tests.golden.documents import read_all
from tests.golden.pins import MARGIN, least_margin, save
from tests.golden.running import Ran, run_cases


def main() -> None:
    """Write every case's file; refuse those whose choices hang on the last digits."""
    with tempfile.TemporaryDirectory() as root:
        refused = [ran.case.name for ran in run_cases(CASES, Path(root)) if not _pin(ran)]
    if refused:
        sys.exit(
            f"trials of one study must differ by {MARGIN:g}, in {', '.join(refused)} two differ"
            " by less: choose another range of C or another seed in tests/golden/cases.py"
        )


def _pin(ran: Ran) -> bool:
    found = read_all(ran)
    margin = least_margin(found, ran.case.metric)
    sys.stdout.write(f"{ran.case.name}: {ran.seconds:.1f} CPU s, margin {margin:.2g}\n")
    if margin < MARGIN:
        return False
    save(ran.case, found)
    return True


if __name__ == "__main__":
    main()
