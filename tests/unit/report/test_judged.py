"""Mistakes are counted once, the surest first."""

import numpy as np

from tests.unit.report.findings_cases import make_judged


def test_mistakes_are_the_wrong_rows_and_the_surest_come_first() -> None:
    """Right rows are left out, wrong ones sorted by falling confidence."""
    judged = make_judged()
    rows = judged.mistakes()
    assert set(rows) == set(np.flatnonzero(judged.probabilities.argmax(axis=1) != judged.labels))
    confidence = judged.probabilities.max(axis=1)[rows]
    assert list(confidence) == sorted(confidence, reverse=True)


def test_all_confusions_together_are_all_mistakes() -> None:
    """Each mistake belongs to one pair of classes, and the commonest pair comes first."""
    judged = make_judged()
    pairs = judged.confusions()
    counts = [len(rows) for rows in pairs]
    assert counts == sorted(counts, reverse=True)
    assert sorted(np.concatenate(pairs)) == sorted(judged.mistakes())
    predicted = judged.probabilities.argmax(axis=1)
    told = [{(judged.labels[row], predicted[row]) for row in rows} for rows in pairs]
    assert all(len(each) == 1 for each in told)
    assert len(set.union(*told)) == len(pairs)


def test_a_verdict_names_both_classes_and_the_probability() -> None:
    """Short names stand on one line, long ones below each other, very long ones are cut."""
    judged = make_judged(("a", "b", "c"))
    row = int(judged.mistakes()[0])
    assert " → " in judged.verdict(row)
    assert "%" in judged.verdict(row)
    long = make_judged(("an ankle boot that is brown", "shirt", "bag"))
    assert judged.verdict(row).count("\n") == 0
    assert long.verdict(row).count("\n") == 2
    assert max(map(len, long.verdict(row).split("\n"))) < 20
