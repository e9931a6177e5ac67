"""``python -m validation.calibrate``: how often the gate and the intervals are wrong.

Shows each table's lines as they come and writes it into docs/statistics.md. Everything is seeded,
and each table can be asked for alone. The table of coverage takes a day; it and that of verdicts
keep their data sets in build/: stopped, they go on; with ``--kept`` they tell what there is. The
holdout is never read.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.markdown import write_measured
from validation import own as validated
from validation.attack import ATTACKS, fooled, truly_worse
from validation.challengers import (
    Origin,
    Population,
    Rival,
    Side,
    common_loss,
    digits,
    mnist,
    rival,
    rivals,
)
from validation.coverage import (
    FOLDS,
    KEPT,
    METHODS,
    Cell,
    World,
    coverage,
    draws,
    holdout_coverage,
    one_model,
    source,
)
from validation.duplicates import SHARE, doubled
from validation.floors import FLOOR_DATA, FLOORS, STRENGTHS, on_others, sample, with_floor
from validation.gate_trials import (
    SEQUENCE,
    Disagreement,
    Trial,
    accuracy_bounds,
    calibration_errors,
    false_promotions,
    power,
)
from validation.own import METRICS, RULES, SCALE_FLOOR, comparison_level
from validation.two_classes import two_class_coverage
from validation.verdicts import METHODS as DUEL_METHODS
from validation.verdicts import Contest, duels, falsehoods

SEED = 1
CHAMPIONS: tuple[tuple[Origin, Side], ...] = (
    (Origin(0.01, 0), "cautious"),
    (Origin(0.01, 0), "confident"),
    (Origin(0.03, 2), "confident"),
    (Origin(0.003, 1), "cautious"),
)
SEQUENCES = {"MNIST": 400, "digits": 1000}
WORSE = 0.01
GAINS = (0.02, 0.04)
NUMBERS = (1, 5, 20)
POWER_TRIALS = 400
DIFFERENCES = (0.002, 0.0, -0.001, -0.002, -0.003)
MARGINS = (0.002, 0.003, 0.005)
SHARES, MARGIN_ROWS, MARGIN_TRIALS = (0.01, 0.015), 10_000, 1000
LOOKS = (9, 19, 29, 49, 99)
ATTACKED, ATTACKED_ROWS = 40, 10_000
CELLS = (
    *(Cell("balanced", rows, 1000) for rows in (120, 300, 1000, 3000)),
    *(Cell("8 % positive", rows, 1000) for rows in (300, 1000, 3000)),
    *(Cell("4 % positive", rows, 1000) for rows in (600, 3000)),
    *(Cell("40 features", rows, 1000) for rows in (300, 1000, 3000)),
    Cell("MNIST", 300, 1000),
    *(Cell("groups", rows, 1000) for rows in (270, 900)),
)
CONTESTS = (
    *(
        Contest(share, pair, 300, 1000)
        for share in ("balanced", "8 % positive")
        for pair in ("other columns", "idle columns", "C, 1.1 C")
    ),
    Contest("balanced", "C, 1.1 C", 1000, 1000),
    Contest("balanced", "other columns", 1000, 1000),
    Contest("balanced", "other columns", 1000, 1000, together=5),
    Contest("balanced", "C, 1.1 C", 1000, 1000, together=5),
)
HOLDOUTS = (100, 297, 1000, 10_000)
HOLDOUT_SAMPLES = 1000
CALIBRATED_SAMPLES = 1000
STRANGE_ROWS, STRANGE_FITTED = 35_000, 15_000
DIGITS_HOLDOUT = 297


@dataclass(frozen=True, slots=True)
class Kind:
    """A way in which a challenger differs from its champion."""

    name: str
    champion: Origin
    challenger: Origin


KINDS = (
    Kind("another C, the same training rows", Origin(0.003, 1), Origin(0.01, 1)),
    Kind("the same C, a quarter of the training rows others", Origin(0.01, 1), Origin(0.01, 2)),
    Kind("another C, a quarter of the training rows others", Origin(0.003, 1), Origin(0.01, 2)),
)


def main() -> None:
    """Measure, print and write the tables asked for; all of them by default."""
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "false-promotions": lambda: _false_promotions((mnist(), digits())),
        "power": lambda: _power(mnist()),
        "margin": _margin,
        "attack": _attack,
        "calibration": _calibration,
        "coverage": lambda: _coverage(make=not options.kept),
        "two-class-coverage": lambda: _two_class_coverage(make=not options.kept),
        "holdout-coverage": _holdout_coverage,
        "verdicts": lambda: _verdicts(make=not options.kept),
        "floors": _floors,
        "strange-images": _strange_images,
        "duplicates": _duplicates,
    }
    parser = ArgumentParser(prog="python -m validation.calibrate", description=__doc__)
    parser.add_argument("table", nargs="*", help=f"of {', '.join(makers)}; default: all")
    parser.add_argument("--kept", action="store_true", help="draw no data sets, tell those kept")
    options = parser.parse_args()
    asked = options.table or list(makers)
    if unknown := set(asked) - set(makers):
        parser.error(f"no table is called {', '.join(sorted(unknown))}: take {', '.join(makers)}")
    for name in asked:
        with threadpool_limits(limits=1, user_api="blas"):
            content = _table(makers[name]())
        write_measured("statistics", {name: content}, whole=True)


def _table(lines: Iterator[str]) -> str:
    found = []
    for line in lines:
        print(line, file=sys.stderr, flush=True)
        found.append(line)
    return "\n".join(found)


def _false_promotions(populations: tuple[Population, ...]) -> Iterator[str]:
    yield (
        f"{' and '.join(f'{count:,} {name}' for name, count in SEQUENCES.items())} holdouts a"
        f" champion, drawn from the out-of-fold rows, {SEQUENCE} challengers each; share of"
        " holdouts on which a challenger no better than the champion is promoted."
    )
    yield ""
    yield (
        f"| champion | challengers | first of {SEQUENCE} | any of {SEQUENCE} | any, by log-loss"
        " alone | any, by Student's bound | any, Student's at 5 % each |"
    )
    yield "|---|---|---|---|---|---|---|"
    for population in populations:
        loss, sequences = common_loss(population), SEQUENCES[population.name]
        origins = list(population.models)
        equals = rivals(population, loss, origins)
        champions = [_required(rival(population, *each, loss)) for each in CHAMPIONS]
        for champion in champions:
            others = [each for each in equals if each.name != champion.name]
            trial = Trial(champion, others, population.holdout, sequences, SEED)
            yield _row(f"{population.name}: {champion.name} | equal", trial)
        worse = rivals(population, loss * (1 + WORSE), origins)
        trial = Trial(champions[0], worse, population.holdout, sequences, SEED)
        yield _row(f"{population.name}: {champions[0].name} | {WORSE:.0%} worse", trial)


def _row(title: str, trial: Trial) -> str:
    found = false_promotions(trial)
    shares = (
        found.first, found.any, found.any_by_loss, found.any_by_student, found.any_unbudgeted,
    )  # fmt: skip
    cells = " | ".join(f"{share:.1%}" for share in shares)
    return f"| {title} | {cells} |"


def _power(population: Population) -> Iterator[str]:
    levels = ", ".join(f"{comparison_level(number, RULES.alpha):.2g}" for number in NUMBERS)
    yield (
        f"Share of {POWER_TRIALS} MNIST holdouts on which a better challenger is promoted as"
        f" comparison {', '.join(map(str, NUMBERS))} (levels {levels}); in brackets, by log-loss"
        " alone."
    )
    yield ""
    yield f"| challenger | log-loss lower by | {' | '.join(f'k = {k}' for k in NUMBERS)} |"
    yield "|---|---|" + "---|" * len(NUMBERS)
    loss = common_loss(population)
    for kind in KINDS:
        champion = _required(rival(population, kind.champion, "cautious", loss))
        for gain in GAINS:
            better = rival(population, kind.challenger, "cautious", loss * (1 - gain))
            trial = Trial(champion, [_required(better)], population.holdout, POWER_TRIALS, SEED)
            found = power(trial, NUMBERS)
            cells = " | ".join(f"{each.promoted:.0%} ({each.better:.0%})" for each in found)
            yield f"| {kind.name} | {gain:.1%} | {cells} |"


def _margin() -> Iterator[str]:
    yield (
        f"Share of {MARGIN_TRIALS:,} holdouts of {MARGIN_ROWS:,} rows on which the check of"
        f" accuracy, at {RULES.alpha:.0%} each time, passes, by the margin."
    )
    yield ""
    yield (
        "| right in only one of the two | true difference of accuracy | "
        + " | ".join(f"margin {margin:g}" for margin in MARGINS)
        + " |"
    )
    yield "|---|---|" + "---|" * len(MARGINS)
    for share in SHARES:
        for difference in DIFFERENCES:
            given = Disagreement(share, difference)
            asked = {"holdout": MARGIN_ROWS, "holdouts": MARGIN_TRIALS, "seed": SEED}
            bounds = accuracy_bounds(given, **asked)
            cells = " | ".join(f"{(bounds < margin).mean():.1%}" for margin in MARGINS)
            yield f"| {share:.1%} | {difference:+.1%} | {cells} |"


def _attack() -> Iterator[str]:
    stated, labels = one_model()
    champion = np.log(np.maximum(stated, 1e-30)).astype(np.float32)
    worse = truly_worse(champion, labels, SEED)
    yield (
        f"Share of {ATTACKED} holdouts of {ATTACKED_ROWS:,} rows on which noise, added up by"
        f" what was printed at so many looks, is promoted over the champion that it was added to;"
        f" its log-loss is truly {worse:.2%} higher."
    )
    yield ""
    yield f"| printed | noise | looks are | {' | '.join(f'{n} looks' for n in LOOKS)} |"
    yield "|---|---|---|" + "---|" * len(LOOKS)
    asked = {"holdouts": ATTACKED, "rows": ATTACKED_ROWS, "seed": SEED}
    found = fooled(champion, labels, LOOKS, **asked)
    for attack in ATTACKS:
        cells = " | ".join(f"{found[attack, number]:.0%}" for number in LOOKS)
        used = "weighed" if attack.weighs else "kept if better"
        yield f"| {attack.shown} | {attack.noise:g} | {used} | {cells} |"


def _calibration() -> Iterator[str]:
    floor = RULES.max_calibration_error
    yield (
        f"{CALIBRATED_SAMPLES:,} holdouts of each size, labels drawn by what the model states: mean"
        f" calibration error, and how often it is above {floor:g}. *Sharpened*: stated are"
        " probabilities p^1.5, renormalised."
    )
    yield ""
    yield "| model | images | plain | less chance | plain, above | less chance, above |"
    yield "|---|---|---|---|---|---|"
    true, _ = one_model()
    for name, power_of in (("calibrated", 1.0), ("sharpened", 1.5)):
        stated = true**power_of
        stated /= stated.sum(axis=1, keepdims=True)
        for rows in HOLDOUTS:
            found = calibration_errors(true, stated, rows, samples=CALIBRATED_SAMPLES, seed=SEED)
            means, above = found.mean(axis=0), (found > floor).mean(axis=0)
            cells = " | ".join([*(f"{m:.4f}" for m in means), *(f"{a:.1%}" for a in above)])
            yield f"| {name} | {rows:,} | {cells} |"


def _coverage(kept: Path = KEPT, *, make: bool = True) -> Iterator[str]:
    yield (
        f"K = {FOLDS}; nominal 95 %. In brackets, half the interval's mean width over the outer"
        " mean's true standard deviation: 1.96 would be enough."
    )
    yield ""
    yield f"| data | rows | data sets | score | its expectation | {' | '.join(METHODS)} |"
    yield "|---|---|---|---|---|" + "---|" * len(METHODS)
    for cell in CELLS:
        groups = source(cell.source).groups(cell.rows)
        found = coverage(draws(cell, kept, make=make), groups)
        if found is None:
            continue
        for metric in METRICS:
            covers = " | ".join(str(found.covers[method, metric]) for method in METHODS)
            yield (
                f"| {cell.source} | {cell.rows} | {found.draws} | {metric}"
                f" | {found.expected[metric]:.4f} | {covers} |"
            )


def _verdicts(kept: Path = KEPT, *, make: bool = True) -> Iterator[str]:
    yield (
        f"K = {FOLDS}, at 5 %: share of data sets on which the interval of the difference leaves"
        " out 0 and the true one, so that one is called better that isn't, or by another"
        " difference. In brackets, half its mean width over the difference's true standard"
        " deviation."
    )
    yield ""
    yield f"| data | procedures | rows | data sets | by | {' | '.join(METRICS)} |"
    yield "|---|---|---|---|---|" + "---|" * len(METRICS)
    for cell in CONTESTS:
        number, found = falsehoods(duels(cell, kept, make=make), cell.together)
        for method in DUEL_METHODS if number else ():
            cells = " | ".join(str(found[metric][method]) for metric in METRICS)
            yield f"| {cell.name} | {cell.pair} | {cell.rows} | {number} | {method} | {cells} |"


def _two_class_coverage(kept: Path = KEPT, *, make: bool = True) -> Iterator[str]:
    yield (
        f"K = {FOLDS}; nominal 95 %, of those intervals that are told. In brackets, half their mean"
        " width over the outer mean's true standard deviation: 1.96 would be enough."
    )
    yield ""
    yield "| data | rows | data sets | score | its expectation | told | hold it |"
    yield "|---|---|---|---|---|---|---|"
    for cell in CELLS:
        if not isinstance(world := source(cell.source), World):
            continue
        number, scores = two_class_coverage(draws(cell, kept, make=make), world)
        for name, found in scores.items():
            yield (
                f"| {cell.source} | {cell.rows} | {number} | {name} | {found.expected:.4f}"
                f" | {found.told:.1%} | {found.cover} |"
            )


def _holdout_coverage() -> Iterator[str]:
    yield (
        f"{HOLDOUT_SAMPLES} holdouts of each size; nominal 95 %. In brackets, how many intervals"
        " lie below the truth and above it."
    )
    yield ""
    yield f"| images | {' | '.join(METRICS)} |"
    yield "|---|" + "---|" * len(METRICS)
    for rows in HOLDOUTS:
        found = holdout_coverage(rows, HOLDOUT_SAMPLES, SEED)
        cells = (f"{hold:.1%} ({below:.1%}, {above:.1%})" for hold, below, above in found.values())
        yield f"| {rows:,} | {' | '.join(cells)} |"


def _floors() -> Iterator[str]:
    yield (
        "The default search's outer folds by `tune.scale_floor`. In brackets, the largest loss of"
        " an image by the outer model that never saw it, in nats, before the clip at 36."
    )
    yield ""
    heads = [f"{name}: {metric}" for name in FLOOR_DATA for metric in ("log-loss", "accuracy")]
    yield f"| floor | {' | '.join(heads)} |"
    yield "|---|" + "---|" * len(heads)
    drawn = {name: sample(make(), rows, SEED) for name, (make, rows) in FLOOR_DATA.items()}
    for floor in FLOORS:
        found = [with_floor(data, floor, SEED) for data in drawn.values()]
        cells = " | ".join(
            f"{each.log_loss:.4f} ({each.largest:.0f}) | {each.accuracy:.4f}" for each in found
        )
        yield f"| {floor:g} | {cells} |"


def _strange_images() -> Iterator[str]:
    yield (
        f"Fitted at one C on {STRANGE_FITTED:,} images of the development set, scored on"
        f" {STRANGE_ROWS - STRANGE_FITTED:,} others; log-loss in nats, *clipped* at 36 an image."
    )
    yield ""
    yield "| C | floor | log-loss | clipped | largest of an image | accuracy |"
    yield "|---|---|---|---|---|---|"
    data = sample(validated.mnist(), STRANGE_ROWS, SEED)
    for C in STRENGTHS:
        for floor in (0.0, SCALE_FLOOR):
            found = on_others(data, STRANGE_FITTED, C=C, floor=floor, seed=SEED)
            yield (
                f"| {C:g} | {floor:g} | {found.log_loss:.3f} | {found.clipped:.3f}"
                f" | {found.largest:.0f} | {found.accuracy:.4f} |"
            )


def _duplicates() -> Iterator[str]:
    yield f"scikit-learn's digits, {SHARE:.0%} of them drawn at random and doubled: outer folds."
    yield ""
    yield "| images | accuracy | log-loss |"
    yield "|---|---|---|"
    for name, (accuracy, log_loss) in doubled(validated.digits(holdout=DIGITS_HOLDOUT), SEED):
        yield f"| {name} | {accuracy:.4f} | {log_loss:.4f} |"


def _required(found: Rival | None) -> Rival:
    if found is None:
        raise SystemExit("a model can't be tempered to the loss asked for: lower GAINS")
    return found


if __name__ == "__main__":
    main()
