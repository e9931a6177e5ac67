"""Model selection that leaves evidence: nested cross-validation, tracked, reproduced, promoted."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Resolved when asked for: `import foldwise` is instant, and a command imports what it needs alone.
_PUBLIC = {
    "foldwise.data.features": ("FilterBank",),
    "foldwise.errors": (
        "DataError",
        "FoldwiseError",
        "InputError",
        "SearchError",
        "SettingsError",
        "StoreError",
    ),
    "foldwise.estimator": ("NestedSearchCV",),
    "foldwise.facades": ("compare_searches", "log_to_mlflow", "write_report"),
    "foldwise.logistic": ("StandardLogistic",),
    "foldwise.search.archive": ("archive", "restore"),
    "foldwise.search.engines.batched": ("BatchedEngine",),
    "foldwise.search.engines.estimator": ("EstimatorEngine",),
    "foldwise.search.jobs": ("Engine", "Model"),
    "foldwise.search.nested": ("MemoryBook", "NestedSearch"),
    "foldwise.search.plan": ("Plan",),
    "foldwise.search.space": ("Space",),
    "foldwise.search.summary": ("outer_estimates",),
    "foldwise.search.trials": ("SearchResult", "Trial"),
    "foldwise.report.rivals": ("SearchComparison",),
    "foldwise.settings": ("Between", "OneOf"),
    "foldwise.stats.scores": ("score",),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'foldwise' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
