"""What is written goes where it seems to go: no output is written through a link."""

import os
import shlex
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import yaml

from foldwise.app.results import save, save_all
from foldwise.app.workspace import Workspace
from foldwise.data.dataset import PREPARED, replacing_data
from foldwise.data.sources import read_openml
from foldwise.errors import OutputError
from foldwise.files import write_bytes
from foldwise.ownership import check_output, claim_beside
from foldwise.search.engines.batched import PathShelf
from foldwise.solver.paths import RegularisationPath

FOLDERS = [
    "models/tuned",
    "models",
    "data/prepared/development",
    "data/prepared",
    "data",
    "reports/figures/evaluate",
    "reports/figures",
    "reports",
]


@pytest.fixture(autouse=True)
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of somebody's files beside the project."""
    folder = tmp_path / "theirs"
    for name in ("diary.txt", "info.json", "development/diary.txt", "tuned/diary.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Names, times and texts of all files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): (f.stat().st_mtime_ns, f.read_text()) for f in files}


def write_prepared() -> None:
    with replacing_data(Path("data/prepared")) as stage:
        for part in ("development", "holdout"):
            (stage / part).mkdir()
            (stage / part / "info.json").write_text("ours")


def write_all() -> None:
    """What the stages write, in their order."""
    write_prepared()
    save_all(Path("models/tuned"), {"info.json": b"ours"})
    save(Path("reports"), {"info.json": b"ours"})
    save_all(Path("reports/figures/evaluate"), {"info.json": b"ours"})


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_output_folder_is_a_link(folder: str, theirs: Path) -> None:
    """Files behind it are neither deleted nor overwritten; the line's own command mends it."""
    link = Path(folder)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(theirs)
    before = contents(theirs)
    with pytest.raises(OutputError, match=f"^{folder} must be no link, it leads to {theirs}") as no:
        write_all()
    remedy = str(no.value).partition("`")[2].partition("`")[0]
    subprocess.run(shlex.split(remedy), check=True)
    write_all()
    assert contents(theirs) == before


def test_a_link_to_itself_is_no_folder_for_an_output(tmp_path: Path) -> None:
    """Named as the link that it is, also where it lies above the file."""
    link = tmp_path / "loop"
    link.symlink_to(link)
    for path in (link, link / "below" / "file"):
        with pytest.raises(OutputError, match=f"^{link} must be no link"):
            check_output(path)


@pytest.mark.parametrize("place", ["reports/report.html", "models/run.json", "models/tuned/a.npz"])
@pytest.mark.parametrize("target", ["diary.txt", "not there"])
def test_no_output_file_is_a_link(place: str, target: str, theirs: Path) -> None:
    """One that leads nowhere is no better; what else would be written stays as it was."""
    path = Path(place)
    path.parent.mkdir(parents=True)
    path.symlink_to(theirs / target)
    before = contents(theirs)
    with pytest.raises(OutputError, match=f"{place} must be no link"):
        save_all(path.parent, {"a first": b"ours", path.name: b"ours"})
    assert contents(theirs) == before
    assert list(path.parent.iterdir()) == [path]


def test_a_link_that_an_earlier_run_did_not_leave_is_not_swept_away(theirs: Path) -> None:
    """`save_all` removes what it didn't write, and a link is somebody's."""
    folder = Path("reports/figures/tune")
    folder.mkdir(parents=True)
    (folder / "mine.svg").symlink_to(theirs / "diary.txt")
    with pytest.raises(OutputError, match=r"mine\.svg must be no link"):
        save_all(folder, {"ours.svg": b""})
    assert (folder / "mine.svg").is_symlink()


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("../theirs/diary.txt"),
    "a link that leads nowhere": lambda path: path.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
    "something of another kind": lambda path: path.touch() if not path.suffix else path.mkdir(),
    "a link beside": lambda path: path.with_name(f".{path.stem}.partial{path.suffix}").symlink_to(
        "nowhere"
    ),
    "a lock that isn't empty": lambda path: path.with_name(f".{path.name}.lock").write_text("mine"),
}
STAGES = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]
WRITTEN = [
    *((stage, str(path)) for stage, of in STAGES.items()
      for out in (*of["outs"], *of.get("metrics", ())) for path in out),
    ("evaluate", "reports/registered.json"),
]  # fmt: skip


