"""Where it is kept: the MLflow store, the run tree, the registry and its decisions."""
