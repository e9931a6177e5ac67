"""What changes results: params.yaml as frozen, validated Settings."""

from foldwise.settings.reading import flattened, load_settings, parameters_digest
from foldwise.settings.reference import reference_tables
from foldwise.settings.schema import (
    EvaluateSettings,
    Metric,
    PrepareSettings,
    PromotionSettings,
    Search,
    Settings,
    Source,
    TuneSettings,
)

__all__ = [
    "EvaluateSettings",
    "Metric",
    "PrepareSettings",
    "PromotionSettings",
    "Search",
    "Settings",
    "Source",
    "TuneSettings",
    "flattened",
    "load_settings",
    "parameters_digest",
    "reference_tables",
]
