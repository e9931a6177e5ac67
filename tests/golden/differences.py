"""Where two sets of named quantities differ, a line each."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tests.golden.documents import Quantities, Value

Same = Callable[[str, str, Value, Value], bool]


def same_bits(_item: str, _field: str, before: Value, after: Value) -> bool:
    """Whether two values are the same, to the last bit and by type."""
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        equal = before.dtype == after.dtype and before.shape == after.shape
        if before.dtype == object:  # names, whose bytes are where they lie
            return equal and bool(before.tolist() == after.tolist())
        return equal and before.tobytes() == after.tobytes()
    if isinstance(before, float) and isinstance(after, float):
        return before.hex() == after.hex()
    return type(before) is type(after) and bool(before == after)


def differences(before: Quantities, after: Quantities, same: Same = same_bits) -> Iterator[str]:
    """Tell what changed, what is gone, and what is new."""
    for item in dict.fromkeys([*before, *after]):
        if item not in after:
            yield f"gone     {item}"
        elif item not in before:
            yield f"new      {item}"
        else:
            for field in dict.fromkeys([*before[item], *after[item]]):
                yield from _field(item, field, (before[item], after[item]), same)


def _field(
    item: str, field: str, sides: tuple[dict[str, Value], dict[str, Value]], same: Same
) -> Iterator[str]:
    before, after = sides
    if field not in after:
        yield f"gone     {item}: {field} (was {_words(before[field])})"
    elif field not in before:
        yield f"new field {item}: {field} = {_words(after[field])}"
    elif not same(item, field, before[field], after[field]):
        yield f"changed  {item}: {field} {_change(before[field], after[field])}"


def _change(before: Value, after: Value) -> str:
    words = f"{_words(before)} -> {_words(after)}"
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if before.shape == after.shape and before.dtype.kind in "fiu":
            return f"{words}, by at most {np.max(np.abs(before - after), initial=0):.3g}"
    elif _is_number(before) and _is_number(after):
        return f"{words}, by {abs(before - after):.3g}"
    return words


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _words(value: Value) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return repr(value)
