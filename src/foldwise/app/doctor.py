"""``foldwise doctor``: what a project needs, what it has, and what to type where that differs."""

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from foldwise.app.commands import columns
from foldwise.app.exits import tell
from foldwise.app.init import dvc_init, top_level
from foldwise.app.prepare import require_followed
from foldwise.data.preparation import check_data
from foldwise.errors import FoldwiseError, SettingsError, StoreError, with_extra
from foldwise.registry.stored_files import read_yaml
from foldwise.runs.lineage import git_state, installed
from foldwise.settings import SOURCES, load_settings
from foldwise.store.address import project_root, tracking_address
from foldwise.store.open import open_store

_PIN = re.compile(r"^([\w.-]+==[^\\\n]+)", re.MULTILINE)
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule: what there is, and what to do if it doesn't hold."""

    rule: str
    value: str
    remedy: str = ""


def doctor() -> None:
    """Print what holds and what doesn't; ends with status 1 if something doesn't."""
    findings = examined(project_root())
    rows = [("wrong" if f.remedy else "ok", f.rule, f.value, f.remedy or "-") for f in findings]
    tell(columns(("", "rule", "value", "remedy"), rows))
    wrong = sum(bool(finding.remedy) for finding in findings)
    tell(f"\n{wrong or 'nothing'} of {len(findings)} is wrong\n")
    if wrong:
        raise SystemExit(1)


def examined(root: Path) -> tuple[Finding, ...]:
    """Look at everything, whatever is wrong before."""
    return (_interpreter(), _versions(root), *_history(root), *_contents(root), _store(root))


def _interpreter() -> Finding:
    rule, own = "the stages' python is foldwise's", Path(sys.executable).parent
    found = shutil.which("python")
    remedy = f'run `export PATH="{own}:$PATH"`'
    return Finding(rule, found or "none", "" if found and Path(found).parent == own else remedy)


def _versions(root: Path) -> Finding:
    lock = root / "requirements.lock"
    ranges = importlib.metadata.requires("foldwise") or []
    told = _PIN.findall(lock.read_text()) if lock.is_file() else ranges
    wrong = [each for each in map(Requirement, told) if not _is_met(each)]
    value = ", ".join(
        f"{each.name} {installed(each.name) or 'missing'} for {each.specifier}"
        for each in wrong[:_NAMED]
    )
    by = f"-r {lock.name}" if lock.is_file() else with_extra("workflow")
    rule = f"versions are those of {lock.name if lock.is_file() else 'foldwise'}"
    remedy = f"run `python -m pip install {by}`" if wrong else ""
    return Finding(rule, value or f"{len(told)} packages", remedy)


def _is_met(wanted: Requirement) -> bool:
    if wanted.name == "foldwise" or (
        wanted.marker and not wanted.marker.evaluate({"extra": "workflow"})
    ):
        return True
    found = installed(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _history(root: Path) -> Iterator[Finding]:
    top = top_level(root)
    yield Finding("a git repository", str(top or "none"), "" if top else "run `git init`")
    commit = git_state(root).get("git.commit", "")
    remedy = "" if commit else "run `git add --all && git commit -m Begin`"
    yield Finding("a commit, which experiments begin at", commit[:12] or "none", remedy)
    there = (root / ".dvc").is_dir()
    yield Finding("a DVC project", str(there), "" if there else f"run `{dvc_init(root)}`")


def _contents(root: Path) -> Iterator[Finding]:
    holds, rule = "params.yaml holds", "the data can be read"
    try:
        settings = load_settings(root / "params.yaml")
        prepare = settings.prepare
    except SettingsError as error:
        yield Finding(holds, *_parted(error))
        yield Finding(rule, "unknown", "mend params.yaml first")
        return
    lacking = ", ".join(_lacking(root))
    remedy = "write these there, DVC reads them by name: docs/reference.md has their defaults"
    yield Finding(holds, f"no {lacking}" if lacking else prepare.name, remedy if lacking else "")
    reads = SOURCES[prepare.source]
    path = prepare.path if "path" in reads.parameters else ""
    try:
        if path and not reads.finds(root / path):
            remedy = f"run `dvc checkout {path}`, or `dvc pull` from a remote, or put them there"
            yield Finding(rule, path, remedy)
            return
        require_followed(prepare.holdout, root=root)
        check_data(settings, root=root)
    except FoldwiseError as error:
        yield Finding(rule, *_parted(error))
        return
    except OSError as error:
        told = f"{path or prepare.source}: {error.strerror or error}"
        yield Finding(rule, told, "see to it that this user can read it")
        return
    asked = "openml, not asked" if prepare.source == "openml" else prepare.source
    yield Finding(rule, path or asked)


def _lacking(root: Path) -> list[str]:
    """What dvc.yaml reads by name and params.yaml lacks: DVC would end before any stage runs."""
    path, params = root / "dvc.yaml", read_yaml(root / "params.yaml")
    try:
        stages = read_yaml(path)["stages"].values()
        listed = {name for of in stages for name in of.get("params", ()) if isinstance(name, str)}
        named = listed.union(_REFERENCE.findall(path.read_text(encoding="utf-8")))
    except (AttributeError, KeyError, OSError, TypeError):
        return []  # DVC itself says what is wrong with dvc.yaml
    return sorted(name for name in named if not _holds(params, name))


def _holds(told: Any, name: str) -> bool:
    first, _, rest = name.partition(".")
    is_there = isinstance(told, dict) and first in told
    return is_there and (not rest or _holds(told[first], rest))


def _store(root: Path) -> Finding:
    rule = "MLflow's store answers"
    try:
        address = tracking_address(root)
        if address.database and not address.database.exists():
            return Finding(rule, "the first run makes it")
        return Finding(rule, open_store(root, creates=False).tracking_uri)
    except StoreError as error:
        return Finding(rule, *_parted(error))


def _parted(error: Exception) -> tuple[str, str]:
    """What is wrong and the remedy, which an error of ours tells after its last colon."""
    value, _, remedy = str(error).rpartition(": ")
    return value or remedy, remedy
