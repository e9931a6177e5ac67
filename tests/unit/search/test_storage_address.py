"""A study storage's address is understood or refused in one line, and its secrets stay hidden."""

import pytest

from foldwise.errors import SearchError
from foldwise.search.book import StudyStorage, open_book
from tests.unit.search.search_cases import SPACE

NOBODY = "127.0.0.1:1"  # nothing listens on this port


@pytest.mark.parametrize(
    "address",
    [
        "postgresql//ann:s3cr3t@host/d",
        "postgresql://ann:s3cr3t@host:port/d",
        "postgresql://ann:s3cr3t@more@host/d",
        "mysql://ann:s3cr3t@host/d",
        "./s3cr3t/optuna.log",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////data/optuna.db?timeout=5",
        "sqlite:////data/a%2Fb/optuna.db",
    ],
)
def test_an_address_that_nothing_can_be_kept_at_is_refused(address: str) -> None:
    """The rule is told; the value isn't, since nobody knows where in it the password is."""
    with pytest.raises(SearchError, match="FOLDWISE_STUDY_STORAGE must be") as caught:
        StudyStorage.parse(address)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [f"postgresql://ann:s3cr3t@{NOBODY}/d", f"postgresql://{NOBODY}/d?user=ann&password=s3cr3t"],
)
def test_a_server_that_is_not_there_is_named_without_its_login(address: str) -> None:
    """Neither user nor password, wherever in the address they stand."""
    pytest.importorskip("psycopg", reason="needs foldwise[postgres]")
    with pytest.raises(SearchError, match=rf"postgresql://{NOBODY}/d .*refused") as caught:
        open_book(address, "key", SPACE)
    assert "s3cr3t" not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_a_missing_driver_is_named_with_its_remedy() -> None:
    """It is an extra, so that few install it."""
    with pytest.raises(
        SearchError, match=r"needs a driver, .*: run `.* -m pip install .*\[postgres\]"
    ):
        open_book(f"postgresql+pg8000://{NOBODY}/d", "key", SPACE)


def test_what_is_shown_says_where_and_no_more() -> None:
    """Driver, host, port and database."""
    server = StudyStorage.parse("postgresql://ann:s3cr3t@host:5/d?sslpassword=s3cr3t")
    assert str(server) == "postgresql://host:5/d"
    assert str(StudyStorage.parse("sqlite:////data/optuna.db")) == "sqlite:////data/optuna.db"
