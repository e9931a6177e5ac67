"""params.yaml becomes Settings, or one line that says what to mend."""

import json
import re
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter

from foldwise.app.workspace import search_space
from foldwise.data.sources import READERS
from foldwise.entries import candidates, of_search
from foldwise.errors import SettingsError
from foldwise.settings import (
    SOURCES,
    FilterSettings,
    Metric,
    PrepareSettings,
    Settings,
    Source,
    TuneSettings,
    flattened,
    in_use,
    load_settings,
    parameter_digests,
    parameters_digest,
)
from foldwise.stats.scores import METRICS

PROJECT = Path(__file__).parents[3]


def written(tmp_path: Path, text: str) -> Path:
    """Write a params.yaml and give its path."""
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def line(tmp_path: Path, text: str) -> str:
    """Say what is wrong with a params.yaml."""
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, text))
    return str(caught.value)


def test_the_shipped_file_states_the_defaults() -> None:
    """Whoever leaves a key out of params.yaml gets the value that stood there."""
    assert load_settings(PROJECT / "params.yaml") == Settings()


def test_the_shipped_file_states_every_parameter() -> None:
    """DVC follows only keys that the file has."""
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    assert all(f"{key.split('.')[-1]}:" in text for key in flattened(Settings()))


def test_a_key_left_out_takes_its_default(tmp_path: Path) -> None:
    """One key given changes that one only."""
    settings = load_settings(written(tmp_path, "tune: {folds: 5}"))
    assert settings == replace(Settings(), tune=TuneSettings(folds=5))


