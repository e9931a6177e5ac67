"""The registered model serves raw pixels without foldwise, and refuses images of another size."""

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import requests
from numpy.typing import NDArray

from foldwise.registry.audit import CHAMPION
from foldwise.registry.registration import register
from foldwise.registry.stored_files import fetch_files
from foldwise.solver.linear import probabilities
from foldwise.store.open import Store, open_store
from tests.e2e.served import post, serving
from tests.e2e.without_foldwise import predict_elsewhere
from tests.integration.registry_cases import (
    NAME,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
)
from tests.waiting import PATIENCE, free_port

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

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
def loaded(store: Store) -> "PyFuncModel":
    """The champion, loaded as the README says."""
    import mlflow.pyfunc

    with store.as_default():
        model: PyFuncModel = mlflow.pyfunc.load_model(f"models:/{NAME}@{CHAMPION}")
    return model


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def address(store: Store, port: int) -> Iterator[str]:
    """A server of the champion, started by README's lines."""
    command = ["bash", "-ec", as_here(readme_block("mlflow models serve"), port)]
    with serving(command, port, folder=store.root, environment=fresh_shell()) as address:
        yield address


def readme_block(with_words: str) -> str:
    """The code of README's only block with these words, as one types it."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in text.split("```")[1::2] if with_words in block]
    _, _, lines = block.partition("\n")
    return "\n".join(line.removeprefix("$ ") for line in lines.splitlines())


def as_here(lines: str, port: int = 0) -> str:
    """README's lines on the small world's model, on a free port, in the environment we are in."""
    ours = {
        "mnist-classifier": NAME,
        "8000": str(port),
        "784": "16",
        ". .venv/bin/activate": f". {shlex.quote(str(Path(sys.executable).with_name('activate')))}",
    }
    for theirs, here in ours.items():
        lines = lines.replace(theirs, here)
    return lines


def fresh_shell() -> dict[str, str]:
    """What a shell has before anything was activated or exported."""
    return {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/")}


def post_raw(address: str, text: str, kind: str = "application/json") -> requests.Response:
    return requests.post(
        f"{address}/invocations", data=text, headers={"Content-Type": kind}, timeout=PATIENCE
    )


def test_the_readme_s_curl_line_answers_a_probability_for_each_class(
    address: str, port: int
) -> None:
    """In a shell of its own, with nothing activated."""
    assert address.endswith(f":{port}")
    line = as_here(readme_block("curl"), port)
    answer = subprocess.run(
        ["bash", "-ec", line], env=fresh_shell(), check=True, capture_output=True, timeout=PATIENCE
    )
    (found,) = json.loads(answer.stdout)["predictions"]
    black = np.zeros((1, 16), np.uint8)
    np.testing.assert_allclose(found, probabilities(model_of(0.0), black)[0], rtol=0, atol=1e-12)


def test_the_readme_s_lines_of_python_predict(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the variable that its shell lines export."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "data" / "raw" / "t10k-images-idx3-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(bytes(16) + IMAGES.tobytes()))
    names: dict[str, Any] = {}
    exec(as_here(readme_block("load_model")), names)  # noqa: S102 - README's own lines
    np.testing.assert_allclose(names["probabilities"], EXPECTED, rtol=0, atol=1e-12)
    assert names["labels"].tolist() == [str(of) for of in EXPECTED.argmax(axis=1)]


def test_a_client_learns_which_probability_is_whose(address: str, store: Store) -> None:
    """By the signature and the metadata; what the server answers comes in that order."""
    from mlflow.models import get_model_info

    with store.as_default():
        told = get_model_info(f"models:/{NAME}@{CHAMPION}")
    names = told.signature.outputs.input_names()
    assert names == ["0", "1", "2"]
    assert json.loads((told.metadata or {})["classes"]) == [0, 1, 2]
    answer = post(address, {"inputs": IMAGES.tolist()}).json()["predictions"]
    labels = [names[int(np.argmax(of))] for of in answer]
    assert labels == [str(told) for told in EXPECTED.argmax(axis=1)]


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_raw_pixels_as_json_give_a_probability_for_each_class(address: str, key: str) -> None:
    """Integers as they come out of an image file, one list for each image."""
    answer = post(address, {key: IMAGES.tolist()})
    assert answer.status_code == 200
    np.testing.assert_allclose(answer.json()["predictions"], EXPECTED, rtol=0, atol=1e-12)


def test_a_data_frame_as_json_predicts_the_same(address: str) -> None:
    """With or without names of columns, which mean nothing here."""
    for columns in (list(range(16)), [f"pixel {number}" for number in range(16)]):
        frame = {"columns": columns, "data": IMAGES.tolist()}
        answer = post(address, {"dataframe_split": frame})
        np.testing.assert_allclose(answer.json()["predictions"], EXPECTED, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [0, 1, 15, 17, 32, 784])
@pytest.mark.parametrize("key", ["inputs", "instances", "dataframe_split"])
def test_an_image_of_another_size_is_a_bad_request(address: str, key: str, width: int) -> None:
    """Too narrow or too wide: the answer is 400, and no guess."""
    images = [[0] * width] * 2
    split = {"columns": list(range(width)), "data": images}
    answer = post(address, {key: split if key.startswith("dataframe") else images})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")


def test_the_answer_to_an_image_of_another_size_says_how_many_pixels_it_needs(address: str) -> None:
    """Whoever calls can mend it."""
    assert "expecting 16 features" in post(address, {"inputs": [[0] * 17]}).text


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        {"inputs": "x"},
        {"inputs": []},
        {"inputs": None},
        {"inputs": 3},
        {"inputs": [0] * 16},
        {"inputs": [[[0] * 4] * 4]},
        {"inputs": [[0] * 16, [0] * 15]},
        {"inputs": [["a"] * 16]},
        {"inputs": [[None] * 16]},
        {"inputs": [[{}] * 16]},
        {"inputs": {"image": [0] * 16}},
        {"instances": [{"image": [0] * 16}]},
        {"pixels": [[0] * 16]},
        {"inputs": [[0] * 16], "instances": [[0] * 16]},
        {"dataframe_split": {"data": "x"}},
        {"dataframe_records": [{"a": 1}]},
    ],
    ids=lambda body: repr(body)[:40],
)
def test_nonsense_is_a_bad_request(address: str, body: object) -> None:
    """Neither is what isn't an image at all."""
    assert post(address, body).status_code == 400


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity"])
def test_what_is_no_finite_number_is_a_bad_request(address: str, number: str) -> None:
    """Python's JSON reads more than the standard allows."""
    assert post_raw(address, f'{{"inputs": [[{", ".join([number] * 16)}]]}}').status_code == 400


