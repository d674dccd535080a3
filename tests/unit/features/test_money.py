from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.money import MAX_AMOUNT, Currencies
from features.rejection import Rejected

EURO = Currencies("EUR", {"USD": 0.92, "JPY": 0.006})


def reason(currencies: Currencies, value: float, code: str) -> str:
    with pytest.raises(Rejected) as refused:
        currencies.micros(value, code)
    return refused.value.reason


@pytest.mark.parametrize("code", ["EUR", "USD", "XXX", "points"])
def test_without_a_currency_amounts_count_as_they_stand_whatever_their_code(code: str):
    assert Currencies().micros(12.34, code) == 12_340_000


def test_the_configured_currency_needs_no_rate():
    assert Currencies("EUR").micros(12.34, "EUR") == 12_340_000


def test_another_currency_is_multiplied_by_its_rate():
    assert EURO.micros(10, "USD") == 9_200_000
    assert EURO.micros(1000, "JPY") == 6_000_000


def test_a_currency_without_rate_is_refused():
    assert reason(EURO, 1.0, "GBP") == "unknown_currency"
    assert reason(Currencies("EUR"), 1.0, "XXX") == "unknown_currency"


def test_codes_are_compared_as_written():
    assert reason(EURO, 1.0, "usd") == "unknown_currency"


@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf, -math.inf, MAX_AMOUNT * 1.001])
@pytest.mark.parametrize("code", ["EUR", "USD"])
def test_negative_infinite_and_absurd_amounts_are_refused(value: float, code: str):
    assert reason(EURO, value, code) == "bad_money"


def test_an_amount_that_becomes_absurd_by_conversion_is_refused():
    assert reason(Currencies("VND", {"EUR": 28_000.0}), 1e9, "EUR") == "bad_money"


@given(st.floats(0, MAX_AMOUNT), st.sampled_from(["EUR", "USD", "JPY"]))
@example(40_159_162_386.572914, "JPY")  # 53 bits leave it 0.51 micros off
def test_micros_are_integers_that_fit_64_bits_and_round_the_exact_product(value: float, code: str):
    micros = EURO.micros(value, code)
    exact = Fraction(value) * Fraction(EURO.rates.get(code, 1.0)) * 1_000_000

    assert isinstance(micros, int)
    assert 0 <= micros < 2**63
    # Two multiplications round to 53 bits each, by at most 2^-53 of the product; then half a micro at most.
    assert abs(micros - exact) <= Fraction(1, 2) + exact * Fraction(3, 2**53)


@pytest.mark.parametrize(
    ("currency", "rates"),
    [
        (None, {"USD": 0.92}),
        ("EUR", {"USD": 0.0}),
        ("EUR", {"USD": -1.0}),
        ("EUR", {"USD": math.nan}),
        ("EUR", {"USD": math.inf}),
        ("EUR", {"EUR": 1.1}),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_the_start(currency: str | None, rates: dict[str, float]):
    with pytest.raises(ValueError, match="rate"):
        Currencies(currency, rates)
