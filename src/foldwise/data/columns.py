"""A table as numbers: which columns are numbers, which categories, and what a row becomes.

And scikit-learn's own steps that make the same: they take a data frame's columns by name, in any
order, with numbers of any type and whatever JSON's null has become in it.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.data.labels import require_one_spelling
from foldwise.errors import InputError, MissingError

Levels = Mapping[str, Collection[Any]]
RARE = 10
"""A category's value that fewer rows have may tell who they are."""
_STRANGE: dict[str, tuple[type, ...]] = {
    "text": (str, bytes),
    "a date": (date, time, timedelta, np.datetime64, np.timedelta64),
    "a complex number": (complex, np.complexfloating),
}
_REMEDIES = {
    "text": "convert it to a number, or the column to the type category",
    "a date": "convert it to a number, such as the days since one",
    "an infinite number": "put a number or NaN, for missing, in its place",
    "a complex number": "make two columns of it, of its real and its imaginary part",
    "no number": "make a column of each number that it holds, or leave the column out",
}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What the columns of a table are, learned from some rows and applied to any.

    A number stays one, NaN where it is missing; with ``indicators`` a column that has gaps gets
    another one, which says where. A category becomes a column for each of its values that occur,
    missing among them if it does; a value that has none is 0 in all of them. So ``levels`` are each
    category's values, None for a number; ``names`` are numbers where columns have none.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[Any, ...] | None, ...]
    gaps: tuple[int, ...] = ()

    @classmethod
    def of(cls, X: Any, *, indicators: bool = False) -> Self:
        """Learn what the columns of an array (rows, columns) or a data frame are.

        Categories are a frame's columns of the type "category". With ``indicators`` a number's gaps
        are told by a column of their own.

        Raises
        ------
        InputError
            A cell is no finite number: it is named by column and row. Or two categories look alike.
        """
        names, cells = cells_of(X)
        levels = tuple(_levels(each) for each in cells)
        for name, of in zip(names, levels, strict=True):
            require_one_spelling(of or (), f"the categories of column {name!r}")
        columns = cls(names, levels)
        if not indicators:
            return columns
        numbers = (place for place, of in enumerate(levels) if of is None)
        gaps = (place for place in numbers if np.isnan(columns.numbers(cells[place], place)).any())
        return cls(names, levels, tuple(gaps))

    @classmethod
    def ranked(cls, frame: Any) -> Self:
        """Learn a data frame's columns: numbers, whole-numbered categories, then those of words.

        These are taken from a frame by their names.
        """
        known = cls.of(frame)
        rank = {
            name: 0 if levels is None else 1 if _are_whole(levels) else 2
            for name, levels in zip(known.names, known.levels, strict=True)
        }
        return cls.of(frame[sorted(rank, key=lambda name: rank[name])])

    @property
    def is_scaled(self) -> NDArray[np.bool_]:
        """Of the encoded columns: those that are standardised, all but the categories'."""
        scaled = [
            is_number
            for of in self.levels
            for is_number in ([True] if of is None else [False] * len(of))
        ]
        return np.array([*scaled, *(True for _ in self.gaps)], dtype=np.bool_)

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """Names of the encoded columns, as scikit-learn's encoders would give them."""
        named = [
            name if of is None else [f"{name}_{level}" for level in of]
            for name, of in zip(self.names, self.levels, strict=True)
        ]
        flat = [part for each in named for part in ([each] if isinstance(each, str) else each)]
        return (*flat, *(f"missingindicator_{self.names[place]}" for place in self.gaps))

    def encoded(self, X: Any) -> NDArray[np.floating]:
        """Rows as `numbers` (rows, encoded columns): float32 if all of them are, else float64."""
        is_floats = isinstance(X, np.ndarray) and X.dtype.kind == "f"
        if is_floats and not self.gaps and not np.isinf(X).any():
            return np.asarray(X, dtype=np.float32 if X.dtype.itemsize <= 4 else np.float64)
        _, cells = cells_of(X)
        columns: list[NDArray[Any]] = []
        for place, (levels, own) in enumerate(zip(self.levels, cells, strict=True)):
            if levels is None:
                columns.append(self.numbers(own, place))
            else:
                columns += [_is_level(own, level) for level in levels]
        columns += [np.isnan(self.numbers(cells[place], place)) for place in self.gaps]
        encoded = np.empty((len(columns[0]), len(columns)))
        for place, column in enumerate(columns):
            encoded[:, place] = column
        return encoded

    def transform(self, X: Any) -> NDArray[np.floating]:
        """A data frame's rows `encoded`, whatever else it has and in whatever order."""
        return self.encoded(X[list(self.names)])

    def stock(self, mean: NDArray[np.float64]) -> list[tuple[str, Any]]:
        """The fitted ColumnTransformer that makes the same of a frame, ``mean`` in the gaps.

        Its parts are fitted to one row, in which each gap is filled as it is to be: the means, and
        for categories a value that none of them has.
        """
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import Pipeline

        known = dict(zip(self.names, self.levels, strict=True))
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

    def empty(self, encoded: NDArray[np.floating]) -> list[str]:
        """Names of the columns that have no value in any of the encoded rows."""
        numbers = [place for place, is_scaled in enumerate(self.is_scaled) if is_scaled]
        gaps = [place for place in numbers if np.isnan(encoded[0, place])]
        names = [self.encoded_names[place] for place in gaps if np.isnan(encoded[:, place]).all()]
        # In a category missing is a value, which may be the only one.
        levels = zip(self.names, self.levels, strict=True)
        return names + [name for name, of in levels if of is not None and of[0] != of[0]]

    def numbers(self, cells: Any, place: int) -> NDArray[np.float64]:
        """A column's cells as numbers (rows,), NaN where one is missing.

        Raises
        ------
        InputError
            A cell is no finite number.
        """
        import pandas as pd  # half a second: a search of images needs none

        are_numbers = pd.api.types.is_numeric_dtype(cells) and not np.iscomplexobj(cells)
        if not are_numbers:
            for row, cell in enumerate(cells):
                if (what := _strange(cell)) is not None:
                    if isinstance(cells, np.ndarray) and isinstance(cell, dict):
                        float(cell)  # type: ignore[arg-type]  # of arrays the error is Python's
                    raise _refused(self.names[place], row, cell, what)
            if pd.isna(cells).all():
                return np.full(len(cells), np.nan)
        values = (
            cells.to_numpy(dtype=np.float64, na_value=np.nan)
            if hasattr(cells, "to_numpy")
            else np.asarray(cells, dtype=np.float64)
        )
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise _refused(self.names[place], row, values[row], "an infinite number")
        return values


