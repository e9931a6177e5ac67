"""The default estimator: impute, encode, scale and L2 logistic regression, on the batched solver.

:class:`StandardLogistic` is scikit-learn's pipeline of SimpleImputer and StandardScaler for numbers
and OneHotEncoder for categories before a LogisticRegression, without a copy of the data: what is
missing stands for zero after centring, which is algebra on the coefficients.
"""

import warnings
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from foldwise.data.columns import Columns, as_pandas
from foldwise.data.labels import require_one_spelling, sight
from foldwise.errors import InputError
from foldwise.solver.fits import FitRequest, SolverOptions, arranged, solve
from foldwise.solver.layout import ClassWeight, Layout
from foldwise.solver.linear import LinearModel, decision_scores, probabilities
from foldwise.threads import one_blas_thread


@dataclass(eq=False, repr=False)
class StandardLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # has no types
    """L2-regularised logistic regression on standardised numbers and one-hot categories.

    Minimised over coefficients W of the encoded columns and intercepts b is

        (1/n) sum_i s_i loss(x_i, y_i) + ||W||^2 / (2 C n),        n = sum_i s_i,

    as by scikit-learn's LogisticRegression, with its stopping rule. Numbers are standardised by the
    training rows; one that is missing stands for their mean. Columns of a data frame that have the
    type "category" become a column of 0 and 1 for each of their values, not scaled; a value that no
    training row has is ignored. Text, dates and infinities are refused.

    Parameters
    ----------
    C : float
        Inverse regularisation strength.
    class_weight : "balanced", dict or None
        How much each class's rows count, as scikit-learn has it.
    indicators : bool
        Whether a column that says where a number is missing is added for each that has gaps.
    scale_floor : float
        Share of its range, in the training rows, that a number is divided by at least: 0 divides by
        the deviation alone, as scikit-learn does. Where a column is hardly ever another value than
        its commonest, one such value is worth the square root of the rows' number without.

    Attributes
    ----------
    classes_ : array (classes,)
    coef_ : float64 array (classes, or 1 for two; encoded columns)
        Of the encoded and standardised columns, whose names are in ``encoded_names_``.
    intercept_ : float64 array (classes, or 1 for two)
    n_iter_ : int
    n_features_in_, feature_names_in_
        Of the columns given.

    Examples
    --------
    >>> import numpy as np
    >>> from foldwise import StandardLogistic
    >>> X = np.array([[1.0], [2.0], [np.nan], [8.0], [9.0], [7.0]])
    >>> model = StandardLogistic(C=1.0).fit(X, ["low", "low", "low", "high", "high", "high"])
    >>> model.predict([[1.5], [8.5]]).tolist()
    ['low', 'high']
    """

    C: float = 1.0
    _: KW_ONLY
    class_weight: Any = None
    indicators: bool = False
    scale_floor: float = 0.0

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to rows X (rows, columns) with classes y (rows,).

        ``sample_weight`` (rows,) says how often each row counts.
        """
        strength: Any = self.C
        if not (isinstance(strength, int | float | np.number) and strength > 0):
            raise InputError(f"C must be a number above 0, got {strength!r}: raise it")
        rows = Rows.of(self, (X, y, sample_weight), indicators=self.indicators)
        layout, settings = rows.arranged(self, [np.arange(len(rows.labels))])
        with one_blas_thread():
            [fit] = solve(layout, [FitRequest(frozenset(), self.C)], settings)
        self.n_iter_ = fit.outcome.iterations
        return self.take(rows, fit.model)

    def take(self, rows: "Rows", model: LinearModel) -> Self:
        """Be the model that was fitted to such rows."""
        self.classes_ = rows.classes
        self.columns_ = rows.columns
        self.encoded_names_ = np.array(rows.columns.encoded_names, dtype=object)
        self.coef_, self.intercept_ = model.coefficients, model.intercepts
        self._model = model
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Linear scores (rows, classes), or (rows,) of the second class for two."""
        scores = decision_scores(self._fitted(), self._encoded(X))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities (rows, classes)."""
        return probabilities(self._fitted(), self._encoded(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable class of each row (rows,)."""
        scores = self.decision_function(X)
        codes = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[codes.astype(np.int64)])

    def _fitted(self) -> LinearModel:
        check_is_fitted(self)
        return self._model

    def _encoded(self, X: Any) -> NDArray[np.floating]:
        return self.columns_.encoded(checked_table(self, X, reset=False))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a StandardLogistic is fitted to: encoded rows (rows, columns), class codes (rows,)."""

    columns: Columns
    encoded: NDArray[np.floating]
    labels: NDArray[np.int64]
    classes: NDArray[Any]
    weights: NDArray[np.float64] | None

    @classmethod
    def of(cls, estimator: Any, given: tuple[Any, Any, Any], *, indicators: bool) -> Self:
        """Check and encode what ``estimator.fit`` was given: X, y and sample_weight."""
        X, y, sample_weight = given
        X = checked_table(estimator, X, reset=True)
        labels, classes = class_codes(estimator, y, rows=_num_samples(X))
        weights = checked_weights(sample_weight, X)
        columns = Columns.of(X, indicators=indicators)
        encoded = columns.encoded(X)
        for name in columns.empty(encoded):
            words = f"column {name!r} has no value in any row, it tells nothing: leave it out"
            warnings.warn(words, UserWarning, stacklevel=2)
        return cls(columns, encoded, labels, classes, weights)

    def arranged(
        self, logistic: Any, parts: list[NDArray[np.int64]], *, threads: int = 1
    ) -> tuple[Layout, SolverOptions]:
        """The rows arranged by ``parts``, for fits as ``logistic`` says, and their options."""
        told = ("tol", "max_iter", "scale_floor")
        limits = {name: getattr(logistic, name) for name in told if hasattr(logistic, name)}
        settings = SolverOptions(threads=threads, **limits)
        if not 0 <= settings.scale_floor <= 1:
            raise InputError(
                "scale_floor must be a share of a column's range, from 0 to 1, got"
                f" {settings.scale_floor!r}: give 0 for none"
            )
        return arranged(
            self.encoded, self.labels, parts, settings, classes=len(self.classes),
            is_scaled=self.columns.is_scaled, weights=self.weights,
            class_weight=self._class_weight(logistic.class_weight),
        )  # fmt: skip

    def _class_weight(self, given: Any) -> ClassWeight:
        if given is None or given == "balanced":
            return given  # type: ignore[no-any-return]
        if unknown := set(given) - set(self.classes.tolist()):
            raise InputError(
                f"class_weight must name classes of y, got {min(map(str, unknown))}: "
                f"name some of {', '.join(map(str, self.classes))}"
            )
        weights = np.array([float(given.get(of, 1.0)) for of in self.classes.tolist()])
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any()):
            raise InputError(
                f"class_weight must be numbers from 0 on, one of them above it, got {given}: 1 is a"
                " class whose rows count once"
            )
        return weights


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X as a data frame, or an array (rows, columns) of any finite or missing numbers.

    Names and number of columns are checked against those that the estimator was fitted to, or with
    ``reset`` remembered.
    """
    X = as_pandas(X)
    require_one_name_each(X)
    if not hasattr(X, "iloc") or X.ndim != 2 or 0 in X.shape:
        X = check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def require_one_name_each(X: Any) -> None:
    """A data frame's columns are there, and known by their names."""
    if hasattr(X, "collect"):
        raise InputError(
            f"X must be a table in memory, got a {type(X).__name__}: collect() it first"
        )
    given = list(getattr(X, "columns", ()))
    if 0 < len(others := [name for name in given if not isinstance(name, str)]) < len(given):
        raise InputError(
            f"X must have text as each column's name, or as none's, got {others[0]!r} beside text:"
            " set X.columns = X.columns.astype(str)"
        )
    names = [sight(str(name)) for name in given]
    for place, name in enumerate(names):
        if (first := names.index(name)) < place:
            raise InputError(
                f"X must have another name for each column, got {name!r} for columns {first} and"
                f" {place}: rename one, or leave it out"
            )


