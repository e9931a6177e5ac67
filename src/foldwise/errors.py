"""What can go wrong in a way the user can mend: one line with rule, value and remedy."""

import json
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from shlex import quote
from urllib.parse import unquote, urlsplit


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
            f"{doing} needs {', '.join(missing)}, which this Python lacks: {installing(extra)}"
        )


def installing(extra: str) -> str:
    """What to do for an extra: the command, as it is to be typed."""
    return f"run `{sys.executable} -m pip install {with_extra(extra)}`"


def with_extra(extra: str) -> str:
    """What pip is to be given for foldwise with an extra: from where this one came.

    That is a checkout, a wheel or a repository, which ``direct_url.json`` names (PEP 610), or an
    index, which it doesn't.
    """
    try:
        origin = json.loads(distribution("foldwise").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # its folder is merely on the path
        origin = {}
    url, vcs = origin.get("url"), origin.get("vcs_info")
    if not url:
        return quote(f"foldwise[{extra}]")
    if origin.get("dir_info", {}).get("editable"):
        return f"--editable {quote(f'{unquote(urlsplit(url).path)}[{extra}]')}"
    at = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
    return quote(f"foldwise[{extra}] @ {at}")
