"""``python -m foldwise.app.evaluate``: score on the holdout, report, register."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from scipy.special import ndtri

from foldwise.app import drawing, results
from foldwise.app.display import span
from foldwise.app.exits import run, say
from foldwise.app.versus import tell_champion, tell_outline
from foldwise.app.views import run_links
from foldwise.app.workspace import Workspace
from foldwise.data.columns import typical
from foldwise.errors import SearchError, SettingsError
from foldwise.files import check_writable
from foldwise.registry.evidence import Evidence
from foldwise.registry.gate import Case, changed_data, comparison_level, judge
from foldwise.registry.registration import Submission, register, require_same_kind
from foldwise.registry.snapshot import Snapshot, Version, note_holdout_use, repeats
from foldwise.registry.stored_files import RECORDS
from foldwise.registry.stored_model import fetch_evidence, require_servable
from foldwise.report.artist import Artist
from foldwise.report.findings import Findings
from foldwise.report.judged import Judged
from foldwise.report.page import render_card
from foldwise.report.picture import Picture, picture_files
from foldwise.report.standing import Standing
from foldwise.report.tables import HOLDOUT_FILES, holdout_files
from foldwise.report.wording import counted
from foldwise.runs.recorder import Recorder
from foldwise.runs.tree import params_of
from foldwise.search.jobs import Predictions
from foldwise.search.space import KIND
from foldwise.settings import load_settings, parameter_digests
from foldwise.stats.scores import PUBLISHED
from foldwise.store.faults import Tolerating, store_faults

EXAMPLES = 3


def main() -> None:
    """Score the final model, write the reports, register the version, close the search."""
    work = Workspace()
    tables = (results.REPORTS / name for name in (*HOLDOUT_FILES, drawing.PAGE))
    check_writable(*tables, work.root / RECORDS, folders=[drawing.OF_MODEL, results.EVALUATED])
    with Artist() as artist:
        _evaluate(work, artist)


def _evaluate(work: Workspace, artist: Artist) -> None:
    tuned, place = drawing.Tuned.read(work), results.SearchPlace.read()
    require_own_search(work, place)
    registry = Snapshot.read(work.store, work.model_name)
    require_same_kind(work.store, registry, work.info)  # before the holdout is counted for it
    described = work.lineage(place.search_key, place.attempt, tuned.result.space)
    with (
        work.held(place.search_key) as lease,
        work.recorder(described, lease) as recorder,
    ):
        of_search = _tell_search(tuned, recorder, artist, is_known=recorder.run_id == place.run_id)
        if tuned.linear is None:
            require_servable(tuned.model, work.info.classes, tuned.development.images[:1])
        verdict = tuned.verdict(recorder.run_id, described.tags)
        if work.info.holdout_rows:
            registry = count_look(work, registry, verdict)
        judged = tuned.judged()
        summary = tuned.summary(judged)
        drawn = tuned.model_pictures(artist, summary, judged)
        evidence = tuned.evidence(judged)
        standing = _standing(work, registry, verdict, place=place, evidence=evidence, judged=judged)
        change = _change(work, registry, verdict)
        verdict = replace(verdict, data_change=change, standing=standing)
        findings = tuned.findings(summary, verdict)
        results.save_result(results.EVALUATED, verdict, Predictions(judged.probabilities))
        of_model = tuple(picture for pictures in drawn for picture in pictures())
        page = _report(findings, judged, recorder, of_search=of_search, of_model=of_model)
        kind: str = work.settings.tune.multiclass
        if tuned.linear is None:
            kind = str(tuned.result.final.best.values[KIND])
        card = render_card(findings)
        version = submit(tuned, verdict, evidence=evidence, card=card, kind=kind, page=page)
    work.close(place.search_key, place.attempt, tuned.result.space)
    say(
        findings.headline(),
        findings.answer(),
        f"registered: version {version.number} of {version.name}"
        f"{standing.same and f', {standing.same}'}; page: {results.REPORTS / drawing.PAGE}",
        *findings.cautions(),
        f"next: {_advice(work)}",
    )


def _advice(work: Workspace) -> str:
    """What to type in the project's folder, whose params.yaml may say another model meanwhile."""
    with suppress(SettingsError):
        prepare = load_settings(work.root / "params.yaml").prepare
        if prepare == work.settings.prepare:
            return "`foldwise show`, then `foldwise promote --dry-run`"
        if prepare.name == work.info.name:
            return "`foldwise history`, which lists it: this folder's data are prepared otherwise"
    return f"`foldwise show --model {work.model_name}`"


def require_own_search(work: Workspace, place: results.SearchPlace) -> None:
    """Refuse the name of another search, as which this one would be registered and closed.

    The store's word of the run counts; where it has no such run, what the settings describe.
    """
    own = {"search_key": work.search_key, "attempt": str(place.attempt)}
    with store_faults("looking for the search's run"), Tolerating("RESOURCE_DOES_NOT_EXIST"):
        own |= work.store.client.get_run(place.run_id).data.tags
    told, known = (place.search_key, str(place.attempt)), (own["search_key"], own["attempt"])
    if told != known:
        raise SearchError(
            f"{results.RUN} must name the search that was tuned, {' attempt '.join(known)}, got"
            f" {' attempt '.join(told)}: run `dvc repro tune` or `dvc pull`"
        )


