"""What a stage leaves for those after it, whole or not at all: results, pictures, which search."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

import numpy as np

from foldwise.errors import SearchError
from foldwise.files import DocumentError, decode, decode_arrays, encode, read_bytes, write_bytes
from foldwise.ownership import check_output
from foldwise.report.picture import Picture, picture_files
from foldwise.search.jobs import Predictions

MODELS, REPORTS = Path("models"), Path("reports")
TUNED, EVALUATED, RUN = MODELS / "tuned", MODELS / "evaluated", MODELS / "run.json"
PICTURES = "pictures.json"

_T = TypeVar("_T")
_HEX = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Which search a result came from, and MLflow's run of it: what `evaluate` goes on with.

    It took ``seconds``, with so many trials ``kept`` from before; ``untuned`` has the scores of
    each outer fold at C = 1, where that was searched.
    """

    run_id: str
    search_key: str
    attempt: int
    seconds: float = 0.0
    kept: int = 0
    untuned: tuple[Mapping[str, float], ...] = ()
    schema: Literal[1] = 1

    def save(self) -> None:
        """Write models/run.json."""
        save(MODELS, {RUN.name: encode(self, indent=1).encode()})

    @classmethod
    def read(cls, root: Path = Path()) -> Self:
        """Read models/run.json of a folder, which must name a search rather than a place."""
        try:
            place = decode(cls, read_bytes(root / RUN), tolerant=True)
            if not (_HEX.fullmatch(place.search_key) and _HEX.fullmatch(place.run_id)):
                raise DocumentError(f"{place.search_key[:40]!r} of run {place.run_id[:40]!r}")
        except (OSError, DocumentError) as error:
            raise SearchError(
                f"{RUN} must name the search that was tuned, reading gave {error}: "
                "run `dvc repro tune` or `dvc pull`"
            ) from error
        return place


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


def save_result(folder: Path, story: object, predictions: Predictions) -> None:
    """Keep a model's predictions on the holdout, to the bit, and what is to be told of them."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        values=predictions.values,
        are_probabilities=np.array(predictions.are_probabilities),
    )
    told = encode(story, indent=1).encode()
    save_all(folder, {"holdout.npz": buffer.getvalue(), "result.json": told})


def read_result(kind: type[_T], folder: Path, remedy: str) -> tuple[_T, Predictions]:
    """Read back what `save_result` kept.

    Raises
    ------
    SearchError
        If a file is missing or not whole.
    """
    try:
        story = decode(kind, read_bytes(folder / "result.json"), tolerant=True)
        stored = decode_arrays(read_bytes(folder / "holdout.npz"))
        real = bool(stored["are_probabilities"])
        return story, Predictions(stored["values"], are_probabilities=real)
    except (OSError, ValueError, KeyError, DocumentError) as error:
        raise SearchError(
            f"{folder} must hold a model's whole result, it doesn't ({error}): {remedy}"
        ) from error


def save_pictures(folder: Path, pictures: Sequence[Picture]) -> dict[str, bytes]:
    """Write a folder of pictures, with the words for those who can't see them; gives the files."""
    files = picture_files(pictures)
    words = encode([[of.name, of.alt, of.section, of.caption] for of in pictures], indent=1)
    save_all(folder, files | {PICTURES: words.encode()})
    return {f"figures/{name}": content for name, content in files.items()}


def kept_pictures(folder: Path) -> tuple[Picture, ...]:
    """Read back what `save_pictures` wrote; nothing where it isn't whole."""
    kept: list[Picture] = []
    try:
        words = decode(tuple[tuple[str, str, str, str], ...], read_bytes(folder / PICTURES))
        for name, alt, *placed in words:
            svg = folder / f"{name}.svg"
            drawn = read_bytes(svg) if svg.exists() else None
            kept.append(Picture(name, alt, read_bytes(folder / f"{name}.png"), drawn, *placed))
    except (OSError, DocumentError):
        return ()
    return tuple(kept)
