"""``python -m foldwise.app.prepare``: from the source to data/prepared and reports/data.json.

With ``--look`` it only looks whether DVC can begin: `make` asks this first.
"""

import sys
from pathlib import Path

from foldwise.app.exits import run, say
from foldwise.errors import DataError
from foldwise.settings import load_settings


def main() -> None:
    """Prepare the data as params.yaml says, or look for its folder."""
    if "--look" in sys.argv[1:]:
        look()
        return
    from foldwise.data.preparation import prepare_data  # with numpy: looking costs a repeat less

    info = prepare_data(load_settings())
    shape = "x".join(str(side) for side in info.image_shape)
    say(
        f"prepared {info.name}: {info.development_rows:,} development and"
        f" {info.holdout_rows:,} holdout images of {shape} pixels, {len(info.classes)} classes,"
        f" digests {info.development_digest[:12]} and {info.holdout_digest[:12]}",
        info.duplicates,
    )


def look() -> None:
    """Refuse a missing folder: DVC reads it before any stage, whatever the source, and ends badly.

    Raises
    ------
    DataError
        There is none.
    """
    path = load_settings().prepare.path
    if not Path(path).is_dir():
        raise DataError(
            f"prepare.path must be a folder of the project, got {path}: make it, or name another"
            " in params.yaml"
        )


if __name__ == "__main__":
    run(main)
