"""``foldwise compare``: searches found by name, held against the first, and the champion's beside.

The comparison of classifiers on the holdout, in ``comparison/``, is another thing: `compare`.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import TYPE_CHECKING

from foldwise.app.commands import columns, uncollected
from foldwise.app.exits import import_slim_mlflow, tell
from foldwise.errors import FoldwiseError, SearchError, StoreError
from foldwise.files import decode, read_bytes, write_bytes
from foldwise.ownership import check_new
from foldwise.registry.audit import CHAMPION
from foldwise.registry.snapshot import Snapshot, model_name
from foldwise.report import versus as told_of
from foldwise.report.rivals import PREPARED, Entrant, SearchComparison, compare
from foldwise.runs.lineage import committed
from foldwise.search.archive import outline, outlined_groups, restore
from foldwise.settings import Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.faults import StoreRefused, store_faults
from foldwise.store.open import Store, all_pages, open_store, search_runs

if TYPE_CHECKING:
    import numpy as np
    from mlflow.entities import Run
    from numpy.typing import NDArray

    from foldwise.app.workspace import Workspace
    from foldwise.report.picture import Picture
    from foldwise.runs.recorder import Recorder
    from foldwise.search.trials import SearchResult

OUTLINE = "search"
"""The folder beside a pipeline's run that holds what later searches are compared with."""
WORKSPACE = "workspace"
"""What DVC calls the results in the folder."""
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_LOCKED = re.compile(r"path: models/run\.json\n(?: +\w+: \S+\n)*? +md5: ([0-9a-f]{32})")
_FEATURES = ("tune.features", "tune.candidates", "filters.", "data.columns", *PREPARED)
_LATER = ("evaluate.", "report.", "promotion.")
"""Parameters that no search depends on."""
_WIDTH = 100
_NEWEST = 50


@uncollected()
def compare_named(
    names: Sequence[str], *, metric: str | None, margin: float | None, output: Path | None
) -> None:
    """Print the comparison of the searches so called; write it as a page, too, if asked."""
    place = None if output is None else check_new(output)
    import_slim_mlflow()
    finder = Finder(project_root())
    found = compare(
        [finder.entrant(name) for name in names],
        metric=metric,
        margin=margin,
        confidence=finder.settings.evaluate.confidence,
    )
    tells_rows = finder.tells_rows
    for rival in found.rivals:
        tell(f"{told_of.headline(found, rival)}\n")
    for table in told_of.tables(found, tells_rows=tells_rows):
        tell(f"\n{table.title}\n{columns(table.head, table.rows) if table.rows else ''}")
        tell(f"{fill(table.note, _WIDTH)}\n" if table.note else "")
    next_step = told_of.next_step(found)
    for words in (told_of.meaning(found), next_step):
        tell(f"\n{fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False)}\n")
    if place is not None:
        from foldwise.report.page import render_versus  # matplotlib: a second

        pictures = finder.pictures(found)
        page = render_versus(found, pictures, tells_rows=tells_rows, next_step=next_step)
        write_bytes(place, page.encode())
        tell(f"\nwritten: {output}\n")


