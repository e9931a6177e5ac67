"""Stages and command line: the only place, with the estimator, that connects rooms."""
