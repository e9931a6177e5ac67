"""The tree of runs that a search should leave in MLflow."""
