"""Runs that nobody works on any more: a killed process of this machine left them running."""

import os
import socket
from typing import TYPE_CHECKING

from foldwise.tracking.querying import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROCESS_TAG = "foldwise.process"


def this_process() -> str:
    """Host and process id, by which a run that nobody works on any more can be told."""
    return f"{socket.gethostname()}:{os.getpid()}"


def end_abandoned(client: "MlflowClient", experiment_id: str) -> int:
    """Mark as killed every running pipeline whose process of this machine is gone, and its tree.

    Those of other machines, and of process ids that are in use again, are left alone.
    """
    ended = 0
    running = "attributes.status = 'RUNNING'"
    for pipeline in search_runs(client, experiment_id, f"{running} AND tags.level = 'pipeline'"):
        if not _is_gone(pipeline.data.tags.get(PROCESS_TAG, "")):
            continue
        tree = f"{running} AND tags.pipeline = '{pipeline.info.run_id}'"
        for run in search_runs(client, experiment_id, tree):
            client.set_terminated(run.info.run_id, "KILLED")
            ended += 1
    return ended


def _is_gone(process: str) -> bool:
    host, _, number = process.rpartition(":")
    if host != this_process().rpartition(":")[0] or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
