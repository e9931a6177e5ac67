"""What `make install` makes of the user's pip settings, and of a uv that is missing or fails."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tools import install

LISTED = """\
:env:.cert='/etc/team.pem'
:env:.default-timeout='90'
global.find-links='\\nwheels\\n/opt/more'
global.index-url='https://user:word@all.example/simple'
global.proxy='http://proxy.example:3128'
install.extra-index-url='https://one.example/simple https://two.example/simple'
install.index-url='https://install.example/simple'
list.index-url='https://list.example/simple'
"""


def test_the_environment_goes_before_install_and_install_before_global() -> None:
    settings = install.pip_settings(LISTED + ":env:.proxy='http://nearer.example'\n")
    assert settings["index-url"] == "https://install.example/simple"
    assert settings["proxy"] == "http://nearer.example"


def test_uv_is_told_what_pip_is_told() -> None:
    assert install.for_uv(install.pip_settings(LISTED), {}) == {
        "UV_DEFAULT_INDEX": "https://install.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "wheels,/opt/more",
        "UV_HTTP_TIMEOUT": "90",
        "SSL_CERT_FILE": "/etc/team.pem",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
    }


def test_what_the_user_told_uv_stays() -> None:
    own = {"UV_INDEX_URL": "https://own.example", "https_proxy": "http://own.example"}
    told = install.for_uv(install.pip_settings(LISTED), own)
    assert not {"UV_DEFAULT_INDEX", "HTTPS_PROXY"} & set(told)


def test_this_pip_lists_its_settings_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its format is nobody's promise."""
    (tmp_path / "pip.conf").write_text("[install]\nfind-links =\n    one\n    two\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    command = [sys.executable, "-m", "pip", "config", "list"]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No module named pip" in pip.stderr:
        pytest.skip("this environment has no pip")
    settings = install.pip_settings(pip.stdout)
    assert settings["index-url"] == "https://index.example/simple"
    assert settings["find-links"].split() == ["one", "two"]


@pytest.mark.parametrize("uv", ["missing", "failing"])
def test_without_uv_pip_does_it_all(
    uv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same lock, hashes checked, and it is said which of the two works."""
    _stand_in(tmp_path / "pip", 'echo Collecting numpy==2; echo "$@" > "$0.told"')
    monkeypatch.setattr(install, "PIP", (str(tmp_path / "pip"),))
    monkeypatch.setattr(install, "UV", tmp_path / "uv")
    if uv == "failing":
        _stand_in(tmp_path / "uv", "exit 2")
    lock = tmp_path / "a lock"
    lock.write_text("numpy==2 \\\n    --hash=sha256:0\npandas==3 ; python_version < '4' \\\n")
    install.main(str(lock))
    assert f"--require-hashes --requirement {lock}" in (tmp_path / "pip.told").read_text()
    said = capsys.readouterr().out
    assert f"2 packages pinned in {lock}, by pip" in said
    assert ("uv could not install them" in said) == (uv == "failing")


def test_what_pip_could_not_install_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the end of what pip said."""
    _stand_in(tmp_path / "pip", "echo the last word; exit 3")
    monkeypatch.setattr(install, "PIP", (str(tmp_path / "pip"),))
    monkeypatch.setattr(install, "UV", tmp_path / "uv")
    with pytest.raises(SystemExit) as ended:
        install.main(str(tmp_path))
    assert ended.value.code == 3
    assert "the last word" in capsys.readouterr().out


def test_while_pip_works_it_is_said_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _stand_in(tmp_path / "pip", "echo Collecting numpy==2; sleep 1; echo Collecting pandas==3")
    monkeypatch.setattr(install, "PIP", (str(tmp_path / "pip"),))
    monkeypatch.setattr(install, "BEAT", 0.3)
    assert install.by_pip([]) == 0
    assert "packages looked up and fetched: 1\n" in capsys.readouterr().out


def _stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    assert os.access(path, os.X_OK)