@pytest.mark.parametrize("kind", ["application/json", "text/csv"])
def test_text_is_a_bad_request(address: str, kind: str) -> None:
    """JSON or not."""
    assert post_raw(address, "no pixels", kind).status_code == 400


@pytest.mark.parametrize(
    "given",
    [
        IMAGES,
        IMAGES.astype(np.float32),
        IMAGES.astype(np.float64),
        IMAGES.astype(np.int64),
        pd.DataFrame(IMAGES),
        pd.DataFrame(IMAGES.astype(np.float32)),
        pd.DataFrame(IMAGES.astype(np.float64)),
        IMAGES.tolist(),
        IMAGES.astype(float).tolist(),
    ],
    ids=[
        *("uint8", "float32", "float64", "int64"),
        *("frame of uint8", "frame of float32", "frame of float64"),
        *("lists of int", "lists of float"),
    ],
)
def test_in_python_every_usual_kind_of_images_predicts_the_same(
    loaded: "PyFuncModel", given: NDArray[np.generic] | pd.DataFrame | list[list[float]]
) -> None:
    """To the last bit, float32 too, which the scaler alone would compute with half the digits."""
    found = loaded.predict(given)
    np.testing.assert_array_equal(found, loaded.predict(IMAGES))
    np.testing.assert_allclose(found, EXPECTED, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [1, 15, 17])
def test_in_python_an_image_of_another_size_is_refused(loaded: "PyFuncModel", width: int) -> None:
    """The error says how many pixels an image has."""
    with pytest.raises(ValueError, match="expecting 16 features"):
        loaded.predict(np.zeros((2, width), np.uint8))


def test_the_model_says_what_goes_in(loaded: "PyFuncModel") -> None:
    """It has no input schema to do so."""
    metadata = loaded.metadata.metadata or {}
    assert metadata["input"].startswith("rows of 16 raw pixels, 0 to 255: 4 x 4")
    assert metadata["output"] == "probabilities of 0, 1, 2, in this order"
    np.testing.assert_array_equal(loaded.input_example, make_holdout().images[:2])


def test_the_model_loads_and_predicts_without_foldwise(store: Store) -> None:
    """A server needs scikit-learn, skops and MLflow alone."""
    served = predict_elsewhere(store.root, f"models:/{NAME}@{CHAMPION}", IMAGES)
    np.testing.assert_allclose(served, EXPECTED, rtol=0, atol=1e-12)


def test_the_requirements_name_what_serving_needs_and_nothing_of_ours(store: Store) -> None:
    """So `mlflow models serve` can build an environment from them."""
    folder = fetch_files(store, seen(store).find(CHAMPION), Path("unused"))
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert sorted(line.partition("==")[0] for line in lines) == [
        "mlflow",
        "numpy",
        "scikit-learn",
        "skops",
    ]
    assert all("==" in line for line in lines)
