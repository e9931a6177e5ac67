"""Timings of foldwise beside what one would otherwise use; `make bench` runs them."""
