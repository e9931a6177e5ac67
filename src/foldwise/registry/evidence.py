"""What is known of a model when it is registered, and what a promotion is later judged by."""

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from foldwise.data.dataset import Classes, DataInfo
from foldwise.errors import StoreError
from foldwise.files import DocumentError, Value, decode, encode, plain
from foldwise.registry.stored_files import required, serving
from foldwise.report.judged import Judged
from foldwise.search.trials import FitCounts, SearchResult
from foldwise.settings import Dimension, Settings, parameters_digest
from foldwise.stats.scores import (
    METRIC,
    PUBLISHED,
    calibration_error,
    predicted_codes,
    published,
    score,
)

_SAME_FIGURE = 1e-6
"""Other processors' kernels move scores by a thousandth of it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One version's figures; equal evaluations give equal bytes, so no time or commit is in it."""

    data: DataInfo  # without rows in the holdout, `outer` is all that is known of the scores
    shared_rows: int  # of the holdout, that also stand in the development set
    parameters_digest: str
    metric: str  # what the search selected by
    space: Mapping[str, Dimension]
    chosen: tuple[Mapping[str, Value], ...]  # each outer fold's values, then the final ones
    fits: FitCounts
    final_status: str  # how the final model's own fit ended; empty where its kind doesn't say
    outer: tuple[Mapping[str, float], ...]  # scores of each outer fold
    holdout: Mapping[str, float]  # scores, in the digits published, as the next
    calibration_error: float
    labels_digest: str  # SHA-256 of the class codes predicted for the holdout, in its order
    content_digest: str = ""  # the model's; empty, and nothing `served`, in evidence of 0.1
    served: Mapping[str, str] = field(default_factory=dict)  # see `serving`
    originals: int | None = None  # development rows that outer parts score; None where all are
    schema: Literal[1, 2] = 2
    """Of the first, the holdout's figures have all digits, the calibration error chance's share."""

    @property
    def classes(self) -> Classes:
        """The classes in the order of their codes."""
        return self.data.classes

    def to_bytes(self) -> bytes:
        """As it is stored; floats keep every bit, and of no table or copies nothing is told."""
        told = plain(self)
        if self.data.table is None:
            del told["data"]["table"]
        if self.originals is None:
            del told["originals"]
        return encode(told).encode()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """The inverse of `to_bytes`; fields that a later version has added are passed over."""
        try:
            told = decode(cls, _since_0_1(stored), tolerant=True)
            if len(told.chosen) != len(told.outer) + 1 or not (told.outer or told.holdout):
                raise ValueError(f"{len(told.chosen)} choices, {len(told.outer)} outer scores")
        except (DocumentError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"a version's evidence.json must be as foldwise wrote it, reading gave {error}:"
                " put the model's files back, or register a new version with `dvc repro -f`"
            ) from error
        return told

    def says_what(self, other: "Evidence", parameters: Collection[str] = ()) -> bool:
        """Whether two tell the same: figures to a millionth, all else exactly.

        Of what only one of them knows, a metric, the duplicates, the originals or how it is served,
        nothing is asked, nor of the calibration error if their schemas differ. Where this one is of
        an earlier version, ``parameters`` are the digests that the other's had then.
        """
        shared = self.holdout.keys() & other.holdout.keys()
        if self.parameters_digest in parameters:
            other = replace(other, parameters_digest=self.parameters_digest)
        if self.data.development_duplicates is None:
            other = replace(other, data=replace(other.data, development_duplicates=None))
        if self.originals is None:
            other = replace(other, originals=None)
        if self.schema != other.schema:
            other = replace(other, calibration_error=self.calibration_error, schema=self.schema)
        if not self.content_digest:
            other = replace(other, content_digest="", served={})
        return _is_same(plain(_of(self, shared)), plain(_of(other, shared)))

    def misses(self, scores: Mapping[str, float], calibration_error: float) -> float:
        """By how much the holdout's figures told differ from those found now, beyond rounding.

        A metric that one of the two versions of foldwise doesn't know is not compared.
        """
        apart = [
            _apart(scores[name], told, is_rounded=self.schema > 1 and not METRIC[name].counts)
            for name, told in self.holdout.items()
            if name in scores
        ]
        if self.schema > 1:
            apart.append(_apart(calibration_error, self.calibration_error, is_rounded=True))
        return max(apart)


