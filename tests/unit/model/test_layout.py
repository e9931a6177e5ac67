"""The layout holds bytes: what isn't bytes is refused, never cut."""

import numpy as np
import pytest

from foldwise.errors import DataError
from foldwise.solver.layout import Layout
from tests.unit.solver.solver_cases import digits


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "int64", "int8", "uint16", "bool"]
)
def test_images_of_any_type_but_bytes_are_refused(dtype: str) -> None:
    """Scaled to [0, 1], nearly all pixels would become 0; 300 would become 44."""
    case = digits(60)
    images = case.images.astype(dtype)
    with pytest.raises(DataError, match=f"must be uint8, whole numbers from 0 to 255, got {dtype}"):
        Layout.build(images, case.labels, case.parts, classes=case.classes)


def test_the_remedy_that_the_refusal_names_gives_the_same_layout() -> None:
    case = digits(60)
    scaled = case.images / 16
    images = np.round(scaled * 16).astype(np.uint8)
    layout = Layout.build(images, case.labels, case.parts, classes=case.classes)
    for columns, others in zip(layout.columns, case.layout().columns, strict=True):
        np.testing.assert_array_equal(columns, others)
