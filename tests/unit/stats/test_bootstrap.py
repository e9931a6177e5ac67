"""A draw of the bootstrap is as many rows, each as likely as any other."""

import tracemalloc

import numpy as np

from foldwise.stats.paired import bootstrap_means, row_counts


def drawn_rows(rows: int, *, draws: int, seed: int) -> list[np.ndarray]:
    counts = np.concatenate(list(row_counts(rows, draws=draws, seed=seed)), axis=1)
    return [np.repeat(np.arange(rows), column.astype(int)) for column in counts.T]


def test_a_mean_is_that_of_the_rows_drawn() -> None:
    """Any figure a row has can be redrawn, over block edges too."""
    values = np.random.default_rng(1).normal(size=50)
    found = bootstrap_means(values, draws=70, seed=2)
    expected = [values[rows].mean() for rows in drawn_rows(50, draws=70, seed=2)]
    np.testing.assert_allclose(found, expected)


def test_a_draw_has_as_many_rows_as_the_data() -> None:
    """Over block edges too: 130 draws of 40 rows, none twice."""
    counts = np.concatenate(list(row_counts(40, draws=130, seed=2)), axis=1)
    assert counts.shape == (40, 130)
    assert (counts.sum(axis=0) == 40).all()
    assert len(np.unique(counts, axis=1).T) == 130


def test_each_row_is_drawn_equally_often() -> None:
    """Counts have mean 1 and variance 1 - 1/n for every row, as multinomial counts have."""
    counts = np.concatenate(list(row_counts(20, draws=20_000, seed=3)), axis=1)
    np.testing.assert_allclose(counts.mean(axis=1), 1, atol=0.04)
    np.testing.assert_allclose(counts.var(axis=1), 1 - 1 / 20, atol=0.06)


def test_the_seed_alone_decides_the_draws() -> None:
    """The same seed gives the same bits, another one others."""
    values = np.random.default_rng(1).normal(size=200)
    first, again, other = (bootstrap_means(values, draws=70, seed=seed) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).all()


def test_memory_does_not_grow_with_the_draws() -> None:
    """Blocks of 64 draws of 10,000 rows, and no more."""
    values = np.random.default_rng(1).normal(size=10_000)
    tracemalloc.start()
    bootstrap_means(values, draws=400, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
