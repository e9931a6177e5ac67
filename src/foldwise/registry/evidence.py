"""What is known of a model when it is registered, and what a promotion is later judged by."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Classes, DataInfo
from foldwise.errors import StoreError
from foldwise.search.trials import FitCounts, SearchResult, number_of
from foldwise.settings import Settings, parameters_digest
from foldwise.stats.scores import Scores, calibration_error, predicted_codes, score


@dataclass(frozen=True, slots=True)
class Evidence:
    """One version's figures; equal evaluations give equal bytes, so no time or commit is in it.

    Attributes
    ----------
    data : DataInfo
        Names, shapes and digests of the development set and the holdout.
    shared_rows : int
        Images of the holdout that also stand in the development set.
    parameters_digest : str
    metric : str
        What the search selected by.
    c_low, c_high : float
        The range of C that was searched.
    chosen : tuple of float
        Each outer fold's C, then the final one.
    fits : FitCounts
    final_status : str
        How the final model's own fit ended.
    outer : tuple of Scores
        One for each outer fold.
    holdout : Scores
    calibration_error : float
        On the holdout.
    labels_digest : str
        SHA-256 of the class codes predicted for the holdout, in its order.
    """

    data: DataInfo
    shared_rows: int
    parameters_digest: str
    metric: str
    c_low: float
    c_high: float
    chosen: tuple[float, ...]
    fits: FitCounts
    final_status: str
    outer: tuple[Scores, ...]
    holdout: Scores
    calibration_error: float
    labels_digest: str

    @property
    def classes(self) -> Classes:
        """The classes in the order of their codes."""
        return self.data.classes

    def to_json(self) -> str:
        """Canonical JSON; floats keep every bit."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`.

        Raises
        ------
        StoreError
            The text is no evidence, or of another foldwise.
        """
        try:
            return cls(**_decoded(json.loads(text)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"a version's evidence.json must be as foldwise wrote it, reading gave {error!r}:"
                " put the model's files back, or register a new version with `dvc repro -f`"
            ) from error


def gather_evidence(
    result: SearchResult,
    settings: Settings,
    data: DataInfo,
    *,
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    shared_rows: int,
) -> Evidence:
    """Put together what the search told and what the holdout showed.

    Parameters
    ----------
    result, settings, data
    probabilities : float64 array (rows, classes)
        The final model's, on the holdout.
    labels : int64 array (rows,)
        The holdout's class codes.
    shared_rows : int
        From :func:`shared_rows`.
    """
    searched = result.space.ranges["C"]
    chosen = (*(fold.best.values for fold in result.outer), result.final.best.values)
    return Evidence(
        data=data,
        shared_rows=shared_rows,
        parameters_digest=parameters_digest(settings),
        metric=result.metric,
        c_low=searched.low,
        c_high=searched.high,
        chosen=tuple(number_of(values, "C") for values in chosen),
        fits=result.fits,
        final_status=str(result.final.facts["status"]),
        outer=tuple(fold.scores for fold in result.outer),
        holdout=score(probabilities, labels),
        calibration_error=calibration_error(probabilities, labels),
        labels_digest=labels_digest(probabilities),
    )


def labels_digest(probabilities: NDArray[np.float64]) -> str:
    """SHA-256 (hexadecimal) of the predicted class codes."""
    codes = np.ascontiguousarray(predicted_codes(probabilities), dtype="<i8")
    return hashlib.sha256(codes.tobytes()).hexdigest()


def shared_rows(development: NDArray[np.uint8], holdout: NDArray[np.uint8]) -> int:
    """Count the holdout's images that stand, pixel by pixel, in the development set too."""
    # The holdout is the smaller one to keep in memory; the development set only passes by.
    ours = [image.tobytes() for image in holdout]
    wanted = set(ours)
    shared = {seen for image in development if (seen := image.tobytes()) in wanted}
    return sum(image in shared for image in ours)


def _decoded(told: dict[str, Any]) -> dict[str, Any]:
    data = told["data"]
    for name in ("classes", "image_shape"):
        data[name] = tuple(data[name])
    return told | {
        "data": DataInfo(**data),
        "chosen": tuple(told["chosen"]),
        "fits": FitCounts(**told["fits"]),
        "outer": tuple(scores for scores in told["outer"]),
        "holdout": told["holdout"],
    }
