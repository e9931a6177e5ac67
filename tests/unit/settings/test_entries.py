"""comparison/params.yaml: read, checked, or refused in one line that names the key."""

from dataclasses import replace
from pathlib import Path

import pytest

from foldwise.entries import load_entries
from foldwise.errors import SettingsError
from foldwise.settings import Between, OneOf
from tests.unit.app.entry_cases import make_entry, shipped_entries


def _load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    load_entries(path)


def test_the_reports_four_models_are_entries() -> None:
    """In the order in which tables list them."""
    assert list(shipped_entries()) == [
        "logistic_regression",
        "filters",
        "svm",
        "knn",
        "decision_tree",
    ]


def test_an_entry_is_an_estimator_and_a_space(tmp_path: Path) -> None:
    """All the rest has defaults; whole numbers stay whole, ranges of numbers become floats."""
    path = tmp_path / "params.yaml"
    path.write_text(
        "models:\n"
        "  forest:\n"
        "    estimator: sklearn.ensemble.RandomForestClassifier\n"
        "    space:\n"
        "      max_depth: {integer: [2, 9]}\n"
        "      min_samples_leaf: {log_integer: [1, 50]}\n"
        "      ccp_alpha: {log: [0.001, 1]}\n"
        "      max_features: {choice: [sqrt, 0.5, null]}\n"
    )
    entry = load_entries(path)["forest"]
    assert entry.title == "forest"
    assert entry.metric == "accuracy"
    assert entry.space == {
        "max_depth": Between(2, 9, is_log=False),
        "min_samples_leaf": Between(1, 50, is_log=True),
        "ccp_alpha": Between(0.001, 1.0, is_log=True),
        "max_features": OneOf(("sqrt", 0.5, None)),
    }
    assert repr(entry.space["ccp_alpha"]) == "Between(low=0.001, high=1.0, is_log=True)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {}", "models"),
        ("models: {a: {estimator: x.Y}}\nseed: 1", "models"),
        ("- 1", "got a list"),
        ("models: {'../a': {estimator: x.Y}}", "models must be called"),
        ("models: {a: 3}", "models.a must be a mapping of parameters, got 3"),
        ("models: {a: {estimator: tree, space: {c: {log: [1, 2]}}}}", "models.a.estimator"),
        (
            "models: {a: {estimator: x.Y, filters: {grid: 16}, space: {c: {log: [1, 2]}}}}",
            "models.a.filters must make at most 4,096 features, got 16,384: lower",
        ),
        ("models: {a: {estimator: x.Y}}", "models.a.space"),
        ("models: {a: {estimator: x.Y, space: {}}}", "models.a.space"),
        ("models: {a: {estimator: x.Y, rows: 1, space: {c: {log: [1, 2]}}}}", "models.a.rows"),
        ("models: {a: {estimator: x.Y, row: 9, space: {c: {log: [1, 2]}}}}", "mean models.a.rows"),
        ("models: {a: {estimator: x.Y, fixed: [1], space: {c: {log: [1, 2]}}}}", "models.a.fixed"),
        ("models: {a: {estimator: x.Y, fixed: {b: [1]}, space: {c: {log: [1, 2]}}}}", "a.fixed"),
        ("models: {a: {estimator: x.Y, fixed: {c: 1}, space: {c: {log: [1, 2]}}}}", "got c in"),
        ("models: {a: {estimator: x.Y, space: {c: [1, 2]}}}", "models.a.space.c"),
        ("models: {a: {estimator: x.Y, space: {c: {between: [1, 2]}}}}", "models.a.space.c"),
        ("models: {a: {estimator: x.Y, space: {c: {log: [1, 2], choice: [1]}}}}", "space.c"),
        ("models: {a: {estimator: x.Y, space: {c: {log: [0, 2]}}}}", "models.a.space.c.log"),
        ("models: {a: {estimator: x.Y, space: {c: {log: [1.0e-320, 2]}}}}", "300 powers of ten"),
        ("models: {a: {estimator: x.Y, space: {c: {linear: [2, 1]}}}}", "space.c.linear"),
        (
            "models: {a: {estimator: x.Y, space: {c: {linear: [1.0, 1.0000000000000002]}}}}",
            "apart by a millionth",
        ),
        (
            "models: {a: {estimator: x.Y, space: {c: {log: [0.1, 0.10000000000000002]}}}}",
            "apart by a millionth",
        ),
        ("models: {a: {estimator: x.Y, space: {c: {linear: [1, .nan]}}}}", "space.c.linear"),
        ("models: {a: {estimator: x.Y, space: {c: {linear: [1, .inf]}}}}", "space.c.linear"),
        ("models: {a: {estimator: x.Y, space: {c: {integer: [1, 2.5]}}}}", "space.c.integer"),
        ("models: {a: {estimator: x.Y, space: {c: {integer: [true, 2]}}}}", "space.c.integer"),
        ("models: {a: {estimator: x.Y, space: {c: {log_integer: [0, 2]}}}}", "c.log_integer"),
        ("models: {a: {estimator: x.Y, space: {c: {choice: []}}}}", "space.c.choice"),
        ("models: {a: {estimator: x.Y, space: {c: {choice: [1, 1]}}}}", "space.c.choice"),
        ("models: {a: {estimator: x.Y, space: {c: {choice: [[1]]}}}}", "space.c.choice"),
    ],
)
def test_what_is_no_entry_is_refused_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    """Before any work, naming the file to edit."""
    with pytest.raises(SettingsError) as refused:
        _load(tmp_path, text)
    assert said in str(refused.value)
    assert str(tmp_path / "params.yaml") in str(refused.value)


def test_a_title_changes_no_digest_and_everything_else_does() -> None:
    """Renaming must not throw trials away; any other change must."""
    entry = make_entry()
    assert replace(entry, title="Baum").digest == entry.digest
    others = [
        replace(entry, name="other"),
        replace(entry, fixed={"min_samples_leaf": 2}),
        replace(entry, space={"max_depth": Between(1, 10, is_log=False)}),
        replace(entry, space={"max_depth": Between(1, 9, is_log=True)}),
        replace(entry, rows=241),
        replace(entry, pixels="raw"),
    ]
    assert len({entry.digest, *(other.digest for other in others)}) == 1 + len(others)
