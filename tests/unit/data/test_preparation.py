"""From any source to prepared data: what the parameters ask for, or the old data left alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foldwise.app import prepare
from foldwise.app.workspace import Workspace
from foldwise.data.dataset import SplitFacts, content_digest, load, load_info
from foldwise.data.preparation import PROFILE, SHIFTS, prepare_data, shifted
from foldwise.errors import DataError, FoldwiseError, SettingsError
from foldwise.settings import PrepareSettings, Settings
from tests.idx_files import STEMS, idx_bytes, toy_images, write_idx_folder
from tests.openml_server import fake_openml, serve_toy, toy_arff

PROJECT = Path(__file__).parents[3]
DIGITS = PrepareSettings(source="digits", name="digits")
TOY = PrepareSettings(name="toy", path="toy")


def asked(prepare: PrepareSettings, *, seed: int = 1) -> Settings:
    """Settings with this prepare section."""
    return Settings(seed=seed, prepare=prepare)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with toy IDX files."""
    write_idx_folder(tmp_path / "toy", packed=True)
    return tmp_path


def content(root: Path) -> dict[str, bytes]:
    """Every file that prepare writes, by its path."""
    places = [root / PROFILE, *(root / "data").rglob("*")]
    return {str(path): path.read_bytes() for path in places if path.is_file()}


def test_idx_files_become_two_splits(project: Path) -> None:
    """All rows, in their order, with the classes' codes."""
    info = prepare_data(asked(TOY), root=project)
    assert (info.name, info.classes, info.image_shape) == ("toy", (0, 1, 2), (5, 4))
    directory = project / "data" / "prepared"
    assert np.array_equal(
        load("development", directory).images, toy_images(60, seed=60).reshape(60, 20)
    )
    assert np.array_equal(
        load("holdout", directory).images, toy_images(30, seed=30).reshape(30, 20)
    )
    assert load("holdout", directory).labels.tolist() == [0, 1, 2] * 10


def test_mnist_has_its_well_known_numbers(tmp_path: Path) -> None:
    """Mean 0.1307 and spread 0.3081 of the range, 717 pixels that vary, 5,421 fives."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw").symlink_to(PROJECT / "data" / "raw")
    info = prepare_data(Settings(), root=tmp_path)
    profile = json.loads((tmp_path / PROFILE).read_text())
    assert (info.development_rows, info.holdout_rows) == (60_000, 10_000)
    assert round(profile["development_pixel_mean"] / 255, 4) == 0.1307
    assert round(profile["development_pixel_spread"] / 255, 4) == 0.3081
    assert profile["features"] - profile["development_constant_pixels"] == 717
    assert (profile["development_class_5"], profile["holdout_class_5"]) == (5421, 892)


def test_digits_need_no_file(tmp_path: Path) -> None:
    """1,500 to learn from and the last 297 as the holdout."""
    info = prepare_data(asked(DIGITS), root=tmp_path)
    assert (info.development_rows, info.holdout_rows) == (1500, 297)
    assert (info.classes, info.image_shape) == (tuple(range(10)), (8, 8))
    assert load("holdout", tmp_path / "data/prepared").images.max() == 16


def test_the_holdout_of_digits_can_be_chosen(tmp_path: Path) -> None:
    """So many of the last rows."""
    info = prepare_data(asked(replace(DIGITS, holdout=97)), root=tmp_path)
    assert (info.development_rows, info.holdout_rows) == (1700, 97)


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """OpenML's place is taken by a server on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with fake_openml() as server:
        serve_toy(server, toy_arff())
        monkeypatch.setenv("FOLDWISE_OPENML_SERVER", server.address)
        yield


@pytest.mark.usefixtures("openml")
def test_openml_is_a_source_with_text_labels(tmp_path: Path) -> None:
    """Its answers are cached in the project, or in the main checkout of an experiment."""
    settings = asked(PrepareSettings(source="openml", name="toy", version=2, holdout=30))
    assert prepare_data(settings, root=tmp_path / "one").classes == ("a", "b", "c")
    assert (tmp_path / "one/data/openml/openml.org/data/v1/download/99/toy.arff.gz").exists()
    prepare_data(settings, root=tmp_path / "copy", home=tmp_path / "main")
    assert (tmp_path / "main/data/openml/openml.org/data/v1/download/99/toy.arff.gz").exists()
    assert not (tmp_path / "copy/data/openml").exists()


