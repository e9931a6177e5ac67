"""What is shown of kept results, when they are made or anew: tables, pictures and the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from foldwise.app.results import REPORTS, TUNED
from foldwise.app.workspace import Workspace, search_space
from foldwise.checks import Subject, look
from foldwise.data.columns import Columns, told_names
from foldwise.data.dataset import Split
from foldwise.files import Value
from foldwise.registry.evidence import Evidence, gather_evidence, shared_rows
from foldwise.report import album, page
from foldwise.report.artist import Artist
from foldwise.report.findings import Findings, origin
from foldwise.report.judged import HoldoutSummary, Judged, summarise_holdout
from foldwise.report.picture import Picture, picture_files
from foldwise.report.reference import Reference, read_reference
from foldwise.report.standing import Remark, Standing
from foldwise.report.tables import holdout_headline, search_files
from foldwise.runs.lineage import CHANGED
from foldwise.runs.recorder import Recorder
from foldwise.search.archive import restore
from foldwise.search.engines.batched import LinearClassifier
from foldwise.search.jobs import Model, Predictions
from foldwise.search.space import KIND
from foldwise.search.summary import Estimates, outer_estimates
from foldwise.search.trials import OuterFold, SearchResult, Study
from foldwise.settings import OF_IMAGES, Settings, flattened, in_use
from foldwise.store.address import project_root

if TYPE_CHECKING:
    from foldwise.data.features import FilterBank

OF_SEARCH, OF_MODEL = REPORTS / "figures" / "tune", REPORTS / "figures" / "evaluate"
PAGE = "report.html"
_SEEN = 200
"""Images of a class that its mean image of evidence is made of."""
Drawn = Callable[[], tuple[Picture, ...]]
"""Waits for pictures that an `Artist` was asked for."""
_NONE = cast("Model", None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `evaluate` keeps beside the predictions: which model and holdout, and where from.

    ``run_id`` and ``tags`` are the pipeline run's; the rest is as in `Findings`.
    """

    model_digest: str
    holdout_digest: str
    run_id: str
    tags: Mapping[str, str]
    data_change: str = ""
    standing: Standing | None = None
    schema: Literal[1] = 1


