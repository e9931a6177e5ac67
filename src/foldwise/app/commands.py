"""What the commands on a model do: open the project, ask the registry, print tables.

Whoever only looks imports neither the gate nor what loads a model: they take seconds.
"""

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from foldwise.app.exits import import_slim_mlflow, printable, tell
from foldwise.errors import DataError, SearchError, StoreError
from foldwise.registry.audit import (
    CHALLENGER,
    CHAMPION,
    HISTORY,
    PREVIOUS,
    Check,
    Decision,
    Unrecorded,
    advised,
)
from foldwise.registry.snapshot import Snapshot, Version, model_name, named, repeats
from foldwise.registry.stored_files import fault_of, read_yaml, sealed
from foldwise.settings import Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.database import registering
from foldwise.store.faults import store_faults
from foldwise.store.open import Store, all_pages, open_store

if TYPE_CHECKING:
    from foldwise.registry.verify import Holdout

_REFUSED = 2
_WIDTH, _NOTE = 100, "    "
_FIGURES = ("chosen", "outer_log_loss", "outer_accuracy", "holdout_log_loss", "holdout_accuracy")
"""Tags of a version that are listed."""
_SHOWN = 5
_OF_FILES = ("idx", "table")
"""Sources that read files of the project's."""


@dataclass(frozen=True, slots=True)
class Project:
    """An open project, and the registered model that a command is about."""

    root: Path
    settings: Settings
    store: Store
    name: str

    def registry(self) -> Snapshot:
        """The registry as it is now."""
        return Snapshot.read(self.store, self.name)

    def holdout(self) -> "Holdout":
        """The prepared holdout."""
        from foldwise.data.dataset import PREPARED, load, load_facts
        from foldwise.registry.verify import Holdout

        prepared = self.root / PREPARED
        split = load("holdout", prepared)
        facts = load_facts(prepared / "holdout")
        groups = None if facts.columns is None else split.groups
        return Holdout(facts.digest, split.images, split.labels, groups)


def promote(which: str, *, model: str | None, reason: str, is_dry: bool, is_forced: bool) -> None:
    """Judge a version; move the champion if it holds."""
    from foldwise.registry import champion

    champion.check_reason(reason, is_needed=is_forced)
    project = open_project(model, settles=not is_dry, writes=not is_dry)
    project.registry().find(which)  # before the holdout is asked for
    decision = champion.promote(
        project.store,
        project.name,
        which,
        holdout=project.holdout(),
        settings=project.settings,
        reason=reason,
        is_dry=is_dry,
        is_forced=is_forced,
    )
    tell(check_table(decision.checks) + "\n" if decision.checks else "")
    already = f"the champion has the content of version {decision.version}"
    _conclude(decision, project.name, already, is_dry=is_dry)
    if decision.decision != "unchanged":
        tell(_way_back(project, decision))


def _way_back(project: Project, decision: Decision) -> str:
    """How a promotion is undone, or why no rollback will undo it."""
    if (number := decision.champion or decision.previous) is None:
        return "no rollback leads back to having none: it needs one that was champion before\n"
    try:
        wrong = _wrong_with(project, decision, number)
    except (StoreError, OSError) as error:  # what is decided stands
        told = printable(str(error))
        return f"whether a rollback leads back to version {number} can't be told: {told}\n"
    if wrong:
        return f"no rollback leads back to version {number}, it would refuse: {printable(wrong)}\n"
    model = named(project.root, project.name)
    return f"the way back: `foldwise rollback{model} --reason WHY`, to version {number}\n"


def _wrong_with(project: Project, decision: Decision, number: int) -> str:
    """Why a rollback to this version would be refused; empty if it wouldn't be."""
    if decision.champion is not None and decision.decision == "promoted":
        return ""  # it was verified, to be compared with
    registry = project.registry()
    version, by_hand = registry.find(str(number)), registry.set_by_record(PREVIOUS, "fail")
    if decision.champion is None and by_hand.verdict == "fail":
        return f"{PREVIOUS} {by_hand.figure}"
    return fault_of(project.store, version, partial(sealed, version, root=project.root))


