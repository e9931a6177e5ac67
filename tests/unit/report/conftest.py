"""Figures drawn but not rendered, or rendered once: that is what costs most."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from foldwise.report.figures import style
from foldwise.report.picture import Picture
from tests.unit.report.findings_cases import make_pictures


@pytest.fixture(scope="module")
def sketched() -> Iterator[None]:
    """Lay out every figure once, and save its headline in place of its pixels."""

    def sketch(figure: Figure, _kind: str, _metadata: object) -> bytes:
        return figure.get_suptitle().encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_saved", sketch)
        yield


@pytest.fixture(scope="session")
def rendered() -> tuple[Picture, ...]:
    """All pictures of a page of images, in pixels and as SVG."""
    return make_pictures()
