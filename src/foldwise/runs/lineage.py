"""What a run came from: commit, parameters, data and library versions, as params and tags."""

import getpass
import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from foldwise.data.dataset import DataInfo
from foldwise.errors import StoreError
from foldwise.files import Value
from foldwise.runs.tree import pipeline_begun_note
from foldwise.search.space import Space
from foldwise.settings import Settings, changed_from, flattened, in_use, parameters_digest
from foldwise.store.address import project_root

CHANGED = "parameters.changed"
"""Tag: which parameters weren't committed, as one would give them to `dvc exp run`."""
_WORD = re.compile(r"(?!(?i:true|false|null|inf|nan)$)[A-Za-z][\w./-]*", re.ASCII)
_NAMED = 3
"""Parameters in a run's name."""
_LIBRARIES = ("foldwise", "numpy", "scipy", "scikit-learn", "optuna", "mlflow", "dvc", "skops")

# What the pipeline itself writes into the working tree is no change of its sources.
_WRITTEN = (
    "reports",
    "dvc.lock",
    "search-version.json",
    "comparison/reports",
    "comparison/dvc.lock",
)
_SOURCES = ("--", ".", *(f":(exclude){place}" for place in _WRITTEN))
_STATUS = ("status", "--porcelain", "-z", "--untracked-files=normal")
_CODE = ("--", *(f"src/*{ending}" for ending in (".py", ".pyc", ".so", ".pyd")))
# A hook, or a shell, may have set them for a repository that isn't this checkout's.
_OF_ANOTHER = {
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
}


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that a pipeline run is known by before it starts."""

    experiment: str  # the data's name
    search_key: str
    attempt: int  # how often this search was begun, this time included
    params: Mapping[str, str]  # every setting in use by its full key, and the data's shape
    tags: Mapping[str, str]  # commit, digests, DVC experiment, library versions
    space: Space
    data: DataInfo | None = None  # whose splits MLflow shows; none of rows in memory
    note: str = ""  # what people read beside the run while it goes on
    stem: str = "cv"  # names the run, such as cv-2026-01-15a

    @property
    def key(self) -> str:
        """The pipeline run's idempotency key, from which its studies and trials derive theirs."""
        return f"{self.search_key}:{self.attempt}"


def lineage(
    settings: Settings, data: DataInfo, *, space: Space, search_key: str, attempt: int
) -> Lineage:
    """Gather what a pipeline run came from, in the checkout it runs in."""
    shape: dict[str, object] = {"image_shape": "x".join(map(str, data.image_shape))}
    if data.table is not None:
        shape = {"columns": len(data.table.columns)}
    rows = {"development_rows": data.development_rows, "holdout_rows": data.holdout_rows}
    own = {f"data.{of}": n for of, n in ({"classes": len(data.classes)} | shape | rows).items()}
    return Lineage(
        experiment=data.name,
        search_key=search_key,
        attempt=attempt,
        params={key: str(value) for key, value in (in_use(settings) | own).items()},
        tags={
            "search_key": search_key,
            "attempt": str(attempt),
            "development_digest": data.development_digest,
            "holdout_digest": data.holdout_digest,
            "parameters_digest": parameters_digest(settings),
            **surroundings(Path.cwd()),
            **dvc_experiment(),
            **parameters_not_committed(Path.cwd(), settings),
        },
        space=space,
        data=data,
        note=pipeline_begun_note(data.name, settings.tune.folds, settings.tune.trials),
        stem=_stem(settings),
    )


def _stem(settings: Settings) -> str:
    """What is not the default of that which makes a search another: a list of runs cuts names."""
    usual, told = flattened(Settings()), in_use(settings).items()
    named = ("tune.", "filters.", "seed", "prepare.limit", "prepare.augment")
    changed = [
        f"{key.rpartition('.')[2]}={of}"
        for key, of in told
        if key.startswith(named) and of != usual[key]
    ]
    more = f"+{len(changed) - _NAMED}" * (len(changed) > _NAMED)
    return " ".join(["cv", *changed[:_NAMED], *([more] if more else [])])


def surroundings(folder: Path) -> dict[str, str]:
    """Who ran what, as tags: user, commit, library versions."""
    return {
        "mlflow.user": user(),
        "mlflow.source.name": "foldwise",
        "mlflow.source.type": "LOCAL",
        **git_state(folder),
        **library_versions(),
    }


