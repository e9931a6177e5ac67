"""Is an MLflow server there? Asked once, with short waits, before any work begins."""

import os
from collections.abc import Callable
from threading import Thread

from foldwise.errors import StoreError
from foldwise.tracking.address import Address
from foldwise.tracking.quiet import import_mlflow

_Answer = tuple[int, str] | str
"""HTTP status and body, or why there is none."""

_LOGIN = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


def adopt_credentials(address: Address) -> None:
    """Put a URL's user and password where MLflow looks for them: never into a message or tag."""
    if address.username is not None:
        os.environ["MLFLOW_TRACKING_USERNAME"] = address.username
        os.environ["MLFLOW_TRACKING_PASSWORD"] = address.password or ""


def check_server(uri: str, *, seconds: float = 10.0) -> None:
    """Ask the server for one experiment.

    Parameters
    ----------
    uri : str
        Without credentials; MLflow's environment variables supply them.
    seconds : float
        Wait at most so long, the look-up of the name included.

    Raises
    ------
    StoreError
        If nothing answers, the login is refused, or what answers is no MLflow server.
    """
    ask = _question(uri, seconds / 2)
    answers: list[_Answer] = []
    # A look-up of a name has no time limit of its own, hence the thread.
    asking = Thread(target=lambda: answers.append(ask()), daemon=True)
    asking.start()
    asking.join(seconds)
    answer = answers[0] if answers else f"no answer within {seconds:g} s"
    if isinstance(answer, str):
        raise StoreError(
            f"the tracking server can't be reached, {uri} ({answer}): "
            "start it, or correct MLFLOW_TRACKING_URI"
        )
    _judge(uri, *answer)


def _question(uri: str, seconds: float) -> Callable[[], _Answer]:
    """A request ready to be sent: what is slow to import is not counted as the server's delay."""
    import_mlflow()
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request
    from requests.exceptions import RequestException

    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]

    def ask() -> _Answer:
        try:
            response = http_request(  # type: ignore[no-untyped-call]
                credentials,
                "/api/2.0/mlflow/experiments/search",
                "GET",
                params={"max_results": 1},
                max_retries=0,
                timeout=seconds,
                raise_on_status=False,
            )
        except (MlflowException, RequestException, OSError, ValueError) as error:
            return _short(error)
        return response.status_code, response.text

    return ask


def _short(error: BaseException) -> str:
    told = str(error).lower()
    for sign, reason in (
        ("refused", "connection refused"),
        ("resolve", "unknown host"),
        ("certificate", "its certificate isn't trusted"),
        ("timed out", "no answer in time"),
    ):
        if sign in told:
            return reason
    return type(error.__cause__ or error).__name__


def _judge(uri: str, status: int, text: str) -> None:
    if status in (401, 403):
        raise StoreError(f"the tracking server {uri} refuses the login (HTTP {status}): {_LOGIN}")
    if status == 200 and text.lstrip().startswith("{") and '"experiments"' in text:
        return
    raise StoreError(
        f"{uri} doesn't answer as an MLflow server (HTTP {status}): correct MLFLOW_TRACKING_URI"
    )
