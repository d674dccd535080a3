from __future__ import annotations

import numpy as np
import pytest
from fairlearn import metrics as fairlearn
from hypothesis import given
from hypothesis import strategies as st

from models.fairness import audit
from models.progressive import NO_COUNTS, ScoreCounts
from tests.examples import examples

issued = st.sampled_from([0.1, 0.4, 0.5, 0.6, 0.9])
#: Of each group at least one who left and one who stayed: with nobody to divide by, fairlearn takes a rate
#: for 0, and we leave the group out.
judged = st.builds(
    lambda rest, left, stayed: [*rest, (left, True), (stayed, False)],
    st.lists(st.tuples(issued, st.booleans()), max_size=25),
    issued,
    issued,
)
populations = st.dictionaries(st.sampled_from("abc"), judged, min_size=2)


def group(called: int, size: int, churned_called: int = 0, churned_missed: int = 0) -> ScoreCounts:
    """Counts of a group of `size`, of whom `called` are above 0.5."""
    p = [0.9] * called + [0.1] * (size - called)
    y = [i < churned_called for i in range(called)] + [i < churned_missed for i in range(size - called)]
    return ScoreCounts.of(p, y)


@given(populations)
@examples(6)
def test_disparities_are_fairlearns(population: dict[str, list[tuple[float, bool]]]):
    rows = [(name, p, y) for name, members in population.items() for p, y in members]
    names, p, y = (np.array(column) for column in zip(*rows, strict=True))
    counts = {name: ScoreCounts.of(p[names == name], y[names == name]) for name in population}
    found = audit(counts, 0.5, minimum=1)
    given_to_both = {"y_true": y, "y_pred": p >= 0.5, "sensitive_features": names}

    for each in found.groups:
        inside = names == each.name
        rates = (each.selection_rate, each.true_positive_rate, each.false_positive_rate)
        expected = [
            rate(y[inside], p[inside] >= 0.5)
            for rate in (
                fairlearn.selection_rate,
                fairlearn.true_positive_rate,
                fairlearn.false_positive_rate,
            )
        ]
        assert [r.value for r in rates if r] == pytest.approx(expected)
    assert found.demographic_parity_difference == pytest.approx(
        fairlearn.demographic_parity_difference(**given_to_both)
    )
    assert found.equalized_odds_difference == pytest.approx(
        fairlearn.equalized_odds_difference(**given_to_both)
    )
    assert found.selection is not None
    assert found.true_positives is not None
    assert found.false_positives is not None
    if (p >= 0.5).any():
        parity = fairlearn.demographic_parity_ratio(**given_to_both)
        assert found.demographic_parity_ratio == pytest.approx(parity)
    if (y & (p >= 0.5)).any() and (~y & (p >= 0.5)).any():
        odds = fairlearn.equalized_odds_ratio(**given_to_both)
        assert found.equalized_odds_ratio == pytest.approx(odds)


def test_a_small_group_is_named_but_neither_judged_nor_compared():
    found = audit({"many": group(20, 100), "also": group(40, 100), "few": group(99, 99)}, 0.5, minimum=100)

    also, few, many = found.groups
    assert (few.too_few, few.labels) == (True, 99)
    assert few.selection_rate is few.calibration is few.ece is None
    assert (also.too_few, many.too_few) == (False, False)
    assert found.demographic_parity_difference == pytest.approx(0.2)
    assert found.demographic_parity_ratio == pytest.approx(0.5)


def test_a_rate_needs_its_own_minimum():
    """A hundred customers of whom three left tell nothing of how many churners are found."""
    found = audit({"a": group(50, 100, churned_called=3), "b": group(50, 200, 100)}, 0.5, minimum=90)

    assert found.groups[0].true_positive_rate is None
    assert found.groups[0].false_positive_rate is not None
    assert found.true_positives is found.equalized_odds_difference is found.equalized_odds_ratio is None
    assert found.selection is not None


def test_the_difference_says_who_and_how_sure():
    found = audit({"a": group(30, 100), "b": group(50, 100), "c": group(40, 100)}, 0.5).selection
    assert found is not None

    assert (found.highest, found.lowest) == ("b", "a")
    assert found.difference.value == pytest.approx(0.2)
    assert 0 < found.difference.low < 0.2 < found.difference.high


def test_repeated_customers_make_a_difference_less_sure():
    groups = {"a": group(300, 1000), "b": group(350, 1000)}
    sure, unsure = audit(groups, 0.5).selection, audit(groups, 0.5, design_effect=5).selection
    assert sure is not None
    assert unsure is not None

    assert sure.difference.low > 0 > unsure.difference.low


def test_one_group_is_compared_with_nobody():
    found = audit({"only": group(20, 100, 50), "none": NO_COUNTS}, 0.5)

    assert found.selection is None
    assert found.demographic_parity_difference is found.demographic_parity_ratio is None
    assert audit({}, 0.5).groups == ()


def test_where_nobody_is_called_nobody_is_favoured():
    found = audit({"a": group(0, 100), "b": group(0, 200)}, 0.5)

    assert (found.demographic_parity_difference, found.demographic_parity_ratio) == (0.0, 1.0)


def test_a_group_is_calibrated_or_not_on_its_own():
    """Right on average, wrong for both: that is what an audit by group is for."""
    honest = ScoreCounts.of([0.5] * 400, [True] * 200 + [False] * 200)
    found = audit({"high": group(400, 400, 300), "low": honest}, 0.5)
    high, low = found.groups
    assert high.calibration is not None
    assert low.calibration is not None

    assert (high.calibration.gap, low.calibration.gap) == (pytest.approx(0.15), pytest.approx(0))
    assert (high.calibration.holds, low.calibration.holds) == (False, True)
    assert (high.ece, low.ece) == (pytest.approx(0.15), pytest.approx(0))


def test_a_minimum_below_one_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        audit({}, 0.5, minimum=0)