def git_state(folder: Path) -> dict[str, str]:
    """Commit and dirt of a checkout as tags; empty outside of git.

    Changes of what the pipeline writes itself don't count: reports and DVC's locks. A folder that
    git refuses, because it belongs to another user, is an error.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _changes(folder)
    return {
        "git.commit": commit,
        "git.dirty": "unknown" if changes is None else str(bool(changes)).lower(),
        "mlflow.source.git.commit": commit,
    }


def _changes(folder: Path) -> str | None:
    """What isn't the commit's, whatever git was told to pass over: it may have run all the same."""
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        return None  # git would tell of other files than those that ran
    with TemporaryDirectory(prefix="foldwise-") as place:
        # The user's own index may call a changed file unchanged.
        index = Path(place) / "index"
        told = (
            _git(folder, "read-tree", "HEAD", index=index),
            _git(folder, *_STATUS, *_SOURCES, index=index),
            _git(folder, "ls-files", "--others", "--exclude=__pycache__/", *_CODE, index=index),
            _git(folder, "ls-files", "--full-name", "-t", "-z"),
        )
    if None in told:
        return None
    _, changed, code, tracked = (str(each).split("\0") for each in told)
    # A sparse checkout lacks them, as its own index says: what isn't there didn't run.
    left_out = {f"D {each.removeprefix('S ')}" for each in tracked if each.startswith("S ")}
    return "".join([*(each for each in changed if each.strip() not in left_out), *code])


def parameters_not_committed(folder: Path, settings: Settings) -> dict[str, str]:
    """The parameters that aren't the commit's, if there are any, as a tag: options of DVC's."""
    committed = _git(folder, "show", "HEAD:./params.yaml")
    if committed is None:
        return {}
    changed = changed_from(settings, committed)
    options = (shlex.quote(f"{key}={_given(value)}") for key, value in changed.items())
    return {CHANGED: " ".join(f"-S {option}" for option in options)} if changed else {}


def _given(value: Value) -> str:
    """As DVC reads it after ``-S key=``, by Hydra's grammar: quoted what isn't a plain word."""
    if isinstance(value, str) and not _WORD.fullmatch(value):
        return "'{}'".format(value.replace("'", r"\'"))
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def git_knows(folder: Path, commit: str) -> bool:
    """Whether a commit is in the repository that ``folder`` lies in."""
    return commit.isalnum() and _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def committed(folder: Path, revision: str, path: str | None = None) -> str | None:
    """A file of the folder as a revision has it, or the commit it is; None if git knows none."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = _git(folder, *asked)
    if commit is None or path is None:
        return None if commit is None else commit.splitlines()[-1]
    return _git(folder, "show", f"{commit.splitlines()[-1]}:./{path}")


def machine() -> str:
    """A digest that tells machines apart without naming them."""
    return hashlib.sha256(f"{platform.node()}/{platform.machine()}".encode()).hexdigest()[:16]


def user() -> str:
    """Name of the user who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def dvc_experiment() -> dict[str, str]:
    """Name and baseline of the DVC experiment of this project that the process runs in, if any."""
    if (root := os.environ.get("DVC_ROOT")) and project_root() != Path(root).resolve():
        return {}
    named = {"dvc.experiment": "DVC_EXP_NAME", "dvc.baseline": "DVC_EXP_BASELINE_REV"}
    return {tag: os.environ[name] for tag, name in named.items() if os.environ.get(name)}


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on, as they were found first."""
    return {"library.python": platform.python_version()} | {
        f"library.{name}": found for name in _LIBRARIES if (found := _installed_at_first(name))
    }


def _git(folder: Path, *arguments: str, index: Path | None = None) -> str | None:
    own = {"GIT_TERMINAL_PROMPT": "0"} | ({"GIT_INDEX_FILE": str(index)} if index else {})
    try:
        answer = subprocess.run(
            ["git", *arguments],  # noqa: S607 - whichever git the user works with
            cwd=folder,
            env={name: told for name, told in os.environ.items() if name not in _OF_ANOTHER} | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        if "dubious ownership" in str(getattr(error, "stderr", "")):
            raise StoreError(
                f"the checkout {folder} must belong to the user who runs this, for git to tell its"
                " commit: run `git config --global --add safe.directory"
                f" {shlex.quote(str(folder.resolve()))}`, or give it to this user"
            ) from error
        return None
    return answer.stdout.strip()


def installed(library: str) -> str | None:
    """Which version of a library is installed, if any is."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


_installed_at_first = cache(installed)
