"""What makes a stage stale: its data, its parameters, the code that makes its numbers, no more."""

import re
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml

REPOSITORY = Path(__file__).parents[3]
PIPELINES = (REPOSITORY / "dvc.yaml", REPOSITORY / "comparison" / "dvc.yaml")
# A stage for each item of a list is one stage here: they differ by a name.
STAGES = {
    name: stage.get("do", stage)
    for path in PIPELINES
    for name, stage in yaml.safe_load(path.read_text())["stages"].items()
}

# The one list: which code makes which stage's numbers.
FEATURES = {"data/columns.py", "data/features.py"}
CODE = {
    "prepare": {"data"},
    # entries: the candidates
    "tune": FEATURES | {"app/entries.py", "data/labels.py", "search", "solver", "stats"},
    "evaluate": FEATURES | {"registry/evidence.py", "solver/linear.py", "stats"},
    "compare": FEATURES | {"app/entries.py", "data/labels.py", "search", "stats"},
    "summary": {"stats"},
}
PARAMETERS = {
    "prepare": {"prepare", "seed"},
    # The confidence is that of the intervals in tuning.json.
    "tune": {"evaluate.confidence", "filters", "seed", "tune", "models"},
    "evaluate": {"evaluate", "filters", "report", "seed", "tune"},
    "compare": {"evaluate", "seed", "tune.folds", "models.${key}"},
    "summary": {"evaluate", "seed", "models"},
}
# What holds no numbers: how they are asked for, written, refused, how many threads compute them.
TOOLS = {
    "foldwise",  # its version
    "foldwise.settings",
    "foldwise.entries",
    "foldwise.rules",
    "foldwise.files",
    "foldwise.errors",
    "foldwise.ownership",
    "foldwise.threads",
}
# What a split is; its content is a dependency by itself.
SHAPES = {"foldwise.data.dataset"}


def code(stage: str) -> set[str]:
    """The sources a stage depends on, below src/foldwise."""
    places = (dep for dep in STAGES[stage]["deps"] if dep.startswith("src/"))
    return {place.removeprefix("src/foldwise/") for place in places}


def parameters(stage: str) -> set[str]:
    """The parameters a stage depends on, whatever file they stand in."""
    found: set[str] = set()
    for entry in STAGES[stage]["params"]:
        found |= {entry} if isinstance(entry, str) else {k for keys in entry.values() for k in keys}
    return found


@cache
def imports() -> grimp.ImportGraph:
    """Who imports whom, imports inside functions too."""
    return grimp.build_graph("foldwise", cache_dir=None)


def modules(place: str) -> set[str]:
    """The modules of a file or a room."""
    name = f"foldwise.{place.removesuffix('.py').replace('/', '.')}"
    return {name} | imports().find_descendants(name)


def test_every_stage_has_its_list() -> None:
    assert CODE.keys() == PARAMETERS.keys() == STAGES.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_makes_its_numbers_and_on_no_other_code(stage: str) -> None:
    """A colour, a word of the card or a rule of promotion makes no search stale."""
    assert code(stage) == CODE[stage]
    assert parameters(stage) == PARAMETERS[stage]
    for place in CODE[stage]:
        assert (REPOSITORY / "src/foldwise" / place).exists()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_document_it_is_made_from(stage: str) -> None:
    """Of the data and of what the stages before it left."""
    data = {dep for dep in STAGES[stage]["deps"] if not dep.startswith("src/")}
    development, holdout = "data/prepared/development", "data/prepared/holdout"
    assert (
        data
        == {
            "prepare": {"${prepare.path}"},
            "tune": {development, f"{holdout}/info.json"},
            "evaluate": {development, holdout, "models/run.json", "models/tuned", "reference.json"},
            "compare": {f"../{development}", f"../{holdout}"},
            "summary": {f"../{holdout}", "models"},
        }[stage]
    )


@pytest.mark.parametrize("folder", ["", "src/foldwise/app/project/"])
def test_what_dvc_reads_by_name_is_what_the_head_of_the_parameters_says(folder: str) -> None:
    """All else may be left out; a section that is asked for whole may be empty."""
    ending = ".j2" if folder else ""
    text = (REPOSITORY / f"{folder}dvc.yaml{ending}").read_text()
    read = {*re.findall(r"\$\{([\w.]+)\}", text)}
    for block in re.findall(r"    params:\n((?:      .*\n)+)", text):
        read |= {*re.findall(r"^      - ([\w.]+)$", block, re.MULTILINE)}
    head, _, _ = (REPOSITORY / f"{folder}params.yaml{ending}").read_text().partition("\n\n")
    told = head.replace("\n#", "").partition("by name:")[2].partition("sections")[0]
    named = {word.strip('.,{}"') for word in told.split()}
    assert {key for key in read if "." in key or key == "seed"} <= named
    sections = {key for key in read if "." not in key} - {"seed", "models"}
    whole = {key for key in sections if not any(of.startswith(f"{key}.") for of in read)}
    assert whole <= named


def test_the_search_s_numbers_come_from_its_list_alone() -> None:
    """What a listed room imports is listed too, or holds no numbers."""
    listed = set().union(*map(modules, CODE["tune"]))
    imported = set().union(*(imports().find_modules_directly_imported_by(name) for name in listed))
    assert imported - listed - TOOLS == SHAPES


def test_an_entry_s_numbers_come_from_its_list_alone() -> None:
    """The batched solver is in the rooms, but no entry runs it."""
    listed = set().union(*map(modules, CODE["compare"] | CODE["tune"]))
    imported = set().union(*(imports().find_modules_directly_imported_by(name) for name in listed))
    assert imported - listed - TOOLS == SHAPES


def test_every_output_survives_a_stage_that_fails() -> None:
    """Without `persist`, DVC deletes the last good results before a stage runs."""
    for name, stage in STAGES.items():
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind, ()):
                assert isinstance(entry, dict), f"{name}: {entry} isn't persistent"
                ((place, options),) = entry.items()
                assert options.get("persist") is True, f"{name}: {place} isn't persistent"


def test_every_stage_that_is_stale_runs() -> None:
    """All outputs cached, a hit in DVC's run cache would skip the command: nothing is recorded."""
    for name, stage in STAGES.items():
        entries = [e for kind in ("outs", "metrics", "plots") for e in stage.get(kind, ())]
        assert any(o.get("cache") is False for e in entries for o in e.values()), name
