"""A version that isn't what was evaluated is found out, and nothing of it is run."""

import io
import json
import os
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import product
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from foldwise.errors import OutputError, StoreError
from foldwise.registry.champion import promote
from foldwise.registry.evidence import Evidence, evidence_digest
from foldwise.registry.registration import register
from foldwise.registry.snapshot import Version
from foldwise.registry.stored_files import RECORDS, fetch_files, files_digest, record
from foldwise.registry.stored_model import read_model
from foldwise.registry.verify import Verification, look_inside, verify
from foldwise.runs.lineage import git_state, library_versions
from foldwise.store.database import REGISTER
from foldwise.store.open import Store, open_store
from tests.integration.conftest import copied, without_outside_settings
from tests.integration.registry_cases import (
    NAME,
    SETTINGS,
    as_found,
    evaluated,
    make_holdout,
    model_of,
    seen,
    start_run,
    submission,
)

SPLIT = make_holdout()
HOLDOUT = as_found(SPLIT)
NOT_OPENED = {"stored files": "fail", "model": "fail"}


@pytest.fixture
def store(registered: Callable[..., Path], tmp_path: Path) -> Store:
    """A store of this test's own, with one version registered here, with the libraries of here."""
    return open_store(copied(registered(0.0), tmp_path / "project"))


@pytest.fixture
def version(store: Store) -> Version:
    """The version in it, to be changed."""
    return seen(store).find("1")


