"""Many regularised logistic regressions side by side: numpy and scipy alone."""
