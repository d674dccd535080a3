"""What was rehearsed, or raised in shadow, is raised again when it is meant."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from models.alerts import alert_id
from models.storage import Storage
from tests.building import Feed, alerts, config, constant_models, core, day, event

if TYPE_CHECKING:
    from models.alerts import Alert
    from models.core import PartitionCore
    from models.marks import Mode

SURE = constant_models(0.9)


def rehearsed(mode: Mode = "live", models: object = SURE) -> tuple[PartitionCore, Feed]:
    """A customer at risk in replayed history, whose episode was opened by it at the end of the first day."""
    target = core(config(mode=mode))
    feed = Feed(target, replayed=True)
    feed.buys("anna", 0.5)
    feed.decide(day(1), SURE)
    return target, feed


def hand_over(feed: Feed) -> None:
    """The session is closed: what comes now is the present."""
    feed.replayed = False
    feed.core.attend("")


def switch(target: PartitionCore, mode: Mode) -> None:
    """The worker is started again in another mode."""
    target.config = dataclasses.replace(target.config, mode=mode)


def said(found: list[Alert]) -> list[tuple[str, str, int]]:
    return [(alert.mark, alert.status, alert.ts) for alert in found]


@pytest.mark.parametrize(("mode", "mark"), [("live", "live"), ("shadow", "shadow"), ("off", "shadow")])
def test_after_a_replay_whoever_is_at_risk_is_alerted_again_at_the_first_decision_time(mode: Mode, mark: str):
    target, feed = rehearsed(mode)
    hand_over(feed)
    feed.decide(day(2), SURE)

    first, second = alerts(target)
    assert said([first, second]) == [("rehearsal", "opened", day(1)), (mark, "opened", day(2))]
    assert second.alert_id == alert_id("anna", "episode", str(day(2)), second.mark)
    assert first.alert_id == alert_id("anna", "episode", str(day(1)), "rehearsal")


def test_the_new_episode_lives_on_as_any_other():
    target, feed = rehearsed()
    hand_over(feed)
    feed.decide(day(3), SURE)
    feed.buys("anna", 3.5)
    feed.decide(day(4), SURE)

    assert said(alerts(target))[1:] == [("live", "opened", day(2)), ("live", "resolved", day(4))]
    assert len({alert.alert_id for alert in alerts(target)[1:]}) == 1


def test_a_rehearsed_episode_whose_risk_is_over_ends_without_a_word():
    target, feed = rehearsed()
    hand_over(feed)
    ((_, sweep),) = feed.decide(day(2), constant_models(0.2))

    assert said(alerts(target)) == [("rehearsal", "opened", day(1))]
    assert sweep.handed_over == 1
    assert target.table.rows["episode_start"][target.table.index["anna"]] == 0


@pytest.mark.parametrize(
    ("before", "after"), [("shadow", "live"), ("off", "live"), ("off", "shadow"), ("live", "shadow")]
)
def test_a_change_of_mode_raises_the_open_episodes_again_and_once(before: Mode, after: Mode):
    target = core(config(mode=before))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(1), SURE)
    switch(target, after)
    feed.decide(day(4), SURE)

    marks = [(alert.mark, alert.ts) for alert in alerts(target)]
    assert marks == [("live" if before == "live" else "shadow", day(1)), (after, day(2))]


def test_nothing_is_raised_again_while_the_mode_stays():
    target = core(config(mode="shadow"))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(4), SURE)

    assert said(alerts(target)) == [("shadow", "opened", day(1))]


def test_an_episode_remembers_over_a_restart_under_what_it_was_opened():
    before, feed = rehearsed()
    rows = Storage(before).take()
    after = core(config(mode="live"))
    storage = Storage(after)
    storage.restore(rows)
    storage.finish()
    feed.core = after
    hand_over(feed)
    feed.decide(day(2), SURE)

    assert said(alerts(after))[-1] == ("live", "opened", day(2))


def test_an_episode_that_an_older_release_opened_is_raised_again():
    target = core(config(mode="live"))
    feed = Feed(target)
    feed.buys("anna", 0.5)
    feed.decide(day(1), SURE)
    target.table.rows["episode_mark"][:] = 0
    feed.decide(day(2), SURE)

    assert said(alerts(target)) == [("live", "opened", day(1)), ("live", "opened", day(2))]


@pytest.mark.parametrize(
    ("command", "treated"), [("c-1", True), ("shadow-c-1", False), ("rehearsal-c-1", False)]
)
def test_nobody_is_treated_by_a_command_that_was_not_to_be_sent(command: str, treated: bool):
    target = core(config())
    feed = Feed(target)
    feed.buys("anna", 0.5)
    observed = feed(event("delivered", "anna", day(1), command_id=command))

    assert bool(target.table.rows["treated_at"][target.table.index["anna"]]) is treated
    assert sum(observed.outcomes.values()) == 1
    assert (observed.outcomes["live"] == 1) is treated
