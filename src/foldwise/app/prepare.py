"""``python -m foldwise.app.prepare``: from the source to data/prepared and reports/data.json.

With ``--look`` it only looks whether DVC can begin: `make` asks this first.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from foldwise.app.exits import run, say
from foldwise.errors import DataError, SettingsError
from foldwise.settings import SOURCES, Holdout, load_settings
from foldwise.store.address import project_root


def main() -> None:
    """Prepare the data as params.yaml says, or look for its folder."""
    if "--look" in sys.argv[1:]:
        look()
        return
    from foldwise.data.preparation import prepare_data  # with numpy: looking costs a repeat less

    settings = load_settings()
    require_followed(settings.prepare.holdout)
    home = project_root() if settings.prepare.source == "openml" else None
    info = prepare_data(settings, home=home, tell=say)
    shape = "x".join(str(side) for side in info.image_shape) + " pixels"
    if info.table is not None:
        shape = f"{len(info.table.columns)} columns"
    say(
        f"prepared {info.name}: {info.development_rows:,} development and"
        f" {info.holdout_rows:,} holdout {info.unit}s of {shape}, {len(info.classes)} classes,"
        f" digests {info.development_digest[:12]} and {info.holdout_digest[:12]}",
        info.duplicates,
    )


def look() -> None:
    """Refuse a missing folder: DVC reads it before any stage, whatever the source, and ends badly.

    Or a missing file, where the source reads one, and a second file that DVC wouldn't see change.
    """
    prepare = load_settings().prepare
    require_followed(prepare.holdout)
    reads = SOURCES[prepare.source]
    if not reads.finds(Path(prepare.path)):
        raise DataError(
            f"prepare.path must be a {reads.path} of the project, got {prepare.path}: make it, or"
            " name another in params.yaml"
        )


def require_followed(holdout: Holdout, *, root: Path = Path()) -> None:
    """A second file is no news to DVC unless dvc.yaml names it, and then it must be there."""
    file = holdout.get("file") if isinstance(holdout, Mapping) else None
    pipeline = root / "dvc.yaml"
    if file is None or not pipeline.is_file():
        return
    names = "|".join(map(re.escape, ("${prepare.holdout.file}", file)))
    try:
        listed = pipeline.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"{pipeline} must be a text that can be read, got {type(error).__name__}:"
            f" run `git restore {pipeline.name}`"
        ) from error
    if not re.search(rf"^\s*- ({names})\s*$", listed, re.MULTILINE):
        raise SettingsError(
            "dvc.yaml must name prepare.holdout's file among the stage prepare's dependencies, or"
            f" DVC would miss its changes, got no {file}: add - ${{prepare.holdout.file}} to them"
        )


if __name__ == "__main__":
    run(main)