def evidence_digest(stored: bytes) -> str:
    """SHA-256 (hexadecimal) of the bytes stored, whatever version of foldwise wrote them."""
    return hashlib.sha256(stored).hexdigest()


def gather_evidence(
    result: SearchResult, settings: Settings, data: DataInfo, *, judged: Judged, shared_rows: int
) -> Evidence:
    """Put together what the search told and what the holdout showed, if there is one."""
    best = (*(fold.best for fold in result.outer), result.final.best)
    probabilities, labels = judged.probabilities, judged.labels
    has_holdout = data.holdout_rows > 0
    error = calibration_error(probabilities, labels) if has_holdout else 0.0
    return Evidence(
        data=data,
        shared_rows=shared_rows,
        parameters_digest=parameters_digest(settings),
        metric=result.metric,
        space=dict(result.space.dimensions),
        chosen=tuple(dict(trial.values) for trial in best),
        fits=result.fits,
        final_status=str(result.final.facts.get("status", "")),
        outer=tuple(dict(fold.scores) for fold in result.outer),
        holdout=published(score(probabilities, labels)) if has_holdout else {},
        calibration_error=round(error, PUBLISHED),
        labels_digest=labels_digest(probabilities) if has_holdout else "",
        content_digest=result.final.model.digest(data.classes),
        served=serving(required()),
        originals=None if result.plan.is_scored.all() else int(result.plan.is_scored.sum()),
    )


def labels_digest(probabilities: NDArray[np.float64]) -> str:
    """SHA-256 (hexadecimal) of the predicted class codes."""
    codes = np.ascontiguousarray(predicted_codes(probabilities), dtype="<i8")
    return hashlib.sha256(codes.tobytes()).hexdigest()


def shared_rows(development: Any, holdout: Any) -> int:
    """Count the holdout's rows that stand, value by value, in the development set too."""
    # The holdout is the smaller one to keep in memory; the development set only passes by.
    ours = [*_contents(holdout)]
    wanted = set(ours)
    shared = {seen for seen in _contents(development) if seen in wanted}
    return sum(row in shared for row in ours)


def _contents(rows: Any) -> Iterator[bytes]:
    """Each image's bytes, or what stands in a row of a data frame."""
    if hasattr(rows, "itertuples"):
        return (repr(row).encode() for row in rows.itertuples(index=False, name=None))
    return (image.tobytes() for image in rows)


def _since_0_1(stored: bytes) -> bytes:
    """Evidence of 0.1, which knew one parameter and bore no schema, in the first one."""
    told: Any = json.loads(stored)
    if not isinstance(told, dict) or "c_low" not in told:
        return stored
    low, high = told.pop("c_low"), told.pop("c_high")
    told["space"] = {"C": {"low": low, "high": high, "is_log": True}}
    told["chosen"] = [{"C": C} for C in told["chosen"]]
    told["schema"] = 1
    return json.dumps(told).encode()


def _of(evidence: Evidence, metrics: Collection[str]) -> Evidence:
    outer = tuple({name: scores[name] for name in metrics} for scores in evidence.outer)
    holdout = published({name: evidence.holdout[name] for name in metrics})
    return replace(evidence, outer=outer, holdout=holdout)


def _apart(found: float, told: float, *, is_rounded: bool) -> float:
    if math.isnan(found) or math.isnan(told):
        return 0.0 if math.isnan(found) and math.isnan(told) else math.inf
    return max(0.0, abs(found - told) - (0.5 * 10**-PUBLISHED if is_rounded else 0.0))


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if type(one) in {int, float} and type(other) in {int, float}:
        close = math.isclose(one, other, rel_tol=_SAME_FIGURE, abs_tol=_SAME_FIGURE)
        return close or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and bool(one == other)
