"""The rows an entry is tuned on: a stratified part of each part of the development set."""

from dataclasses import replace

import numpy as np

from foldwise.data.dataset import Split
from foldwise.data.labels import stratified_rows
from foldwise.errors import DataError
from foldwise.search.plan import RESERVE, Plan
from foldwise.search.trials import Part
from foldwise.settings import ENTRIES, Entry


def sampled(plan: Plan, development: Split, entry: Entry, *, seed: int) -> Plan:
    """The plan with all rows in reserve but the entry's: as many from each part, stratified.

    Shifted copies are in reserve, too: only the final model sees them. There are no outer folds.

    Raises
    ------
    DataError
        If so few rows are asked for that a part would lack a class.
    """
    originals = int(plan.is_scored.sum())
    wanted = originals if entry.rows is None else min(entry.rows, originals)
    part_of = np.full_like(plan.part_of, RESERVE)
    for part in range(plan.folds):
        pool = plan.scored_rows(Part(0, part))
        quota = min(len(pool), wanted // plan.folds + (part < wanted % plan.folds))
        try:
            drawn = stratified_rows(development.labels[pool], limit=quota, seed=seed)
        except DataError as error:
            raise DataError(
                f"models.{entry.name}.rows must leave rows of every class in every part,"
                f" got {entry.rows}: raise it in {ENTRIES}"
            ) from error
        part_of[0, pool[drawn]] = part
    return replace(plan, part_of=part_of, has_outer=False)
