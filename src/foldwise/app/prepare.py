"""``python -m foldwise.app.prepare``: from the source to data/prepared and reports/data.json."""

from foldwise.app.exits import run, say
from foldwise.data.preparation import prepare_data
from foldwise.settings import load_settings


def main() -> None:
    """Prepare the data as params.yaml says."""
    info = prepare_data(load_settings())
    shape = "x".join(str(side) for side in info.image_shape)
    say(
        f"prepared {info.name}: {info.development_rows:,} development and"
        f" {info.holdout_rows:,} holdout images of {shape} pixels, {len(info.classes)} classes,"
        f" digests {info.development_digest[:12]} and {info.holdout_digest[:12]}",
        info.duplicates,
    )


if __name__ == "__main__":
    run(main)
