"""DVC follows no imports: what a stage's code may touch must stand among its dependencies."""

import ast
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


@cache
def imports() -> grimp.ImportGraph:
    """Who imports whom, imports inside functions too."""
    return grimp.build_graph("foldwise", cache_dir=None)


def source(module: str) -> str:
    """A module's file, from the repository's root."""
    path = REPOSITORY / "src" / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.relative_to(REPOSITORY).as_posix()


def closure(stage: str) -> set[str]:
    """Files of all modules that a stage's command can come to import."""
    module = STAGES[stage]["cmd"].split()[2]  # python -m MODULE
    modules = {module} | imports().find_upstream_modules(module)
    packages = {name.rpartition(".")[0] for name in modules}
    return {source(name) for name in modules | packages - {""}}


def is_inert(file: str) -> bool:
    """Whether a module holds nothing but its docstring and the package's version."""
    rest = ast.parse((REPOSITORY / file).read_text()).body[1:]
    return all(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        for node in rest
    )


def covered(file: str, stage: str) -> bool:
    """Whether a file is a dependency of a stage or lies below one."""
    places = {file, *(parent.as_posix() for parent in Path(file).parents)}
    return bool(places & set(STAGES[stage]["deps"]))


@pytest.mark.parametrize("stage", STAGES)
def test_all_code_a_stage_imports_is_among_its_dependencies(stage: str) -> None:
    """Else an edit would leave stale results without a word."""
    missing = {f for f in closure(stage) if not covered(f, stage) and not is_inert(f)}
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_code_it_does_not_import(stage: str) -> None:
    """Else an edit would run an hour's work again for nothing."""
    code = [place for place in STAGES[stage]["deps"] if place.startswith("src/")]
    used = closure(stage)
    assert [p for p in code if not any(f == p or f.startswith(f"{p}/") for f in used)] == []


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
