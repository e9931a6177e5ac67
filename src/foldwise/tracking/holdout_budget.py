"""How often a holdout was looked at: every distinct model scored on it is counted, once."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from foldwise.tracking.faults import store_faults
from foldwise.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

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