def rollback(*, model: str | None, reason: str, is_forced: bool) -> None:
    """Return to the previous champion."""
    from foldwise.registry import champion

    project = open_project(model)
    decision = champion.rollback(project.store, project.name, reason=reason, is_forced=is_forced)
    tell(check_table(decision.checks) + "\n" if decision.decision == "refused" else "")
    _conclude(decision, project.name, f"version {decision.version} is the champion")


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: among all that is imported that is a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@uncollected()
def history(*, model: str | None) -> None:
    """Print all decisions."""
    import_slim_mlflow()
    project = open_project(model, writes=False)
    registry = project.registry()
    entries, champion = registry.history, registry.champion
    none = f"no version of {project.name} is registered: register one with {registry.register}"
    tell(f"{version_table(registry.versions) if registry.versions else none}\n")
    tell(history_table(entries) if entries else f"no decision on {project.name} yet\n")
    if champion is None:
        return
    # Who hasn't pulled a colleague's record yet reads the history, too: it isn't asked.
    if wrong := fault_of(project.store, champion, partial(sealed, champion, root=None)):
        tell(f"version {champion.number}, the champion, is not as it was registered: {wrong}\n")
        raise SystemExit(1)


def verify(which: str | None, *, model: str | None) -> None:
    """Look at a version again."""
    from foldwise.registry.verify import verify as verify_version

    project = open_project(model, writes=False)
    registry = project.registry()
    version = registry.find(which or in_use(registry))
    verification = verify_version(project.store, version, project.holdout(), project.settings)
    beside = [*_data_checks(project, version)]
    if {CHAMPION, PREVIOUS}.intersection(version.aliases):
        beside += (registry.set_by_record(alias, "warning") for alias in (CHAMPION, PREVIOUS))
    tell(f"{project.name} version {version.number} ({', '.join(version.aliases) or 'no alias'})\n")
    prepare = project.settings.prepare
    source = f"{prepare.source}, which has no files here"
    source = prepare.path if prepare.source in _OF_FILES else source
    tell(f"against data/prepared and {source}\n\n{check_table(verification.checks)}\n")
    few = f"{len(verification.checks)} checks, as `foldwise promote` counts them"
    tell(f"{few}; beside them, not counted:\n\n{check_table(beside)}\n")
    tell("verified\n" if verification.holds else "not verified: don't serve this version\n")
    if not verification.holds:
        raise SystemExit(1)


def _data_checks(project: Project, version: Version) -> Iterator[Check]:
    """Whether development set and raw files are the version's, too: nothing is served of them."""
    from foldwise.app.results import RUN, SearchPlace
    from foldwise.data.dataset import PREPARED, load, load_facts

    if (project.root / RUN).exists():
        try:
            SearchPlace.read(project.root)
        except SearchError as error:
            yield advised("search", str(error).replace(": run", "; run"), "whole", holds=False)
    told, found = version.tags.get("development_digest", ""), "not here"
    with suppress(DataError):
        load("development", project.root / PREPARED)  # its bytes, too
        found = load_facts(project.root / PREPARED / "development").digest
    bound = told[:12] or "none recorded"
    if found != told:
        bound += "; data/prepared isn't what this version learned from, which serves as it was"
    yield advised("development set", found[:12], bound, holds=found == told)
    if project.settings.prepare.source in _OF_FILES:
        path, recorded = project.settings.prepare.path, _prepared_from(project)
        found = _dvc_digest(project.root / path)
        figure = f"{path}: {found[:12] or 'not here'}"
        bound = f"{recorded[:12] or 'none'} (dvc.lock)"
        yield advised("raw files", figure, bound, holds=found == recorded != "")


def _prepared_from(project: Project) -> str:
    """The digest of the raw files that the prepared data were made of, by DVC's lock."""
    lock, path = project.root / "dvc.lock", project.settings.prepare.path
    told: Any = read_yaml(lock) if lock.is_file() else None
    deps = (told or {}).get("stages", {}).get("prepare", {}).get("deps", [])
    return next((str(of.get("md5", "")) for of in deps if of.get("path") == path), "")


def _dvc_digest(path: Path) -> str:
    """MD5 of a file, or of a folder's list of files, as DVC's lock has it; empty without any."""
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    listed = [{"md5": _dvc_digest(path / name), "relpath": name} for name in files]
    digest = hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()
    return f"{digest}.dir" if listed else ""


def relocate() -> None:
    """Mend the store's paths."""
    from foldwise.store.database import relocate as mend

    root = project_root()
    relocation = mend(root)
    own, running = (root / "src" / "foldwise").resolve(), Path(__file__).resolve().parents[1]
    if own.is_dir() and running != own:
        tell(f"the sources that run are those in {running}: run `make clean install`\n")
    if not relocation.old:
        tell(f"nothing to mend: the store already points to {relocation.new}\n")
        return
    tell(f"{relocation.changed} paths now point to {relocation.new}\n")
    tell(f"before: {', '.join(relocation.old)}\n")
    tell(f"the database as it was: {relocation.backup}\n")


