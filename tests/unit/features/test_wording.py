"""What is said to people of a customer: every feature, in every language, with numbers that read well."""

from __future__ import annotations

import doctest
import math
import re
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.catalogue import CATALOGUE, NAMES
from features.feature import Theme
from features.wording import LANGUAGES, Language, numbers
from features.wording.numbers import TOLD
from features.wording.sentence import Occasion, parts
from tests.examples import examples

if TYPE_CHECKING:
    from features.wording.sentence import Sentence, Wording

UNKNOWN = dict.fromkeys(NAMES, math.nan)
ALL = [(language, name) for language in LANGUAGES for name in NAMES]

#: What raw values of a unit can be: lowest, highest.
DOMAIN = {
    "probability": (0.0, 1.0),
    "share": (0.0, 3.0),
    "days": (0.0, 40_000.0),
    "ratio": (0.0, 40_000.0),
    "deviations": (-6_000.0, 6_000.0),
    "orders": (0.0, 2.0**32),
    "orders / 30 days": (0.0, 30.0),
    "log ratio": (-60.0, 60.0),
    "currency": (0.0, 9.2e12),
    "items": (0.0, 10_000.0),
    "points": (0.0, 10.0),
    "events": (0.0, 2.0**32),
    "contacts": (0.0, 2.0**32),
    "categories": (0.0, 64.0),
}
LOW, HIGH = np.array([DOMAIN[feature.unit] for feature in CATALOGUE]).T
SHAPE = len(NAMES)


