"""The parts that a notebook's ``cv`` says: a number, labels, splits; whole groups; repeats."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.errors import DataError, InputError
from foldwise.search.plan import Plan

FOLDS = 6
"""Parts by default."""


def group_codes(values: Any, rows: int, name: str) -> NDArray[np.int64]:
    """A column of any values as whole numbers from 0."""
    array = np.asarray(values)
    if array.shape != (rows,):
        got = f"{values!r:.40}" if array.ndim == 0 else array.shape
        raise InputError(
            f"{name} must have a value for each of the {rows} rows, got {got}: pass them, such as a"
            " column of the table"
        )
    codes = np.asarray(pd.factorize(array)[0], dtype=np.int64)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise InputError(
            f"{name} must have a value for each row, row {row} has none: fill it, or drop the row"
        )
    return codes


def plan_of(
    own: Any,
    data: tuple[Any, ...],
    codes: NDArray[np.int64],
    *,
    seed: int,
    classes: Sequence[object],
) -> Plan:
    """The parts that ``cv`` says of the data, X, y and groups, in ``n_repeats`` partitions."""
    if isinstance(own.cv, float | str):
        raise InputError(
            "cv must be a number of parts, each row's part, or splits that partition the rows,"
            f" got {own.cv!r:.60}: give one of them"
        )
    if not isinstance(own.cv, int | np.integer | None):
        if own.n_repeats != 1:
            raise InputError(
                f"n_repeats must be 1 where cv says which parts there are, got {own.n_repeats}:"
                " give cv as a number of parts"
            )
        part_of = _given_parts(own.cv, *data)
        plan = Plan(part_of[np.newaxis], np.ones(len(codes), dtype=np.bool_))
    else:
        plan = _dealt(own, codes, seed=seed, groups=data[-1], classes=classes)
    if plan.folds < 3:
        raise InputError(
            f"cv must make at least 3 parts, one to estimate by, one to choose by and one to train"
            f" on, got {plan.folds}: raise it"
        )
    return plan


def _dealt(own: Any, codes: NDArray[np.int64], *, seed: int, **more: Any) -> Plan:
    folds = FOLDS if own.cv is None else int(own.cv)
    if folds > len(codes):
        raise InputError(
            f"cv must be no larger than the number of rows, got {folds} and"
            f" n_samples={len(codes)}: lower it"
        )
    try:
        plans = [
            Plan.stratified(codes, folds=folds, seed=seed + repeat, **more)
            for repeat in range(own.n_repeats)
        ]
    except DataError as error:
        words = str(error).replace("tune.folds", "cv")
        raise InputError(words) from error
    return replace(plans[0], part_of=np.concatenate([plan.part_of for plan in plans]))


def _given_parts(cv: Any, X: Any, y: Any, groups: Any) -> NDArray[np.int64]:
    """Each row's part, by labels, splits or what makes them."""
    rows = len(y)
    splits = list(cv.split(X, y, groups)) if hasattr(cv, "split") else list(cv)
    if splits and np.isscalar(splits[0]):
        part_of = group_codes(splits, rows, "cv")
    else:
        tested_rows = [tested for _, tested in splits]
        partitions = [*map(np.concatenate, splits), np.concatenate([[], *tested_rows])]
        if not all(np.array_equal(np.sort(each), np.arange(rows)) for each in partitions):
            raise InputError(
                "cv's splits must partition the rows: each row tested once, and trained on in all"
                f" others; these {len(splits)} don't: pass a number of parts, each row's part, or a"
                " list of such splits"
            )
        part_of = np.full(rows, -1)
        for part, tested in enumerate(tested_rows):
            part_of[tested] = part
    if groups is not None:
        pairs = len(np.unique(np.column_stack([groups, part_of]), axis=0))
        if pairs > groups.max() + 1:
            raise InputError(
                "cv must keep rows of one group in one part, it parts some: pass a number of parts"
            )
    return part_of


def require_classes(plan: Plan, codes: NDArray[np.int64], classes: NDArray[Any] | None) -> None:
    """No fit may lack a class: it leaves out two parts at most."""
    if classes is None:
        return
    for part_of in plan.part_of:
        for code, name in enumerate(classes.tolist()):
            if (parts := len(np.unique(part_of[codes == code]))) < 3:
                raise InputError(
                    f"each class must have rows in at least 3 parts, so that no fit lacks it,"
                    f" class {name!r} has some in {parts}: lower cv, or leave the class out"
                )


def require_weight(plan: Plan, weights: NDArray[np.float64] | None) -> None:
    """No fit may be left without weight."""
    if weights is None:
        return
    parts = min(len(np.unique(part_of[weights > 0])) for part_of in plan.part_of)
    if parts < 3:
        raise InputError(
            "sample_weight must be above 0 in at least 3 parts, so that each fit has rows to train"
            f" on, it is in {parts}: give more rows a weight"
        )