@pytest.mark.usefixtures("openml")
def test_what_is_fetched_for_an_outer_projects_stage_stays_in_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC names the outer one in its variable; nothing is made there."""
    outer, ours = tmp_path, tmp_path / "ours"
    for project in (outer, ours):
        (project / ".dvc").mkdir(parents=True)
        (project / "dvc.yaml").touch()
    toy = "{source: openml, name: toy, version: 2, holdout: 30}"
    (ours / "params.yaml").write_text(f"seed: 1\nprepare: {toy}\n")
    monkeypatch.chdir(ours)
    monkeypatch.setenv("DVC_ROOT", str(outer))
    prepare.main()
    assert (ours / "data/openml").exists()
    assert not (outer / "data").exists()


@pytest.mark.parametrize("told", ["openml.example", "ftp://openml.example", "http://"])
def test_a_mirror_that_is_no_address_is_told_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """The data were told to be wrong."""
    monkeypatch.setenv("FOLDWISE_OPENML_SERVER", told)
    with pytest.raises(SettingsError, match=f"FOLDWISE_OPENML_SERVER must be like .*'{told}'"):
        prepare_data(asked(PrepareSettings(source="openml", name="toy")), root=tmp_path)


@pytest.mark.usefixtures("openml")
def test_openml_leaves_ten_thousand_rows_to_the_holdout(tmp_path: Path) -> None:
    """As MNIST's 70,000 are split."""
    settings = asked(PrepareSettings(source="openml", name="toy", version=2))
    with pytest.raises(DataError, match="more rows than the holdout's 10,000, got 90"):
        prepare_data(settings, root=tmp_path)


def test_a_table_whose_class_has_too_few_rows_for_both_splits_is_one_line_that_helps(
    tmp_path: Path,
) -> None:
    """Such as one that somebody has spelled in another way."""
    words = ["yes", "no"] * 10
    table = tmp_path / "t.csv"
    settings = asked(PrepareSettings(source="table", name="t", path="t.csv", target="y"))

    def write(words: list[str]) -> None:
        lines = (f"{row * 37 % 101 / 8},{word}" for row, word in enumerate(words))
        table.write_text("\n".join(["x,y", *lines]) + "\n")

    write(["Yes", *words[1:]])
    with pytest.raises(DataError, match=r"none of 'Yes' in the .*: write it like others in t.csv"):
        prepare_data(settings, root=tmp_path)
    write(words)
    assert prepare_data(settings, root=tmp_path).classes == ("no", "yes")


def test_what_is_odd_about_a_table_is_told_though_it_is_refused(tmp_path: Path) -> None:
    """It may be why."""
    words = ["odd", *["yes", "no"] * 10]
    lines = (f"{row * 37 % 101 / 8};{word}" for row, word in enumerate(words))
    (tmp_path / "t.csv").write_text("\n".join(["x;y", *lines]) + "\n")
    settings = asked(PrepareSettings(source="table", name="t", path="t.csv", target="y"))
    told: list[str] = []
    with pytest.raises(DataError, match="none of 'odd' in the"):
        prepare_data(settings, root=tmp_path, tell=told.append)
    (note,) = told
    assert note.endswith("t.csv has a semicolon between its cells")


def test_a_limit_thins_out_the_development_set_alone(tmp_path: Path) -> None:
    """Every class keeps its share, the holdout is the same."""
    whole = prepare_data(asked(DIGITS), root=tmp_path)
    before = load("development", tmp_path / "data/prepared")
    known = {
        image.tobytes(): label for image, label in zip(before.images, before.labels, strict=True)
    }
    part = prepare_data(asked(replace(DIGITS, limit=300)), root=tmp_path)
    split = load("development", tmp_path / "data/prepared")
    assert part.holdout_digest == whole.holdout_digest
    assert len(split.labels) == 300
    assert np.bincount(split.labels).min() >= 29
    assert [known[image.tobytes()] for image in split.images] == split.labels.tolist()


