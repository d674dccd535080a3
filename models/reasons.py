"""Why an alert was raised, in sentences that a person at the shop accepts, each by what the model goes by.

Shares in the log-odds are exact, but columns that say nearly the same divide them up at will, and one may
take back what another says too much. So the shares of a theme are added up. The theme is then told by its
strongest feature whose value speaks for leaving (`features.speaking`): what common sense contradicts stays in
the sum, and is shown to those who ask for the shares of single features (`shares`), not in an alert.
"""

from __future__ import annotations

from itertools import islice
from math import isfinite, nan
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

import numpy as np
from scipy.special import expit

from features.catalogue import CATALOGUE, NAMES, model_inputs, raw_features
from features.feature import Theme
from features.layout import DAY_MS
from features.speaking import facts
from features.view import View
from features.wording import LANGUAGES
from features.wording.numbers import percent
from models.alerts import Reason
from models.closings import open_time
from models.versions import COLUMNS, SEASON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.speaking import Facts
    from features.wording import Language
    from features.wording.sentence import Occasion
    from models.versions import ModelSet

REASONS: Final = 3
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)
_OF_THEME: Final = {
    theme: [j for j, feature in enumerate(CATALOGUE) if feature.theme == theme] for theme in THEMES
}
#: What is said of the rhythm where the model's own shares leave nothing to say of it.
_SILENCE: Final = NAMES.index("days_since_purchase")


class _Told(NamedTuple):
    """A reason before it is put into words: a column, and what its theme adds to the log-odds."""

    column: int
    contribution: float


class Customer(NamedTuple):
    """What reasons are made of: `known` numbers, and each column's share (d,) in the champion's log-odds."""

    known: Facts
    shares: list[float]

    def by_theme(self) -> dict[Theme, float]:
        """What each theme adds to the log-odds.

        Where nothing but orders was seen, activity is orders once more, and counts as rhythm.
        """
        added = {theme: sum(self.shares[j] for j in columns) for theme, columns in _OF_THEME.items()}
        if not self.known["browses"]:
            added["rhythm"] += added.pop("browsing")
        return added


def shares(inputs: NDArray[np.float32], models: ModelSet) -> NDArray[np.float64]:
    """Each feature's exact share (n, d) in the champion's log-odds of model `inputs`, to a millionth."""
    found = models.scorers[models.champion].contributions(inputs)[:, : len(NAMES)]
    # As published: a share that rounds to nothing is no reason.
    return np.round(found, 6)


def _inputs(raw: NDArray[np.floating], ts: int | NDArray[np.int64], models: ModelSet) -> NDArray[np.float32]:
    inputs = np.zeros((len(raw), len(COLUMNS)), np.float32)
    inputs[:, : len(NAMES)] = model_inputs(raw)
    inputs[:, COLUMNS.index(SEASON)] = models.seasons.effect(ts)
    return inputs


def customers(
    rows: NDArray[np.void],
    slots: NDArray[np.intp],
    ts: int | NDArray[np.int64],
    horizon_days: int,
    models: ModelSet,
    signals: NDArray[np.int64] | None = None,
) -> list[Customer]:
    """What is known of the records at `slots` (n,) as of `ts`, and what the champion makes of it.

    `signals` (n,): time of each customer's trigger event that speaks for itself, epoch ms, 0 = none.
    """
    raw = judged = raw_features(View(rows, ts, horizon_days, models.returns, slots=slots))
    if models.closed:  # people go by the calendar, the model by the days on which the shop was open
        at = open_time(rows["last_ts"][slots], ts, models.closed)
        judged = raw_features(View(rows, at, horizon_days, models.returns, slots=slots))
    inputs = _inputs(judged, ts, models)
    forecasts = expit(models.scorers[models.champion].log_odds(inputs)).tolist()
    shop_gap = nan if models.rhythm is None else models.rhythm.usual_gap
    signals = np.zeros(len(slots), np.int64) if signals is None else signals
    ago = np.where(signals > 0, np.maximum(ts - signals, 0) / DAY_MS, nan).tolist()
    return [
        Customer(
            {
                **facts(dict(zip(NAMES, values, strict=True)), shop_gap),
                "p_churn": forecast,
                "horizon_days": horizon_days,
                "signal_days": days,
            },
            own,
        )
        for values, own, forecast, days in zip(
            raw.tolist(), shares(inputs, models).tolist(), forecasts, ago, strict=True
        )
    ]