@dataclass(frozen=True, eq=False)
class Tuned:
    """A search's result in its workspace, and all that is shown of it; the holdout stays closed."""

    work: Workspace
    result: SearchResult

    @classmethod
    def read(cls, work: Workspace) -> Self:
        """Read all that is wanted later, so that what is broken costs no look at the holdout."""
        # An archive of 0.1 doesn't say what range was searched, but its settings do.
        result = replace(restore(TUNED), space=search_space(work.settings))
        if not isinstance(result.final.model, LinearClassifier):
            from foldwise.app.entries import candidate_model  # scikit-learn: two seconds

            best = result.final.best.values
            engine = work.candidates(work.plan(work.data("development")))[str(best[KIND])]
            model = candidate_model(engine, best)
            result = replace(result, final=replace(result.final, model=model))
        tuned = cls(work, result)
        _ = tuned.development, tuned.reference
        return tuned

    @cached_property
    def development(self) -> Split:
        """The development set."""
        return self.work.data("development")

    @cached_property
    def reference(self) -> Reference | None:
        """Published numbers of these data, if there are."""
        return read_reference(self.work.info.name, len(self.work.info.classes))

    @cached_property
    def outer(self) -> Estimates:
        """The outer estimates with their intervals."""
        return outer_estimates(
            self.result,
            confidence=self.work.settings.evaluate.confidence,
            groups=self.work.clusters(self.development),
        )

    @property
    def model(self) -> Model:
        """The final model."""
        return self.result.final.model

    @property
    def linear(self) -> LinearClassifier | None:
        """The final model, unless another candidate than logistic regression has won."""
        return self.model if isinstance(self.model, LinearClassifier) else None

    @property
    def bank(self) -> "FilterBank | None":
        """The filters that logistic regression looks through, if it does."""
        if self.work.info.table is not None:
            return None
        if self.linear is None:
            return self.work.bank
        return cast("FilterBank | None", self.linear.features)

    @property
    def encoder(self) -> Columns:
        """What the models of a table, linear all, look through."""
        assert self.linear is not None  # noqa: S101
        return cast("Columns", self.linear.features)

    def tables(self) -> dict[str, bytes]:
        """The search's files in reports/, by name."""
        return search_files(self.result, self.outer)

    def pictures(self, artist: Artist) -> Drawn:
        """Have the search's pictures drawn."""
        # Without models: a neighbours' one is all its rows.
        folds = tuple(replace(fold, model=_NONE) for fold in self.result.outer)
        shown = replace(self.result, outer=folds, final=replace(self.result.final, model=_NONE))
        return artist.draw(album.search_pictures, shown, self.outer, unit=self.work.info.unit)

    def judged(self, predictions: Predictions | None = None) -> Judged:
        """Open the holdout, for the final model to predict it unless it is known what it said.

        Where there is none, it is the development set, each row predicted by its outer model.
        """
        if not self.work.info.holdout_rows:
            rows = np.argsort(np.concatenate([fold.rows for fold in self.result.outer]))
            values = np.concatenate([fold.predictions.values for fold in self.result.outer])
            return self.work.judged(self.development, Predictions(values[rows]))
        holdout = self.work.data("holdout")
        return self.work.judged(holdout, predictions or self.model.predict(holdout.images))

    def verdict(self, run_id: str, tags: Mapping[str, str]) -> Verdict:
        """Which model will be judged on which holdout, before anything is said of it."""
        info = self.work.info
        return Verdict(self.model.digest(info.classes), info.holdout_digest, run_id, tags)

    def evidence(self, judged: Judged) -> Evidence:
        """What the final model, judged on the holdout, is registered with."""
        told, shared = (self.result, self.work.settings, self.work.info), self.shared_rows
        return gather_evidence(*told, judged=judged, shared_rows=shared)

    def summary(self, judged: Judged) -> HoldoutSummary:
        """The holdout's scores; where there is none, those that the outer folds estimate."""
        summary = summarise_holdout(judged, confidence=self.work.settings.evaluate.confidence)
        if self.work.info.holdout_rows:
            return summary
        scores = {metric: each.mean for metric, each in self.outer.items()}
        intervals = {metric: each.interval for metric, each in self.outer.items()}
        return replace(summary, scores=scores, intervals=intervals)

    def findings(self, summary: HoldoutSummary, verdict: Verdict) -> Findings:
        """All that card and page are made of."""
        parameters, usual = _parameters(self.work.settings), flattened(Settings())
        return Findings(
            data=self.work.info,
            search=self.result,
            outer=self.outer,
            holdout=summary,
            origin=origin(verdict.tags, run_id=verdict.run_id, model_digest=verdict.model_digest),
            commands=_commands(verdict.tags),
            parameters=parameters,
            multiclass=self.work.settings.tune.multiclass,
            features=self._features,
            data_change=verdict.data_change,
            reference=self.reference,
            defaults={key: usual[key] for key, of in parameters.items() if of != usual[key]},
            standing=verdict.standing,
            remarks=self.remarks,
        )

    @cached_property
    def remarks(self) -> tuple[Remark, ...]:
        """What checks of the search and its data say; the holdout's labels are none of theirs."""
        work, ours = self.work, self.development
        holdout = work.data("holdout") if work.info.holdout_rows else None
        subject = Subject(work.info, work.settings, self.result, self.outer, ours)
        subject = replace(subject, groups=work.clusters(ours), shared_rows=self.shared_rows)
        if holdout is not None:
            told = {"holdout": holdout.images, "holdout_groups": work.clusters(holdout)}
            subject = replace(subject, **told)
        return look(subject)

    @cached_property
    def shared_rows(self) -> int:
        """How many of the holdout's rows stand in the development set."""
        if not self.work.info.holdout_rows:
            return 0
        return shared_rows(self.development.images, self.work.data("holdout").images)

    @property
    def _features(self) -> str:
        if self.work.info.table is not None:
            return "numbers, a missing one at their mean, and one-hot categories"
        return "pixels" if self.bank is None else self.bank.words()

    def model_pictures(
        self, artist: Artist, summary: HoldoutSummary, judged: Judged
    ) -> tuple[Drawn, ...]:
        """Have the pictures of the data drawn, and of the final model on the holdout."""
        classes, images = judged.classes, self.development.images
        counts = np.bincount(self.development.labels, minlength=len(classes)).tolist()
        drawn = artist.draw(album.holdout_pictures, summary, judged, unit=self.work.info.unit)
        if self.work.info.table is not None:
            models = [self.model, *(fold.model for fold in self.result.outer)]
            coefficients = np.array([of.arrays()["coefficients"] for of in models])
            shows_rare = self.work.settings.report.rows
            names = told_names(self.encoder, images, shows_rare=shows_rare)
            missing = {str(name): float(share) for name, share in images.isna().mean().items()}
            return (
                artist.draw(album.column_pictures, counts, classes, missing),
                drawn,
                artist.draw(album.coefficient_pictures, coefficients, names, classes),
            )
        shape, copies = judged.shape, int((~self.development.is_original).sum())
        first = self._first(album.SAMPLES)
        data = artist.draw(album.data_pictures, counts, first, classes, shape, copies=copies)
        if self.linear is None:
            return data, drawn
        meaning = album.PIXELS if self.bank is None else album.EVIDENCE
        weights = self._weights(self.linear)
        looks = artist.draw(album.weight_pictures, weights, classes, shape, meaning=meaning)
        return data, drawn, looks

    def _first(self, few: int) -> list[NDArray[np.uint8]]:
        """The first images of each class."""
        images, labels = self.development.images, self.development.labels
        codes = range(len(self.work.info.classes))
        return [images[np.flatnonzero(labels == code)[:few]] for code in codes]

    def _weights(self, model: LinearClassifier) -> NDArray[np.float64]:
        """The coefficients of pixels (classes, pixels).

        Through filters what the pixels of a class's images add to its score, on average.
        """
        if (bank := self.bank) is None:
            return model.numbers.coefficients
        weights = model.numbers.coefficients / model.numbers.scale
        own = self._first(_SEEN)
        pairs = zip(own[1:] if len(weights) == 1 else own, weights, strict=True)
        return np.stack([bank.evidence(X, row).mean(axis=0) for X, row in pairs])


