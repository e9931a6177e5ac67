"""``python -m foldwise.app.evaluate``: score on the holdout, report, register."""

import sys
from dataclasses import dataclass, replace

from foldwise.app.exits import run
from foldwise.app.workspace import (
    REPORTS,
    TUNED,
    SearchPlace,
    is_quiet,
    load_place,
    save,
    save_all,
    search_space,
    study_storage,
    tell_search_files,
)
from foldwise.data.dataset import DataInfo, Split, load, load_info
from foldwise.ownership import check_output
from foldwise.registry.evidence import gather_evidence, shared_rows
from foldwise.registry.predecessor import changed_data, require_same_kind, version_before
from foldwise.registry.registration import Submission, register
from foldwise.registry.snapshot import count_holdout_use, model_name
from foldwise.report import card, page
from foldwise.report.album import data_pictures, holdout_pictures, search_pictures
from foldwise.report.findings import Findings, Judged, origin, summarise_holdout
from foldwise.report.picture import Picture, picture_files
from foldwise.report.reference import Reference, read_reference
from foldwise.report.tables import (
    calibration_csv,
    confusion_csv,
    evaluation,
    mistakes_csv,
    per_class_csv,
    predictions_csv,
    roc_csv,
    with_intervals,
)
from foldwise.report.wording import DIGITS, json_text
from foldwise.runs.lineage import Lineage, lineage
from foldwise.runs.recorder import Recorder
from foldwise.search.archive import restore
from foldwise.search.book import close_attempt, search_lock
from foldwise.search.engines.pipeline import LinearClassifier
from foldwise.search.summary import Estimates, outer_estimates
from foldwise.search.trials import SearchResult
from foldwise.settings import Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.open import Store, open_store

EXAMPLES = 3
FIGURES = REPORTS / "figures" / "evaluate"


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What the stage starts from."""

    settings: Settings
    info: DataInfo
    result: SearchResult
    place: SearchPlace
    development: Split
    reference: Reference | None


def main() -> None:
    """Score the final model, write the reports, register the version, close the search."""
    check_output(FIGURES)
    work = _load()
    root = project_root()
    storage = study_storage(root)
    store = open_store(root)
    require_same_kind(store, work.info)  # before the holdout is opened and counted for that model
    key, attempt = work.place.search_key, work.place.attempt
    described = lineage(
        work.settings, work.info, space=work.result.space, search_key=key, attempt=attempt
    )
    model = work.result.final.model
    assert isinstance(model, LinearClassifier)  # noqa: S101 - the archive's only kind
    digest = model.digest(work.info.classes)
    with (
        search_lock(storage, key),
        Recorder.open(store, described) as recorder,
    ):
        recorder.record_all(work.result)
        if recorder.run_id != work.place.run_id:
            _tell_search_files(work, recorder)
        count_holdout_use(
            store,
            model_name(work.info.name),
            holdout_digest=work.info.holdout_digest,
            content_digest=digest,
            run_id=recorder.run_id,
        )
        judged = _judge(work)
        findings = replace(
            _findings(work, judged, described, run_id=recorder.run_id, digest=digest),
            data_change=_data_change(store, work.info, recorder.run_id),
        )
        pictures = (
            *_data_pictures(work),
            *holdout_pictures(findings.holdout, judged, model.numbers),
        )
        reports = _tables(findings, judged) | {"report.html": _page(work, findings, pictures)}
        figures = picture_files(pictures)
        save(REPORTS, reports)
        save_all(FIGURES, figures)
        recorder.log_metrics(_metrics(findings))
        recorder.record_artifacts(None, reports)
        recorder.record_artifacts(None, {f"figures/{name}": f for name, f in figures.items()})
        evidence = gather_evidence(
            work.result,
            work.settings,
            work.info,
            probabilities=judged.probabilities,
            labels=judged.labels,
            shared_rows=shared_rows(work.development.images, judged.images),
        )
        version = register(
            store,
            Submission(
                recorder.run_id,
                described.tags,
                model,
                _params(work),
                evidence,
                card.render(findings),
                work.development.images[:EXAMPLES],
            ),
        )
    close_attempt(storage, key, attempt, search_space(work.settings), home=root / "mlruns")
    if not is_quiet():
        lines = (findings.headline(), findings.data_change, f"registered: version {version.number}")
        sys.stdout.write("".join(f"{line}\n" for line in lines if line))


def _data_change(store: Store, info: DataInfo, run_id: str) -> str:
    before = version_before(store, model_name(info.name), run_id)
    changed = changed_data(before, info)
    if before is None or not changed:
        return ""
    return f"The data are not those of version {before.number}: {changed}."


def _load() -> _Work:
    """Read all but the holdout, so that what is broken doesn't cost a look at it."""
    settings, info = load_settings(), load_info()
    reference = read_reference(info.name, len(info.classes))
    return _Work(settings, info, restore(TUNED), load_place(), load("development"), reference)


