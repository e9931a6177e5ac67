"""``python -m foldwise.app.prepare``: from the source to data/prepared and reports/data.json."""

import os
import sys

from foldwise.app.exits import run
from foldwise.data.preparation import prepare_data
from foldwise.settings import load_settings


def main() -> None:
    """Prepare the data as params.yaml says."""
    info = prepare_data(load_settings())
    if os.environ.get("FOLDWISE_QUIET") != "1":
        shape = "x".join(str(side) for side in info.image_shape)
        sys.stdout.write(
            f"prepared {info.name}: {info.development_rows:,} development and"
            f" {info.holdout_rows:,} holdout images of {shape} pixels, {len(info.classes)} classes,"
            f" digests {info.development_digest[:12]} and {info.holdout_digest[:12]}\n"
        )


if __name__ == "__main__":
    run(main)
