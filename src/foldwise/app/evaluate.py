"""``python -m foldwise.app.evaluate``: score on the holdout, report, register."""

from dataclasses import replace

from foldwise.app.drawing import (
    OF_MODEL,
    OF_SEARCH,
    Tuned,
    Verdict,
    holdout_metrics,
    tell_fold,
    the_page,
)
from foldwise.app.exits import run, say
from foldwise.app.versus import tell_champion, tell_outline
from foldwise.app.workspace import (
    EVALUATED,
    REPORTS,
    SearchPlace,
    Workspace,
    kept_pictures,
    save,
    save_pictures,
    save_result,
)
from foldwise.data.encoder import typical
from foldwise.ownership import check_output
from foldwise.registry.evidence import gather_evidence, shared_rows
from foldwise.registry.gate import changed_data
from foldwise.registry.registration import Submission, register, require_same_kind
from foldwise.registry.snapshot import Snapshot, Version, note_holdout_use
from foldwise.registry.stored_model import require_servable
from foldwise.report.findings import Findings, Judged
from foldwise.report.page import render_card
from foldwise.report.picture import Picture, picture_files
from foldwise.report.tables import holdout_files
from foldwise.report.wording import DIGITS
from foldwise.runs.recorder import Recorder
from foldwise.search.jobs import Predictions
from foldwise.search.space import KIND
from foldwise.search.trials import SearchResult
from foldwise.settings import parameter_digests

EXAMPLES = 3


def main() -> None:
    """Score the final model, write the reports, register the version, close the search."""
    for output in (OF_MODEL, EVALUATED):
        check_output(output)
    work = Workspace()
    tuned, place = Tuned.read(work), SearchPlace.read()
    registry = Snapshot.read(work.store, work.model_name)
    require_same_kind(work.store, registry, work.info)  # before the holdout is counted for it
    described = work.lineage(place.search_key, place.attempt, tuned.result.space)
    with (
        work.held(place.search_key) as lease,
        work.recorder(described, lease) as recorder,
    ):
        _tell_search(tuned, recorder, is_known=recorder.run_id == place.run_id)
        if tuned.linear is None:
            require_servable(tuned.model, work.info.classes, tuned.development.images[:1])
        verdict = Verdict.of(work, tuned.model, recorder.run_id, described.tags)
        if work.info.holdout_rows:
            count_look(work, registry, verdict)
        judged, verdict = (
            tuned.judged(),
            replace(verdict, data_change=_change(work, registry, verdict)),
        )
        findings = tuned.findings(judged, verdict)
        save_result(EVALUATED, verdict, Predictions(judged.probabilities))
        page = _report(tuned, findings, judged, recorder)
        kind: str = work.settings.tune.multiclass
        if tuned.linear is None:
            kind = str(tuned.result.final.best.values[KIND])
        card = render_card(findings)
        version = submit(work, tuned.result, judged, verdict, card=card, kind=kind, page=page)
    work.close(place.search_key, place.attempt, tuned.result.space)
    say(
        findings.headline(),
        findings.answer(),
        f"registered: version {version.number} of {version.name}; page: {REPORTS}/report.html",
        *findings.cautions(),
        "next: `foldwise show`, then `foldwise promote --dry-run`",
    )


def count_look(work: Workspace, registry: Snapshot, verdict: Verdict) -> None:
    """Note the model's look at the holdout, before it is taken."""
    holdout, content = verdict.holdout_digest, verdict.model_digest
    note_holdout_use(work.store, registry, holdout=holdout, content=content, run_id=verdict.run_id)


def submit(
    work: Workspace,
    result: SearchResult,
    judged: Judged,
    verdict: Verdict,
    *,
    card: str,
    kind: str,
    page: bytes = b"",
) -> Version:
    """Register a search's final model, judged on the holdout, as a version of a kind of model."""
    development, values = work.data("development"), result.final.best.values
    is_private = work.info.table is not None and not work.settings.report.rows
    evidence = gather_evidence(
        result,
        work.settings,
        work.info,
        probabilities=judged.probabilities,
        labels=judged.labels,
        shared_rows=shared_rows(development.images, judged.images) if work.info.holdout_rows else 0,
    )
    params = {n: repr(v) if isinstance(v, float) else str(v) for n, v in values.items()}
    submission = Submission(
        verdict.run_id,
        verdict.tags,
        result.final.model,
        {**params, "multiclass": kind},
        evidence,
        card,
        typical(development.images) if is_private else development.images[:EXAMPLES],
        parameter_digests(work.settings),
        page,
        may_keep_rows=not is_private,
    )
    return register(work.store, submission, say)


def _tell_search(tuned: Tuned, recorder: Recorder, *, is_known: bool) -> None:
    """Tell the store the search; its files only if it isn't where they were told already."""
    recorder.record_all(tuned.result)
    if not is_known:
        for fold in tuned.result.outer:
            tell_fold(tuned.work, recorder, fold)
        figures = picture_files(_search_pictures(tuned))
        told = {f"figures/{name}": figure for name, figure in figures.items()}
        recorder.record_artifacts(None, tuned.tables() | told)
        tell_outline(recorder, tuned.result, tuned.work.clusters(tuned.development))
        tell_champion(tuned.work, recorder, tuned.result)


def _search_pictures(tuned: Tuned) -> tuple[Picture, ...]:
    """As `tune` drew them; drawn anew only where they are missing."""
    return kept_pictures(OF_SEARCH) or tuned.pictures()


def _change(work: Workspace, registry: Snapshot, verdict: Verdict) -> str:
    before = registry.before(verdict.run_id)
    changed = changed_data(before, work.info)
    if before is None or not changed:
        return ""
    return f"The data are not those of version {before.number}: {changed}."


def _report(tuned: Tuned, findings: Findings, judged: Judged, recorder: Recorder) -> bytes:
    """Write tables, pictures and the page, which is given back, and put them beside the run."""
    pictures = tuned.model_pictures(findings, judged)
    page = the_page(findings, (*_search_pictures(tuned), *pictures))
    reports = holdout_files(findings.holdout, judged, has_holdout=findings.has_holdout) | page
    save(REPORTS, reports)
    figures = save_pictures(OF_MODEL, pictures)
    recorder.log_metrics(_metrics(findings))
    recorder.record_artifacts(None, reports | figures)
    return b"".join(page.values())


def _metrics(findings: Findings) -> dict[str, float]:
    """The holdout's figures and the outer intervals as MLflow metrics."""
    metrics = holdout_metrics(findings.holdout) if findings.has_holdout else {}
    for metric, estimate in findings.outer.items():
        metrics[f"outer_{metric}_low"] = round(estimate.interval.low, DIGITS)
        metrics[f"outer_{metric}_high"] = round(estimate.interval.high, DIGITS)
    return metrics


if __name__ == "__main__":
    run(main, resume="run `dvc repro` again")
