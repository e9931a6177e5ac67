"""What the cells of a column are: numbers, words, or what has to be mended before it is either."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from foldwise.data.labels import TWO_WAYS, WRITE_ONE_WAY, alike, sight
from foldwise.data.table_file import MISSING

_MOST_CATEGORIES = 1000
_MOST_UNASKED = 100
"""Categories of a column that nobody called one."""
_FEW = 10
_LONGEST = 100
_EXACT = 2**53
_NUMBER = re.compile(
    r"[-+]?((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|inf(inity)?|nan)", re.ASCII | re.IGNORECASE
)
_CANONICAL = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?")
_KEY = re.compile(r"(?i:(^|[\W_])(id|key|nr|uuid))$|[a-z]I[dD]$")
AMONG_NUMBERS = " where numbers belong"
_POINT = "write its numbers with digits and a point alone"
_DROP = "add it to prepare.drop"
# By what a cell looks like: its name, and what is done about a column of such.
_LOOKS = {
    "a date": (
        r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}([T ,].*)?",
        f"{_DROP}, or write the days since one",
    ),
    "a time": (r"\d{1,2}:\d\d(:\d\d.*)?", f"{_DROP}, or write the hours as a number"),
    "thousands separators": (r"[-+]?\d{1,3}([,.' \u00a0]\d{3})+([.,]\d+)?", _POINT),
    "a decimal comma": (r"[-+]?\d*,\d+([eE][-+]?\d+)?", _POINT),
    "a sign beside a number": (r"[$€£<>~]\s?[-+]?\d[\d.,]*|[-+]?\d[\d.,]*\s?[%$€£]", _POINT),
}
Kind = Literal["number", "category", "word"]


class Fault(NamedTuple):
    """What is wrong with a column, what mends it, and in which cell, its row from 0, it is seen.

    ``other`` is the row of a second cell, where it takes two.
    """

    got: str
    remedy: str
    row: int | None = None
    cell: str = ""
    other: int | None = None


_EMPTY = Fault("no value in any row", _DROP)
_CONSTANT = Fault("one value in all rows", f"{_DROP}, or name its kind in prepare.columns")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Cells that are no numbers: the place of each one's level, -1 where it is missing."""

    codes: NDArray[np.int64]
    levels: list[str]

    def fault(self, is_it: Callable[[str], bool], remedy: str, where: str = "") -> Fault | None:
        """The first cell that is so."""
        found = np.array([is_it(level) for level in self.levels] + [False])[self.codes]
        if not found.any():
            return None
        row = int(found.argmax())
        cell = self.levels[self.codes[row]]
        return Fault(f"{look_of(cell)}, {cell[:30]!r}{where}", remedy, row, cell)

    def categories(self) -> pd.Categorical:
        """As pandas has them, ascending."""
        order = sorted(range(len(self.levels)), key=self.levels.__getitem__)
        places = np.empty(len(order) + 1, dtype=np.int64)
        places[[*order, -1]] = [*range(len(order)), -1]
        levels = [self.levels[place] for place in order]
        return pd.Categorical.from_codes(places[self.codes], categories=levels)

    def alike(self) -> Fault | None:
        """The first two words that nobody can tell apart by sight."""
        places = alike(self.levels)
        if places is None:
            return None
        row, other = sorted(int((self.codes == place).argmax()) for place in places)
        word = self.levels[places[0]][:30]
        return Fault(f"{word!r} {TWO_WAYS}", WRITE_ONE_WAY, row, word, other)

    def missing(self, remedy: str) -> Fault | None:
        """The first cell that is missing, or in which nothing can be seen."""
        is_missing = np.array([not sight(level) for level in self.levels] + [True])[self.codes]
        return Fault("no value", remedy, int(is_missing.argmax())) if is_missing.any() else None


