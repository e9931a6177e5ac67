"""The one place that knows Optuna: how C is proposed, and where completed trials are kept."""
