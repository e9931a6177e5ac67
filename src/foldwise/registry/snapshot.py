"""What the registry holds: versions, aliases, uses of a holdout.

The registry's versions and aliases: finding, listing and fetching them.

How often a holdout was looked at: every distinct model scored on it is counted, once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foldwise.errors import StoreError
from foldwise.store.faults import store_faults
from foldwise.store.open import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous_champion"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version as the registry shows it."""

    name: str
    number: int
    run_id: str
    model_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def content(self) -> str:
        """Digest of the model's numbers; empty if foldwise didn't register it."""
        return self.tags.get("content_digest", "")


def model_name(data_name: str) -> str:
    """Name of the registered model: ``mnist-classifier`` for the data ``mnist``."""
    return f"{data_name}-classifier"


def find_version(store: Store, name: str, which: str) -> Version:
    """Look a version up by its alias or number.

    Raises
    ------
    StoreError
        There is none.
    """
    from mlflow.exceptions import MlflowException

    with store_faults(f"looking for {which} of {name}"):
        try:
            if which.isdecimal():
                return to_version(store.client.get_model_version(name, which))
            return to_version(store.client.get_model_version_by_alias(name, which))
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise StoreError(
                f"a version or alias of {name} must exist, got '{which}': see `foldwise history`,"
                " or register one with `dvc repro`"
            ) from error


def alias_holder(store: Store, name: str, alias: str) -> int | None:
    """Number of the version that an alias points to; None without alias or model."""
    with store_faults(f"reading the aliases of {name}"):
        models = store.client.search_registered_models(f"name = '{name}'")
    held = [model.aliases[alias] for model in models if alias in model.aliases]
    return int(held[0]) if held else None


def all_versions(store: Store, name: str) -> tuple[Version, ...]:
    """All versions of a registered model, oldest first; none if the model isn't there."""
    found: list[Version] = []
    token: str | None = None
    with store_faults(f"listing the versions of {name}"):
        aliases = _aliases(store.client, name)
        while True:
            page = store.client.search_model_versions(f"name = '{name}'", page_token=token)
            # A search leaves the aliases out.
            found.extend(
                replace(version, aliases=aliases.get(version.number, ()))
                for version in map(to_version, page)
            )
            token = page.token
            if not token:
                return tuple(sorted(found, key=lambda version: version.number))


def fetch_files(store: Store, version: Version, folder: Path) -> Path:
    """Fetch what the registry serves for a version; a local store's files are read in place.

    Parameters
    ----------
    store, version
    folder : Path
        Takes the files of a store that is a server.
    """
    import mlflow.artifacts

    with store.as_default(), store_faults(f"fetching version {version.number} of {version.name}"):
        place = store.client.get_model_version_download_uri(version.name, str(version.number))
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=place, dst_path=str(folder) if store.is_server else None
            )
        )


def _aliases(client: "MlflowClient", name: str) -> dict[int, tuple[str, ...]]:
    models = client.search_registered_models(f"name = '{name}'")
    pairs = [(int(held), alias) for model in models for alias, held in model.aliases.items()]
    return {held: tuple(alias for of, alias in pairs if of == held) for held, _ in pairs}


def to_version(found: "ModelVersion") -> Version:
    """MLflow's version as ours."""
    return Version(
        name=found.name,
        number=int(found.version),
        run_id=found.run_id or "",
        model_id=(found.source or "").removeprefix("models:/"),
        aliases=tuple(found.aliases),
        tags=dict(found.tags),
    )


_PREFIX = "holdout"


def count_holdout_use(
    store: Store, name: str, *, holdout_digest: str, content_digest: str, run_id: str
) -> int:
    """Note that a model is scored on a holdout, and tell how many distinct ones now were.

    Call it before the score is shown to anybody. The note is a tag of the registered model, so it
    outlives the deletion of versions and runs; the same content is counted once, whatever the
    number of calls, runs and names.

    Parameters
    ----------
    store : Store
    name : str
        The registered model's name; made if it isn't there.
    holdout_digest, content_digest : str
        Of the holdout, and of the model's numbers.
    run_id : str
        Who asked, for the note.

    Returns
    -------
    int
        At least 1.
    """
    key = _key(holdout_digest, content_digest)
    with store_faults("counting the holdout's use"):
        counted = _counted(store.client, holdout_digest)
        if content_digest not in counted:
            note = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "run": run_id}
            ensure_registered_model(store.client, name)
            store.client.set_registered_model_tag(name, key, json.dumps(note))
            counted = _counted(store.client, holdout_digest)
    return len(counted)


def holdout_uses(store: Store, holdout_digest: str, *, including: str = "") -> int:
    """Count the distinct models that were scored on a holdout, over all names.

    ``including`` adds one more model's content digest without noting it, for a dry run.
    """
    with store_faults("counting the holdout's uses"):
        return len(_counted(store.client, holdout_digest) | ({including} - {""}))


def ensure_registered_model(client: "MlflowClient", name: str) -> None:
    """Create the registered model unless it is there; two processes may try at once."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _key(holdout_digest: str, content_digest: str) -> str:
    return f"{_PREFIX}.{holdout_digest}.{content_digest}"


def _counted(client: "MlflowClient", holdout_digest: str) -> set[str]:
    prefix = _key(holdout_digest, "")
    return {
        tag.removeprefix(prefix)
        for model in _registered_models(client)
        for tag in model.tags
        if tag.startswith(prefix)
    }


def _registered_models(client: "MlflowClient") -> list["RegisteredModel"]:
    found: list[RegisteredModel] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found