def cells_of(X: Any) -> tuple[tuple[str, ...], Sequence[Any]]:
    """Names and columns of a frame, of an array, or of what can be turned into one of them."""
    X = as_pandas(X)
    if hasattr(X, "iloc"):
        return tuple(map(str, X.columns)), [X.iloc[:, place] for place in range(X.shape[1])]
    array = np.asarray(X)
    return tuple(map(str, range(array.shape[1]))), [*array.T]


def as_pandas(X: Any) -> Any:
    """A table of polars or pyarrow as a pandas frame; whatever else as it is.

    Raises
    ------
    MissingError
        polars needs pyarrow for that.
    InputError
        A column has a type that pyarrow lacks.
    """
    if not hasattr(X, "to_pandas"):
        return X
    try:
        return X.to_pandas()
    except ModuleNotFoundError as error:
        raise MissingError(
            f"a table of {type(X).__module__.split('.')[0]} needs {error.name}, which this Python"
            f" lacks: run `{sys.executable} -m pip install {error.name}`"
        ) from error
    except (ValueError, NotImplementedError) as error:  # as pyarrow's errors are
        names = getattr(X, "column_names", X.columns)
        if len(names) == 1:
            raise InputError(
                f"column {names[0]!r} must have a type that pyarrow has, {error}: cast it to 64"
                " bits, or leave it out"
            ) from error
        for name in names:  # the first of them says so
            as_pandas(X.select([name]))
        raise


def _levels(cells: Any) -> tuple[Any, ...] | None:
    """The values that occur in a category, in their order, NaN last; None of another column."""
    if not hasattr(getattr(cells, "dtype", None), "categories"):
        return None
    codes = cells.cat.codes.to_numpy()
    categories = cells.cat.categories.tolist()
    occurring = [categories[code] for code in np.unique(codes[codes >= 0])]
    return (*occurring, np.nan) if (codes < 0).any() else tuple(occurring)


def _is_level(cells: Any, level: Any) -> NDArray[np.bool_]:
    is_missing = isinstance(level, float) and np.isnan(level)
    if not is_missing:
        found = cells.astype(object) == level
    elif hasattr(cells, "isna"):
        found = cells.isna()
    else:  # an array given to what was fitted to a frame
        found = [of is None or (isinstance(of, float) and np.isnan(of)) for of in cells.tolist()]
    return np.asarray(found, dtype=np.bool_)


def _strange(cell: Any) -> str | None:
    """What a cell is that is neither a number nor missing.

    Numbers written as text are text: only whoever made them knows what their signs mean.
    """
    import pandas as pd  # half a second

    if pd.api.types.is_list_like(cell):
        return "no number"
    if pd.isna(cell):
        return None
    if isinstance(cell, pd.Period):
        return "a date"
    for what, types in _STRANGE.items():
        if isinstance(cell, types):
            return what
    try:
        float(cell)
    except (TypeError, ValueError, OverflowError) as error:
        return "an infinite number" if isinstance(error, OverflowError) else "no number"
    return None


def _refused(column: str, row: int, cell: Any, what: str) -> InputError:
    shown = " ".join(str(cell).split())[:40]
    return InputError(
        f"column {column!r} must hold finite numbers or a category, row {row} has {what},"
        f" {shown!r}: {_REMEDIES[what]}"
    )


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


def told_names(columns: Columns, X: Any, *, shows_rare: bool) -> tuple[str, ...]:
    """The encoded columns' names for people; without the rare values of X's categories."""
    cells, told = dict(zip(*cells_of(X), strict=True)), list[str]()
    for name, levels in zip(columns.names, columns.levels, strict=True):
        if levels is None:
            told.append(name)
            continue
        counts = cells[name].value_counts().to_dict()
        for level in levels:
            is_shown = shows_rare or counts.get(level, 0) >= RARE
            value = level if is_shown else "a rare value"
            told.append(f"{name}: {'missing' if level not in counts else value}")
    return (*told, *(f"{columns.names[place]} is missing" for place in columns.gaps))


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
