"""MLflow imported late and silent: no telemetry, no progress bars, no chatter, short waits."""

import logging
import os
from functools import cache

# What the user has set wins. A dead server would otherwise hold a client for two minutes a call.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_PRINT_MODEL_URLS_ON_CREATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "GIT_PYTHON_REFRESH": "quiet",
}


@cache
def import_mlflow() -> None:
    """Import MLflow, which takes a second: call it where the store is first needed.

    With ``MLFLOW_LOGGING_LEVEL`` set, MLflow's own messages are shown.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        # Logs a traceback for each lock and full disk; we say it in one line.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        logging.getLogger("alembic").setLevel(logging.ERROR)
