"""The parameters: their names, rules, defaults and meanings, in one place."""

from dataclasses import dataclass, field
from typing import Literal

from foldwise.settings.rules import about, choice, inside_path, integer, number, optional, text

Source = Literal["idx", "openml", "digits"]
Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"]
Search = Literal["tpe", "random_uniform"]

_NAME = text(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
    "text of letters, digits, dots, hyphens and underscores that begins with a letter or digit",
)


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What the data is and where it comes from."""

    source: Source = field(
        default="idx",
        metadata=about(
            choice("idx", "openml", "digits"),
            "Where the images come from: a folder of four IDX files, OpenML, or scikit-learn's "
            "8x8 digits.",
        ),
    )
    name: str = field(
        default="mnist",
        metadata=about(
            _NAME,
            "The data's name; the registered model is called `<name>-classifier`. With `openml`, "
            "the name there, such as `mnist_784`. `mnist` is kept for the MNIST files, whose "
            "checksums are known.",
        ),
    )
    path: str = field(
        default="data/raw",
        metadata=about(
            inside_path(),
            "Folder of the four IDX files; only `idx` reads it, others ask for the default.",
        ),
    )
    version: int = field(
        default=1,
        metadata=about(
            integer(1, 1_000_000),
            "Version of the OpenML data; only `openml` reads it, others ask for 1.",
        ),
    )
    holdout: int | None = field(
        default=None,
        metadata=about(
            optional(integer(1, 1_000_000_000)),
            "How many of the last rows are the holdout; null means 10,000 for `openml` and 297 "
            "for `digits`. Must be null for `idx`, whose t10k files are the holdout.",
        ),
    )
    limit: int | None = field(
        default=None,
        metadata=about(
            optional(integer(2, 1_000_000_000)),
            "Take a stratified part of so many development images, for quick runs; null takes "
            "all. The holdout stays whole.",
        ),
    )
    augment: int = field(
        default=0,
        metadata=about(
            integer(0, 24),
            "Shifted copies added for each development image: the first 8 by one pixel, further "
            "ones by two.",
        ),
    )


@dataclass(frozen=True, slots=True)
class TuneSettings:
    """The nested search for C."""

    folds: int = field(
        default=6,
        metadata=about(
            integer(3, 100),
            "Parts of the development set: K outer folds with K-1 inner folds each.",
        ),
    )
    trials: int = field(
        default=12, metadata=about(integer(1, 10_000), "Values of C tried in each study.")
    )
    startup_trials: int = field(
        default=5,
        metadata=about(
            integer(1, 10_000),
            "How many of a study's first trials are drawn at random, before TPE proposes.",
        ),
    )
    c_low: float = field(
        default=1e-4,
        metadata=about(number(1e-10, 1e10), "Lower end of the range of C, searched by logarithm."),
    )
    c_high: float = field(
        default=10.0, metadata=about(number(1e-10, 1e10), "Upper end of the range of C.")
    )
    metric: Metric = field(
        default="log_loss",
        metadata=about(
            choice("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"),
            "What the inner folds select by.",
        ),
    )
    tol: float = field(
        default=1e-4,
        metadata=about(
            number(0, 1, open_ends=True),
            "A fit has converged when no entry of its gradient is larger, as in scikit-learn.",
        ),
    )
    max_iter: int = field(
        default=1000, metadata=about(integer(1, 1_000_000), "A fit stops after so many iterations.")
    )
    multiclass: Literal["multinomial", "ovr"] = field(
        default="multinomial",
        metadata=about(
            choice("multinomial", "ovr"), "One softmax over all classes, or one-vs-rest sigmoids."
        ),
    )
    search: Search = field(
        default="tpe",
        metadata=about(
            choice("tpe", "random_uniform"),
            "Optuna's TPE on a log-uniform scale, or the reference report's random search, "
            "uniform in C.",
        ),
    )


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """The final model on the holdout."""

    bootstrap: int = field(
        default=2000,
        metadata=about(integer(50, 1_000_000), "Bootstrap draws behind the holdout's intervals."),
    )
    confidence: float = field(
        default=0.95,
        metadata=about(number(0, 1, open_ends=True), "Confidence level of all intervals."),
    )


@dataclass(frozen=True, slots=True)
class PromotionSettings:
    """What a challenger must show to become champion."""

    min_accuracy: float = field(
        default=0.90, metadata=about(number(0, 1), "Least holdout accuracy of a champion.")
    )
    max_log_loss: float = field(
        default=0.35, metadata=about(number(0, 1000), "Largest holdout log-loss of a champion.")
    )
    max_calibration_error: float = field(
        default=0.03, metadata=about(number(0, 1), "Largest calibration error of a champion.")
    )
    accuracy_margin: float = field(
        default=0.003,
        metadata=about(
            number(0, 1), "How much holdout accuracy a challenger may lose against the champion."
        ),
    )
    alpha: float = field(
        default=0.05,
        metadata=about(
            number(0, 1, open_ends=True),
            "Level of the test against the champion; shared out over the comparisons made on "
            "one holdout.",
        ),
    )
    bootstrap: int = field(
        default=10_000,
        metadata=about(integer(50, 1_000_000), "Bootstrap draws of the paired test."),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All that changes results."""

    seed: int = field(
        default=1,
        metadata=about(integer(0, 2**32 - 1), "From it come the parts, the draws and the shifts."),
    )
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    tune: TuneSettings = field(default_factory=TuneSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    promotion: PromotionSettings = field(default_factory=PromotionSettings)
