"""A picture as bytes, with the words for those who can't see it."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn figure.

    Attributes
    ----------
    name : str
        File name without its ending.
    alt : str
        What it shows, for screen readers and where it can't be shown.
    png : bytes
    svg : bytes or None
        None where it was not wanted: a figure made of images gains nothing by it.
    """

    name: str
    alt: str
    png: bytes
    svg: bytes | None

    @property
    def data_uri(self) -> str:
        """The picture as a ``data:`` address, sharp at any size if it can be."""
        kind, content = ("svg+xml", self.svg) if self.svg else ("png", self.png)
        return f"data:image/{kind};base64,{b64encode(content).decode()}"


def picture_files(pictures: Iterable[Picture]) -> dict[str, bytes]:
    """Give the files of pictures by name: a PNG each, and an SVG where there is one."""
    files: dict[str, bytes] = {}
    for picture in pictures:
        files[f"{picture.name}.png"] = picture.png
        if picture.svg:
            files[f"{picture.name}.svg"] = picture.svg
    return files