@pytest.mark.parametrize("limit", [None, 60])
def test_each_copy_is_its_origin_shifted(tmp_path: Path, limit: int | None) -> None:
    """Labels and origins follow the copies, and no two copies of a row are the same shift."""
    settings = asked(replace(DIGITS, limit=limit, augment=3))
    info = prepare_data(settings, root=tmp_path)
    split = load("development", tmp_path / "data/prepared")
    rows = limit or 1500
    assert info.development_rows == len(split.images) == 4 * rows
    assert np.array_equal(split.origins, np.tile(np.arange(rows), 4))
    assert np.array_equal(split.labels, split.labels[split.origins])
    originals = split.images[:rows].reshape(-1, 8, 8)
    for row in range(0, rows, 7):
        by_shift = [shifted(originals[row : row + 1], *shift).tobytes() for shift in SHIFTS[:8]]
        copies = [split.images[row + rows * copy].tobytes() for copy in (1, 2, 3)]
        assert len({by_shift.index(copy) for copy in copies}) == 3


def test_the_holdout_is_never_augmented(project: Path) -> None:
    """It must measure the same for every model."""
    plain = prepare_data(asked(TOY), root=project)
    copied = prepare_data(asked(replace(TOY, augment=2)), root=project)
    assert plain.holdout_digest == copied.holdout_digest
    assert plain.development_digest != copied.development_digest


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    """Also with a drawn part and drawn shifts; another seed writes others."""
    prepare = replace(DIGITS, limit=100, augment=2)
    prepare_data(asked(prepare), root=tmp_path)
    first = content(tmp_path)
    prepare_data(asked(prepare), root=tmp_path)
    assert content(tmp_path) == first
    prepare_data(asked(prepare, seed=2), root=tmp_path)
    assert content(tmp_path) != first


def test_data_can_lie_behind_a_link(project: Path, tmp_path: Path) -> None:
    """Large data stays where it is, as the error about paths says."""
    (tmp_path / "elsewhere").mkdir()
    (project / "toy").rename(tmp_path / "elsewhere" / "toy")
    (project / "toy").symlink_to(tmp_path / "elsewhere" / "toy")
    assert prepare_data(asked(TOY), root=project).development_rows == 60


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (
            replace(DIGITS, name="mnist"),
            "prepare.name must not be mnist when prepare.source",
        ),
        (replace(TOY, holdout=9), "prepare.holdout must be null when prepare.source is idx"),
        (replace(TOY, holdout="none"), "prepare.holdout must be null when prepare.source is idx"),
        (
            replace(DIGITS, holdout=0.2),
            "prepare.holdout must be a whole number or null when prepare.source is digits, got 0.2",
        ),
        (
            replace(DIGITS, target="y"),
            "prepare.target must be null when prepare.source is digits, which doesn't read",
        ),
        (
            replace(DIGITS, columns={"y": "drop"}),
            "prepare.columns must be empty when prepare.source is digits, which doesn't read",
        ),
        (
            PrepareSettings(source="digits", name="digits", path="data/fashion"),
            "prepare.path must be data/raw when prepare.source is digits, which doesn't read",
        ),
        (
            PrepareSettings(source="openml", name="iris", path="data/fashion"),
            "prepare.path must be data/raw when prepare.source is openml, which doesn't read",
        ),
        (
            PrepareSettings(source="digits", name="digits", version=2),
            "prepare.version must be 1 when prepare.source is digits, which doesn't read",
        ),
        (
            replace(TOY, version=2),
            "prepare.version must be 1 when prepare.source is idx, which doesn't read",
        ),
    ],
)
def test_parameters_that_do_not_go_with_the_source_are_refused(
    tmp_path: Path, prepare: PrepareSettings, said: str
) -> None:
    """MNIST's name is kept for its files, and those bring their holdout."""
    with pytest.raises(SettingsError, match=said):
        prepare_data(asked(prepare), root=tmp_path)


