"""Every command that a message of ours names as a remedy is typed by a test."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COMMAND = re.compile(r"`((?:(?:dvc|foldwise|git|make|mlflow|rm) |MLFLOW_)[^`]*)`")
_MODULE = re.compile(r"python -m (foldwise[.a-z_]+[a-z])(?![.a-z_])")
_REMEDIES = "tests/e2e/test_remedies.py::test_what_a_message_tells_to_type_mends_what_it_tells_of"
_DOCTOR = "tests/integration/test_doctor.py::test_what_the_doctor_tells_to_type_mends_it"

TYPED = {
    "MLFLOW_TRACKING_URI={} mlflow experiments restore -x {}": "tests/integration/"
    "test_tracking_store.py::test_a_deleted_experiment_is_named_with_a_command_that_brings_it_back",
    "dvc checkout {}": _DOCTOR,
    "dvc --cd comparison repro": "tests/e2e/"
    "test_comparison.py::test_a_killed_model_goes_on_with_the_trials_it_had",
    "dvc exp apply {}": "tests/e2e/"
    "test_remedies.py::test_the_commands_for_the_main_job_never_ask_for_the_comparison",
    "dvc exp run --temp tune -S NAME=VALUE": "tests/e2e/"
    "test_better_model.py::test_the_how_to_works_as_written",
    "dvc exp run --temp tune{}": "tests/e2e/"
    "test_remedies.py::test_a_search_runs_on_the_parts_of_another_by_what_compare_tells",
    "dvc exp show": "tests/e2e/test_better_model.py::test_the_how_to_works_as_written",
    "dvc pull": "tests/e2e/"
    "test_remedies.py::test_the_commands_for_the_main_job_never_ask_for_the_comparison",
    "dvc repro": _REMEDIES,
    "dvc repro && dvc repro --force --single-item evaluate": _REMEDIES,
    "dvc repro -f": "tests/e2e/"
    "test_pipeline.py::test_forced_it_is_a_second_pipeline_run_beside_the_first",
    "dvc repro -f prepare": _REMEDIES,
    "dvc repro -f tune": _REMEDIES,
    "dvc repro prepare": _REMEDIES,
    "dvc repro tune": _REMEDIES,
    "dvc status": "tests/e2e/"
    "test_remedies.py::test_the_commands_for_the_main_job_never_ask_for_the_comparison",
    "foldwise compare workspace {}": "tests/e2e/"
    "test_remedies.py::test_a_search_runs_on_the_parts_of_another_by_what_compare_tells",
    "foldwise history": "tests/e2e/test_tutorial.py::test_the_tutorial_works_as_written",
    "foldwise history{}": "tests/e2e/test_tutorial.py::test_the_tutorial_works_as_written",
    "foldwise init NAME": "tests/e2e/test_own_project.py::"
    "test_a_new_project_is_reproduced_once_and_then_knows_that_nothing_is_stale",
    "foldwise promote": "tests/e2e/test_better_model.py::test_the_how_to_works_as_written",
    "foldwise promote --dry-run": "tests/e2e/test_sections.py::test_the_sections_work_as_written",
    "foldwise promote {} --dry-run": "tests/integration/test_registry_cli.py::test_a_model_s_life",
    "foldwise promote VERSION{}": "tests/e2e/test_tutorial.py::test_the_tutorial_works_as_written",
    "foldwise relocate": "tests/e2e/test_sections.py::test_the_sections_work_as_written",
    "foldwise rollback": "tests/integration/test_registry_cli.py::test_a_model_s_life",
    "foldwise rollback{} --reason WHY": "tests/integration/"
    "test_registry_cli.py::test_the_way_back_of_another_model_names_it",
    "foldwise show": "tests/e2e/test_sections.py::test_the_sections_work_as_written",
    "foldwise show --model {}": "tests/e2e/test_remedies.py::"
    "test_after_an_experiment_of_other_data_the_advice_is_about_its_model",
    "foldwise ui --port {}": "tests/integration/test_tracking_ui.py",
    "foldwise verify": "tests/integration/test_registry_cli.py::test_a_model_s_life",
    "foldwise verify champion{}": "tests/integration/test_registry_cli.py::test_a_model_s_life",
    "foldwise verify {}{}": "tests/integration/"
    "test_registry_cli.py::test_verify_takes_the_challenger_while_there_is_no_champion",
    "git add --all && git commit -m Begin": _DOCTOR,
    "git config --global --add safe.directory {}": "tests/unit/runs/"
    "test_lineage.py::test_a_checkout_that_git_refuses_is_told_with_what_mends_it",
    "git init": _DOCTOR,
    "git restore {}": _REMEDIES,
    "make clean install": "tests/integration/"
    "test_tracking_relocation.py::test_the_sources_of_another_folder_are_said_to_run",
    "make repro": "tests/unit/test_install.py",
    # No older schema can be made here that the command would upgrade: the test reads the line.
    "mlflow db upgrade 'sqlite:///{}'": "tests/integration/"
    "test_tracking_store.py::test_a_database_of_another_mlflow_is_refused",
    "rm {}": _REMEDIES,
}


def named() -> Iterator[str]:
    """Each command between back quotes in a text that isn't a docstring."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text())
        # Docstrings, and the pieces of a formatted text, which is read whole.
        passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                passed |= {id(piece) for piece in node.values}
            if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in passed:
                yield from _COMMAND.findall(_text(node))


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(
        str(piece.value) if isinstance(piece, ast.Constant) else "{}" for piece in pieces
    )


def test_every_command_that_a_message_names_is_typed_by_a_test() -> None:
    """A new remedy needs a test that types it; one that nobody names needs none."""
    assert sorted(set(named())) == sorted(TYPED)


def test_the_tests_that_type_them_are_there() -> None:
    """By their names, which are claims."""
    for place in TYPED.values():
        file, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / file).read_text(), place


def test_every_module_that_is_named_to_be_run_does_something() -> None:
    """Run as a script, a module without an end for that would say nothing, and end well."""
    texts = [ROOT / "README.md", ROOT / "params.yaml", ROOT / "dvc.yaml"]
    texts += [*(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.j2")]
    told = {name for path in texts for name in _MODULE.findall(path.read_text())}
    assert told
    silent = [
        name
        for name in sorted(told)
        if '__name__ == "__main__"' not in _source(name).read_text(encoding="utf-8")
    ]
    assert silent == []


def _source(module: str) -> Path:
    return (ROOT / "src").joinpath(*module.split(".")).with_suffix(".py")
