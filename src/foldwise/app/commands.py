"""What each command does: load, ask, print."""

import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from foldwise.app.cli import check_table, history_table
from foldwise.data.dataset import PREPARED, load, load_facts
from foldwise.errors import StoreError
from foldwise.registry.audit import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    RECORDED,
    Check,
    Decision,
    advised,
)
from foldwise.registry.champion import check_reason, reconcile
from foldwise.registry.champion import promote as promote_version
from foldwise.registry.champion import rollback as roll_back
from foldwise.registry.snapshot import Snapshot, model_name
from foldwise.registry.verify import Holdout
from foldwise.registry.verify import verify as verify_version
from foldwise.settings import Settings, load_settings
from foldwise.store.address import project_root
from foldwise.store.open import Store, open_store

_REFUSED = 2


@dataclass(frozen=True, slots=True)
class _Project:
    root: Path
    settings: Settings
    store: Store

    @property
    def name(self) -> str:
        return model_name(self.settings.prepare.name)

    def registry(self) -> Snapshot:
        return Snapshot.read(self.store, self.name)

    def holdout(self) -> Holdout:
        prepared = self.root / PREPARED
        split = load("holdout", prepared)
        return Holdout(load_facts(prepared / "holdout").digest, split.images, split.labels)


def promote(given: Namespace) -> None:
    """Judge a version; move the champion if it holds."""
    check_reason(given.reason, is_needed=given.force)
    project = _open(settles=not given.dry_run)
    decision = promote_version(
        project.store,
        project.name,
        given.version,
        holdout=project.holdout(),
        settings=project.settings,
        reason=given.reason,
        is_dry=given.dry_run,
        is_forced=given.force,
    )
    _say(check_table(decision.checks) + "\n" if decision.checks else "")
    _say(_promotion(decision, project.name, is_dry=given.dry_run))
    _exit(decision)


def rollback(given: Namespace) -> None:
    """Return to the previous champion."""
    project = _open()
    # A missing reason is the rollback's own to refuse, whoever was champion.
    if given.reason and project.registry().holder(PREVIOUS) is None:
        raise StoreError(
            f"a rollback needs a previous champion, and {project.name} has none: "
            "`foldwise promote VERSION` makes another version the champion"
        )
    decision = roll_back(project.store, project.name, reason=given.reason)
    if decision.decision == "refused":
        _say(check_table(decision.checks) + "\n")
        _say(f"refused: {_failed(decision)}\n")
    elif decision.decision == "unchanged":
        _say(f"nothing to do: version {decision.version} is the champion already\n")
    else:
        _say(f"rolled back: {_is_champion(decision, project.name)}\n")
    _exit(decision)


def draw(_given: Namespace) -> None:
    """Draw pictures and page anew."""
    from foldwise.app.drawing import draw as draw_anew  # no other command needs matplotlib

    draw_anew()


def history(_given: Namespace) -> None:
    """Print all decisions."""
    project = _open()
    entries = project.registry().history
    _say(history_table(entries) if entries else f"no decision on {project.name} yet\n")


def verify(given: Namespace) -> None:
    """Look at a version again."""
    project = _open()
    registry = project.registry()
    version = registry.find(given.version or _in_use(registry))
    verification = verify_version(project.store, version, project.holdout(), project.settings)
    checks = verification.checks
    if {CHAMPION, PREVIOUS}.intersection(version.aliases):
        checks = (*checks, *_recorded(registry))
    _say(f"{project.name} version {version.number} ({', '.join(version.aliases) or 'no alias'})\n")
    _say(f"\n{check_table(checks)}\n")
    _say("verified\n" if verification.holds else "not verified: don't serve this version\n")
    if not verification.holds:
        raise SystemExit(1)


def ui(given: Namespace) -> None:
    """Serve MLflow's pages."""
    from foldwise.app.ui import serve_ui

    serve_ui(host=given.host, port=given.port)


def relocate(_given: Namespace) -> None:
    """Mend the store's paths."""
    from foldwise.store.relocate import relocate as mend

    relocation = mend(project_root())
    if not relocation.old:
        _say(f"nothing to mend: the store already points to {relocation.new}\n")
        return
    rows = sum(relocation.changed.values())
    _say(f"{rows} paths now point to {relocation.new}\nbefore: {', '.join(relocation.old)}\n")
    _say(f"the database as it was: {relocation.backup}\n")


def _open(*, settles: bool = True) -> _Project:
    root = project_root()
    settings = load_settings(root / "params.yaml")
    store = open_store(root)
    project = _Project(root, settings, store)
    for record in reconcile(store, project.name) if settles else ():
        _say(
            f"the move to version {record.version}, decided {record.at} and cut short, is"
            f" {record.state}\n"
        )
    return project


def _in_use(registry: Snapshot) -> str:
    return CHALLENGER if registry.champion is None else CHAMPION


def _recorded(registry: Snapshot) -> tuple[Check, ...]:
    found = {each.alias: each.told() for each in registry.unrecorded}
    return tuple(
        advised(alias, found.get(alias, RECORDED), RECORDED, holds=alias not in found)
        for alias in (CHAMPION, PREVIOUS)
    )


def _promotion(decision: Decision, name: str, *, is_dry: bool) -> str:
    number = decision.version
    match decision.decision:
        case "unchanged":
            return f"nothing to do: the champion has the content of version {number} already\n"
        case "refused":
            words = "dry run: would be refused" if is_dry else "refused"
            return f"{words}: {_failed(decision)}\n"
        case word if is_dry:
            return f"dry run: version {number} would be {word}\n"
        case word:
            return f"{word}: {_is_champion(decision, name)}\n"


def _failed(decision: Decision) -> str:
    failed = sum(check.verdict == "fail" for check in decision.checks)
    return f"version {decision.version} fails {failed} of {len(decision.checks)} checks"


def _is_champion(decision: Decision, name: str) -> str:
    before = "none" if decision.champion is None else f"version {decision.champion}"
    return f"version {decision.version} of {name} is the champion (before: {before})"


def _exit(decision: Decision) -> None:
    if decision.decision == "refused":
        raise SystemExit(_REFUSED)


def _say(words: str) -> None:
    sys.stdout.write(words)