def _parameters(settings: Settings) -> dict[str, Value]:
    """Those that say anything of such data."""
    idle = OF_IMAGES if settings.prepare.source == "table" else ()
    return {key: of for key, of in in_use(settings).items() if key not in idle}


def _commands(tags: Mapping[str, str]) -> tuple[str, ...]:
    """What makes the version again: parameters that weren't committed are to be given."""
    commit, changed = tags.get("git.commit", ""), tags.get(CHANGED, "")
    first = (f"git checkout {commit}",) if commit else ()
    is_checkout = (project_root() / "requirements.lock").is_file()
    if not changed:
        return (*first, "make repro" if is_checkout else "dvc repro")
    install = ("make install", ". .venv/bin/activate") if is_checkout else ()
    return (*first, *install, f"dvc exp run --temp {changed}")


def the_page(findings: Findings, pictures: Sequence[Picture]) -> dict[str, bytes]:
    """The page to read."""
    return {PAGE: page.render(findings, tuple(pictures)).encode()}


def holdout_metrics(holdout: HoldoutSummary) -> dict[str, float]:
    """The holdout's figures as MLflow metrics, as far as there are any; intervals are reports'."""
    told = holdout_headline(holdout).items()
    return {f"holdout_{name}": value for name, value in told if value is not None}


def fold_pictures(work: Workspace, artist: Artist, fold: OuterFold) -> Drawn:
    """Have an outer fold's pictures drawn."""
    judged = Judged(None, fold.labels, fold.predictions.values, work.classes, ())
    return artist.draw(album.outcome_pictures, judged, with_svg=False)


def tell_folds(recorder: Recorder, drawn: Mapping[Study, Drawn]) -> None:
    """Put the pictures of outer folds beside the runs of their studies."""
    for study, pictures in drawn.items():
        recorder.record_artifacts(study, picture_files(pictures(), "figures/"))
