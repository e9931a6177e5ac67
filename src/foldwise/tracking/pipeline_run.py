"""The pipeline's own run: named, described and given its datasets when it is first written."""

import json
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from foldwise.tracking.ledger import Ledger
from foldwise.tracking.leftovers import PROCESS_TAG, this_process
from foldwise.tracking.lineage import Lineage, SplitFacts
from foldwise.tracking.querying import search_runs
from foldwise.tracking.records import RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

_LONGEST_DIGEST = 36


@dataclass(frozen=True, slots=True)
class Title:
    """What a new top run is called, letters after it until the name is free, and its note."""

    stem: str
    note: str


def begin_pipeline(
    client: "MlflowClient", experiment_id: str, ledger: Ledger, lineage: Lineage, *, title: Title
) -> str:
    """Find or create the pipeline's run, and return its id.

    A run that is there keeps the params and tags it began with; what differs now, such as a
    parameter of `evaluate`, is added as a tag ``changed.<name>``.
    """
    known = ledger.pipeline
    if known is None:
        name = _free_name(client, experiment_id, title.stem)
        ledger.write(
            RunRecord(
                key=lineage.key,
                parent=None,
                level="pipeline",
                name=name,
                tags={
                    **lineage.tags,
                    PROCESS_TAG: this_process(),
                    "mlflow.note.content": title.note,
                },
                params=lineage.params,
            )
        )
    else:
        ledger.write(_continued(lineage, known.params | known.tags))
    run_id = ledger.run_id(lineage.key)
    client.log_inputs(run_id, datasets=[_dataset(lineage, split) for split in lineage.splits])
    return run_id


def _continued(lineage: Lineage, before: dict[str, str]) -> RunRecord:
    now = {**lineage.params, **lineage.tags}
    return RunRecord(
        key=lineage.key,
        parent=None,
        level="pipeline",
        name="",
        tags={
            f"changed.{name}": value
            for name, value in now.items()
            if before.get(name, value) != value
        },
        params={name: value for name, value in lineage.params.items() if name not in before},
    )


def _free_name(client: "MlflowClient", experiment_id: str, stem: str) -> str:
    query = f"tags.level = 'pipeline' AND attributes.run_name LIKE '{stem}%'"
    taken = {run.info.run_name for run in search_runs(client, experiment_id, query)}
    number = 0
    while (name := stem + _letters(number)) in taken:
        number += 1
    return name


def _letters(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    before, last = divmod(number, len(ascii_lowercase))
    return (_letters(before - 1) if before else "") + ascii_lowercase[last]


def _dataset(lineage: Lineage, split: SplitFacts) -> "DatasetInput":
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {"source": lineage.params["prepare.source"], "split": split.context}
    features = [
        {"type": "tensor", "tensor-info": {"dtype": "uint8", "shape": [-1, split.features]}}
    ]
    return DatasetInput(
        dataset=Dataset(
            name=f"{lineage.experiment}-{split.context}",
            digest=split.digest[:_LONGEST_DIGEST],
            source_type="foldwise",
            source=json.dumps(source),
            schema=json.dumps({"mlflow_tensorspec": {"features": json.dumps(features)}}),
            profile=json.dumps({"num_rows": split.rows}),
        ),
        tags=[InputTag(key="mlflow.data.context", value=split.context)],
    )
