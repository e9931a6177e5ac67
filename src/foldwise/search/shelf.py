"""Paths on the disk while their search is open: a stopped search doesn't trace them again.

They follow from the search key (data, parameters, code), so a file that is missing, damaged or
finds no room only costs the time to trace it anew.
"""

import io
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np

from foldwise.errors import OutputError
from foldwise.files import write_bytes
from foldwise.model.path import Path


@dataclass(frozen=True, slots=True)
class PathShelf:
    """One search's paths, a file each, in a folder of their own."""

    folder: FilePath

    def find(self, left_out: frozenset[int]) -> Path | None:
        """The path of the training set without these parts; None if there is no whole file."""
        try:
            content = self._file(left_out).read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                points, strengths = stored["points"], stored["strengths"]
                return Path(left_out, strengths, points, int(stored["evaluations"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, path: Path) -> None:
        """Write a path whole, or not at all if the disk has no room for it."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            allow_pickle=False,
            points=path.points,
            strengths=path.strengths,
            evaluations=path.evaluations,
        )
        with suppress(OSError, OutputError):
            write_bytes(self._file(path.left_out), buffer.getvalue())

    def clear(self) -> None:
        """Forget all paths: the search is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, left_out: frozenset[int]) -> FilePath:
        name = "-".join(map(str, sorted(left_out))) or "none"
        return self.folder / f"without-{name}.npz"