@dataclass(slots=True)
class Column:
    """Cells as they come, block by block: floats where all of a block are numbers, or words.

    ``kind`` is what it is said to be, None to be seen; a word is no feature. With ``is_text`` its
    file says nothing of types, as CSV.
    """

    name: str
    kind: Kind | None
    is_text: bool
    blocks: list[Any] = field(default_factory=list)

    def add(self, cells: pa.Array) -> None:
        """Take the next rows."""
        if pa.types.is_dictionary(cells.type):
            self.kind = self.kind or "category"
            cells = cells.dictionary_decode()
        is_word = self.kind in ("category", "word")
        if is_word or not _is_number(cells.type):
            cells = cells.cast(pa.string())
            is_word = is_word or (self.kind is None and not self.is_text)
        numbers = None if is_word else floats(cells)
        if numbers is None:
            cells = (_trimmed(cells) if self.is_text else cells).dictionary_encode()
        self.blocks.append(cells if numbers is None else numbers)

    def read(self) -> NDArray[np.float64] | Words:
        """All its cells."""
        if all(isinstance(block, np.ndarray) for block in self.blocks):
            return np.asarray(np.concatenate(self.blocks))
        words = self.words()
        may_be = self.kind == "number" or (self.kind is None and self.is_text)
        truths = as_truths(words.levels) if may_be else None
        return words if truths is None else np.array([*truths, np.nan])[words.codes]

    def words(self) -> Words:
        """All its cells, numbers among them as words."""
        blocks = [
            pa.array(block, from_pandas=True).cast(pa.string()).dictionary_encode()
            if isinstance(block, np.ndarray)
            else block
            for block in self.blocks
        ]
        whole = pa.chunked_array(blocks).unify_dictionaries().combine_chunks()
        codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Words(codes, whole.dictionary.to_pylist())

    def fault(self, cells: NDArray[np.float64] | Words) -> Fault | None:
        """What is wrong with them as a feature; a kind that was named explains the most."""
        return self._of_words(cells) if isinstance(cells, Words) else self._of_numbers(cells)

    def _of_numbers(self, values: NDArray[np.float64]) -> Fault | None:
        if np.isnan(values).all():
            return _EMPTY
        if np.isinf(values).any():
            row = int(np.isinf(values).argmax())
            return Fault("an infinite number", "put a number there, or nothing", row)
        if self.kind is not None:
            return None
        remedy = f"{_DROP}, or call it a number or a category in prepare.columns"
        if (is_large := np.abs(values) >= _EXACT).any():
            row = int(is_large.argmax())
            return Fault("a number of 16 digits or more, as keys are,", remedy, row)
        if len(values) > _FEW and self._is_key(values):
            return Fault("another whole number in each row, as keys are", remedy)
        return _CONSTANT if (values == values[0]).all() else None

    def _is_key(self, values: NDArray[np.float64]) -> bool:
        """Whether they count the rows, or are called a key and are different whole numbers."""
        is_called_so = _KEY.search(self.name) and (values % 1 == 0).all()
        are_different = is_called_so and len(np.unique(values)) == len(values)
        return bool(are_different or (np.diff(values) == 1).all())

    def _of_words(self, words: Words) -> Fault | None:
        if not words.levels:
            return _EMPTY
        if self.kind == "category":
            got = f"{len(words.levels):,} categories, more than {_MOST_CATEGORIES:,}"
            fault = Fault(got, f"{_DROP}, or put categories together")
            return fault if len(words.levels) > _MOST_CATEGORIES else words.alike()
        are_numbers = [is_number(level) for level in words.levels]
        if all(are_numbers):
            return Fault("numbers as text", "call it a number or a category in prepare.columns", 0)
        if self.kind == "number" or (self.is_text and any(are_numbers)):
            remedy = "mend the cell, or call the column a category in prepare.columns"
            return words.fault(lambda word: not is_number(word), remedy, AMONG_NUMBERS)
        if len(words.levels) == 1 and not words.codes.any():
            return _CONSTANT
        return _unlike_category(words) or words.alike()


def _unlike_category(words: Words) -> Fault | None:
    """What a column holds that nobody called a category and that doesn't look like one."""
    looks = [look_of(level) for level in words.levels]
    look = max(set(looks), key=looks.count)
    if look in _LOOKS and 2 * looks.count(look) > len(looks):
        remedy = f"{_LOOKS[look][1]}, or call it a category in prepare.columns"
        return words.fault(lambda word: look_of(word) == look, remedy)
    longest = max(map(len, words.levels))
    many = min(_MOST_UNASKED, max(_FEW, len(words.codes) // 2))
    if len(words.levels) <= many and longest <= _LONGEST:
        return None
    remedy = f"{_DROP}, or call it a category in prepare.columns"
    others = f", and {len(words.levels):,} different ones"
    return words.fault(lambda word: len(word) == longest, remedy, others)


def as_truths(words: Sequence[str]) -> list[float] | None:
    """1 and 0 for words that all say true or false; None if one doesn't, or there is none."""
    said = [word.lower() for word in words]
    return [float(word == "true") for word in said] if {*said} in _BOOLEANS else None


_BOOLEANS = ({"true"}, {"false"}, {"true", "false"})


def is_number(word: str) -> bool:
    """Whether it reads as one, as pyarrow reads them."""
    return _NUMBER.fullmatch(word) is not None


def as_numbers(levels: Sequence[str]) -> list[int] | list[float] | None:
    """Words as numbers, whole ones if all are; None if one isn't written as a number is: 007."""
    if not all(_CANONICAL.fullmatch(level) for level in levels):
        return None
    numbers = [float(level) for level in levels]
    are_whole = all(number.is_integer() for number in numbers)
    return [int(number) for number in numbers] if are_whole else numbers


def look_of(word: str) -> str:
    """What a cell looks like: a number, one of the looks above, or text."""
    found = (look for look, (form, _) in _LOOKS.items() if re.fullmatch(form, word))
    return "a number" if is_number(word) else next(found, "text")


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    return any(test(kind) for test in tests)


def floats(cells: pa.Array) -> NDArray[np.float64] | None:
    """The cells as numbers, NaN where one is missing; None where a cell is none."""
    for is_trimmed in (False, True):
        with suppress(pa.ArrowInvalid):
            words = _trimmed(cells) if is_trimmed else cells
            numbers = words.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            return np.asarray(numbers, dtype=np.float64)
    return None


def _trimmed(cells: pa.Array) -> pa.Array:
    words = pc.utf8_trim_whitespace(cells)
    is_missing = pc.is_in(words, value_set=pa.array(MISSING))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), words)