@pytest.fixture(scope="module")
def shared_store(
    registered: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Store:
    """Such a store that no test changes, but for versions more."""
    with without_outside_settings():
        return open_store(copied(registered(0.0), tmp_path_factory.mktemp("shared") / "project"))


@pytest.fixture(scope="module")
def kept(shared_store: Store) -> Version:
    """The version in it, not to be changed."""
    return seen(shared_store).find("1")


@pytest.fixture
def files(shared_store: Store, kept: Version, tmp_path: Path) -> Path:
    """A copy of the version's files, to be changed."""
    copy = tmp_path / "model" / "artifacts"
    return shutil.copytree(stored_folder(shared_store, kept), copy)


def verdicts(verification: Verification) -> dict[str, str]:
    return {check.name: check.verdict for check in verification.checks}


def seen_inside(version: Version, files: Path) -> dict[str, str]:
    """The verdicts on a version's files; what is not as registered must not have been opened."""
    checks, stored = look_inside(version, files, None)
    assert (stored is None) == (checks[-1].name == "model")
    return {check.name: check.verdict for check in checks}


def stored_folder(store: Store, version: Version) -> Path:
    return fetch_files(store, version, Path("unused"))


def retagged(version: Version, tag: str, value: str) -> Version:
    return replace(version, tags={**version.tags, tag: value})


def test_what_was_registered_verifies(shared_store: Store, kept: Version) -> None:
    """Every check but the commit, which no repository knows, passes."""
    verification = verify(shared_store, kept, HOLDOUT, SETTINGS)
    assert verification.holds
    assert verdicts(verification) == {
        "stored files": "pass",
        "model's numbers": "pass",
        "evidence": "pass",
        "holdout": "pass",
        "predicted labels": "pass",
        "scores": "pass",
        "checkout's record": "pass",
        "git commit": "warning",
        "parameters": "pass",
        "libraries": "pass",
    }
    (scores,) = (check for check in verification.checks if check.name == "scores")
    assert scores.bound == "<= 1e-09 (same machine)"
    assert verification.probabilities is not None
    assert verification.probabilities.shape == (len(SPLIT.labels), 3)


def test_a_version_whose_sigmoids_are_all_0_or_1_verifies(store: Store) -> None:
    """It predicts what it was evaluated as predicting, though its probabilities are tied."""
    steep = replace(
        model_of(0.0), multiclass="ovr", intercepts=np.array([-9000.0, -8000.0, -8500.0])
    )
    saturated = replace(steep, intercepts=np.array([4000.0, 5000.0, 6000.0]))
    for model, name in ((steep, "steep"), (saturated, "saturated")):
        handed_in = submission(model, SPLIT, start_run(store), card=name)
        verified = verify(store, register(store, handed_in), HOLDOUT, SETTINGS)
        assert verified.probabilities is not None
        predicted = verified.probabilities.argmax(axis=1)
        assert len(np.unique(predicted)) == 1
        assert verdicts(verified)["predicted labels"] == "pass"
        assert verdicts(verified)["scores"] == "pass"


def test_a_changed_file_is_found_and_the_model_is_not_opened(
    store: Store, version: Version
) -> None:
    """One byte more is enough; files that aren't ours are never parsed."""
    for name in ("MLmodel", "model.skops", "evidence.json", "requirements.txt"):
        path = stored_folder(store, version) / name
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        verification = verify(store, version, HOLDOUT, SETTINGS)
        assert not verification.holds
        assert verdicts(verification) == NOT_OPENED
        assert verification.evidence is None
        assert verification.probabilities is None
        path.write_bytes(before)


@pytest.mark.parametrize(
    "change", [Path.unlink, lambda path: path.rename(path.with_name("card.mdx"))]
)
def test_a_missing_or_renamed_file_is_found(
    files: Path, kept: Version, change: Callable[[Path], object]
) -> None:
    """The digest covers the names too, and not just their order."""
    before = files_digest(files)
    change(files / "card.md")
    assert files_digest(files) != before  # a name that MLflow writes would be no stranger
    assert seen_inside(kept, files) == NOT_OPENED


def test_a_version_whose_files_are_gone_is_one_clear_error(store: Store, version: Version) -> None:
    """There is nothing to verify then."""
    folder = stored_folder(store, version)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(StoreError, match="fetching version 1 of blobs-classifier") as caught:
        verify(store, version, HOLDOUT, SETTINGS)
    assert str(caught.value).endswith(f": register it anew with {REGISTER}")


def test_a_row_about_what_is_lost_names_what_brings_it_back(store: Store, version: Version) -> None:
    """In the row's note: of a file the row that says why nothing was opened."""
    reported = retagged(version, "report_digest", "a" * 64)
    (report,) = (
        check
        for check in verify(store, reported, HOLDOUT, SETTINGS).checks
        if check.name == "report"
    )
    assert (report.figure, report.verdict) == (f"lost; write it anew with {REGISTER}", "warning")
    (stored_folder(store, version) / "model.skops").unlink()
    row = verify(store, version, HOLDOUT, SETTINGS).checks[-1]
    assert row.figure == f"not opened; register it anew with {REGISTER}"


@pytest.mark.parametrize(
    ("tag", "check"),
    [
        ("content_digest", "model's numbers"),
        ("evidence_digest", "evidence"),
        ("holdout_digest", "holdout"),
        ("bytes_digest", "stored files"),
    ],
)
def test_a_tag_that_says_otherwise_fails_its_check(
    shared_store: Store, kept: Version, tag: str, check: str
) -> None:
    """Each digest is compared with what is there."""
    changed = retagged(kept, tag, "f" * 64)
    verification = verify(shared_store, changed, HOLDOUT, SETTINGS)
    assert verdicts(verification)[check] == "fail"
    assert not verification.holds


def test_another_holdout_is_not_predicted_on(shared_store: Store, kept: Version) -> None:
    """Scores on other images would say nothing."""
    verification = verify(shared_store, kept, replace(HOLDOUT, digest="e" * 64), SETTINGS)
    assert verdicts(verification)["holdout"] == "fail"
    assert verdicts(verification)["labels, scores"] == "fail"
    assert verification.probabilities is None


def test_figures_that_the_model_does_not_give_fail(shared_store: Store) -> None:
    """Evidence of a better model beside a worse one is found by predicting again."""
    handed_in = submission(model_of(0.1), SPLIT, start_run(shared_store))
    better = replace(
        evaluated(model_of(0.0), SPLIT), content_digest=handed_in.evidence.content_digest
    )
    version = register(shared_store, replace(handed_in, evidence=better))
    found = verdicts(verify(shared_store, version, HOLDOUT, SETTINGS))
    assert (found["predicted labels"], found["scores"]) == ("fail", "fail")
    assert (found["stored files"], found["evidence"]) == ("pass", "pass")


@pytest.mark.parametrize(("shift", "verdict"), [(5e-10, "pass"), (5e-9, "fail")])
def test_scores_may_differ_by_a_billionth_at_home(
    shared_store: Store, shift: float, verdict: str
) -> None:
    """The bound is 1e-9 where nothing but chance in the last bits can differ."""
    assert score_verdict(shared_store, shift, library_versions()) == verdict


@pytest.mark.parametrize(("shift", "verdict"), [(5e-7, "pass"), (5e-6, "fail")])
def test_scores_may_differ_by_a_millionth_with_another_library(
    shared_store: Store, shift: float, verdict: str
) -> None:
    """Another numpy sums in another order."""
    assert (
        score_verdict(shared_store, shift, library_versions() | {"library.numpy": "0"}) == verdict
    )


def score_verdict(shared_store: Store, shift: float, libraries: dict[str, str]) -> str:
    handed_in = submission(model_of(0.0), SPLIT, start_run(shared_store))
    holdout = handed_in.evidence.holdout
    shifted = {**holdout, "accuracy": holdout["accuracy"] + shift}  # told with all its digits
    evidence = replace(handed_in.evidence, holdout=shifted)
    tags = {**handed_in.tags, **libraries}
    version = register(shared_store, replace(handed_in, evidence=evidence, tags=tags))
    return verdicts(verify(shared_store, version, HOLDOUT, SETTINGS))["scores"]


def test_what_changed_around_the_model_warns(shared_store: Store, kept: Version) -> None:
    """Other libraries and parameters are told, and don't fail."""
    changed = retagged(kept, "library.numpy", "0.1")
    verification = verify(shared_store, changed, HOLDOUT, replace(SETTINGS, seed=2))
    found = {check.name: check for check in verification.checks}
    assert found["libraries"].verdict == "warning"
    assert found["libraries"].figure == "numpy 0.1"
    assert found["parameters"].verdict == "warning"
    assert "; params.yaml here isn't what made this version" in found["parameters"].bound
    assert verification.holds


def test_parameters_that_the_run_contradicts_fail(store: Store, version: Version) -> None:
    """The run recorded its parameters' digest on its own, before there was a model."""
    store.client.set_tag(version.run_id, "parameters_digest", "a" * 64)
    assert verdicts(verify(store, version, HOLDOUT, SETTINGS))["parameters"] == "fail"


def test_a_commit_of_this_repository_passes_unless_it_was_dirty(shared_store: Store) -> None:
    """Only a clean, known commit can be gone back to."""
    here = Path(__file__).parent
    commit = git_state(here)["git.commit"]
    handed_in = submission(model_of(0.0), SPLIT, start_run(shared_store))
    for dirty, verdict in (("false", "pass"), ("true", "warning")):
        tags = {"git.commit": commit, "git.dirty": dirty}
        run_id = start_run(shared_store)
        version = register(shared_store, replace(handed_in, tags=tags, run_id=run_id))
        found = verify(replace(shared_store, root=here), version, HOLDOUT, SETTINGS)
        assert verdicts(found)["git commit"] == verdict


def reseal(version: Version, files: Path) -> Version:
    """What a forger with access to the store would do: make the digest fit."""
    return retagged(version, "bytes_digest", files_digest(files))


def test_evidence_that_a_later_version_wrote_verifies(store: Store, version: Version) -> None:
    """What is digested are the bytes stored, so a field that nobody here knows changes nothing."""
    path = stored_folder(store, version) / "evidence.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"a_new_field":1,', 1))
    told = retagged(version, "evidence_digest", evidence_digest(path.read_bytes()))
    told = reseal(told, path.parent)
    (store.root / RECORDS).unlink()
    record(store.root, told, ())
    assert verify(store, told, HOLDOUT, SETTINGS).holds


def test_an_untrusted_type_is_never_constructed(store: Store, version: Version) -> None:
    """Even with a fitting digest, a foreign function in the file stops everything."""
    path = stored_folder(store, version) / "model.skops"
    path.write_bytes(skops.io.dumps(FunctionTransformer(json.dumps)))
    with pytest.raises(StoreError, match=r"types alone, got json\.dumps"):
        verify(store, reseal(version, path.parent), HOLDOUT, SETTINGS)


def changed_in(path: Path, old: str, new: str) -> Path:
    """The folder of a file in which a text was replaced."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path.parent


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("serialization_format: skops", "serialization_format: pickle"),
        ("skops_trusted_types: null", "skops_trusted_types: [os.system]"),
        ("loader_module: mlflow.sklearn", "loader_module: mlflow.pyfunc.model"),
        ("model_path: model.skops", "model_path: other.skops"),
        ("    code: null", "    code: code"),
        ("flavors:", "flavors: 3\nother:"),
        ("flavors:", "flavors: {"),
        ("predict_fn: predict_proba", "predict_fn: predict"),
        ("predict_fn: predict_proba", "predict_fn: predict_proba\n    data: audit"),
        ("    code: null", "    code: null\n    data: data"),
        ("conda: conda.yaml", "conda: other.yaml"),
        ("      virtualenv: python_env.yaml", "      virtualenv: audit/python_env.yaml"),
        ('"double", "name": "0"', '"float", "name": "0"'),
        ('"double", "name": "0"', '"double", "name": "1"'),
        ("params: null", "params: '[{}]'"),
        ("type_hint_from_example: false", "type_hint_from_example: true"),
        ("prompts: null", "prompts: [a]"),
        ("prompts: null", "resources: {api_version: '1'}"),
        ("artifact_path: model\n", "artifact_path: audit\n"),
        ("metadata:", "metadata: {a: {b: c}}\nothers:"),
    ],
)
def test_a_description_that_would_load_something_else_is_refused(
    files: Path, old: str, new: str
) -> None:
    """MLmodel decides what a server runs, so it must name the skops file and nothing else."""
    with pytest.raises(StoreError, match="don't load or serve this version"):
        read_model(changed_in(files / "MLmodel", old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("requirements.txt", "numpy==", "numpy-but-not==2\nnumpy=="),
        ("requirements.txt", "numpy==", "-r other.txt\nnumpy=="),
        ("requirements.txt", "numpy==", "numpy @ http://localhost/numpy-"),
        ("requirements.txt", "numpy==2", "numpy==1"),
        ("requirements.txt", "skops==", "scikit-learn=="),
        ("conda.yaml", "numpy==", "numpy-but-not=="),
        ("conda.yaml", "conda-forge", "http://localhost/channel"),
        ("conda.yaml", "- pip:", "- other=1\n- pip:"),
        ("python_env.yaml", "-r requirements.txt", "-r other.txt"),
        ("python_env.yaml", "- wheel", "- wheel-but-not"),
        ("python_env.yaml", "python:", "{"),
    ],
)
def test_an_environment_that_would_install_something_else_is_refused(
    files: Path, name: str, old: str, new: str
) -> None:
    """Whoever serves the version installs what it names."""
    with pytest.raises(StoreError, match="don't load or serve this version"):
        read_model(changed_in(files / name, old, new))


def test_other_libraries_in_all_files_of_the_environment_are_refused(files: Path) -> None:
    """They agree with each other, and not with the evidence."""
    for name in ("requirements.txt", "conda.yaml"):
        changed_in(files / name, "numpy==2", "numpy==1")
    with pytest.raises(StoreError, match="requirements, as evidence has them"):
        read_model(files)


def plant_file(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("planted")


def plant_link(path: Path) -> None:
    path.symlink_to(path.parent / "model.skops")


def plant_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("model.pkl", plant_file),
        ("code/loader.py", plant_file),
        ("audit/model.pkl", plant_file),
        ("audit/20260101T000000.000000Z-abcd.json", plant_file),
        ("registered_model_meta", plant_file),
        ("registered_model_meta/model.pkl", plant_file),
        ("more", Path.mkdir),
        ("more", plant_link),
        ("audit", plant_link),
        ("registered_model_meta", plant_link),
        ("more", plant_pipe),
        ("audit", plant_pipe),
    ],
)
def test_what_was_planted_beside_the_model_is_found(
    files: Path, kept: Version, name: str, plant: Callable[[Path], object]
) -> None:
    """Whatever it is, wherever it lies, and whether or not the digest was made to fit."""
    plant(files / name)
    for told in (kept, reseal(kept, files)):
        assert seen_inside(told, files) == NOT_OPENED
        assert look_inside(told, files, None)[0][0].figure.endswith(name)


@pytest.mark.parametrize("which", ["model.skops", "evidence.json", ".", ".."])
def test_a_link_to_a_copy_elsewhere_is_found(
    files: Path, kept: Version, which: str, tmp_path: Path
) -> None:
    """The copy may be changed later, unseen."""
    path = Path(os.path.normpath(files / which))
    path.rename(tmp_path / "copy")
    path.symlink_to(tmp_path / "copy")
    assert seen_inside(kept, files) == NOT_OPENED
    assert "a link" in look_inside(kept, files, None)[0][0].figure


def test_a_folder_that_is_a_link_to_a_copy_elsewhere_is_one_line(
    store: Store, version: Version, tmp_path: Path
) -> None:
    """MLflow itself doesn't follow it."""
    folder = stored_folder(store, version)
    folder.rename(tmp_path / "copy")
    folder.symlink_to(tmp_path / "copy")
    with pytest.raises(StoreError, match="resolved path is outside the artifact directory"):
        verify(store, version, HOLDOUT, SETTINGS)


def test_what_promotion_and_mlflow_add_is_no_stranger(store: Store, version: Version) -> None:
    """Copies of the decisions, and the name by which the version was loaded."""
    import mlflow.pyfunc

    promote(store, NAME, "1", holdout=HOLDOUT, settings=SETTINGS)
    with store.as_default():
        mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    names = {path.name for path in stored_folder(store, version).iterdir()}
    assert {"audit", "registered_model_meta"} <= names
    assert verify(store, seen(store).find("1"), HOLDOUT, SETTINGS).holds


def test_a_decision_s_copy_that_says_something_else_is_found(
    store: Store, version: Version
) -> None:
    """It is what people read beside the model."""
    promote(store, NAME, "1", holdout=HOLDOUT, settings=SETTINGS)
    (copy,) = (stored_folder(store, version) / "audit").iterdir()
    copy.write_text(copy.read_text().replace("promoted", "refused"))
    found = verify(store, seen(store).find("1"), HOLDOUT, SETTINGS)
    assert verdicts(found)["stored files"] == "fail"


def test_a_report_of_another_content_is_found(store: Store) -> None:
    """People decide by it; one that is lost misleads nobody."""
    run_id = start_run(store)
    handed_in = replace(submission(model_of(0.1), SPLIT, run_id), page=b"<p>as it was")
    for page in (b"<p>as it was", b"<p>as evaluated again"):
        store.client.log_text(run_id, page.decode(), "report.html")
        register(store, replace(handed_in, page=page))
        version = seen(store).find("2")
        assert verdicts(verify(store, version, HOLDOUT, SETTINGS))["report"] == "pass"
    version = seen(store).find("2")
    store.client.log_text(run_id, "<p>another", "report.html")
    assert verdicts(verify(store, version, HOLDOUT, SETTINGS))["report"] == "fail"
    assert promote(store, NAME, "2", holdout=HOLDOUT, settings=SETTINGS).decision == "refused"
    (store.artifacts or Path()).joinpath("blobs", run_id, "artifacts/report.html").unlink()
    found = verify(store, seen(store).find("2"), HOLDOUT, SETTINGS)
    assert verdicts(found)["report"] == "warning"


def test_a_report_that_is_no_file_is_found(store: Store) -> None:
    """What it shows tomorrow isn't what was digested; it is looked at, and not opened."""
    run_id = start_run(store)
    store.client.log_text(run_id, "<p>page", "report.html")
    register(store, replace(submission(model_of(0.1), SPLIT, run_id), page=b"<p>page"))
    page = (store.artifacts or Path()) / "blobs" / run_id / "artifacts" / "report.html"
    copy = page.rename(page.with_name("copy.html"))
    kinds: dict[str, Callable[[Path], object]] = {
        "a link": lambda path: path.symlink_to(copy),
        "a folder": Path.mkdir,
        "a pipe or device": os.mkfifo,
    }
    for kind, make in kinds.items():
        make(page)
        found = verify(store, seen(store).find("2"), HOLDOUT, SETTINGS)
        (report,) = (check for check in found.checks if check.name == "report")
        assert (report.figure, report.verdict) == (kind, "fail")
        page.rename(page.with_name(kind))


def test_a_run_that_can_be_none_is_found(store: Store) -> None:
    """With what registers the version anew, by its own run."""
    database = store.root / "mlruns" / "mlflow.db"
    for named in ("../..", "", "a b", "%"):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE model_versions SET run_id = ?", (named,))
        found = verify(store, seen(store).find("1"), HOLDOUT, SETTINGS)
        (run,) = (check for check in found.checks if check.name == "run")
        assert (run.figure, run.verdict) == (f"{named!r}; register it anew with {REGISTER}", "fail")
    anew = register(store, submission(model_of(0.1), SPLIT, start_run(store)))
    assert verify(store, anew, HOLDOUT, SETTINGS).holds


def test_a_record_that_was_removed_is_asked_of_git(store: Store, version: Version) -> None:
    """Who can remove a file of the checkout makes no other model verify by it."""
    git = ("git", "-C", str(store.root), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", str(RECORDS)), ("commit", "-qm", "registered")):
        subprocess.run([*git, *command], check=True)
    other = register(store, submission(model_of(0.2), SPLIT, version.run_id))
    (store.root / RECORDS).unlink()
    assert verdicts(verify(store, version, HOLDOUT, SETTINGS))["checkout's record"] == "pass"
    assert verdicts(verify(store, other, HOLDOUT, SETTINGS))["checkout's record"] == "fail"
    record(store.root, version, ())
    assert len(json.loads((store.root / RECORDS).read_bytes())) == 1
    (store.root / RECORDS).unlink()
    register(store, submission(model_of(0.3), SPLIT, start_run(store)))
    assert len(json.loads((store.root / RECORDS).read_bytes())) == 2


def test_a_whole_other_model_with_evidence_and_tags_to_match_is_found(
    store: Store, version: Version
) -> None:
    """Who can write the store alone doesn't know the checkout's record."""
    other = register(store, submission(model_of(0.2), SPLIT, version.run_id))
    (store.root / RECORDS).unlink()
    record(store.root, version, ())
    found = verify(store, other, HOLDOUT, SETTINGS)
    assert {name for name, verdict in verdicts(found).items() if verdict == "fail"} == {
        "checkout's record"
    }
    assert promote(store, NAME, "2", holdout=HOLDOUT, settings=SETTINGS).decision == "refused"


def test_a_checkout_without_records_asks_for_none(store: Store, version: Version) -> None:
    """As one has that was made before there were any; the next registration takes in what is."""
    (store.root / RECORDS).unlink()
    found = verify(store, version, HOLDOUT, SETTINGS)
    assert found.holds
    assert "checkout's record" not in verdicts(found)
    register(store, submission(model_of(0.1), SPLIT, start_run(store)))
    assert verdicts(verify(store, version, HOLDOUT, SETTINGS))["checkout's record"] == "pass"


def test_a_damaged_record_is_one_line(store: Store, version: Version) -> None:
    """With what puts it back."""
    (store.root / RECORDS).write_text("[{")
    with pytest.raises(StoreError, match=r"run `git restore reports/registered\.json`"):
        verify(store, version, HOLDOUT, SETTINGS)


@pytest.mark.parametrize("leads_to", ["kept.json", "theirs.json", "nowhere.json"])
def test_a_record_behind_a_link_is_one_line(store: Store, version: Version, leads_to: str) -> None:
    """Whatever lies there, it isn't what git keeps; the line's command and git's mend it."""
    path = store.root / RECORDS
    path.rename(path.with_name("kept.json"))
    path.with_name("theirs.json").write_text('{"mine": 1}')
    path.symlink_to(leads_to)
    with pytest.raises(OutputError, match=r"registered\.json must be no link, it leads to .*`rm "):
        verify(store, version, HOLDOUT, SETTINGS)
    with pytest.raises(OutputError, match=r"registered\.json must be no link"):
        register(store, submission(model_of(0.1), SPLIT, start_run(store)))
    path.unlink()
    path.with_name("kept.json").rename(path)
    assert verify(store, version, HOLDOUT, SETTINGS).holds


def test_evidence_of_another_model_is_found(files: Path, kept: Version) -> None:
    """It names the content that it was gathered of."""
    path = files / "evidence.json"
    evidence = Evidence.from_bytes(path.read_bytes())
    path.write_bytes(replace(evidence, content_digest="f" * 64).to_bytes())
    told = retagged(reseal(kept, files), "evidence_digest", evidence_digest(path.read_bytes()))
    assert seen_inside(told, files)["evidence"] == "fail"


def test_a_source_that_is_no_model_of_the_store_is_one_line(
    store: Store, version: Version, tmp_path: Path
) -> None:
    """An address elsewhere is never asked, and a folder elsewhere not looked through."""
    database = store.root / "mlruns" / "mlflow.db"
    copy = tmp_path / "copy"
    shutil.copytree(stored_folder(store, version), copy)
    places = ("http://localhost:1/model", "models:/m-none", "../..", "s3://x/y", "file:///")
    for place in (*places, str(copy), f"{store.artifacts}/../../../copy"):
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "UPDATE model_versions SET source = ?, storage_location = ?", (place, place)
            )
        with pytest.raises(StoreError, match="fetching version 1 of blobs-classifier"):
            verify(store, seen(store).find("1"), HOLDOUT, SETTINGS)


@pytest.mark.usefixtures("version")
def test_an_address_is_judged_before_anything_is_asked_of_it(store: Store) -> None:
    """Who writes a store would learn who reads it, his login even, and choose what is unpacked.

    Also where an experiment was made that keeps its own there.
    """
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    behind, database = replace(store, artifacts=None), store.root / "mlruns" / "mlflow.db"
    source = f"models:/{seen(store).find('1').model_id}"
    readers = [("http", store), ("mlflow-artifacts", store)]
    readers += [(scheme, behind) for scheme in ("http", "HTTP", "mlflow-artifacts")]
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for is_logged, (scheme, reader) in product((False, True), readers):
            # What is laid out otherwise MLflow itself would not ask.
            path = "mlflow-artifacts/artifacts/1/model"
            place = f"{scheme}://127.0.0.1:{server.server_port}/{path}"
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(
                    "UPDATE model_versions SET storage_location = ?, source = ?",
                    (place, source if is_logged else place),
                )
                if is_logged:
                    connection.execute("UPDATE experiments SET artifact_location = ?", (place,))
                    connection.execute("UPDATE logged_models SET artifact_location = ?", (place,))
            with pytest.raises(StoreError, match="a model's files must lie in MLflow's store, got"):
                verify(reader, seen(store).find("1"), HOLDOUT, SETTINGS)
        server.shutdown()
    assert not asked


def test_on_a_server_files_lie_where_their_experiment_keeps_its_own(
    store: Store, version: Version, tmp_path: Path
) -> None:
    """A whole copy of them elsewhere, in a bucket or a folder, isn't fetched."""
    reader, folder = replace(store, artifacts=None), stored_folder(store, version)
    assert verify(reader, version, HOLDOUT, SETTINGS).holds
    shutil.copytree(folder, tmp_path / "copy")
    up = "/.." * (len(folder.parts) - len(tmp_path.parts))
    for place in (str(tmp_path / "copy"), f"{folder}{up}/copy", "s3://bucket/model"):
        with (
            closing(sqlite3.connect(store.root / "mlruns" / "mlflow.db")) as connection,
            connection,
        ):
            connection.execute("UPDATE model_versions SET storage_location = ?", (place,))
        with pytest.raises(StoreError, match="a model's files must lie in MLflow's store, got"):
            verify(reader, seen(store).find("1"), HOLDOUT, SETTINGS)


def retold(content: bytes) -> bytes:
    """An archive of a version of zip that Python doesn't know."""
    at = content.rindex(b"PK\1\2") + 6
    return content[:at] + b"\xff" + content[at + 1 :]


def schema_of(text: str) -> Callable[[bytes], bytes]:
    """An archive that holds another schema and nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", text)
    return lambda _: buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.skops", lambda content: content[:200]),
        ("model.skops", schema_of("{}")),
        ("model.skops", schema_of('{"content":' * 9999 + "1" + "}" * 9999)),
        ("model.skops", retold),
        ("evidence.json", lambda _: b"{}"),
        ("evidence.json", lambda _: b'{"c":' * 99999 + b"1" + b"}" * 99999),
    ],
    ids=["cut", "schema", "nested", "later", "evidence", "evidence nested"],
)
def test_a_damaged_model_with_a_fitting_digest_is_one_clear_error(
    files: Path, kept: Version, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """Whatever is wrong inside, it ends in a StoreError."""
    path = files / name
    path.write_bytes(damage(path.read_bytes()))
    digest = evidence_digest((files / "evidence.json").read_bytes())
    with pytest.raises(StoreError):
        look_inside(retagged(reseal(kept, files), "evidence_digest", digest), files, None)


def test_a_model_that_would_fill_the_memory_is_not_unpacked(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros are packed to a thousandth."""
    monkeypatch.setattr("foldwise.files._ALWAYS_ALLOWED", 1 << 20)
    with zipfile.ZipFile(files / "model.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", bytes(5 << 20))
    with pytest.raises(StoreError, match=r"unpacked, more than the [\d,]+ it can hold"):
        read_model(files)


def test_a_model_of_another_kind_is_refused(files: Path) -> None:
    """A trusted type that isn't our pipeline has no numbers to compare."""
    (files / "model.skops").write_bytes(skops.io.dumps(FunctionTransformer()))
    with pytest.raises(StoreError, match="as foldwise wrote it"):
        read_model(files)


@pytest.mark.parametrize(
    "first",
    [
        FunctionTransformer(np.negative, validate=True, kw_args={"dtype": "float64"}),
        FunctionTransformer(np.positive, validate=True, kw_args={"dtype": "float32"}),
        FunctionTransformer(np.positive, validate=True),
        StandardScaler(with_mean=False, with_std=False),
    ],
    ids=["negative", "float32", "as it is", "another step"],
)
def test_a_first_step_that_does_more_than_convert_is_refused(files: Path, first: object) -> None:
    """Trusted as its type may be, the model's numbers would no longer say what it computes."""
    pipeline = read_model(files).pipeline
    pipeline.steps[0] = (pipeline.steps[0][0], first)
    (files / "model.skops").write_bytes(skops.io.dumps(pipeline))
    with pytest.raises(StoreError, match="that only makes float64 is expected"):
        read_model(files)


def test_a_version_that_others_registered_does_not_verify(store: Store, version: Version) -> None:
    """Without our tags there is nothing to compare with: it fails, and isn't opened."""
    with store.as_default():
        store.client.create_model_version(NAME, f"models:/{version.model_id}", run_id=None)
    verification = verify(store, seen(store).find("2"), HOLDOUT, SETTINGS)
    assert verdicts(verification) == {"stored files": "fail", "model": "fail"}
