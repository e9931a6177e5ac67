"""What README, tutorial and how-tos say to type, section by section, reversed and in their order.

Each section must end well wherever the ones before it left the folder, and no experiment may leave
anything in it: whoever picks what he needs reads in no order.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from tests.e2e.project import REPOSITORY, Project, commit, make_project
from tests.e2e.reproduced import client_of
from tests.e2e.test_tutorial import console_steps
from tests.idx_files import STEMS, idx_bytes, write_idx_folder
from tests.openml_server import FakeOpenml, fake_openml, serve_toy, toy_arff

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

BOOK = ("README.md", "docs/how-to.md")
# What else than 0 a command may end with: refused, no champion before to go back to, no news.
ALLOWED = {
    "foldwise promote": 2,
    "foldwise promote --dry-run": 2,
    'foldwise promote --dry-run; echo "exit status $?"': 2,
    "foldwise rollback": 1,
    "git commit": 1,
}
# It sets a parameter for good, which test_better_model types.
LASTING = "Find a better model"
# Installs, serves until stopped, needs a browser, a GPU, a champion or MNIST itself: elsewhere.
ELSEWHERE = re.compile(
    r"make |foldwise (predict|compare) |export MLFLOW_|mlflow models serve|python3 |\. \.venv"
    r"|foldwise ui|pip install |FOLDWISE_DEVICE="
)

# A section of nothing but these costs most, and meets whatever the others do in reverse order.
EXPERIMENTS = re.compile(r"((dvc exp |git add |export ).*\n?)+")


@dataclass(frozen=True, slots=True)
class Section:
    """A section's heading and what it says to type; empty if it says nothing of the kind."""

    heading: str
    script: str


def sections(document: str, openml: str) -> list[Section]:
    """The sections of a document that say what to type, OpenML's server replaced by one of ours."""
    told = re.split(r"^## ", (REPOSITORY / document).read_text(), flags=re.MULTILINE)[1:]
    found = []
    for text in told:
        commands = [command.partition(" # ")[0].strip() for command, _ in console_steps(text)]
        lines = [_line(command) for command in commands if not ELSEWHERE.match(command)]
        script = "\n".join(lines).replace("http://openml.example", openml)
        found.append(Section(f"{document}: {text.splitlines()[0]}", script))
    return [each for each in found if each.script and LASTING not in each.heading]


def _line(command: str) -> str:
    if command.startswith("dvc exp run ") and "prepare.name=" in command:
        command += " -S prepare.limit=null"  # other data are fewer than MNIST's rows that are taken
        if "openml" in command:
            command += " -S prepare.holdout=60"
    for beginning, status in ALLOWED.items():
        if command == beginning or command.startswith(
            (f"{beginning} --reason", f"{beginning} --q")
        ):
            asked, *then = command.split("; ", 1)
            return "; ".join((f"{asked} || test $? = {status}", *then))
    return command


@pytest.fixture(scope="module")
def openml() -> Iterator[FakeOpenml]:
    """The data that the documents name, small: three hundred rows of nine pixels."""
    with fake_openml() as fake:
        serve_toy(fake, toy_arff(300), name="mnist_784")
        fake.answers = {
            path.replace("data_version/2", "data_version/1"): answer
            for path, answer in fake.answers.items()
        }
        yield fake