def count_look(work: Workspace, registry: Snapshot, verdict: drawing.Verdict) -> Snapshot:
    """Note the model's look at the holdout, before it is taken; with it, all looks there are."""
    holdout, content = verdict.holdout_digest, verdict.model_digest
    return note_holdout_use(
        work.store, registry, holdout=holdout, content=content, run_id=verdict.run_id
    )


def _standing(
    work: Workspace,
    registry: Snapshot,
    verdict: drawing.Verdict,
    *,
    place: results.SearchPlace,
    evidence: Evidence,
    judged: Judged,
) -> Standing:
    """Where the version will stand: what promotion asks, and what the holdout has been used for."""
    settings, digest, content = work.settings, verdict.holdout_digest, verdict.model_digest
    earlier = [each for each in registry.versions if each.run_id != verdict.run_id]
    kept = f", with {counted(place.kept, 'trial')} from before" if place.kept else ""
    standing = Standing(
        work.model_name,
        untuned=place.untuned,
        duration=f"{span(place.seconds)}{kept}" if place.seconds else "",
        links=run_links(work.store, work.info.name, verdict.run_id),
        same=repeats(content, earlier),
    )
    if not work.info.holdout_rows:
        return standing
    champion = registry.champion
    number = registry.spent(digest, content, champion.content if champion else "")
    first, own, later = (
        round(-float(ndtri(comparison_level(k, settings.promotion.alpha))), 2)
        for k in (1, number, number + 1)
    )
    case = Case(
        evidence, judged.probabilities, (), judged.labels, settings, number,
        before=registry.before(verdict.run_id), digits=PUBLISHED,
    )  # fmt: skip
    which, scores = _champion(work, registry, verdict)
    return replace(
        standing,
        # The first is of files that are yet to be stored.
        gate=tuple((of.name, of.figure, of.bound, of.verdict) for of in judge(case)[1:]),
        looks=len({scored for scored, _ in registry.looks(digest)}),
        comparison=number,
        errors=(first, own, later),
        champion=which,
        champion_scores=scores,
    )


def _champion(
    work: Workspace, registry: Snapshot, verdict: drawing.Verdict
) -> tuple[str, Mapping[str, float]]:
    """Which is the champion, and its figures of this holdout, or why there are none."""
    champion = registry.champion
    if champion is None:
        return "there is no champion yet", {}
    name = f"the champion, version {champion.number}"
    if champion.content == verdict.model_digest:
        return f"{name}, is this very model", {}
    known = fetch_evidence(work.store, champion)
    if known is None or known.data.holdout_digest != verdict.holdout_digest:
        return f"{name}, was scored on another holdout", {}
    return name, known.holdout


def submit(
    tuned: drawing.Tuned,
    verdict: drawing.Verdict,
    *,
    evidence: Evidence,
    card: str,
    kind: str,
    page: bytes = b"",
) -> Version:
    """Register a search's final model, judged on the holdout, as a version of a kind of model."""
    work, images = tuned.work, tuned.development.images
    is_private = work.info.table is not None and not work.settings.report.rows
    submission = Submission(
        verdict.run_id,
        verdict.tags,
        tuned.model,
        {**params_of(tuned.result.final.best.values), "multiclass": kind},
        evidence,
        card,
        typical(images) if is_private else images[:EXAMPLES],
        parameter_digests(work.settings),
        page,
        may_keep_rows=not is_private,
    )
    return register(work.store, submission, say)


def _tell_search(
    tuned: drawing.Tuned, recorder: Recorder, artist: Artist, *, is_known: bool
) -> tuple[Picture, ...]:
    """Tell the store the search; its files only if it isn't where they were told already.

    Gives its pictures, as `tune` drew them; drawn anew only where they are missing.
    """
    recorder.record_all(tuned.result)
    pictures = results.kept_pictures(drawing.OF_SEARCH) or tuned.pictures(artist)()
    if not is_known:
        folds = {
            of.study: drawing.fold_pictures(tuned.work, artist, of) for of in tuned.result.outer
        }
        drawing.tell_folds(recorder, folds)
        recorder.record_artifacts(None, tuned.tables() | picture_files(pictures, "figures/"))
        tell_outline(recorder, tuned.result, tuned.work.clusters(tuned.development))
        tell_champion(tuned.work, recorder, tuned.result)
    return pictures


def _change(work: Workspace, registry: Snapshot, verdict: drawing.Verdict) -> str:
    before = registry.before(verdict.run_id)
    changed = changed_data(before, work.info)
    if before is None or not changed:
        return ""
    return f"The data are not those of version {before.number}: {changed}."


def _report(
    findings: Findings,
    judged: Judged,
    recorder: Recorder,
    *,
    of_search: tuple[Picture, ...],
    of_model: tuple[Picture, ...],
) -> bytes:
    """Write tables, pictures and the page, which is given back, and put them beside the run."""
    page = drawing.the_page(findings, (*of_search, *of_model))
    reports = holdout_files(findings.holdout, judged, has_holdout=findings.has_holdout) | page
    results.save(results.REPORTS, reports)
    figures = results.save_pictures(drawing.OF_MODEL, of_model)
    recorder.log_metrics(drawing.holdout_metrics(findings.holdout) if findings.has_holdout else {})
    recorder.record_artifacts(None, reports | figures)
    return b"".join(page.values())


if __name__ == "__main__":
    run(main, resume="run `dvc repro` again")