@pytest.mark.parametrize("kind", IN_THE_WAY)
@pytest.mark.parametrize(("stage", "path"), WRITTEN)
def test_a_stage_looks_where_it_will_write_before_it_works(
    stage: str, path: str, kind: str
) -> None:
    """A search of hours would else end in what could be told at once; here it has no data even."""
    place = Path(path)
    if place.parent == PREPARED:
        place = PREPARED  # both are written as one
    place.parent.mkdir(parents=True)
    Path("dvc.yaml").touch()
    Path("params.yaml").write_text("seed: 1\n")
    IN_THE_WAY[kind](place)
    with pytest.raises(OutputError, match=r" must be .*(move it away|run `rm )"):
        import_module(f"foldwise.app.{stage}").main()


@pytest.mark.parametrize("cache", ["../.dvc/cache/files/md5", "/shared/cache/files/md5", "/old"])
def test_a_file_that_dvc_linked_to_its_cache_is_replaced(cache: str) -> None:
    """As `cache.type symlink` does; what lies in the cache stays."""
    folder = Path("models/tuned")
    folder.mkdir(parents=True)
    for name in ("a.npz", "stale.npz"):
        (folder / name).symlink_to(f"{cache}/0a/{'1b' * 15}")
    save_all(folder, {"a.npz": b"ours"})
    assert [path.name for path in folder.iterdir()] == ["a.npz"]
    assert (folder / "a.npz").read_bytes() == b"ours"
    assert not (folder / "a.npz").is_symlink()


def test_a_file_that_dvc_hard_linked_to_its_cache_is_replaced(theirs: Path) -> None:
    Path("run.json").hardlink_to(theirs / "diary.txt")
    write_bytes(Path("run.json"), b"ours")
    assert (theirs / "diary.txt").read_text() == "mine"


def test_nothing_is_written_through_a_temporary_name(theirs: Path) -> None:
    """The file beside has a fixed name, so that anything may lie there."""
    Path(".a.partial.json").symlink_to(theirs / "diary.txt")
    Path(".b.partial.json").hardlink_to(theirs / "diary.txt")
    with pytest.raises(OutputError, match=r"\.a\.partial\.json must be no link"):
        write_bytes(Path("a.json"), b"ours")
    write_bytes(Path("b.json"), b"ours")
    assert Path("b.json").read_text() == "ours"
    assert (theirs / "diary.txt").read_text() == "mine"


def test_no_staging_folder_is_a_link(theirs: Path) -> None:
    Path("data").mkdir()
    Path("data/.prepared.partial").symlink_to(theirs)
    before = contents(theirs)
    with pytest.raises(OutputError, match="partial must be no link"):
        write_prepared()
    assert contents(theirs) == before


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_is_neither_file_nor_folder_is_no_output(make: Callable[[Path], None]) -> None:
    """A pipe that was put there to be read from is not replaced without a word."""
    make(Path("report.html"))
    with pytest.raises(OutputError, match=r"report\.html must be "):
        write_bytes(Path("report.html"), b"ours")
    assert not Path("report.html").is_file()


def test_paths_are_kept_behind_no_link_and_the_search_goes_on(theirs: Path) -> None:
    """Losing them costs time alone; ``mlruns/`` itself may lie on another disk."""
    path = RegularisationPath(frozenset(), np.ones(1), (np.ones((2, 2), dtype=np.float32),), 1)
    (theirs / "without-none.npz").write_text("mine")
    Path("link").symlink_to(theirs)
    PathShelf(Path("link")).keep(path)
    assert (theirs / "without-none.npz").read_text() == "mine"
    Path("mlruns").symlink_to(theirs)
    Path("dvc.yaml").touch()
    shelf = Workspace().shelf("key")
    shelf.keep(path)
    assert shelf.find(frozenset()) is not None
    shelf.clear()
    assert not (theirs / "paths" / "key").exists()


def test_no_download_goes_behind_a_link(theirs: Path) -> None:
    """It is told before the network is asked."""
    Path("openml").symlink_to(theirs)
    with pytest.raises(OutputError, match="openml must be no link"):
        read_openml("diary", 1, holdout=None, cache=Path("openml"), server="http://127.0.0.1:1")


def test_a_claimed_name_was_free(tmp_path: Path) -> None:
    """Neither a file nor a link that leads nowhere is taken for free."""
    path = tmp_path / "a.db"
    path.with_name("a.db.kept-1").write_text("mine")
    path.with_name("a.db.kept-2").symlink_to("nowhere")
    assert [claim_beside(path, "kept").name for _ in range(2)] == ["a.db.kept-3", "a.db.kept-4"]


def test_an_output_that_is_not_there_yet_is_as_good_as_a_plain_one() -> None:
    check_output(Path("reports/figures/tune"))
    write_all()
    check_output(Path("reports"))
