"""Models that keep the rows they were trained on are known, wherever the rows lie."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from foldwise.errors import StoreError
from foldwise.registry.stored_model import require_servable
from foldwise.search.engines.estimator import FittedEstimator

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    "keeping",
    [
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), KNeighborsClassifier(algorithm="kd_tree")),
        CalibratedClassifierCV(SVC(), cv=2),
        GaussianProcessClassifier(),
    ],
    ids=lambda of: type(of).__name__,
)
def test_a_model_that_keeps_rows_is_registered_only_if_it_may(keeping: object) -> None:
    """Neighbours, support vectors and kernels are rows of the data."""
    model = FittedEstimator(keeping.fit(X, Y))  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match=r"unless report\.rows is true"):
        require_servable(model, (0, 1), X[:1], may_keep_rows=False)


@pytest.mark.parametrize(
    "free", [LogisticRegression(), RandomForestClassifier(3)], ids=lambda of: type(of).__name__
)
def test_a_model_that_keeps_none_is_registered(free: object) -> None:
    model = FittedEstimator(free.fit(X, Y))  # type: ignore[attr-defined]
    require_servable(model, (0, 1), X[:1], may_keep_rows=False)
