"""A small world with a known truth: models of any quality, evaluated and ready to be registered."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np

from foldwise.data.dataset import DataInfo, Split, SplitFacts
from foldwise.data.dataset import content_digest as data_digest
from foldwise.registry.evidence import Evidence, gather_evidence
from foldwise.registry.registration import Submission
from foldwise.registry.snapshot import Snapshot
from foldwise.registry.verify import Holdout
from foldwise.report.judged import Judged
from foldwise.runs.lineage import library_versions
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.trials import FitCounts
from foldwise.settings import PromotionSettings, Settings
from foldwise.solver.linear import LinearModel, probabilities
from foldwise.store.open import Store
from tests.factories import make_result
from tests.waiting import PATIENCE

NAME = "blobs-classifier"
CLASSES = (0, 1, 2)
SHAPE = (4, 4)
SETTINGS = Settings(
    promotion=PromotionSettings(
        min_accuracy=0.5, max_log_loss=5.0, max_calibration_error=0.5, bootstrap=500
    )
)


def make_holdout(rows: int = 1500, seed: int = 7) -> Split:
    """Images whose labels are drawn from the probabilities of `model_of(0)`."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (rows, 16)).astype(np.uint8)
    chances = probabilities(model_of(0.0), images)
    labels = (chances.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1).astype(np.int64)
    return Split(images, labels, np.arange(rows))


def model_of(error: float, seed: int = 0) -> LinearModel:
    """The true model with so much noise on its coefficients: 0 is best, 1 is poor."""
    truth, noise = np.random.default_rng(5), np.random.default_rng(seed)
    return LinearModel(
        C=0.01,
        multiclass="multinomial",
        mean=np.full(16, 127.5),
        scale=np.full(16, 74.0),
        coefficients=truth.normal(0, 4, (3, 16)) + error * noise.normal(0, 4, (3, 16)),
        intercepts=np.zeros(3),
    )


def evaluated(model: LinearModel, holdout: Split) -> Evidence:
    """The evidence that an evaluation of the model would gather, its outer scores fitting."""
    result = make_result()
    facts = SplitFacts("blobs", CLASSES, SHAPE, len(holdout.labels), augmented=False, digest="")
    data = DataInfo(
        name="blobs",
        classes=CLASSES,
        image_shape=SHAPE,
        development_rows=36,
        development_digest="d" * 64,
        holdout_rows=len(holdout.labels),
        holdout_digest=data_digest(
            facts, holdout.images, holdout.labels, origins=None, groups=None
        ),
    )
    said = probabilities(model, holdout.images)
    judged = Judged(holdout.images, holdout.labels, said, [*map(str, CLASSES)], SHAPE)
    evidence = gather_evidence(result, SETTINGS, data, judged=judged, shared_rows=0)
    outer = tuple(
        {**evidence.holdout, "log_loss": evidence.holdout["log_loss"] + shift}
        for shift in (-0.02, 0.0, 0.02)
    )
    chosen = tuple({"C": C} for C in (0.01, 0.02, 0.01, 0.01))
    healthy = FitCounts(logical=40, distinct=30, converged=30, stalled=0, exhausted=0)
    content = LinearClassifier(model).digest(CLASSES)
    bound = replace(evidence, content_digest=content)
    return replace(bound, outer=outer, fits=healthy, chosen=chosen)


def as_found(holdout: Split) -> Holdout:
    """The holdout as the command line hands it to verification."""
    digest = evaluated(model_of(0.0), holdout).data.holdout_digest
    return Holdout(digest, holdout.images, holdout.labels)


def start_run(store: Store) -> str:
    """A pipeline run to register from."""
    run = store.client.create_run(store.experiment("blobs"), run_name="cv-2026-11-24a")
    return str(run.info.run_id)


def submission(
    model: LinearModel, holdout: Split, run_id: str, *, card: str = "A model of blobs."
) -> Submission:
    """The model as `evaluate` would hand it in."""
    return Submission(
        run_id=run_id,
        tags={
            "git.commit": "0" * 40,
            "git.dirty": "false",
            "search_key": "k",
            "attempt": "1",
            **library_versions(),
        },
        model=LinearClassifier(model),
        params={"C": repr(model.C)},
        evidence=evaluated(model, holdout),
        card=card,
        example=holdout.images[:2],
    )


def seen(store: Store) -> Snapshot:
    """The registry as it is now."""
    return Snapshot.read(store, NAME)


class Killed(BaseException):
    """What a killed process would have done next is not done; nobody catches it."""


@dataclass(frozen=True)
class Watched(Store):
    """A store whose client writes down what it is asked.

    Attributes
    ----------
    before : callable
        Called before each call, with the calls until then and the name of this one.
    calls : list of str
        What was asked, in order.
    """

    before: Callable[[list[str], str], object] = lambda _calls, _name: None
    calls: list[str] = field(default_factory=list)

    @property
    def client(self) -> Any:
        """MLflow's client, watched."""
        return _Watcher(super().client, self)


class _Watcher:
    def __init__(self, client: Any, store: Watched) -> None:
        self._client, self._store = client, store

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **named: object) -> Any:
            self._store.before(self._store.calls, name)
            self._store.calls.append(name)
            return getattr(self._client, name)(*args, **named)

        return call


def watched(store: Store, before: Callable[[list[str], str], object] | None = None) -> Watched:
    """The store with a client that is watched."""
    place = (store.root, store.tracking_uri, store.artifacts)
    return Watched(*place) if before is None else Watched(*place, before)


def killed_at(store: Store, write: int) -> Watched:
    """The store of a process that is killed when it is about to write, after so many writes."""

    def kill(calls: list[str], name: str) -> None:
        if is_write(name) and sum(map(is_write, calls)) == write:
            raise Killed

    return watched(store, kill)


def acting_after(store: Store, call: str, times: int, act: Callable[[], object]) -> Watched:
    """The store where something happens once, after a call was made so often."""
    acted: list[object] = []

    def look(calls: list[str], _name: str) -> None:
        if calls.count(call) == times and not acted:
            acted.append(act())

    return watched(store, look)


def is_write(call: str) -> bool:
    """Whether a call of MLflow's client changes something."""
    return not call.startswith(("get_", "search_"))


def start_together(*works: Callable[[], object]) -> list[int]:
    """Run each work in a process of its own, at the same time; returns their exit statuses."""
    processes = [forks().Process(target=work) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    return [process.exitcode if process.exitcode is not None else 999 for process in processes]


@cache
def forks() -> ForkServerContext:
    """Children of it have MLflow imported, which takes seconds otherwise, and nothing open."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.sklearn", "mlflow.artifacts", "skops.io", __name__])
    return context