@dataclass(frozen=True)
class Finder:
    """Finds searches in a project's store; imports what searches and draws only where it must."""

    root: Path

    @cached_property
    def settings(self) -> Settings:
        """What the project's params.yaml says."""
        return load_settings(self.root / "params.yaml")

    @cached_property
    def work(self) -> "Workspace":
        """The project's folder with its data."""
        from foldwise.app.workspace import Workspace  # a third of a second

        return Workspace(self.root)

    @cached_property
    def store(self) -> Store:
        """MLflow's store, which is only read."""
        return open_store(self.root, creates=False, writes=False)

    @cached_property
    def registry(self) -> Snapshot:
        """The registered versions."""
        return Snapshot.read(self.store, model_name(self.settings.prepare.name))

    @property
    def tells_rows(self) -> bool:
        """Whether rows may be named by their numbers."""
        return self.settings.prepare.source != "table" or self.settings.report.rows

    def entrant(self, name: str) -> Entrant:
        """The search so called, whose predictions must have been kept."""
        with store_faults(f"looking for {name[:40]}"):
            run = self._run(name)
            return replace(
                self._outlined(run, name),
                facts=facts_of(run),
                digest=run.data.tags.get("development_digest", ""),
                seconds=self._seconds(run),
                run=run.info.run_id,
            )

    def pictures(self, found: SearchComparison) -> "tuple[Picture, ...]":
        """The comparison's pictures, with images if the folder has those that were searched."""
        from foldwise.report.album import versus_pictures

        with suppress(FoldwiseError):
            info = self.work.info
            if info.table is None and info.development_digest == found.reference.digest:
                images = self.work.data("development").images
                return versus_pictures(found, images, self.work.classes, info.image_shape)
        return versus_pictures(found)

    def _run(self, name: str) -> "Run":
        client = self.store.client
        if _RUN_ID.fullmatch(name):
            found = client.get_run(name)
        elif name == WORKSPACE:
            from foldwise.app.results import SearchPlace

            found = client.get_run(SearchPlace.read(self.root).run_id)
        elif name in {*self.registry.aliases, *(str(of.number) for of in self.registry.versions)}:
            found = client.get_run(self.registry.find(name).run_id)
        else:
            named = self._named(name) or self._of_commit(name)
            if named is None:
                none = ", which no version is yet" if name == CHAMPION else ""
                raise StoreError(
                    "a search is called by a run's id or name, an experiment's name, a commit, a"
                    f" version or alias, or {WORKSPACE}, got '{name:.40}'{none}: see"
                    " `dvc exp show` and `foldwise history`"
                )
            found = named
        pipeline = found.data.tags.get("pipeline", found.info.run_id)
        return found if pipeline == found.info.run_id else client.get_run(pipeline)

    def _named(self, name: str) -> "Run | None":
        """The newest pipeline of a DVC experiment, run or MLflow experiment of this name."""
        if "'" in name:
            return None
        for query in (f"tags.`dvc.experiment` = '{name}'", f"attributes.run_name = '{name}'"):
            if found := self._newest(query):
                return found
        own = self.store.find_experiment(name)
        return None if own is None else self._newest("", own)

    def _of_commit(self, revision: str) -> "Run | None":
        """The pipeline whose results a commit's dvc.lock names; else the newest that ran on it.

        An experiment bears its parent's commit, and so does what ran in a changed folder: neither
        is the commit's own search.
        """
        from foldwise.app.results import SearchPlace

        commit = committed(self.root, revision)
        if commit is None:
            return None
        named = _LOCKED.search(committed(self.root, revision, "dvc.lock") or "")
        if named and (content := self._kept(named[1])):
            return self.store.client.get_run(decode(SearchPlace, content, tolerant=True).run_id)
        ran_there = f"tags.`git.commit` = '{commit}' AND tags.`git.dirty` = 'false'"
        for run in self._pipelines(ran_there, most=_NEWEST):
            if "dvc.experiment" not in run.data.tags:
                return run
        raise StoreError(
            f"a commit's search must be kept here, that of {revision:.40} isn't: run `dvc pull`, or"
            " `dvc repro` at that commit"
        )

    def _newest(self, query: str, *experiments: str) -> "Run | None":
        return next(iter(self._pipelines(query, *experiments, most=1)), None)

    def _pipelines(self, query: str, *experiments: str, most: int) -> "Sequence[Run]":
        """The newest first, of all experiments if none is named."""
        client = self.store.client
        every = experiments or [of.experiment_id for of in all_pages(client.search_experiments)]
        whole = " AND ".join(filter(None, (query, "tags.level = 'pipeline'")))
        newest = ["attributes.start_time DESC"]
        return client.search_runs([*every], whole, max_results=most, order_by=newest)

    def _kept(self, digest: str) -> bytes | None:
        """The content of models/run.json of this digest, from DVC's cache or the folder."""
        cached = self.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
        for path in (cached, self.root / "models" / "run.json"):
            with suppress(OSError):
                content = read_bytes(path)
                if md5(content, usedforsecurity=False).hexdigest() == digest:
                    return content
        return None

    def _outlined(self, run: "Run", name: str) -> Entrant:
        """The search as its run keeps it."""
        near = Path(run.info.artifact_uri.removeprefix("file://"), OUTLINE)
        with TemporaryDirectory(prefix="foldwise-") as folder:
            try:
                if self.store.is_server or not near.is_dir():  # MLflow's way takes half a second
                    with store_faults(f"fetching the predictions of {name:.40}"):
                        near = Path(
                            self.store.client.download_artifacts(run.info.run_id, OUTLINE, folder)
                        )
                return Entrant(name, restore(near), outlined_groups(near))
            except (StoreRefused, SearchError) as error:
                raise SearchError(
                    f"a search's predictions must lie beside its run to be compared, those of"
                    f" {name:.40} don't, by an earlier version of foldwise, or are damaged: search"
                    " again with its parameters by `dvc repro -f tune`"
                ) from error

    def _seconds(self, run: "Run") -> float | None:
        studies = f"tags.pipeline = '{run.info.run_id}' AND tags.level = 'study'"
        found = search_runs(self.store.client, run.info.experiment_id, studies)
        ends = [each.info.end_time for each in found if each.info.end_time]
        return (max(ends) - run.info.start_time) / 1000 if ends else None


