"""Figures drawn but not rendered: what costs most is done in `test_rendering` alone."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from foldwise.report.figures import style


@pytest.fixture(scope="module")
def sketched() -> Iterator[None]:
    """Lay out every figure once, and save its headline in place of its pixels."""

    def sketch(figure: Figure, kind: str, _metadata: object) -> bytes:
        if kind == "png":
            figure.draw_without_rendering()
        return figure.get_suptitle().encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_saved", sketch)
        yield
