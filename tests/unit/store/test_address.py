"""Where the store is, and that its secrets stay out of sight."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import OutputError, StoreError
from foldwise.search.book import StudyStorage
from foldwise.store.address import project_root, redacted, tracking_address

_SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).map(
    lambda text: f"s3cr3t{text}"
)


@pytest.fixture(autouse=True)
def no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own store stays out of these tests."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def test_a_path_that_is_too_long_for_sqlite_is_told_before_it_is_opened(tmp_path: Path) -> None:
    """SQLite says of it that it can't be opened, and of the folder's length nothing."""
    root = tmp_path.joinpath(*["folder" * 20] * 4)
    with pytest.raises(
        OutputError, match=r"at most 490 bytes long, mlflow\.db's has .* shorter path"
    ):
        tracking_address(root)
    with pytest.raises(OutputError, match=r"at most 490 bytes long, optuna\.db's has"):
        StudyStorage.ours(f"sqlite:///{root}/optuna.db")
    within = Path("/" + "x" * (490 - len("/mlruns/mlflow.db") - 1))
    assert tracking_address(within).database is not None


def test_the_root_is_the_nearest_folder_with_a_dvc_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands work from any folder of the project."""
    (tmp_path / "dvc.yaml").touch()
    inner = tmp_path / "src" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert project_root() == tmp_path.resolve()


def test_dvc_root_wins_over_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage in DVC's temporary copy uses the main checkout's store."""
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "x"
    copy.mkdir(parents=True)
    (copy / "dvc.yaml").touch()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert project_root() == tmp_path.resolve()


@pytest.mark.parametrize("inside", ["", "vendor"])
def test_an_outer_projects_dvc_root_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """A stage of another project may call us in a checkout of our own, inside of it or beside."""
    outer = tmp_path / "outer"
    (outer / ".dvc").mkdir(parents=True)
    ours = (outer / inside if inside else tmp_path) / "ours"
    (ours / ".dvc").mkdir(parents=True)
    (ours / "src").mkdir()
    for project in (outer, ours):
        (project / "dvc.yaml").touch()
    monkeypatch.setenv("DVC_ROOT", str(outer))
    for folder in (ours, ours / "src"):
        monkeypatch.chdir(folder)
        assert project_root() == ours.resolve()


def test_a_copy_of_an_outer_project_leaves_ours_its_own_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An experiment of the outer project copies ours, which is still none of the outer one."""
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "x"
    ours = copy / "ours"
    for project in (copy, ours):
        (project / ".dvc").mkdir(parents=True)
        (project / "dvc.yaml").touch()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(ours)
    assert project_root() == ours.resolve()
    monkeypatch.chdir(copy)
    assert project_root() == tmp_path.resolve()


def test_a_folder_of_the_project_that_is_none_itself_has_its_dvc_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another dvc.yaml alone makes no project."""
    (tmp_path / ".dvc").mkdir()
    inner = tmp_path / "comparison"
    inner.mkdir()
    (inner / "dvc.yaml").touch()
    monkeypatch.chdir(inner)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert project_root() == tmp_path.resolve()


def test_outside_of_a_project_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No store is ever made in a folder that is no project."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"no dvc\.yaml .* run this inside the project"):
        project_root()


def test_the_default_is_a_database_under_mlruns(tmp_path: Path) -> None:
    """With nothing set, everything stays in the project."""
    address = tracking_address(tmp_path)
    assert address.database == tmp_path.resolve() / "mlruns" / "mlflow.db"
    assert address.uri == f"sqlite:///{address.database}"


def test_a_relative_database_lies_under_the_root_wherever_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC runs stages in other folders; the store must not follow them."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///team/runs.db")
    assert tracking_address(tmp_path).database == tmp_path.resolve() / "team" / "runs.db"


@pytest.mark.parametrize("sign", ["?", "%"])
def test_a_path_that_a_url_would_cut_is_refused(tmp_path: Path, sign: str) -> None:
    """SQLAlchemy would put the database elsewhere without a word."""
    with pytest.raises(StoreError, match="may not contain"):
        tracking_address(tmp_path / f"odd{sign}20name")


def test_a_server_is_known_without_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User and password are kept apart, unquoted; port and path stay."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:p%40ss@ml.example.org:8443/team/")
    address = tracking_address(tmp_path)
    assert address.uri == "https://ml.example.org:8443/team"
    assert (address.username, address.password) == ("ann", "p@ss")
    assert address.database is None


def test_an_ipv6_server_keeps_its_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the port would be read as a part of the address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://[::1]:5000")
    assert tracking_address(tmp_path).uri == "http://[::1]:5000"


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:s3cr3t@db/mlflow",
        "./mlruns",
        "file:///tmp/x",
        "databricks",
        "http://",
        "http://ann:s3cr3t@:80",
        "http://ann:s3/cr3t@host",
    ],
)
def test_other_stores_are_refused_without_their_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    """The line names rule and value, never the secret."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_URI") as caught:
        tracking_address(tmp_path)
    assert "s3" not in str(caught.value)


@pytest.mark.parametrize(
    "place", ["", ":80", "host:99999", "host:abc", "host:-1", "host:0", "[::1"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_of_no_server_is_told_with_what_one_is(
    tmp_path: Path, scheme: str, place: str
) -> None:
    """A port that can't be, no host, half an IPv6 address: one line with rule, value, remedy."""
    rule = r"must be http\(s\)://HOST or http\(s\)://HOST:PORT, the port from 1 to 65535, got"
    with pytest.raises(StoreError, match=rf"{rule} '{scheme}://.*': correct it$"):
        tracking_address(tmp_path, f"{scheme}://ann:s3cr3t@{place}/x")
    assert tracking_address(tmp_path, f"{scheme}://host:65535/x").uri.endswith(":65535/x")


@given(password=_SECRET)
def test_no_password_survives_redaction(password: str) -> None:
    """Whatever characters a password has, a message that quotes the URL is clean."""
    told = f"request to http://ann:{password}@host:5000/api failed, twice"
    assert redacted(told) == "request to http://host:5000/api failed, twice"
