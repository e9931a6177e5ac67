"""A picture as bytes, with the words for those who can't see it."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn figure; its ``name`` is a file's without ending.

    ``alt`` is what it shows, for screen readers and where it can't be shown. There is no ``svg``
    where it was not wanted: a figure made of images gains nothing by it. ``section`` is the page's
    that it stands in, if any, ``caption`` how it is to be read.
    """

    name: str
    alt: str
    png: bytes
    svg: bytes | None
    section: str = ""
    caption: str = ""

    @property
    def headline(self) -> str:
        """What it says in a sentence: the last of its words."""
        return self.alt.rpartition(". ")[2]

    @property
    def markup(self) -> str:
        """The picture in HTML, sharp at any size if it can be; an SVG tells values under a pointer.

        No id of an SVG is of use outside of it, and equal ones of several mean the same: they
        follow from what they name.
        """
        words = escape(self.alt, quote=True)
        if self.svg is None:
            code = b64encode(self.png).decode()
            return f'<img src="data:image/png;base64,{code}" alt="{words}">'
        _, start, drawn = self.svg.decode().partition("<svg")
        return f'{start} role="img" aria-label="{words}"{drawn}'


def picture_files(pictures: Iterable[Picture], folder: str = "") -> dict[str, bytes]:
    """Give the files of pictures by path: a PNG each, and an SVG where there is one."""
    files: dict[str, bytes] = {}
    for picture in pictures:
        files[f"{folder}{picture.name}.png"] = picture.png
        if picture.svg:
            files[f"{folder}{picture.name}.svg"] = picture.svg
    return files