def one_class(folder: Path) -> None:
    """Give all images one label."""
    for prefix, rows in (("train", 60), ("t10k", 30)):
        path = folder / f"{STEMS[prefix, 'labels']}.gz"
        path.unlink()
        path.with_suffix("").write_bytes(idx_bytes(np.ones(rows, np.uint8)))


def one_dimension(folder: Path) -> None:
    """Give images a single side."""
    for prefix, rows in (("train", 60), ("t10k", 30)):
        path = folder / f"{STEMS[prefix, 'images']}.gz"
        path.unlink()
        path.with_suffix("").write_bytes(idx_bytes(toy_images(rows, shape=(20,))))


def missing_file(folder: Path) -> None:
    """Lose the last file that is read."""
    (folder / f"{STEMS['t10k', 'labels']}.gz").unlink()


@pytest.mark.parametrize(
    ("prepare", "damage"),
    [
        (TOY, one_class),
        (TOY, missing_file),
        (replace(TOY, augment=1), one_dimension),
        (replace(TOY, limit=61), None),
        (replace(TOY, limit=2), None),
        (replace(TOY, name="mnist"), None),
        (replace(DIGITS, holdout=1797), None),
    ],
)
def test_a_failing_run_leaves_the_old_data(
    project: Path, prepare: PrepareSettings, damage: object
) -> None:
    """Byte for byte, and no file beside it."""
    prepare_data(asked(TOY), root=project)
    before = content(project)
    if callable(damage):
        damage(project / "toy")
    with pytest.raises(FoldwiseError):
        prepare_data(asked(prepare), root=project)
    assert content(project) == before


def test_a_full_disk_leaves_the_old_data(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the profile's folder refuses, after all arrays are written."""
    info = prepare_data(asked(TOY), root=project)
    before = content(project)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foldwise.files.flush", refuse)
    with pytest.raises(OSError, match="No space left"):
        prepare_data(asked(replace(TOY, augment=1)), root=project)
    assert content(project) == before
    assert load_info(project / "data/prepared") == info


def doubled(project: Path) -> Path:
    """The toy's files with twenty images standing twice, the second time under other classes."""
    images, labels = toy_images(60, seed=60), np.arange(60, dtype=np.uint8) % 3
    for kind, array in {
        "images": np.concatenate([images, images[:20]]),
        "labels": np.concatenate([labels, labels[19::-1]]),
    }.items():
        (project / "toy" / f"{STEMS['train', kind]}.gz").unlink()
        (project / "toy" / STEMS["train", kind]).write_bytes(idx_bytes(array))
    return project


@pytest.mark.parametrize("augment", [0, 2])
def test_equal_images_are_counted_and_stay_in_one_part(project: Path, augment: int) -> None:
    """Also with their shifted copies; and what each split says of it is kept with it."""
    info = prepare_data(asked(replace(TOY, augment=augment)), root=doubled(project))
    assert info == load_info(project / "data" / "prepared")
    assert info.development_duplicates == 20
    assert info.duplicates == (
        "20 development images equal an earlier one: equal images stay in one part."
    )
    assert json.loads((project / PROFILE).read_text())["development_duplicates"] == 20
    split = load("development", project / "data" / "prepared")
    assert split.groups is not None
    (project / "params.yaml").write_text("tune: {folds: 4}")
    plan = Workspace(project).plan(split)
    part_of: dict[bytes, int] = {}
    for row, image in enumerate(split.images):
        part = int(plan.part_of[0, row])
        assert part_of.setdefault(image.tobytes(), part) == part
        assert part == plan.part_of[0, split.origins[row]]
    scored = [plan.scored_rows(part).size for part in plan.parts]
    assert sum(scored) == 80
    assert max(scored) - min(scored) <= 2


def test_data_without_equal_images_keep_their_digest(project: Path) -> None:
    """Versions that were registered before anybody looked stay versions of the same data."""
    info = prepare_data(asked(TOY), root=project)
    assert info.duplicates == "No development image equals another."
    split = load("development", project / "data" / "prepared")
    assert split.groups is None
    facts = SplitFacts("", info.classes, info.image_shape, 0, augmented=False, digest="")
    known = content_digest(facts, split.images, split.labels, origins=None, groups=None)
    assert info.development_digest == known
