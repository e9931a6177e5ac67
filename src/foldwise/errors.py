"""What can go wrong in a way the user can mend: one line with rule, value and remedy."""

import sys
from importlib.util import find_spec


class FoldwiseError(Exception):
    """Base of all errors that are shown as one line, without a traceback (exit status 1).

    Examples
    --------
    >>> from foldwise import DataError, FoldwiseError
    >>> issubclass(DataError, FoldwiseError)
    True
    """


class OutputError(FoldwiseError):
    """A path to be written holds something that isn't ours, or leads to it."""


class SettingsError(FoldwiseError):
    """A parameter is unknown, of the wrong type or impossible.

    Examples
    --------
    >>> from foldwise import FoldwiseError, SettingsError
    >>> isinstance(SettingsError("tune.folds must be at least 3, got 2: edit"), FoldwiseError)
    True
    """


class DataError(FoldwiseError):
    """A data file or answer breaks the format, or the data can't be learned from.

    Examples
    --------
    >>> from foldwise import DataError, InputError
    >>> issubclass(InputError, DataError)
    True
    """


class InputError(DataError, ValueError):
    """What an estimator was given can't be used; a ValueError, as scikit-learn wants it.

    Examples
    --------
    >>> from foldwise import StandardLogistic
    >>> StandardLogistic().fit([[1.0], [2.0]], ["ill", "ill"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    foldwise.errors.InputError: y must have at least two classes, got one class, 'ill': ...
    """


class SearchError(FoldwiseError):
    """The search can't run or go on: it is taken, or its storage is damaged.

    Examples
    --------
    >>> from foldwise import restore
    >>> from pathlib import Path
    >>> restore(Path("nowhere"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    foldwise.errors.SearchError: ...
    """


class StoreError(FoldwiseError):
    """The tracking store or registry can't be reached, read or written.

    Examples
    --------
    >>> from foldwise import FoldwiseError, StoreError
    >>> issubclass(StoreError, FoldwiseError)
    True
    """


class PromotionError(FoldwiseError):
    """Two models can't be judged against each other."""


class MissingError(FoldwiseError):
    """A package isn't installed that an extra of foldwise brings."""


_EXTRAS = {"report": ("jinja2", "matplotlib"), "workflow": ("click", "dvc", "jinja2", "mlflow")}


def require_extra(extra: str, doing: str) -> None:
    """Refuse what needs an extra where it isn't installed: a MissingError names it."""
    missing = [name for name in _EXTRAS[extra] if find_spec(name) is None]
    if missing:
        raise MissingError(
            f"{doing} needs {', '.join(missing)}, which this Python lacks: run"
            f" `{sys.executable} -m pip install 'foldwise[{extra}]'`"
        )
