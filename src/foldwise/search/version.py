"""What makes two searches the same: their data, their parameters, and the code that searches."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import foldwise
from foldwise.settings import TuneSettings

SEARCH_ROOMS = ("data", "search", "solver", "stats")


def search_key(development_digest: str, tune: TuneSettings, seed: int) -> str:
    """Hex digest (32 characters) of data, parameters and code: the search's name everywhere."""
    story = {
        "development": development_digest,
        "tune": asdict(tune),
        "seed": seed,
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()[:32]


def code_digest(rooms: tuple[str, ...] = SEARCH_ROOMS) -> str:
    """SHA-256 over the sources of the rooms that determine a result."""
    home = Path(foldwise.__file__).parent
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((home / room).rglob("*.py")):
            digest.update(path.relative_to(home).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
