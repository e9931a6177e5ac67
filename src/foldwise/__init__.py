"""Model selection that leaves evidence: nested cross-validation, tracked, reproduced, promoted."""

__version__ = "0.1.0"
