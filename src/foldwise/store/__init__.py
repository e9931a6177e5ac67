"""MLflow's store: where it is, opened, checked; its faults in one line."""