@pytest.fixture(
    scope="module",
    params=["small", pytest.param("mnist", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])],
)
def clone(
    request: pytest.FixtureRequest, commands: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A clone with MNIST, or small digits where it lies, reproduced and committed."""
    folder = tmp_path_factory.mktemp("sections") / "clone"
    project = make_project(folder, params={}, commands=commands)
    raw = project.folder / "data" / "raw"
    if request.param == "mnist":
        shutil.copytree(REPOSITORY / "data" / "raw", raw, dirs_exist_ok=True)
        # All of it takes minutes a run, and a section has several.
        _edit(project, "limit: null ", "limit: 3000 ")
    else:
        _put_digits(raw)
        _edit(project, "name: mnist ", "name: small ")
    _edit(project, "folds: 6 ", "folds: 3 ")
    _edit(project, " trials: 12 ", " trials: 3 ")
    commit(project)
    write_idx_folder(project.folder / "data" / "fashion")
    done = project.shell("dvc repro && git add --all . && git commit --quiet -m Results")
    assert done.status == 0, done.errors
    return project


def _put_digits(folder: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    parts = {"train": slice(0, 300), "t10k": slice(300, 420)}
    for (prefix, kind), stem in STEMS.items():
        values = images.reshape(-1, 8, 8) if kind == "images" else labels
        (folder / stem).write_bytes(idx_bytes(values[parts[prefix]].astype(np.uint8)))


def _edit(project: Project, before: str, after: str) -> None:
    path = project.folder / "params.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def check_all(clone: Project, asked: Sequence[Section], openml: FakeOpenml) -> None:
    """Type each section; see that the folder's own parameters and results stay as committed."""
    for section in asked:
        # The environment is the one that runs all tests, of which several run at once.
        assert "pip install" not in section.script, f"{section.heading} installs"
        done = clone.shell(
            section.script, timeout=1800, FOLDWISE_OPENML_SERVER=openml.address, NO_PROXY="*"
        )
        assert done.status == 0, f"{section.heading}: {done.output}{done.errors}"
        assert "Traceback" not in done.errors, f"{section.heading}: {done.errors}"
        changed = clone.shell("git status --porcelain params.yaml reports/tuning.json").output
        assert changed == "", f"{section.heading} left: {changed}"


def check_models(clone: Project) -> None:
    """Every registered model has versions of one kind of data, and of the data that it names."""
    own = yaml.safe_load((clone.folder / "params.yaml").read_text())["prepare"]["name"]
    classes = {own: "10", "digits": "10", "fashion": "3", "mnist_784": "3"}
    client = client_of(clone)
    found = {}
    for model in client.search_registered_models():
        name = model.name.removesuffix("-classifier")
        runs = {
            version.run_id for version in client.search_model_versions(f"name = '{model.name}'")
        }
        found[name] = {client.get_run(str(run)).data.params["data.classes"] for run in runs}
    assert found == {name: {count} for name, count in classes.items()}
    [told, *_] = client.search_model_versions("name = 'fashion-classifier'")
    own = "-S prepare.name=fashion -S prepare.path=data/fashion"
    again = f"dvc exp run --temp (-S prepare.limit=null )?{own}"
    logged = str(told.source).rpartition("/")[2]
    [card] = (clone.folder / "mlruns").glob(f"**/{logged}/artifacts/card.md")
    assert re.search(again, card.read_text())


def once(book: Sequence[Section]) -> list[Section]:
    """The sections without the experiments that an earlier one tells to run, too."""
    found: list[Section] = []
    for section in book:
        known = {line for other in found for line in other.script.splitlines()}
        lines = section.script.splitlines()
        kept = [of for of in lines if of not in known or not of.startswith("dvc exp run ")]
        found.append(replace(section, script="\n".join(kept)))
    return found


def test_the_sections_work_in_reverse(clone: Project, openml: FakeOpenml) -> None:
    """None needs what stands above it, but a first `make repro`."""
    book = [each for name in BOOK for each in sections(name, openml.address)]
    check_all(clone, once(book[::-1]), openml)
    check_models(clone)


def test_the_sections_work_as_written(clone: Project, openml: FakeOpenml) -> None:
    """Those that do more than experiments, which were just seen to leave nothing behind."""
    book = [each for name in BOOK for each in sections(name, openml.address)]
    asked = [each for each in book if not EXPERIMENTS.fullmatch(each.script)]
    assert 0 < len(asked) < len(book)
    check_all(clone, asked, openml)


def test_the_tutorial_s_sections_work_in_reverse(clone: Project, openml: FakeOpenml) -> None:
    """But the first, which chooses the data: that one is the last thing that is tried here."""
    *later, _ = sections("docs/tutorial.md", openml.address)[::-1]
    check_all(clone, later, openml)


def test_a_command_that_ends_badly_is_noticed(clone: Project, openml: FakeOpenml) -> None:
    """In the middle of a section, too."""
    broken = Section("broken", "true\ndvc metrics show --no-such-option\ntrue")
    with pytest.raises(AssertionError, match="broken: "):
        check_all(clone, [broken], openml)