def _tell_search_files(work: _Work, recorder: Recorder) -> None:
    """The search was told to another store, such as that of whom we pulled it from."""
    tell_search_files(
        recorder,
        work.result,
        _outer(work),
        classes=tuple(map(str, work.info.classes)),
    )


def _outer(work: _Work) -> Estimates:
    return outer_estimates(work.result, confidence=work.settings.evaluate.confidence)


def _judge(work: _Work) -> Judged:
    """Open the holdout and let the final model predict it."""
    holdout = load("holdout")
    return Judged(
        holdout.images,
        holdout.labels,
        work.result.final.model.predict(holdout.images).values,
        tuple(map(str, work.info.classes)),
        work.info.image_shape,
    )


def _findings(
    work: _Work, judged: Judged, described: Lineage, *, run_id: str, digest: str
) -> Findings:
    evaluate = work.settings.evaluate
    commit = described.tags.get("git.commit", "")
    commands = (f"git checkout {commit}", "make repro") if commit else ("make repro",)
    return Findings(
        data=work.info,
        search=work.result,
        outer=_outer(work),
        holdout=summarise_holdout(
            judged,
            draws=evaluate.bootstrap,
            confidence=evaluate.confidence,
            seed=work.settings.seed,
        ),
        origin=origin(described.tags, run_id=run_id, model_digest=digest),
        commands=commands,
        reference=work.reference,
        multiclass=work.settings.tune.multiclass,
    )


def _data_pictures(work: _Work) -> tuple[Picture, ...]:
    images, labels = work.development.images, work.development.labels
    return data_pictures(images, labels, tuple(map(str, work.info.classes)), work.info.image_shape)


def _tables(findings: Findings, judged: Judged) -> dict[str, bytes]:
    holdout = findings.holdout
    return {
        "evaluation.json": json_text(evaluation(holdout)).encode(),
        "predictions.csv": predictions_csv(judged).encode(),
        "confusion.csv": confusion_csv(holdout).encode(),
        "mistakes.csv": mistakes_csv(holdout).encode(),
        "per_class.csv": per_class_csv(holdout).encode(),
        "roc.csv": roc_csv(holdout).encode(),
        "calibration.csv": calibration_csv(holdout).encode(),
    }


def _page(work: _Work, findings: Findings, pictures: tuple[Picture, ...]) -> bytes:
    of_search = search_pictures(work.result, findings.outer)
    return page.render(findings, (*of_search, *pictures)).encode()


def _params(work: _Work) -> dict[str, str]:
    values = work.result.final.best.values
    told = {n: repr(v) if isinstance(v, float) else str(v) for n, v in values.items()}
    return {**told, "multiclass": work.settings.tune.multiclass}


def _metrics(findings: Findings) -> dict[str, float]:
    """The holdout's figures and the outer intervals as MLflow metrics."""
    holdout = findings.holdout
    told = with_intervals(holdout.scores, holdout.intervals)
    metrics = {f"holdout_{name}": value for name, value in told.items()}
    metrics["holdout_calibration_error"] = holdout.calibration_error
    for metric, estimate in findings.outer.items():
        metrics[f"outer_{metric}_low"] = estimate.corrected.low
        metrics[f"outer_{metric}_high"] = estimate.corrected.high
    return {name: round(value, DIGITS) for name, value in metrics.items()}


if __name__ == "__main__":
    run(main, resume="run `dvc repro` again")
