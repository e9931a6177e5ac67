"""The files between the stages: where they lie, and writing a folder's worth of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from foldwise.errors import SearchError
from foldwise.files import write_bytes
from foldwise.ownership import check_output

TUNED = Path("models/tuned")
RUN = Path("models/run.json")
MODEL = Path("models/final")
REPORTS = Path("reports")


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Which search a result came from, and MLflow's run of it: what `evaluate` goes on with."""

    run_id: str
    search_key: str
    attempt: int


def save_place(place: SearchPlace) -> None:
    """Write models/run.json."""
    save(RUN.parent, {RUN.name: json.dumps(asdict(place), indent=1).encode()})


def load_place() -> SearchPlace:
    """Read models/run.json.

    Raises
    ------
    SearchError
        If it is missing or not whole.
    """
    try:
        return SearchPlace(**json.loads(RUN.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise SearchError(
            f"{RUN} must name the search that was tuned, reading gave {error}: "
            "run `dvc repro tune` or `dvc pull`"
        ) from error


def save(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each whole or not at all; none if one's place isn't ours."""
    for name in files:
        check_output(folder / name)
    for name, content in files.items():
        write_bytes(folder / name, content)


def save_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all the files of a folder; what an earlier run left there besides goes."""
    check_output(folder)
    save(folder, files)
    for path in folder.iterdir():
        if (path.is_file() or path.is_symlink()) and path.name not in files:
            path.unlink()
