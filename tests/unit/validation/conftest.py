"""Validation is measured with one BLAS thread, and is tested so."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """With two, products as small as these spend their time waiting."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