@pytest.mark.parametrize("form", ["1e-4", "1.0e-4", "0.0001", "1E-04"])
def test_numbers_with_an_exponent_are_numbers(tmp_path: Path, form: str) -> None:
    """YAML 1.1 takes 1e-4 for text; we read YAML 1.2, as DVC does."""
    assert load_settings(written(tmp_path, f"tune: {{tol: {form}}}")).tune.tol == 1e-4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tune: {folds: 2}", "tune.folds must be an integer from 3 to 100, got 2: edit"),
        (
            "prepare: {holdout: 1.5}",
            (
                "prepare.holdout must be an integer from 1 to 1,000,000,000, a number between 0 and"
                " 1, {column: NAME}, {date: NAME, from: '2024-01-31'}, {file: PATH}, none, or null,"
                " got 1.5: edit"
            ),
        ),
        (
            "prepare: {holdout: {date: day, from: 2024-01-31}}",  # DVC reads no YAML dates
            "prepare.holdout.from must be a date in quotes, as '2024-01-31', got 2024-01-31: edit",
        ),
        ("prepare: {target: 3}", "prepare.target must be a column's name, as text, or null, got 3"),
        ("prepare: {drop: id}", "prepare.drop must be a list of columns' names, as text, got 'id'"),
        (
            "prepare: {columns: {id: text}}",
            "prepare.columns must be a mapping of columns' names to number, category or drop, got",
        ),
        ("tune: {folds: true}", "tune.folds must be an integer from 3 to 100, got true: edit"),
        ("tune: {folds: 6.0}", "tune.folds must be an integer from 3 to 100, got 6.0: edit"),
        ("tune: {tol: '1e-4'}", "tune.tol must be a number between 0 and 1 (both excluded), got"),
        ("tune: {c_low: .nan}", "tune.c_low must be a number from 1e-10 to 1e+10, got nan: edit"),
        (
            "tune: {c_low: 10}",
            "tune.c_low must be below tune.c_high, by a millionth at least, got 10 and 10: edit",
        ),
        (
            "tune: {c_low: 0.1, c_high: 0.10000000000000002}",
            "tune.c_low must be below tune.c_high, by a millionth at least, got 0.1 and 0.1: edit",
        ),
        ("tune: {metric: auc}", "got 'auc': edit"),
        ("tune: {multiclass: auto}", "tune.multiclass must be multinomial or ovr, got 'auto'"),
        ("evaluate: {confidence: 1}", "evaluate.confidence must be a number between 0 and 1"),
        ("promotion: {alpha: 0}", "promotion.alpha must be a number between 0 and 1"),
        ("seed: -1", "seed must be an integer from 0 to 4,294,967,295, got -1: edit"),
        ("seed: null", "seed must be an integer from 0 to 4,294,967,295, got null: edit"),
        ("prepare: {name: 7}", "prepare.name must be text of letters, digits"),
        ("prepare: {name: ..}", "prepare.name must be text of letters, digits"),
        ("prepare: {name: a/b}", "prepare.name must be text of letters, digits"),
        ("prepare: {name: -rf}", "prepare.name must be text of letters, digits"),
        ("prepare: {path: ../raw}", "make a symbolic link inside the project), got '../raw'"),
        ("prepare: {augment: 25}", "prepare.augment must be an integer from 0 to 24, got 25"),
        ("prepare: {limit: 11}", "prepare.limit must be at least 12, two classes in each of 6"),
        ("tune: {features: waves}", "tune.features must be pixels or filters, got 'waves': edit"),
        ("filters: {size: 1}", "filters.size must be an integer from 2 to 31, got 1: edit"),
        ("filters: {power: 0.3}", "filters.power must be 0.25, 0.5 or 1, got 0.3: edit"),
        (
            "filters: {frequencies: []}",
            "must be a list of 1 to 8 numbers from 0.001 to 0.5, got an empty list: edit",
        ),
        ("filters: {frequencies: [0.1, 0.6]}", "from 0.001 to 0.5, got 0.6: edit"),
        ("filters: {grid: 16}", "filters must make at most 4,096 features, got 16,384: lower"),
        ("tune: {fold: 5}", "got tune.fold (did you mean tune.folds?): remove or rename it in"),
        ("sede: 5", "got sede (did you mean seed?): remove or rename it in"),
        ("tune: {? [folds] : 5}", "got a tuple: remove or rename it in"),
        ("7: 5", "got 7: remove or rename it in"),
        ("tune:", "tune must be a mapping of parameters, got null: edit"),
        ("tune: [5]", "tune must be a mapping of parameters, got a list: edit"),
        ("", "must be a mapping of parameters, got null: edit"),
        ("5", "must be a mapping of parameters, got 5: edit"),
        ("seed: 1\nseed: 2", "must be valid YAML"),
        ("seed: !!python/object/apply:os.getcwd []", "must be valid YAML"),
        ("a: &a [*a]", "got a: remove"),
        ("seed: &a [*a, *a]", "seed must be an integer from 0 to 4,294,967,295, got a list"),
        pytest.param("[" * 5000, "must be valid YAML", id="deep"),
        pytest.param("seed: " + "9" * 9999, "must be valid YAML", id="long integer"),
        pytest.param("seed: 0x" + "f" * 9999, "got an integer of 39996 bits", id="huge integer"),
        ("seed: 1\n--- \nseed: 2", "must be valid YAML"),
        pytest.param("#" * 1_000_001, "must be smaller than a megabyte", id="long"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    """Full key, rule, value and remedy."""
    message = line(tmp_path, text)
    assert said in message
    assert "\n" not in message
    assert "params.yaml" in message


def test_another_project_s_parameters_are_not_read(tmp_path: Path) -> None:
    """A folder of DVC's may be anybody's; that of ours has our stages, or none yet."""
    path, pipeline = tmp_path / "params.yaml", tmp_path / "dvc.yaml"
    path.write_text("lr: 0.1\n")
    pipeline.write_text("stages:\n  train:\n    cmd: ./train.sh\n")
    with pytest.raises(SettingsError, match=r"foldwise project's, and dvc\.yaml beside it"):
        load_settings(path)
    path.write_text("seed: 7\n")
    for ours in ("", "stages: {}\n", "stages:\n  tune:\n    cmd: python -m foldwise.app.tune\n"):
        pipeline.write_text(ours)
        assert load_settings(path).seed == 7


def test_aliases_that_would_explode_are_refused_by_name(tmp_path: Path) -> None:
    """Nine levels of nine aliases each are never walked."""
    levels = [f"a{n}: &a{n} [{', '.join(f'*a{n - 1}' for _ in range(9))}]" for n in range(1, 9)]
    assert "got a0: remove" in line(tmp_path, "\n".join(["a0: &a0 [x, x]", *levels]))


def test_a_file_that_can_not_be_read_is_one_line(tmp_path: Path) -> None:
    """A missing file, a folder, and bytes that are no UTF-8."""
    with pytest.raises(SettingsError, match="must be a readable file, got 'No such file"):
        load_settings(tmp_path / "params.yaml")
    with pytest.raises(SettingsError, match="must be a readable file, got 'Is a directory"):
        load_settings(tmp_path)
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff")
    with pytest.raises(SettingsError, match="must be valid YAML"):
        load_settings(tmp_path / "params.yaml")


def test_the_digest_depends_on_values_and_not_on_their_spelling(tmp_path: Path) -> None:
    """Order, defaults written out and 10 for 10.0 change nothing."""
    given = written(tmp_path, "tune: {c_high: 10, folds: 6}\nseed: 1")
    assert parameters_digest(load_settings(given)) == parameters_digest(Settings())
    assert len(parameters_digest(Settings())) == 64


OTHERS = {
    "source": "digits",
    "name": "other",
    "path": "other",
    "metric": "f1",
    "multiclass": "ovr",
    "search": "random_uniform",
    "limit": 99,
    "holdout": 99,
    "startup_trials": 99,
    "features": "pixels",
    "frequencies": (0.1,),
    "power": 0.5,
    "target": "other",
    "group": "other",
    "drop": ("other",),
    "columns": {"other": "drop"},
    "candidates": ("svm",),
    "rows": True,
}
FILTERS = replace(
    Settings(),
    prepare=PrepareSettings(source="table", target="y"),
    tune=TuneSettings(features="filters"),
)


def test_every_parameter_enters_the_digest() -> None:
    """A changed parameter is another digest, section by section."""
    base = FILTERS
    digests = {parameters_digest(base), parameters_digest(replace(base, seed=2))}
    count = 2
    for section in (field for field in fields(base) if field.name != "seed"):
        values = getattr(base, section.name)
        for field in fields(values):
            now = getattr(values, field.name)
            other = (
                OTHERS[field.name]
                if field.name in OTHERS
                else now / 2
                if isinstance(now, float)
                else now + 1
            )
            changed = replace(values, **{field.name: other})
            digests.add(parameters_digest(replace(base, **{section.name: changed})))
            count += 1
    assert len(digests) == count


BEFORE_THE_FLOOR = "198fed3a8c892f76446a02e323c14e4a5bf15b9c3d7074e0c12f600b0f533388"
"""The digest of the defaults by foldwise 0.1, as registered versions bear it."""


@pytest.mark.parametrize("floor", [TuneSettings().scale_floor, 0.0])
def test_the_digest_of_before_a_parameter_was_added_is_known(floor: float) -> None:
    """Whatever it is now: what was made without it can't have depended on it."""
    tune = TuneSettings(scale_floor=floor, search="tpe", startup_trials=5)  # as they were
    settings = Settings(tune=tune)
    now, *before = parameter_digests(settings)
    assert now == parameters_digest(settings)
    assert before[-1] == BEFORE_THE_FLOOR
    assert BEFORE_THE_FLOOR not in parameter_digests(replace(settings, seed=2))


def test_without_filters_their_parameters_are_nobody_s_business() -> None:
    """A digest or key of pixels is the one from before there were filters."""
    other = replace(Settings(), filters=FilterSettings(size=5))
    assert parameters_digest(other) == parameters_digest(Settings())
    assert of_search(other) == of_search(Settings())
    told = asdict(TuneSettings())
    del told["features"], told["candidates"]
    assert of_search(Settings()) == told


def test_with_filters_each_of_their_numbers_is_another_search() -> None:
    """What makes the features makes the search."""
    other = replace(FILTERS, filters=FilterSettings(size=5))
    assert len({str(of_search(each)) for each in (Settings(), FILTERS, other)}) == 3
    assert parameters_digest(other) != parameters_digest(FILTERS)


def test_what_makes_a_search_another_is_the_tune_section() -> None:
    """The data have a digest of their own."""
    base = Settings()
    other = replace(base, prepare=PrepareSettings(augment=3))
    assert of_search(base) == of_search(other)
    deeper = replace(base, tune=TuneSettings(trials=3))
    assert of_search(base) != of_search(deeper)


def test_each_default_obeys_its_own_rule() -> None:
    """The schema can't contradict itself."""
    assert load_settings(PROJECT / "params.yaml") == TypeAdapter(Settings).validate_python(
        asdict(Settings())
    )


def test_every_metric_that_can_be_chosen_is_scored() -> None:
    """The settings, below the model, repeat the names that the scores define."""
    assert get_args(Metric) == METRICS


def test_of_every_source_it_is_said_what_it_reads_and_who_reads_it() -> None:
    """Parameters that there are; a table is read elsewhere."""
    assert get_args(Source) == tuple(SOURCES)
    assert {*READERS, "table"} == {*SOURCES}
    known = {field.name for field in fields(PrepareSettings)}
    assert all({*reads.parameters} <= known for reads in SOURCES.values())


def test_the_comment_beside_a_choice_has_every_word_of_it() -> None:
    """Value and comment of each in params.yaml."""
    sections = (PROJECT / "params.yaml").read_text(encoding="utf-8").split("\n\n")
    listed = 0
    for section in fields(Settings):
        choices = fields(section.type) if is_dataclass(section.type) else ()
        lines = next((of for of in sections if of.startswith(f"{section.name}:")), "")
        for field in choices:
            words = get_args(field.type) if get_origin(field.type) is Literal else ()
            line = re.search(rf"^  {field.name}:(.*)", lines, re.MULTILINE)
            if words:
                assert line
                assert [word for word in words if not re.search(rf"\b{word}\b", line[1])] == []
                listed += 1
    assert listed >= 5


@pytest.mark.parametrize(
    "holdout",
    [
        *(0.2, 50, "none", None, {"column": "split"}, {"file": "data/late.csv"}),
        {"date": "day", "from": "2024-01-31"},
    ],
)
def test_a_holdout_may_be_a_number_a_split_or_none(tmp_path: Path, holdout: object) -> None:
    """It is taken as it is given."""
    text = f"prepare: {{holdout: {json.dumps(holdout)}}}"
    assert load_settings(written(tmp_path, text)).prepare.holdout == holdout


def test_what_says_nothing_of_images_is_in_no_digest_of_theirs() -> None:
    """Of a table it is."""
    images = PrepareSettings(target="ill", columns={"age": "number"})
    table = replace(images, source="table")
    assert parameters_digest(Settings(prepare=images)) == parameters_digest(Settings())
    assert parameters_digest(Settings(prepare=table)) != parameters_digest(
        Settings(prepare=PrepareSettings(source="table"))
    )


def test_without_candidates_no_search_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are their lack, or what an entry says of its own tuning, in a key or a digest."""
    monkeypatch.chdir(PROJECT)
    alone = Settings()
    assert "candidates" not in of_search(alone)
    assert "tune.candidates" not in in_use(alone)
    chosen = replace(alone, tune=replace(alone.tune, candidates=("svm", "knn")))
    assert (
        of_search(chosen)["candidates"]
        != of_search(replace(alone, tune=replace(alone.tune, candidates=("knn", "svm"))))[
            "candidates"
        ]
    )
    assert parameters_digest(chosen) != parameters_digest(alone)
    assert [entry.name for entry in candidates(chosen)] == ["svm", "knn"]
    assert set(search_space(chosen).kinds) == {"logistic", "svm", "knn"}
    assert search_space(alone).kinds == ()


def test_what_is_read_of_a_candidate_makes_a_search_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the comparison alone reads does not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comparison").mkdir()
    settings = Settings(tune=TuneSettings(candidates=("tree",)))

    def told(more: str) -> object:
        (tmp_path / "comparison" / "params.yaml").write_text(
            "models: {tree: {estimator: sklearn.tree.DecisionTreeClassifier,"
            f" space: {{max_depth: {{integer: [1, 9]}}}}, {more}}}}}"
        )
        return of_search(settings)["candidates"]

    assert told("rows: 10") == told("trials: 3") == told("metric: log_loss") == told("title: T")
    assert told("pixels: raw") != told("rows: 10") != told("fixed: {criterion: gini}")


def test_a_candidate_that_is_no_entry_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    settings = Settings(tune=TuneSettings(candidates=("svn",)))
    with pytest.raises(SettingsError, match=r"must name entries of .*, got 'svn': edit params"):
        candidates(settings)


@pytest.mark.parametrize("names", ["[svm, svm]", "[logistic]", "svm", "[1]"])
def test_candidates_are_different_names(tmp_path: Path, names: str) -> None:
    """Nor is one called as the model that `tune` itself describes."""
    file = tmp_path / "params.yaml"
    file.write_text(f"tune: {{candidates: {names}}}")
    with pytest.raises(SettingsError, match=r"tune.candidates must be a list of names .*: edit"):
        load_settings(file)


@pytest.mark.parametrize(
    "prepare",
    [
        "{path: data/fashion, name: fashion}",
        "{source: openml, name: iris, version: 2, holdout: 50}",
        "{source: digits, name: anything, holdout: 50}",
        "{source: digits, name: digits, path: data/raw, version: 1}",
    ],
)
def test_a_parameter_is_free_where_its_source_reads_it(tmp_path: Path, prepare: str) -> None:
    """And may state its default where it doesn't, as the shipped file does."""
    load_settings(written(tmp_path, f"prepare: {prepare}"))
