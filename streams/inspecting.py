"""`churnwatch inspect`: what is known of one customer, from the worker that has them in memory."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table

from features.catalogue import CATALOGUE
from features.hashing import partition_of
from features.wording import LANGUAGES
from interventions.customer_report import CustomerReport, UnknownCustomerError, report
from streams.querying.asking import PATIENCE_SECONDS, NoAnswerError, QueryError, ask
from streams.querying.messages import CustomerQuery
from streams.reading import read_core, read_ledger, read_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from features.wording import Language
    from interventions.customer_report import AsOf
    from streams.settings import Settings


async def inspect(
    settings: Settings,
    user: str,
    console: Console,
    language: Language | None = None,
    *,
    as_of: AsOf = None,
    offline: bool = False,
    shares: bool = False,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Print profile, features, risk and decisions of one customer, now or `as_of` a time.

    Asks the worker that owns the customer and waits `seconds` for the answer; `offline` reads the changelogs
    of the partition instead. Features are told in `language`; None: in the first of the settings. With
    `shares` each says what it adds to the log-odds, and what common sense says of more of it. Raises
    UnknownCustomerError, NotKeptError or QueryError if there is nothing to show, and NoAnswerError.
    """
    found = await (_read(settings, user, as_of) if offline else _asked(settings, user, as_of, seconds))
    for line in _head(found):
        console.print(line, highlight=False, markup=False)
    console.print(_features(found, language or settings.alerting.languages[0], shares=shares))
    console.print(_decisions(found))
    planned = ", ".join(f"{channel} {moment(at)} ({mark})" for at, channel, mark in found.history.contacts)
    console.print(f"contacts: {planned or 'none'}", highlight=False)


async def _asked(settings: Settings, user: str, as_of: AsOf, seconds: float) -> CustomerReport:
    query = CustomerQuery(user_id=user, as_of=as_of)
    try:
        return await ask(settings.kafka, "customer", query, CustomerReport, seconds)
    except QueryError as error:
        if error.code == "unknown_customer":
            raise UnknownCustomerError(str(error)) from error
        raise
    except NoAnswerError as error:
        raise NoAnswerError(f"{error} (--offline reads the changelog instead)") from error


async def _read(settings: Settings, user: str, as_of: AsOf) -> CustomerReport:
    partition = partition_of(user.encode(), settings.kafka.partitions)
    core, ledger = await read_core(settings, partition), await read_ledger(settings, partition)
    return report(core, ledger, await read_models(settings), user, as_of)


def _head(found: CustomerReport) -> Iterator[str]:
    yield f"customer {found.user_id}, partition {found.partition}"
    last = "never" if found.last_event is None else moment(found.last_event)
    which = "now: all that was read" if found.live else "as asked for"
    yield f"last event seen: {last} (all times are UTC)"
    yield f"features and risk as of {moment(found.as_of)} ({which})"
    if found.risk is None:
        yield f"risk: not judged, for want of an order within {found.active_within_days} days"
    else:
        by = f"{found.model} version {found.version}"
        tier = f"tier {found.risk.tier}, {by}"
        yield f"risk: {found.risk.probability:.1%} not to buy within {found.horizon_days} days ({tier})"
    if found.decided is not None:
        said = "not judged" if found.decided.probability is None else f"{found.decided.probability:.1%}"
        yield f"at the last decision time, {moment(found.decided.ts)}: {said}"
    if found.episode is not None:
        mark = "" if found.episode.mark is None else f", mark {found.episode.mark}"
        yield f"alert open since {moment(found.episode.since)}, tier {found.episode.tier}{mark}"
    yield "profile: " + (", ".join(f"{name} {_word(each)}" for name, each in found.profile.items()) or "none")


def _features(found: CustomerReport, language: Language, *, shares: bool) -> Table:
    wording = LANGUAGES[language]
    raw = {name: math.nan if value is None else value for name, value in found.features.items()}
    table = Table(title="features", title_justify="left")
    for column in ("feature", "value", "unit", *(("share", "more of it is") if shares else ()), "in words"):
        table.add_column(column)
    for feature in CATALOGUE:
        if feature.name in raw:
            value = raw[feature.name]
            shown = "missing" if math.isnan(value) else f"{value:.4g}"
            share = found.shares.get(feature.name)
            told = ("" if share is None else f"{share:+.3f}", feature.direction) if shares else ()
            table.add_row(feature.name, shown, feature.unit, *told, wording.tell(feature.name, raw))
    return table


def _decisions(found: CustomerReport) -> Table:
    table = Table(title="newest decisions", title_justify="left")
    for column in ("when", "alert", "tier", "mark", "decision", "outcome"):
        table.add_column(column)
    for each in found.history.decisions:
        said = f"none: {each.withheld}" if each.withheld else each.action
        table.add_row(moment(each.ts), each.status, each.tier, each.mark, said, "")
    for outcome in found.history.outcomes:
        table.add_row(moment(outcome.ts), "", "", "", "", outcome.kind)
    return table


def _word(value: str | bool | None) -> str:
    return str(value) if value is None or isinstance(value, str) else ("no", "yes")[value]


def moment(ts: int) -> str:
    """A time for people: UTC, to the minute."""
    return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
