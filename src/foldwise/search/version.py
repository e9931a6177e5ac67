"""What makes two searches the same: their data, their parameters, and the version of the search."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from foldwise.files import write_bytes

SEARCH_VERSION = 6
"""Raise it when a search of the same data and parameters comes to another number.

The golden tests see to it: an open search is gone on with by code of its own version alone, and
the stages are stale when it changes.
"""


def search_key(development_digest: str, parameters: Mapping[str, object], seed: int) -> str:
    """Hex digest (32 characters) of data, parameters and version: the search's name everywhere."""
    story = {
        "development": development_digest,
        "tune": dict(parameters),
        "seed": seed,
        "version": SEARCH_VERSION,
    }
    return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()[:32]


if __name__ == "__main__":  # a stage of the projects that `foldwise init` makes
    told = json.dumps({"search_version": SEARCH_VERSION})
    write_bytes(Path("search-version.json"), f"{told}\n".encode())
