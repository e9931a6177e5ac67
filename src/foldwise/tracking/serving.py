"""The pipeline as it is served: numbers of any type, the same answer; another width, an error.

MLflow's own schemas can't say both. One unnamed column per pixel drops what a wider image has too
many, and a tensor refuses every type but one. So the version has no input schema: scikit-learn
counts the pixels, which a server answers with 400, and a first step makes float64 of all numbers,
because the scaler would compute float32 with half the digits.
"""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

_STEP = "float64"


def as_served(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the step before it that makes a float64 array of what it is given."""
    return Pipeline([(_STEP, _to_float64()), *pipeline.steps])


def without_conversion(served: Pipeline) -> Pipeline:
    """The inverse of `as_served`.

    Raises
    ------
    ValueError
        The first step does something else.
    """
    name, step = served.steps[0]
    expected = _to_float64().get_params()
    if (name, type(step)) != (_STEP, FunctionTransformer) or step.get_params() != expected:
        raise ValueError(f"a first step that only makes float64 is expected, got {step!r}")
    return served[1:]


def _to_float64() -> FunctionTransformer:
    # A numpy function, because skops trusts these: the plus sign, which changes nothing.
    return FunctionTransformer(np.positive, validate=True, kw_args={"dtype": "float64"})