def open_project(model: str | None, *, settles: bool = True, writes: bool = True) -> Project:
    """Open the project that the folder lies in; what a killed decision left is settled first."""
    root = project_root()
    settings = load_settings(root / "params.yaml")
    store = open_store(root, creates=False, writes=writes)
    name = model_name(settings.prepare.name) if model is None else _known(store, model)
    if settles:
        # Who may only read sees what is pending, too.
        with nullcontext() if writes else suppress(StoreError):
            _settle(store, Snapshot.read(store, name))
    return Project(root, settings, store, name)


def _known(store: Store, model: str) -> str:
    """The name that was typed, if a model has it: of none there are no decisions either."""
    with store_faults("listing the models"):
        names = sorted(each.name for each in all_pages(store.client.search_registered_models))
    if model not in names:
        there = ", ".join(map(repr, names[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)
        raise StoreError(
            f"--model must name a registered model, got {model[:60]!r} (there is"
            f" {there or 'none'}): name one, or register one with {registering(store.root)}"
        )
    return model


def _settle(store: Store, registry: Snapshot) -> None:
    """Say how the moves ended that a killed process left pending."""
    if not registry.is_settled:
        from foldwise.registry.champion import reconcile

        for decision in reconcile(store, registry.name):
            tell(
                f"the move to version {decision.version}, decided {decision.at} and cut short, is"
                f" {decision.state}\n"
            )


def in_use(registry: Snapshot) -> str:
    """The alias that a command means where none is named."""
    return CHALLENGER if registry.champion is None else CHAMPION


def _conclude(decision: Decision, name: str, already: str, *, is_dry: bool = False) -> None:
    """Say what was decided, and why nothing was to do; a refusal is the exit status, too."""
    number, word = decision.version, decision.decision
    before = "none" if decision.champion is None else f"version {decision.champion}"
    told = f"{word}: version {number} of {name} is the champion (before: {before})"
    if word == "unchanged":
        told = f"nothing to do: {already} already"
    elif word == "refused":
        failed = sum(check.verdict == "fail" for check in decision.checks)
        told = "dry run: would be refused" if is_dry else word
        told += f": version {number} fails {failed} of {len(decision.checks)} checks"
    elif is_dry:
        told = f"dry run: version {number} would be {word}"
    tell(f"{told}\n")
    if word == "refused":
        raise SystemExit(_REFUSED)


def columns(
    head: Sequence[str] | None, rows: Iterable[Sequence[str]], *, width: int = _WIDTH
) -> str:
    """Rows under a head, if there is one: where they are too wide, the longest cells go over lines.

    What a cell says after a semicolon, a reason or a remedy, stands in lines below its row. What
    lies in a store can't steer the terminal: characters that aren't printable become ``?``.
    """
    parts = [[printable(cell).partition("; ") for cell in row] for row in rows]
    cells = [[value for value, _, _ in row] for row in parts]
    heads = [] if head is None else [head]
    widths = [max(map(len, column)) for column in zip(*heads, *cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    rule = "  ".join("-" * width for width in widths)
    lines = [line for each in heads for line in (*_row(each, widths), rule)]
    for row, notes in zip(cells, parts, strict=True):
        lines += _row(row, widths)
        for note in "\n".join(more for _, _, more in notes).splitlines():
            lines += wrap(note, width, initial_indent=_NOTE, subsequent_indent=_NOTE)
    return "".join(f"{line}\n" for line in lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of a row; the last cell isn't padded."""
    parts = [wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    for line in zip_longest(*parts, fillvalue=""):
        yield "  ".join(map(str.ljust, line, widths)).rstrip()


def check_table(checks: Iterable[Check]) -> str:
    """Checks with figure, bound and verdict."""
    return columns(
        ("check", "figure", "bound", "verdict"),
        ((check.name, check.figure, check.bound or "-", check.verdict) for check in checks),
    )


def version_table(versions: Iterable[Version]) -> str:
    """Versions with who bears which alias, and the figures that they were registered with.

    Below one whose model is an earlier one's, number by number, it is said whose.
    """
    earlier: list[Version] = []
    rows = []
    for each in versions:
        told = (", ".join(each.aliases) or "-", repeats(each.content, earlier))
        figures = (each.tags.get(name, "-") for name in _FIGURES)
        on = f"{datetime.fromtimestamp(each.created / 1000, UTC):%Y-%m-%d}"
        rows.append((str(each.number), "; ".join(filter(None, told)), on, *figures))
        earlier.append(each)
    return columns(
        ("version", "aliases", "registered", *(name.replace("_", " ") for name in _FIGURES)),
        rows,
    )


def history_table(entries: Iterable[Decision | Unrecorded]) -> str:
    """Decisions and unrecorded changes, oldest first; below each what failed, and the reason."""
    return columns(HISTORY, ([of.cells.get(name, "-") for name in HISTORY] for of in entries))
