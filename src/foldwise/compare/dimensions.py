"""Search spaces as YAML gives them: a range or the choices of each parameter.

``{log: [a, b]}`` and ``{linear: [a, b]}`` are ranges of numbers, ``{log_integer: [a, b]}`` and
``{integer: [a, b]}`` of whole ones, ``{choice: [a, b, ...]}`` lists what may be taken.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from foldwise.errors import SettingsError
from foldwise.search.study.spaces import Between, Dimension, OneOf
from foldwise.settings.rules import Rule, shown


def _is_range(ends: object, *, above: float = float("-inf")) -> bool:
    return (
        isinstance(ends, list)
        and len(ends) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        and above < ends[0] < ends[1] < float("inf")
    )


def _is_whole(ends: object, *, above: float = float("-inf")) -> bool:
    return (
        _is_range(ends, above=above)
        and isinstance(ends, list)
        and all(isinstance(end, int) for end in ends)
    )


def _is_list(options: object) -> bool:
    return (
        isinstance(options, list)
        and len(options) > 0
        and all(isinstance(option, bool | int | float | str | None) for option in options)
        and len({(type(option), option) for option in options}) == len(options)
    )


_KINDS: Mapping[str, tuple[Rule, Callable[[Any], Dimension]]] = MappingProxyType(
    {
        "log": (
            Rule("[low, high], two numbers with 0 < low < high", lambda x: _is_range(x, above=0)),
            lambda ends: Between(float(ends[0]), float(ends[1]), is_log=True),
        ),
        "linear": (
            Rule("[low, high], two numbers with low < high", _is_range),
            lambda ends: Between(float(ends[0]), float(ends[1]), is_log=False),
        ),
        "log_integer": (
            Rule("[low, high], two integers with 1 <= low < high", lambda x: _is_whole(x, above=0)),
            lambda ends: Between(ends[0], ends[1], is_log=True),
        ),
        "integer": (
            Rule("[low, high], two integers with low < high", _is_whole),
            lambda ends: Between(ends[0], ends[1], is_log=False),
        ),
        "choice": (
            Rule("a list of different numbers, words, true, false or null", _is_list),
            lambda options: OneOf(tuple(options)),
        ),
    }
)


def read_space(given: object, *, prefix: str, file: Path) -> dict[str, Dimension]:
    """Check and freeze a search space; ``prefix`` is its full key.

    Raises
    ------
    SettingsError
        It is no space.
    """
    if not isinstance(given, dict) or not given or not all(isinstance(key, str) for key in given):
        raise SettingsError(
            f"{prefix} must be a mapping of at least one parameter to its range,"
            f" got {shown(given)}: edit {file}"
        )
    return {name: _dimension(f"{prefix}.{name}", range_, file) for name, range_ in given.items()}


def _dimension(key: str, given: object, file: Path) -> Dimension:
    if not isinstance(given, dict) or len(given) != 1 or not _KINDS.keys() >= given.keys():
        raise SettingsError(
            f"{key} must be one of {', '.join(f'{{{kind}: [...]}}' for kind in _KINDS)},"
            f" got {shown(given)}: edit {file}"
        )
    [(kind, ends)] = given.items()
    rule, made = _KINDS[kind]
    if not rule.holds(ends):
        raise SettingsError(f"{key}.{kind} must be {rule.says}, got {shown(ends)}: edit {file}")
    return made(ends)
