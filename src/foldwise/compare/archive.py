"""An entry's whole result in a folder: result.json and holdout.npz."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foldwise.errors import SearchError
from foldwise.search.jobs import Predictions
from foldwise.search.trials import Trial, trial_from_json, trial_to_json

RESULTS = Path("models/comparison")
"""A folder an entry."""


@dataclass(frozen=True, slots=True, eq=False)
class EntryResult:
    """What became of an entry.

    Attributes
    ----------
    name, digest : str
        Of the entry it is the result of.
    development_digest, holdout_digest : str
        Of the data it was fitted and measured on.
    trials : tuple of Trial
        By number.
    best : int
        Number of the trial whose values were fitted on all development rows.
    predictions : Predictions
        On the holdout.
    fit_seconds, predict_seconds : float
        Wall-clock time of that fit and of these predictions, with ``threads`` threads.
    """

    name: str
    digest: str
    development_digest: str
    holdout_digest: str
    trials: tuple[Trial, ...]
    best: int
    predictions: Predictions
    fit_seconds: float
    predict_seconds: float
    threads: int

    @property
    def best_trial(self) -> Trial:
        """The trial whose values were fitted on all development rows."""
        return next(trial for trial in self.trials if trial.number == self.best)


_PLAIN = (
    "name",
    "digest",
    "development_digest",
    "holdout_digest",
    "best",
    "fit_seconds",
    "predict_seconds",
    "threads",
)


def archive(result: EntryResult) -> dict[str, bytes]:
    """The result as files, name to content."""
    story = {name: getattr(result, name) for name in _PLAIN} | {
        "trials": [trial_to_json(trial) for trial in result.trials],
        "are_probabilities": result.predictions.are_probabilities,
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, values=result.predictions.values)
    return {"holdout.npz": buffer.getvalue(), "result.json": json.dumps(story, indent=1).encode()}


def restore(folder: Path) -> EntryResult:
    """Read back what :func:`archive` gave.

    Raises
    ------
    SearchError
        If a file is missing or not whole.
    """
    try:
        story = json.loads((folder / "result.json").read_text())
        content = io.BytesIO((folder / "holdout.npz").read_bytes())
        with np.load(content, allow_pickle=False) as stored:
            predictions = Predictions(stored["values"], story["are_probabilities"])
        return EntryResult(
            **{name: story[name] for name in _PLAIN},
            trials=tuple(trial_from_json(trial) for trial in story["trials"]),
            predictions=predictions,
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SearchError(
            f"{folder} must hold an entry's whole result, it doesn't ({error}):"
            " run `dvc repro comparison/dvc.yaml` or `dvc pull`"
        ) from error
