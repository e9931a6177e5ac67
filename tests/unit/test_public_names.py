"""What `import foldwise` offers: a name that is added or goes is a decision, not an accident."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise

NAMES = {
    "BatchedEngine",
    "Between",
    "DataError",
    "Engine",
    "EstimatorEngine",
    "FilterBank",
    "FoldwiseError",
    "InputError",
    "MemoryBook",
    "Model",
    "NestedSearch",
    "NestedSearchCV",
    "OneOf",
    "Plan",
    "SearchComparison",
    "SearchError",
    "SearchResult",
    "SettingsError",
    "Space",
    "StandardLogistic",
    "StoreError",
    "Trial",
    "archive",
    "compare_searches",
    "log_to_mlflow",
    "outer_estimates",
    "restore",
    "score",
    "write_report",
}


def test_the_public_names_are_these() -> None:
    """Each is there, and none besides."""
    assert set(foldwise._HOME) == NAMES
    for name in NAMES:
        assert getattr(foldwise, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'NestedSerach'"):
        _ = foldwise.NestedSerach


def test_importing_foldwise_imports_nothing_slow() -> None:
    """Names are resolved when they are asked for."""
    code = "import sys, foldwise; print([m for m in ('numpy', 'sklearn') if m in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert told == "[]\n"


def test_a_nested_search_needs_the_public_names_alone() -> None:
    """Any classifier, in memory: what a notebook does."""
    X, y = (array[:150] for array in load_digits(return_X_y=True))
    plan = foldwise.Plan.stratified(y, folds=3, seed=1)
    space = foldwise.Space(
        {"logisticregression__C": foldwise.Between(1e-3, 1.0, is_log=True)}, "tpe", 2, 1, "log_loss"
    )
    engine = foldwise.EstimatorEngine(
        X,
        y,
        range(10),
        plan,
        lambda values: make_pipeline(StandardScaler(), LogisticRegression()).set_params(**values),
    )
    result = [*foldwise.NestedSearch(y, plan, space, 3, engine).run()][-1]
    assert np.mean([fold.scores["accuracy"] for fold in result.outer]) > 0.8
    assert foldwise.outer_estimates(result, confidence=0.95)["accuracy"].mean > 0.8
