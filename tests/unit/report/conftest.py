"""Figures drawn but not rendered: what costs most is done in `test_rendering` alone."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from foldwise.report.figures import style


@pytest.fixture(scope="module")
def sketched() -> Iterator[None]:
    """Lay out every figure once, and save its headline in place of its pixels."""

    def sketch(figure: Figure) -> bytes:
        figure.draw_without_rendering()
        return _headline(figure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "png", sketch)
        patch.setattr(style, "svg", _headline)
        yield


def _headline(figure: Figure) -> bytes:
    return figure.get_suptitle().encode()