def why(customer: Customer, languages: Sequence[Language] = ("en",)) -> tuple[Reason, ...]:
    """The strongest reasons for churn, one to `REASONS`, at most one of each theme, the strongest first.

    Where no theme that raises the risk has a feature that speaks for leaving, one is given that is true all
    the same: that the next order is late, that a trigger event happened, or else what the forecast means.
    Texts are in the first of `languages`, and besides in the others.
    """
    known = customer.known
    by_theme = customer.by_theme()
    told = _strongest(customer, by_theme)
    if not told and known["overdue"]:
        told = [_Told(_SILENCE, round(by_theme["rhythm"], 6))]
    if told:
        return tuple(_reason(each, known, languages) for each in told)
    occasion: Occasion = "trigger" if isfinite(known["signal_days"]) else "forecast"
    return (_occasion(occasion, known, languages),)


def _strongest(customer: Customer, by_theme: dict[Theme, float]) -> list[_Told]:
    told: list[_Told] = []
    for theme in sorted(by_theme, key=lambda theme: -by_theme[theme]):
        added = round(by_theme[theme], 6)
        if added <= 0 or len(told) == REASONS:
            break
        columns = sorted(_OF_THEME[theme], key=lambda j: -customer.shares[j])
        told += islice((_Told(j, added) for j in columns if _speaks(j, customer)), 1)
    return told


def _speaks(column: int, customer: Customer) -> bool:
    rule = CATALOGUE[column].speaks
    return customer.shares[column] > 0 and rule is not None and rule(customer.known)


class End(NamedTuple):
    """How an episode ended: the customer `bought`, or the forecast fell below the level `closes`.

    `before` is the forecast of the decision time before, by which the episode went on; NaN if not known.
    """

    bought: bool
    before: float
    closes: float


def why_ended(customer: Customer, languages: Sequence[Language], end: End) -> tuple[Reason, ...]:
    """Why an episode ended: an order, or else which of forecast and threshold has moved."""
    if end.bought:
        added = round(customer.by_theme()["rhythm"], 6)
        return (_reason(_Told(_SILENCE, added), customer.known, languages, "ordered_again"),)
    known = {**customer.known, "p_before": end.before}
    return (_occasion(_moved(known["p_churn"], end), known, languages),)


def _moved(forecast: float, end: End) -> Occasion:
    """The former forecast would not do for today's threshold, or else it is the forecast that moved."""
    if end.before < end.closes:
        return "threshold_rose"
    # What reads alike in both numbers is nothing to tell: nobody believes a fall from >99% to >99%.
    fell = isfinite(end.before) and percent(end.before) != percent(forecast)
    return "forecast_fell" if fell else "below_threshold"


def _occasion(name: Occasion, known: Facts, languages: Sequence[Language]) -> Reason:
    feature, value = ("trigger", "signal_days") if name == "trigger" else ("forecast", "p_churn")
    texts: dict[str, str] = {tag: LANGUAGES[tag].occasion(name, known) for tag in languages}
    return Reason(
        feature=feature,
        value=round(known[value], 6),
        contribution=0.0,
        text=texts.pop(languages[0]),
        texts=texts,
    )


def _reason(
    told: _Told, known: Facts, languages: Sequence[Language], occasion: Occasion | None = None
) -> Reason:
    feature = CATALOGUE[told.column]
    value = known[feature.name]
    texts: dict[str, str] = {
        tag: LANGUAGES[tag].tell(feature.name, known)
        if occasion is None
        else LANGUAGES[tag].occasion(occasion, known)
        for tag in languages
    }
    return Reason(
        feature=feature.name,
        value=round(value, 6) if isfinite(value) else None,
        contribution=told.contribution,
        theme=feature.theme,
        text=texts.pop(languages[0]),
        texts=texts,
    )
