"""The features in Chinese (simplified)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from features.wording.numbers import number, whole
from features.wording.sentence import Sentence, Wording

if TYPE_CHECKING:
    from features.feature import Theme


def _days(x: float) -> str:
    shown = whole(x)
    # A space stands before digits; so no sentence begins with this form.
    return "不到 1 天" if shown == "0" else f" {shown} 天"


def _every(x: float) -> str:
    shown = whole(x)
    return "每天" if shown in {"0", "1"} else f"每 {shown} 天"


def _times(x: float) -> str:
    """Stands behind what is compared with its usual rate."""
    if x > 100:
        return "超过平时的 100 倍"
    shown = number(x)
    return {"0.5": "是平时的一半", "1": "与平时相当"}.get(shown, f"是平时的 {shown} 倍")


_NO_ORDER: Final = "还没有下过单"
_NO_RHYTHM: Final = "还没有第二次下单"

_SENTENCES: Final = {
    # -- buying
    "no_purchase_probability": Sentence(
        "这种购买节奏的顾客有 {no_purchase_probability} 在预测期内不会回购："
        "{order_days} 天下过单，最近一次在{days_since_purchase:days}前",
        _NO_ORDER,
        zero="这种购买节奏的顾客在预测期内都会回购",
        habit="，平时{gap_mean:every}一单",
        shop="；本店顾客通常{shop_gap:every}一单",
    ),
    "days_since_purchase": Sentence(
        "已有{days_since_purchase:days}没有下单",
        _NO_ORDER,
        habit="；平时{gap_mean:every}一单",
        shop="；本店顾客通常{shop_gap:every}一单",
    ),
    "overdue_ratio": Sentence("有{days_since_purchase:days}没有下单，而平时{gap_mean:every}一单", _NO_RHYTHM),
    "overdue_deviations": Sentence(
        "已有{days_since_purchase:days}没有下单；平时{gap_mean:every}一单，前后相差约{gap_deviation:days}",
        "订单太少，还看不出购买节奏",
    ),
    "gap_mean": Sentence("平时{gap_mean:every}一单", _NO_RHYTHM),
    "gap_deviation": Sentence("下单间隔前后相差约{gap_deviation:days}", "订单太少，还看不出购买节奏"),
    "last_gap_ratio": Sentence(
        "最近两次下单相隔{last_gap:days}", _NO_RHYTHM, habit="；平时{gap_mean:every}一单"
    ),
    "orders": Sentence(
        "至今共 {orders} 单", "订单数未知", zero=_NO_ORDER, habit="，最近一单在{days_since_purchase:days}前"
    ),
    "order_days": Sentence(
        "至今有 {order_days} 天下过单",
        "订单数未知",
        zero=_NO_ORDER,
        habit="，最近一单在{days_since_purchase:days}前",
    ),
    "order_frequency": Sentence(
        "每年约下单 {orders_a_year} 次",
        _NO_ORDER,
        zero="很少下单",
        shop="；本店顾客通常{shop_gap:every}一单",
    ),
    "orders_7d": Sentence(
        "最近几天约下单 {orders_7d} 次",
        "近期订单未知",
        zero="最近几天几乎没有下单",
        habit="；平时每年约 {orders_a_year} 次",
    ),
    "orders_30d": Sentence(
        "最近几周约下单 {orders_30d} 次",
        "近期订单未知",
        zero="最近几周几乎没有下单",
        habit="；平时每年约 {orders_a_year} 次",
    ),
    "orders_90d": Sentence(
        "最近几个月约下单 {orders_90d} 次",
        "近期订单未知",
        zero="最近几个月几乎没有下单",
        habit="；平时每年约 {orders_a_year} 次",
    ),
    "orders_trend": Sentence("下单频率{orders_rate:times}", "下单趋势未知", zero="几乎不再下单"),
    "spend_7d": Sentence(
        "最近几天约消费 {spend_7d:whole}，约 {orders_7d} 单",
        "近期消费未知",
        zero="最近几天几乎没有消费",
        habit="；平时每单 {mean_order_value}",
    ),
    "spend_30d": Sentence(
        "最近几周约消费 {spend_30d:whole}，约 {orders_30d} 单",
        "近期消费未知",
        zero="最近几周几乎没有消费",
        habit="；平时每单 {mean_order_value}",
    ),
    "spend_90d": Sentence(
        "最近几个月约消费 {spend_90d:whole}，约 {orders_90d} 单",
        "近期消费未知",
        zero="最近几个月几乎没有消费",
        habit="；平时每单 {mean_order_value}",
    ),
    "spend_trend": Sentence("消费力度{spend_rate:times}", "消费趋势未知", zero="几乎不再消费"),
    "mean_order_value": Sentence("平均每单消费 {mean_order_value}", _NO_ORDER, zero="订单没有消费金额"),
    "max_order_value": Sentence(
        "最大一单为 {max_order_value}",
        "最大订单未知",
        zero="还没有消费",
        habit="；平均每单 {mean_order_value}",
    ),
    "total_spend": Sentence(
        "累计消费 {total_spend}", "消费金额未知", zero="还没有消费", habit="，共 {orders} 单"
    ),
    "items_per_order": Sentence("平均每单 {items_per_order} 件商品", _NO_ORDER, zero="订单没有商品明细"),
    "discount_share": Sentence("{discount_share} 的订单用了优惠券", _NO_ORDER, zero="从未用过优惠券"),
    "weekend_share": Sentence("{weekend_share} 的订单在周末下单", _NO_ORDER, zero="从未在周末下单"),
    "evening_share": Sentence("{evening_share} 的订单在晚上下单", _NO_ORDER, zero="从未在晚上下单"),
    # -- engagement
    "tenure_days": Sentence(
        "成为顾客已有{tenure_days:days}", "还没有任何记录", habit="；最近一单在{days_since_purchase:days}前"
    ),
    "days_since_activity": Sentence("上次出现在{days_since_activity:days}前", "还没有任何记录"),
    "activity_7d": Sentence(
        "最近几天约有 {activity_7d} 次访问、下单等活动",
        "近期活动未知",
        zero="最近几天几乎没有活动",
        habit="；上次出现在{days_since_activity:days}前",
    ),
    "activity_30d": Sentence(
        "最近几周约有 {activity_30d} 次访问、下单等活动",
        "近期活动未知",
        zero="最近几周几乎没有活动",
        habit="；上次出现在{days_since_activity:days}前",
    ),
    "activity_90d": Sentence(
        "最近几个月约有 {activity_90d} 次访问、下单等活动",
        "近期活动未知",
        zero="最近几个月几乎没有活动",
        habit="；上次出现在{days_since_activity:days}前",
    ),
    "activity_trend": Sentence("活跃程度{activity_rate:times}", "活跃趋势未知", zero="几乎不再活跃"),
    "active_days_30d": Sentence(
        "最近 30 天中有 {active_days_30d} 天活跃",
        "活跃天数未知",
        zero="最近 30 天没有活跃",
        habit="；最近 90 天中有 {active_days_90d} 天",
    ),
    "active_days_90d": Sentence(
        "最近 90 天中有 {active_days_90d} 天活跃", "活跃天数未知", zero="最近 90 天没有活跃"
    ),
    "views_30d": Sentence(
        "最近几周约看过 {views_30d} 次商品", "商品浏览未知", zero="最近几周几乎没有看过商品"
    ),
    "searches": Sentence("至今搜索过 {searches} 次", "搜索次数未知", zero="从未搜索过"),
    "carts_30d": Sentence("最近几周约加购 {carts_30d} 次", "近期加购未知", zero="最近几周几乎没有加购"),
    "cart_abandonment": Sentence(
        "近期加购的商品约有 {cart_abandonment} 没有下单", "近期没有加购", zero="近期加购的商品都下了单"
    ),
    "category_breadth": Sentence(
        "对 {category_breadth} 个品类感兴趣", "兴趣未知", zero="还看不出对哪个品类感兴趣"
    ),
    # -- service
    "refund_share": Sentence("{refund_share} 的订单退了款", _NO_ORDER, zero="从未退款"),
    "refunded_value_share": Sentence(
        "{refunded_value_share} 的消费金额被退回", "还没有消费", zero="从未退款"
    ),
    "cancel_share": Sentence("{cancel_share} 的订单被取消", _NO_ORDER, zero="从未取消订单"),
    "late_delivery_share": Sentence(
        "{late_delivery_share} 的配送晚到", "还没有配送记录", zero="配送从未晚到"
    ),
    "mean_rating": Sentence("评分平均 {mean_rating} 分（满分 5 分）", "还没有评分"),
    "low_rating_share": Sentence(
        "{low_rating_share} 的评分不高于 2 分（满分 5 分）", "还没有评分", zero="评分都高于 2 分（满分 5 分）"
    ),
    "satisfaction": Sentence("满意度调查平均 {satisfaction} 分（满分 10 分）", "还没有回答过满意度调查"),
    "support_contacts": Sentence(
        "联系过客服 {support_contacts} 次",
        "客服联系次数未知",
        zero="从未联系过客服",
        habit="，最近一次在{days_since_support:days}前",
    ),
    "days_since_support": Sentence("上次联系客服在{days_since_support:days}前", "从未联系过客服"),
}

#: What each feature is called in tables and charts.
_NAMES: Final = {
    "no_purchase_probability": "同样购买节奏的顾客中不回购的比例",
    "days_since_purchase": "距上次下单的时间",
    "overdue_ratio": "距上次下单的时间与平时间隔之比",
    "overdue_deviations": "下一单逾期的程度",
    "gap_mean": "平时的下单间隔",
    "gap_deviation": "下单间隔的波动",
    "last_gap_ratio": "最近一次下单间隔与平时之比",
    "orders": "订单数",
    "order_days": "有下单的天数",
    "order_frequency": "每月下单次数",
    "orders_7d": "最近几天的订单",
    "orders_30d": "最近几周的订单",
    "orders_90d": "最近几个月的订单",
    "orders_trend": "最近的下单频率与平时之比",
    "spend_7d": "最近几天的消费",
    "spend_30d": "最近几周的消费",
    "spend_90d": "最近几个月的消费",
    "spend_trend": "最近的消费与平时之比",
    "mean_order_value": "平均每单金额",
    "max_order_value": "最大一单的金额",
    "total_spend": "累计消费",
    "items_per_order": "每单商品数",
    "discount_share": "使用优惠券的订单比例",
    "weekend_share": "周末订单的比例",
    "evening_share": "晚间订单的比例",
    "tenure_days": "成为顾客的时间",
    "days_since_activity": "距上次出现的时间",
    "activity_7d": "最近几天的活动",
    "activity_30d": "最近几周的活动",
    "activity_90d": "最近几个月的活动",
    "activity_trend": "最近的活跃程度与平时之比",
    "active_days_30d": "最近 30 天中的活跃天数",
    "active_days_90d": "最近 90 天中的活跃天数",
    "views_30d": "最近几周看过的商品",
    "searches": "站内搜索次数",
    "carts_30d": "最近几周的加购",
    "cart_abandonment": "加购后未下单的比例",
    "category_breadth": "感兴趣的品类数",
    "refund_share": "退款订单的比例",
    "refunded_value_share": "退款金额的比例",
    "cancel_share": "取消订单的比例",
    "late_delivery_share": "配送晚到的比例",
    "mean_rating": "平均评分",
    "low_rating_share": "低评分的比例",
    "satisfaction": "满意度调查得分",
    "support_contacts": "联系客服次数",
    "days_since_support": "距上次联系客服的时间",
}

_THEMES: Final[dict[Theme, str]] = {
    "rhythm": "购买节奏",
    "spend": "消费",
    "browsing": "浏览",
    "service": "服务：退货、配送、客服",
    "satisfaction": "评分与满意度",
}

CHINESE: Final = Wording(
    sentences=_SENTENCES,
    names=_NAMES,
    themes=_THEMES,
    forms={"days": _days, "every": _every, "times": _times, "whole": whole},
    occasions={
        "trigger": Sentence(
            "顾客{signal_days:days}前表示过不满（差评、退款、取消订单、投诉或退订）", "表示过不满"
        ),
        "forecast": Sentence(
            "模型判断相近的顾客中，有 {p_churn} 在{horizon_days:days}内不会下单", "预测未知"
        ),
        "ordered_again": Sentence("顾客{days_since_purchase:days}前又下了单", "又下了单"),
        "forecast_fell": Sentence("预测已从 {p_before} 降到 {p_churn}", "预测已下降"),
        "threshold_rose": Sentence(
            "预警线已升高，超过了该顾客的 {p_churn}", "预警线已升高，超过了该顾客的预测"
        ),
        "below_threshold": Sentence("预测为 {p_churn}，低于目前的预警线", "预测低于目前的预警线"),
    },
)