def spread(share: np.ndarray, size: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    """Raw values by feature: `share` in [0, 1] of the domain, `size` decimal places towards zero."""
    low, high = LOW * 10.0**-size, HIGH * 10.0**-size
    values = low + share * (high - low)
    return dict(zip(NAMES, np.where(whole, np.round(values), values).tolist(), strict=True))


#: Any raw values: small and large ones, whole and broken ones, missing ones.
raw_values = st.builds(
    spread,
    hnp.arrays(float, SHAPE, elements=st.floats(0, 1) | st.sampled_from([math.nan, math.inf, -0.0])),
    hnp.arrays(int, SHAPE, elements=st.integers(0, 11)),
    hnp.arrays(bool, SHAPE),
)


def tell(language: Language, name: str, **raw: float) -> str:
    """The sentence about the feature `name` of a customer of whom nothing but `raw` is known."""
    return LANGUAGES[language].tell(name, UNKNOWN | raw)


def templates(sentence: Sentence) -> list[str]:
    return [sentence.text, sentence.zero, sentence.habit, sentence.shop, sentence.missing]


class TestEveryLanguage:
    def test_is_a_file_of_its_own_under_its_tag(self):
        assert set(LANGUAGES) == set(get_args(Language))

    @pytest.mark.parametrize("wording", LANGUAGES.values(), ids=LANGUAGES)
    def test_has_one_sentence_for_each_feature_and_no_other(self, wording: Wording):
        assert list(wording.sentences) == list(NAMES)
        assert list(wording.occasions) == list(get_args(Occasion))

    @pytest.mark.parametrize("wording", LANGUAGES.values(), ids=LANGUAGES)
    def test_has_one_name_for_each_feature_and_each_theme(self, wording: Wording):
        assert list(wording.names) == list(NAMES)
        assert list(wording.themes) == list(get_args(Theme))
        assert len(set(wording.names.values())) == len(NAMES)

    @pytest.mark.parametrize(("language", "name"), ALL)
    def test_fills_its_sentences_with_numbers_of_known_features_in_forms_that_it_has(
        self, language: Language, name: str
    ):
        wording = LANGUAGES[language]
        sentence = wording.sentences[name]
        placeholders = [part[1:] for each in templates(sentence) for part in parts(each) if part[1]]

        assert {told for told, _ in placeholders} <= set(TOLD)
        assert all(not form or "|" in form or form in wording.forms for _, form in placeholders)
        # A sentence that names no number of the customer's would be the same for everybody.
        assert any(placeholder for _, placeholder, _ in parts(sentence.text))
        assert not any(placeholder for _, placeholder, _ in (*parts(sentence.missing), *parts(sentence.zero)))

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_says_something_of_each_feature_that_is_said_of_no_other(self, language: Language):
        texts = [sentence.text for sentence in LANGUAGES[language].sentences.values()]

        assert len(set(texts)) == len(texts)

    @pytest.mark.parametrize("name", NAMES)
    def test_tells_the_same_numbers_as_the_others(self, name: str):
        def told(wording: Wording) -> list[set[str | None]]:
            found = templates(wording.sentences[name])
            return [{placeholder for _, placeholder, _ in parts(each)} - {None} for each in found]

        assert all(told(wording) == told(LANGUAGES["en"]) for wording in LANGUAGES.values())

    @pytest.mark.parametrize(("language", "name"), ALL)
    def test_has_words_for_what_is_missing(self, language: Language, name: str):
        missing = LANGUAGES[language].sentences[name].missing

        assert tell(language, name) == missing
        assert LANGUAGES[language].tell(name, dict.fromkeys(NAMES, math.inf)) == missing
        assert missing.strip()

    @pytest.mark.parametrize("name", NAMES)
    def test_is_the_language_it_says(self, name: str):
        raw = dict.fromkeys(NAMES, 1.5)
        chinese = re.compile("[\u4e00-\u9fff]")

        assert not chinese.search(LANGUAGES["en"].tell(name, raw))
        assert chinese.search(LANGUAGES["zh"].tell(name, raw))
        assert not re.search("[a-z]", LANGUAGES["zh"].tell(name, raw))


@given(raw_values)
@examples(60)
def test_whatever_is_known_of_a_customer_is_told_in_numbers_that_people_write(raw: dict[str, float]):
    for language, name in ALL:
        said = LANGUAGES[language].tell(name, raw)

        assert said == said.strip() != ""
        assert not re.search(r"\b(nan|inf|none)\b|[{}]", said, re.IGNORECASE), said
        assert not re.search(r"-\d|\d\.\d{3}|\d\.0\b|e\+", said), said
        assert not re.search(r"(?<![\d.,])1 \w+s\b", said), said  # 1 days
        if name not in {"mean_rating", "satisfaction"}:  # which can be 0 of 5
            assert not re.search(r"(?<![\d.,])0(\.0+)?(?![\d.,])", said), said  # 0 orders


@pytest.mark.parametrize(
    ("raw", "english", "chinese"),
    [
        ({"days_since_purchase": 47.2, "gap_mean": 18.4}, "no order for 47 days; usually one every 18 days",
         "已有 47 天没有下单；平时每 18 天一单"),
        ({"days_since_purchase": 1.2}, "no order for 1 day", "已有 1 天没有下单"),
        ({"days_since_purchase": 0.2, "gap_mean": 1.0}, "no order for less than a day; usually one every day",
         "已有不到 1 天没有下单；平时每天一单"),
        ({"orders_trend": math.log(0.4)}, "orders come at 0.4 times the usual rate",
         "下单频率是平时的 0.4 倍"),
        ({"orders_trend": math.log(0.52)}, "orders come at half the usual rate", "下单频率是平时的一半"),
        ({"orders_trend": 0.0}, "orders come at about the usual rate", "下单频率与平时相当"),
        ({"orders_trend": -9.0}, "orders have all but stopped", "几乎不再下单"),
        ({"orders_trend": 1e300}, "orders come at more than 100 times the usual rate",
         "下单频率超过平时的 100 倍"),
        ({"mean_rating": 1.5}, "rated 1.5 of 5 on average", "评分平均 1.5 分（满分 5 分）"),
        ({"mean_rating": 0.0}, "rated 0 of 5 on average", "评分平均 0 分（满分 5 分）"),
        ({"late_delivery_share": 0.384}, "38% of deliveries were late", "38% 的配送晚到"),
        ({"late_delivery_share": 0.0}, "no delivery was late", "配送从未晚到"),
        ({"orders_30d": 0.03, "order_frequency": 1.5},
         "hardly any orders in recent weeks; usually about 18 a year",
         "最近几周几乎没有下单；平时每年约 18 次"),
        ({"orders_30d": 1.3, "order_frequency": 0.01}, "about 1 order in recent weeks",
         "最近几周约下单 1 次"),
        ({"spend_30d": 3.2, "orders_30d": 0.04, "total_spend": 1234.5},
         "hardly any money spent in recent weeks", "最近几周几乎没有消费"),
        ({"spend_30d": 30.2, "orders_30d": 2.04, "mean_order_value": 50.0},
         "about 30 spent in recent weeks, on about 2 orders; usually 50 an order",
         "最近几周约消费 30，约 2 单；平时每单 50"),
        ({"days_since_purchase": 47.2, "shop_gap": 30.0},
         "no order for 47 days; customers of this shop usually order every 30 days",
         "已有 47 天没有下单；本店顾客通常每 30 天一单"),
        ({"days_since_purchase": 47.2, "gap_mean": 18.4, "shop_gap": 30.0},
         "no order for 47 days; usually one every 18 days", "已有 47 天没有下单；平时每 18 天一单"),
        ({"order_frequency": 0.3, "shop_gap": 30.0},
         "orders about 4 times a year; customers of this shop usually order every 30 days",
         "每年约下单 4 次；本店顾客通常每 30 天一单"),
        ({"mean_order_value": 74.9}, "spends 74.90 an order on average", "平均每单消费 74.90"),
        ({"items_per_order": 2.5}, "buys 2.5 items an order on average", "平均每单 2.5 件商品"),
        ({"refund_share": 1.5}, "100% of orders were refunded", "100% 的订单退了款"),
        # The ratio is that of 30 days to the usual 18 and one.
        ({"last_gap_ratio": 30 / 19, "gap_mean": 18.0},
         "the last two orders were 30 days apart; usually one every 18 days",
         "最近两次下单相隔 30 天；平时每 18 天一单"),
        ({"support_contacts": 2.0, "days_since_support": 3.0},
         "asked for support 2 times, the last time 3 days ago", "联系过客服 2 次，最近一次在 3 天前"),
    ],
)  # fmt: skip
def test_a_sentence_tells_the_customer_s_own_numbers_and_habit(
    raw: dict[str, float], english: str, chinese: str
):
    (name, *_) = raw

    assert tell("en", name, **raw) == english
    assert tell("zh", name, **raw) == chinese


def test_a_habit_that_is_not_known_is_not_told():
    assert tell("en", "orders_7d", orders_7d=2.0) == "about 2 orders in recent days"


@pytest.mark.parametrize(
    ("occasion", "known", "english", "chinese"),
    [
        ("trigger", {"signal_days": 1.2},
         "showed dissatisfaction 1 day ago (a bad rating, refund, cancellation, complaint or unsubscription)",
         "顾客 1 天前表示过不满（差评、退款、取消订单、投诉或退订）"),
        ("trigger", {}, "showed dissatisfaction", "表示过不满"),
        ("forecast", {"p_churn": 0.914, "horizon_days": 60},
         "of customers whom the model judges alike, 91% do not order within 60 days",
         "模型判断相近的顾客中，有 91% 在 60 天内不会下单"),
        ("ordered_again", {"days_since_purchase": 2.1}, "ordered again 2 days ago", "顾客 2 天前又下了单"),
        ("forecast_fell", {"p_before": 0.7, "p_churn": 0.41},
         "the forecast has fallen from 70% to 41%", "预测已从 70% 降到 41%"),
        ("threshold_rose", {"p_churn": 0.41},
         "alerts now begin at a higher risk, above this customer's 41%", "预警线已升高，超过了该顾客的 41%"),
        ("below_threshold", {"p_churn": 0.41},
         "the forecast, 41%, is below the level at which alerts begin", "预测为 41%，低于目前的预警线"),
    ],
)  # fmt: skip
def test_an_occasion_is_told_with_the_numbers_that_are_known(
    occasion: Occasion, known: dict[str, float], english: str, chinese: str
):
    assert LANGUAGES["en"].occasion(occasion, known) == english
    assert LANGUAGES["zh"].occasion(occasion, known) == chinese


@pytest.mark.parametrize("occasion", get_args(Occasion))
def test_an_occasion_tells_the_same_numbers_in_every_language(occasion: Occasion):
    told = [
        {name for each in templates(wording.occasions[occasion]) for _, name, _ in parts(each)}
        for wording in LANGUAGES.values()
    ]

    assert all(each == told[0] for each in told)
    assert told[0] - {None} <= set(TOLD)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(numbers).failed == 0
    assert doctest.testmod(numbers).attempted >= 5
