"""What makes two searches for an entry's values the same: data, entry, folds, seed and code."""

import hashlib
import json

from foldwise.search.version import SEARCH_ROOMS, code_digest
from foldwise.settings import Entry


def entry_key(development_digest: str, entry: Entry, *, folds: int, seed: int) -> str:
    """Hex digest (32 characters) that names the entry's search everywhere."""
    story = {
        "development": development_digest,
        "entry": entry.digest,
        "folds": folds,
        "seed": seed,
        "code": code_digest((*SEARCH_ROOMS, "compare")),
    }
    return hashlib.sha256(json.dumps(story, sort_keys=True).encode()).hexdigest()[:32]
