"""Trials, fits' outcomes and scores as JSON, exactly: floats keep every bit."""

from dataclasses import asdict
from typing import Any

from foldwise.model.linear import FitOutcome
from foldwise.model.scores import Scores
from foldwise.search.results import InnerFold, Trial

Json = dict[str, Any]


def trial_to_json(trial: Trial) -> Json:
    """A trial as JSON values."""
    return asdict(trial)


def trial_from_json(encoded: Json) -> Trial:
    """The inverse of :func:`trial_to_json`.

    Raises
    ------
    KeyError, TypeError
        If a field is missing or unknown.
    """
    inner = tuple(
        InnerFold(
            part=fold["part"],
            scores=Scores(**fold["scores"]),
            outcome=FitOutcome(**fold["outcome"]),
        )
        for fold in encoded["inner"]
    )
    return Trial(encoded["study"], encoded["number"], encoded["C"], inner)
