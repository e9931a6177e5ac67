"""A table's columns as a linear model takes them, and scikit-learn's own steps that make the same.

Numbers come first, then categories whose values are whole numbers, then those of words. The steps
take a data frame's columns by name, in any order, with numbers of any type and whatever JSON's null
has become in it. A value that the rows learned from don't have is ignored.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.data.columns import Columns

Levels = Mapping[str, Collection[Any]]
RARE = 10
"""A category's value that fewer rows have may tell who they are."""


@dataclass(frozen=True, slots=True, eq=False)
class TableEncoder:
    """Makes of a table's rows what `Columns` makes of them, learned from some rows."""

    columns: Columns

    @classmethod
    def of(cls, frame: Any) -> Self:
        """Learn what the columns of a data frame are."""
        known = Columns.of(frame)
        rank = {
            name: 0 if levels is None else 1 if _are_whole(levels) else 2
            for name, levels in zip(known.names, known.levels, strict=True)
        }
        return cls(Columns.of(frame[sorted(rank, key=lambda name: rank[name])]))

    def transform(self, X: Any) -> NDArray[np.floating]:
        """Rows as numbers (rows, encoded columns), NaN where a number is missing."""
        return self.columns.encoded(X[list(self.columns.names)])

    def stock(self, mean: NDArray[np.float64]) -> list[tuple[str, Any]]:
        """The fitted ColumnTransformer that makes the same of a frame, ``mean`` in the gaps.

        Its parts are fitted to one row, in which each gap is filled as it is to be: the means, and
        for categories a value that none of them has.
        """
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline

        known = dict(zip(self.columns.names, self.columns.levels, strict=True))
        numbers = [name for name, levels in known.items() if levels is None]
        categories: Levels = {of: levels for of, levels in known.items() if levels is not None}
        whole: Levels = {of: levels for of, levels in categories.items() if _are_whole(levels)}
        words: Levels = {of: levels for of, levels in categories.items() if of not in whole}
        gap = _other_than({level for levels in words.values() for level in levels})
        row = dict(zip(numbers, mean, strict=False))
        row |= {name: max(_present(levels)) + 1.0 for name, levels in whole.items()}
        row |= dict.fromkeys(words, gap)
        filled = {"strategy": "constant", "fill_value": gap}
        steps = (
            ("numbers", numbers, [("gaps", SimpleImputer())]),
            ("numbered", [*whole], [("gaps", SimpleImputer()), ("values", _one_hot(whole, row))]),
            (
                "named",
                [*words],
                [
                    ("gaps", SimpleImputer(**filled)),
                    ("nulls", SimpleImputer(missing_values=None, **filled)),
                    ("values", _one_hot(words, row)),
                ],
            ),
        )
        transformer = ColumnTransformer(
            [(name, Pipeline(made), of) for name, of, made in steps if of], sparse_threshold=0
        )
        return [("columns", transformer.fit(pd.DataFrame([row])))]


def typical(frame: Any) -> Any:
    """A row like those of a data frame and none of them: means, rounded, and common categories."""
    import pandas as pd

    row: dict[str, Any] = {}
    for name, cells in frame.items():
        if hasattr(cells.dtype, "categories"):
            counts = cells.value_counts()
            is_common = len(counts) > 0 and counts.iloc[0] >= RARE
            row[name] = counts.index[0] if is_common else None
        else:
            mean = float(cells.mean())
            row[name] = mean if np.isnan(mean) else float(f"{mean:.3g}")
    return pd.DataFrame([row])


def told_names(encoder: TableEncoder, frame: Any, *, shows_rare: bool) -> tuple[str, ...]:
    """The encoded columns' names for people; without the rare values of the frame's categories."""
    told: list[str] = []
    for name, levels in zip(encoder.columns.names, encoder.columns.levels, strict=True):
        if levels is None:
            told.append(name)
            continue
        counts = frame[name].value_counts().to_dict()
        for level in levels:
            is_shown = shows_rare or counts.get(level, 0) >= RARE
            value = level if is_shown else "a rare value"
            told.append(f"{name}: {'missing' if level not in counts else value}")
    return tuple(told)


def _one_hot(categories: Levels, row: Mapping[str, Any]) -> Any:
    """An encoder of these values, what stands in the row for a missing one last."""
    from sklearn.preprocessing import OneHotEncoder

    values = [
        np.array([*_present(levels), *([row[name]] if len(_present(levels)) < len(levels) else [])])
        for name, levels in categories.items()
    ]
    values = [of.astype(object) if of.dtype.kind == "U" else of.astype(np.float64) for of in values]
    return OneHotEncoder(categories=values, handle_unknown="ignore", sparse_output=False)


def _present(levels: Collection[Any]) -> list[Any]:
    return [level for level in levels if level == level]  # noqa: PLR0124 - NaN is the missing one


def _are_whole(levels: Collection[Any]) -> bool:
    present = _present(levels)
    return bool(present) and all(isinstance(level, int) for level in present)


def _other_than(values: Collection[Any]) -> str:
    word = "missing"
    while word in values:
        word = f"({word})"
    return word