def facts_of(run: "Run") -> dict[str, dict[str, str]]:
    """What a pipeline's run says that its search came from, by kind."""
    facts: dict[str, dict[str, str]] = {kind: {} for kind in ("parameters", "features", "data")}
    copies = run.data.params.get("prepare.augment", "")
    for name, value in run.data.params.items():
        kind = "data" if name.startswith(("prepare.", "data.")) else "parameters"
        kind = "features" if name.startswith(_FEATURES) else kind
        with_copies = name == "data.development_rows" and copies not in ("", "0")
        if not name.startswith(_LATER):
            facts[kind][name] = f"{value} with shifted copies" if with_copies else value
    code = {
        name.removeprefix("git.").removeprefix("library."): value[:12]
        for name, value in run.data.tags.items()
        if name.startswith(("git.", "library."))
    }
    return {**facts, "code": code}


def tell_outline(
    recorder: "Recorder", result: "SearchResult", groups: "NDArray[np.int64] | None" = None
) -> None:
    """Put what later searches are compared with beside the pipeline's run."""
    files = outline(result, groups)
    recorder.record_artifacts(None, {f"{OUTLINE}/{name}": of for name, of in files.items()})


def tell_champion(work: "Workspace", recorder: "Recorder", result: "SearchResult") -> None:
    """Beside the pipeline's run, how its search does against the champion's on the same data.

    Told again, it changes nothing. Where they can't be compared, nothing is told.
    """
    with suppress(FoldwiseError):
        champion = Snapshot.read(work.store, work.model_name).champion
        if champion is None or champion.run_id == recorder.run_id:
            return
        finder = Finder(work.root)
        named = f"champion (version {champion.number})"
        reference = replace(finder.entrant(champion.run_id), name=named)
        own = Entrant(
            "this search",
            result,
            facts=facts_of(work.store.client.get_run(recorder.run_id)),
            digest=work.info.development_digest,
        )
        found = compare((reference, own), confidence=work.settings.evaluate.confidence)
        from foldwise.report.picture import picture_files

        recorder.record_artifacts(None, picture_files(finder.pictures(found), "figures/"))
        recorder.record_comparison(result, told_of.note(found, found.rivals[0]))
