"""The registered model serves raw pixels without foldwise, and refuses too small images."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
import requests
from numpy.typing import NDArray

from foldwise.model.linear import probabilities
from foldwise.tracking.registration import register
from foldwise.tracking.registry import CHAMPION, fetch_files, find_version
from foldwise.tracking.store import Store, open_store
from tests.e2e.without_foldwise import predict_elsewhere
from tests.integration.registry_cases import (
    NAME,
    make_holdout,
    model_of,
    start_run,
    submission,
)

pytestmark = pytest.mark.e2e

IMAGES = make_holdout(rows=20).images
EXPECTED = probabilities(model_of(0.0), IMAGES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store whose champion is the true model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store = open_store(tmp_path_factory.mktemp("serving") / "project")
        register(store, submission(model_of(0.0), make_holdout(), start_run(store)))
    store.client.set_registered_model_alias(NAME, CHAMPION, "1")
    return store


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    """A server of the champion, started as the README says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["models", "serve", "-m", f"models:/{NAME}@{CHAMPION}", "--env-manager", "local"]
    # MLflow looks for uvicorn on the PATH, as an activated environment has it.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name("mlflow")), *command, "--port", str(port)],
        env={**os.environ, "MLFLOW_TRACKING_URI": store.tracking_uri, "PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield wait_until_up(f"http://127.0.0.1:{port}", server)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def wait_until_up(address: str, server: subprocess.Popen[bytes]) -> str:
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        with suppress(requests.ConnectionError):
            if requests.get(f"{address}/ping", timeout=5).ok:
                return address
        time.sleep(0.25)
    pytest.fail("the server didn't come up within a minute")


def post(address: str, body: object) -> requests.Response:
    return requests.post(f"{address}/invocations", json=body, timeout=30)


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_raw_pixels_as_json_give_a_probability_for_each_class(address: str, key: str) -> None:
    """Integers as they come out of an image file, one list for each image."""
    answer = post(address, {key: IMAGES.tolist()})
    assert answer.status_code == 200
    np.testing.assert_allclose(answer.json()["predictions"], EXPECTED, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [1, 15])
def test_an_image_of_another_size_is_a_bad_request(address: str, width: int) -> None:
    """The answer is 400, and no guess."""
    assert post(address, {"inputs": [[0] * width]}).status_code == 400


def test_what_follows_the_last_pixel_is_ignored(address: str) -> None:
    """MLflow reads as many columns as the signature has: a wider image isn't noticed."""
    answer = post(address, {"inputs": [[*image, 255] for image in IMAGES.tolist()]})
    assert answer.status_code == 200
    np.testing.assert_allclose(answer.json()["predictions"], EXPECTED, rtol=0, atol=1e-12)


@pytest.mark.parametrize("body", [{}, {"inputs": [["a"] * 16]}, {"inputs": "x"}])
def test_nonsense_is_a_bad_request(address: str, body: object) -> None:
    """Neither is what isn't an image at all."""
    assert post(address, body).status_code == 400


@pytest.mark.parametrize(
    "given",
    [
        IMAGES,
        IMAGES.astype(np.float32),
        IMAGES.astype(np.float64),
        pd.DataFrame(IMAGES),
        pd.DataFrame(IMAGES.astype(np.float64)),
        IMAGES.astype(float).tolist(),
    ],
    ids=["uint8", "float32", "float64", "frame of uint8", "frame of float64", "lists"],
)
def test_in_python_every_usual_kind_of_images_predicts_the_same(
    store: Store, given: NDArray[np.generic] | pd.DataFrame | list[list[float]]
) -> None:
    """Loaded as the README says."""
    import mlflow.pyfunc

    with store.as_default():
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@{CHAMPION}")
    np.testing.assert_allclose(model.predict(given), EXPECTED, rtol=0, atol=1e-12)


def test_in_python_an_image_of_another_size_is_refused(store: Store) -> None:
    """The signature says how many pixels an image has."""
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    with store.as_default():
        model = mlflow.pyfunc.load_model(f"models:/{NAME}@{CHAMPION}")
    with pytest.raises(MlflowException, match="enforce schema"):
        model.predict(IMAGES[:, :15])


def test_the_model_loads_and_predicts_without_foldwise(store: Store) -> None:
    """A server needs scikit-learn, skops and MLflow alone."""
    served = predict_elsewhere(store.root, f"models:/{NAME}@{CHAMPION}", IMAGES)
    np.testing.assert_allclose(served, EXPECTED, rtol=0, atol=1e-12)


def test_the_requirements_name_what_serving_needs_and_nothing_of_ours(store: Store) -> None:
    """So `mlflow models serve` can build an environment from them."""
    folder = fetch_files(store, find_version(store, NAME, CHAMPION), Path("unused"))
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert sorted(line.partition("==")[0] for line in lines) == [
        "mlflow",
        "numpy",
        "scikit-learn",
        "skops",
    ]
    assert all("==" in line for line in lines)
