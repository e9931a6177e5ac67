"""The how-to "Find a better model, and promote it", command by command, on shuffled digits."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from foldwise.registry.snapshot import Snapshot
from foldwise.registry.stored_files import CARD, fetch_files
from foldwise.store.open import open_store
from tests.e2e.project import REPOSITORY, Project, commit, make_project
from tests.e2e.served import post, serving_here
from tests.e2e.test_tutorial import console_steps, is_said
from tests.e2e.without_foldwise import predict_elsewhere
from tests.idx_files import STEMS, idx_bytes

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TITLE = "## Find a better model, and promote it\n"
HOW_TO = (REPOSITORY / "docs" / "how-to.md").read_text().split(TITLE)[1].split("\n## ")[0]
NAME = "strokes-classifier"
HOLDOUT = 700


def _digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """scikit-learn's digits in an order without drift, as bright as MNIST's."""
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.target))
    return (15 * digits.images[order]).astype(np.uint8), digits.target[order].astype(np.uint8)


@pytest.fixture(scope="module")
def project(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of these digits, whose filters are as small as they; nothing was run."""
    params: dict[str, dict[str, object]] = {
        "prepare": {"name": "strokes"},
        "tune": {"folds": 3, "trials": 4, "startup_trials": 2, "c_high": 1000.0},
        "promotion": {"max_log_loss": 0.6, "max_calibration_error": 0.2},
    }
    made = make_project(tmp_path_factory.mktemp("better") / "project", commands=commands)
    path = made.folder / "params.yaml"
    text = (REPOSITORY / "params.yaml").read_text()  # its comments: the how-to edits it by line
    for section, values in params.items():
        head, rest = text.split(f"\n{section}:")
        for name, value in values.items():
            before, after = rest.split(f"\n  {name}: ", 1)
            rest = f"{before}\n  {name}: {value} #{after}"
        text = f"{head}\n{section}:{rest}"
    for old, new in (("size: 7 ", "size: 3 "), ("grid: 4 ", "grid: 3 ")):
        text = text.replace(old, new)
    path.write_text(text)
    raw = made.folder / "data" / "raw"
    images, labels = _digits()
    for (prefix, kind), stem in STEMS.items():
        rows = slice(-HOLDOUT, None) if prefix == "t10k" else slice(-HOLDOUT)
        (raw / stem).write_bytes(idx_bytes((images if kind == "images" else labels)[rows]))
    return commit(made)


@pytest.fixture(scope="module")
def told(project: Project) -> Project:
    """The project after all of the how-to's commands."""
    return _follow(project)


def _follow(project: Project) -> Project:
    steps = console_steps(HOW_TO)
    assert len(steps) > 10
    for command, shown in steps:
        done = project.run("bash", "-c", command)
        said = done.output + done.errors
        assert done.status == 0, f"{command}: {said}"
        assert not [line for line in shown if not is_said(line, said)], f"{command}: {said}"
    return project


def test_the_how_to_works_as_written(told: Project) -> None:
    """Two versions of one model, judged on one holdout; the second was champion for a while."""
    pixels, filters = sorted(_registry(told).versions, key=lambda version: version.number)
    assert pixels.tags["holdout_digest"] == filters.tags["holdout_digest"]
    assert pixels.tags["development_digest"] == filters.tags["development_digest"]
    assert pixels.content != filters.content
    assert "standardised pixels" in _card(told, 1)
    assert "standardised filter features, 576 of each image" in _card(told, 2)
    shown = str(open_store(told.folder).client.get_model_version(NAME, "2").description)
    answer, _, more = shown.partition("\n\nMore: ")
    assert _card(told, 2).startswith(answer)
    assert "**Decide by `foldwise promote`.**" in answer
    assert "\n## Use\n" in answer
    assert "*card.md* of the source model" in more
    page = (told.folder / "reports" / "report.html").read_text()
    assert "the champion, version 1<" in page
    assert "looked at by 2 models" in page


def test_the_better_model_verifies_and_is_better(told: Project) -> None:
    """Bytes, numbers and scores, as of any version."""
    verified = told.run("foldwise", "verify", "2")
    assert verified.status == 0, verified.output
    images, labels = _holdout()
    of_pixels, of_filters = (_served(told, version).predict(images) for version in (1, 2))
    wrong = [(of.argmax(axis=1) != labels).mean() for of in (of_pixels, of_filters)]
    assert wrong[1] < 0.75 * wrong[0]


def test_it_takes_raw_pixels_without_foldwise(told: Project) -> None:
    """Where no foldwise is, MLflow gives the same answers; another size of image is refused."""
    images, _ = _holdout()
    here = _served(told, 2).predict(images)
    there = predict_elsewhere(told.folder, f"models:/{NAME}/2", images)
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-12)
    np.testing.assert_allclose(here.sum(axis=1), 1)
    with pytest.raises(ValueError, match="63 features, but FunctionTransformer is expecting 64"):
        _served(told, 2).predict(images[:, :63])


def test_a_server_refuses_images_of_another_size(told: Project) -> None:
    """With status 400, as it does where a model looks at pixels."""
    images, _ = _holdout()
    with serving_here(_served(told, 2)) as address:
        for rows, status in ((images[:2], 200), (images[:2, :63], 400), (images[:2, :0], 400)):
            answer = post(address, {"inputs": rows.tolist()})
            assert answer.status_code == status, answer.text


def test_tune_refuses_a_threshold_for_which_all_images_are_too_dark(
    commands: Path, tmp_path: Path
) -> None:
    """It counts those that are too dark for a lower one: digits have pixels of 0 to 16."""
    project = commit(make_project(tmp_path / "project", commands=commands))
    project.change("tune", features="filters")
    project.change("filters", size=3, grid=3, threshold=0.3)
    done = project.run("dvc", "repro", "tune")
    assert done.status != 0
    assert "0.3 is by none of 897 images, whose pixels reach 16 of 255: lower it" in done.errors
    for threshold, unseen in ((0.065, "119 of 897"), (0.01, None)):
        project.change("filters", size=3, grid=3, threshold=threshold)
        done = project.run("dvc", "repro", "tune")
        assert done.status == 0, done.errors
        caution = f"{unseen} images have no feature but 0, because filters.threshold is meant for"
        assert (caution in done.output) == (unseen is not None), done.output
        assert ("no feature but 0" in done.output) == (unseen is not None)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_on_mnist_the_how_to_s_model_is_as_good_as_it_says(tmp_path: Path) -> None:
    """With the parameters as they are shipped, each of them by the outer folds."""
    project = make_project(tmp_path / "project", params={})
    raw = project.folder / "data" / "raw"
    shutil.copytree(REPOSITORY / "data" / "raw", raw, dirs_exist_ok=True)
    _follow(commit(project))
    told = json.loads((project.folder / "reports" / "tuning.json").read_text())
    means = {each["metric"]: each["mean"] for each in told["intervals"]}
    assert means["accuracy"] >= 0.991
    assert means["log_loss"] <= 0.031


def _registry(project: Project) -> Snapshot:
    return Snapshot.read(open_store(project.folder), NAME)


def _card(project: Project, number: int) -> str:
    """A version's card, whole, as it lies in the store."""
    store, version = open_store(project.folder), _registry(project).find(str(number))
    return (fetch_files(store, version, project.folder) / CARD).read_text()


def _served(project: Project, number: int) -> Any:
    with open_store(project.folder).as_default():
        return mlflow.pyfunc.load_model(f"models:/{NAME}/{number}")


def _holdout() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = _digits()
    return images[-HOLDOUT:].reshape(HOLDOUT, -1), labels[-HOLDOUT:]
