"""Where raw data comes from: four IDX files, OpenML, or scikit-learn's digits."""

import os
from pathlib import Path

from foldwise.data.digits import read_digits
from foldwise.data.idx_folder import read_idx_folder
from foldwise.data.openml import SERVER, read_openml
from foldwise.data.raw import RawData
from foldwise.settings import PrepareSettings


def read_source(settings: PrepareSettings, *, root: Path) -> RawData:
    """Read the data that the parameters name.

    Parameters
    ----------
    settings : PrepareSettings
        ``source`` decides which of the others matter.
    root : Path
        The project's folder. OpenML's answers are cached in its ``data/openml``, or in that of
        the main checkout where DVC runs us in a copy (``DVC_ROOT``); ``FOLDWISE_OPENML_SERVER``
        names a mirror.

    Raises
    ------
    DataError
        The data can't be had, or breaks its format.
    """
    if settings.source == "digits":
        return read_digits(holdout=settings.holdout)
    if settings.source == "openml":
        return read_openml(
            settings.name,
            settings.version,
            holdout=settings.holdout,
            cache=Path(os.environ.get("DVC_ROOT") or root) / "data" / "openml",
            server=os.environ.get("FOLDWISE_OPENML_SERVER") or SERVER,
        )
    return read_idx_folder(root / settings.path, name=settings.name)