def require_target(y: ArrayLike) -> None:
    """Each row must say what is to be learned."""
    missing = np.atleast_1d(pd.isna(np.asarray(y)))
    if missing.any():
        raise InputError(
            f"y must have a value for each row, row {np.argwhere(missing)[0][0]} has none: fill it,"
            " or leave the row out"
        )


def class_codes(
    estimator: Any, y: ArrayLike, *, rows: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Class codes (rows,) and classes, ascending, of y.

    Raises
    ------
    InputError
        There is a single class, or two look alike.
    """
    if y is None:
        raise InputError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None:"
            " hand in a class for each row"
        )
    require_target(y)
    given = column_or_1d(y, warn=True)
    check_array(given, ensure_2d=False, dtype=None, input_name="y", estimator=estimator)
    check_classification_targets(given)
    if len(given) != rows:
        raise InputError(
            f"X and y must have as many rows, got {rows} and {len(given)}: give each row a class"
        )
    classes, labels = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"y must have at least two classes, got one class, {classes.tolist()[0]!r}: there is"
            " nothing to tell apart"
        )
    require_one_spelling(classes.tolist(), "y's classes")
    return labels.astype(np.int64), classes


def checked_weights(sample_weight: ArrayLike | None, X: Any) -> NDArray[np.float64] | None:
    """The rows' weights as scikit-learn checks them (rows,); None if there are none."""
    if sample_weight is None:
        return None
    check_consistent_length(X, sample_weight)
    return np.asarray(
        _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    )
