"""The rows an entry is tuned on: a stratified part of each part of the development set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Split
from foldwise.data.labels import stratified_rows
from foldwise.errors import DataError
from foldwise.search.plan import FoldPlan
from foldwise.settings import ENTRIES, Entry


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows of the development set with the parts they lie in.

    Attributes
    ----------
    images : float32 array (rows, features)
        Pixels 0-255.
    labels, part_of : int64 arrays (rows,)
    folds : int
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    part_of: NDArray[np.int64]
    folds: int


def draw_sample(development: Split, plan: FoldPlan, entry: Entry, *, seed: int) -> Sample:
    """Draw the entry's rows: as many from each part, classes in their proportions.

    A row lies in the part that it lies in for the main job. Shifted copies are left out.

    Raises
    ------
    DataError
        If so few rows are asked for that a part would lack a class.
    """
    originals = np.flatnonzero(development.origins == np.arange(len(development.labels)))
    wanted = len(originals) if entry.rows is None else min(entry.rows, len(originals))
    chosen = []
    for part in range(plan.folds):
        pool = originals[plan.part_of[originals] == part]
        quota = min(len(pool), wanted // plan.folds + (part < wanted % plan.folds))
        with _naming(entry):
            drawn = stratified_rows(development.labels[pool], limit=quota, seed=seed)
        chosen.append(pool[drawn])
    rows = np.sort(np.concatenate(chosen))
    images = development.images[rows].astype(np.float32)
    return Sample(images, development.labels[rows], plan.part_of[rows], plan.folds)


@contextmanager
def _naming(entry: Entry) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(
            f"models.{entry.name}.rows must leave rows of every class in every part,"
            f" got {entry.rows}: raise it in {ENTRIES}"
        ) from error
