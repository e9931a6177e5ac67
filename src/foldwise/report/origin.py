"""Where a version comes from: enough to make it again and to see whether it is the same."""

from collections.abc import Mapping
from dataclasses import dataclass

_LIBRARY = "library."


@dataclass(frozen=True, slots=True)
class Origin:
    """What card and page say of a version's origin: pairs of name and value, and commands."""

    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]


def origin(
    tags: Mapping[str, str], *, run_id: str = "", model_digest: str = "", commands: tuple[str, ...]
) -> Origin:
    """Choose and word what a reader needs of a pipeline run's tags.

    Parameters
    ----------
    tags : mapping
        Of the pipeline run: ``git.commit``, ``git.dirty``, ``search_key``, ``attempt``,
        ``*_digest``, ``dvc.experiment``, ``library.*``; what is missing is left out.
    run_id : str
        MLflow's pipeline run.
    model_digest : str
        Of the registered model's numbers.
    commands : tuple of str
        What to type to make it again.
    """
    facts = (
        ("Git commit", _commit(tags)),
        ("DVC experiment", tags.get("dvc.experiment", "")),
        ("MLflow run", run_id),
        ("Search", _search(tags)),
        ("Digest of the model", model_digest),
        ("Digest of the parameters", tags.get("parameters_digest", "")),
        ("Digest of the development set", tags.get("development_digest", "")),
        ("Digest of the holdout", tags.get("holdout_digest", "")),
        ("Versions", _versions(tags)),
    )
    return Origin(tuple(fact for fact in facts if fact[1]), commands)


def _commit(tags: Mapping[str, str]) -> str:
    dirt = {"true": " with uncommitted changes", "unknown": " (changes unknown)"}
    commit = tags.get("git.commit", "")
    return commit and commit + dirt.get(tags.get("git.dirty", ""), "")


def _search(tags: Mapping[str, str]) -> str:
    key = tags.get("search_key", "")
    return key and f"{key}, attempt {tags.get('attempt', '1')}"


def _versions(tags: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name.removeprefix(_LIBRARY)} {version}"
        for name, version in sorted(tags.items())
        if name.startswith(_LIBRARY)
    )
