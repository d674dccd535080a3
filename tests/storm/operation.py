"""What may be said when: by history, in shadow, live, and while alerts are held; and who must be alarmed.

In a storm every active customer is at risk, whatever the models think, so who must be alarmed at a decision
time follows from purchases alone: whoever is active and in no episode. An episode ends with a purchase, and
silently with the operation under which it was opened.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tests.storm.counts import values
from tests.storm.truth import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tests.storm.counts import Verdict
    from tests.storm.said import Said
    from tests.storm.truth import Truth

#: The mark of an episode that raises no alerts, because an operator dropped it.
_DROPPED: Final = "dropped"

#: (user, decision time, status, mark) of an alert.
Episode = tuple[str, int, str, str]


def check_operation(truth: Truth, said: Said, verdict: Verdict) -> None:
    """Note what was said under a wrong mark, on a wrong topic, or in a step that was held."""
    marks = {}
    for alert in values(said.alerts):
        known = marks[alert["alert_id"]] = _mark(truth, alert) or alert["mark"]
        verdict.note("mismarked", [alert] * (alert["mark"] != known))
    for told in (*values(said.decisions), *values(said.commands)):
        # What belongs to no alert is noted elsewhere.
        mark = marks.get(told["alert_id"], told["mark"])
        verdict.note("mismarked", [told] * (told["mark"] != mark))
    verdict.note("commands_misplaced", _misplaced(truth, said))
    held = [
        alert
        for alert in values(said.alerts)
        if alert["kind"] == "episode" and alert["status"] != "resolved" and _is_held(truth, said, alert["ts"])
    ]
    verdict.note("alarmed_while_held", held)


def _mark(truth: Truth, alert: dict[str, Any]) -> str | None:
    """The mark that an alert must have; None if there should be no such alert."""
    if alert["kind"] == "trigger":
        return truth.triggers.get((alert["user_id"], alert["ts"]))
    due = truth.due.get(alert["ts"])
    return None if due is None else truth.rules.mark_at(due)


def _is_held(truth: Truth, said: Said, ts: int) -> bool:
    """A rehearsal raises what it would have raised: nothing follows from it, so nothing is held."""
    return ts in said.held and ts in truth.due and truth.rules.mark_at(truth.due[ts]) != "rehearsal"


def _misplaced(truth: Truth, said: Said) -> Iterator[dict[str, Any]]:
    """Commands on topics of gateways that are not live, or were written when nothing could be; and others."""
    for command in values(said.commands):
        identity, live = command["command_id"], command["mark"] == "live"
        if identity in said.for_gateways:
            if not live or truth.rules.mark_at(said.written[identity]) != "live":
                yield command
        elif live:
            yield command


def check_episodes(truth: Truth, said: Said, verdict: Verdict) -> None:
    """Compare the alerts of the grid with those that purchases demand."""
    raised: list[Episode] = [
        (alert["user_id"], alert["ts"], alert["status"], alert["mark"])
        for alert in values(said.alerts)
        if alert["kind"] == "episode" and alert["status"] != "escalated"
        if alert["user_id"] not in truth.erased
    ]
    due = set(demanded(truth, said.held))
    verdict.note("alerts_missing", sorted(due - set(raised)))
    verdict.note("alerts_unexpected", sorted(set(raised) - due))
    twice = [each for each, count in Counter(raised).items() if count > 1]
    verdict.note("alerts_unexpected", sorted(twice))


def demanded(truth: Truth, held: dict[int, str]) -> Iterator[Episode]:
    """Every alert that opens or resolves an episode; `held` says of decision times "held" or "dropped"."""
    bought = truth.purchases.sort_values("ts")
    users, codes = np.unique(bought.user.to_numpy(str), return_inverse=True)
    times = bought.ts.to_numpy()
    last, since = np.zeros(len(users), np.int64), np.zeros(len(users), np.int64)
    marks = np.full(len(users), "", object)
    seen = 0
    for ts, due in truth.due.items():
        until = int(np.searchsorted(times, ts))
        np.maximum.at(last, codes[seen:until], times[seen:until])
        seen, mark = until, truth.rules.mark_at(due)
        hold = "" if mark == "rehearsal" else held.get(ts, "")
        active = (last > 0) & (last >= ts - truth.rules.active_within_days * DAY_MS)
        if not hold:
            since[active & (marks != mark) & (marks != _DROPPED)] = 0
        inside = since > 0
        resolved, opened = active & inside & (last >= since), active & ~inside
        yield from _episodes(users[resolved & (marks == mark)], ts, "resolved", mark)
        since[resolved], marks[resolved] = 0, ""
        if not hold:
            yield from _episodes(users[opened], ts, "opened", mark)
        if hold != "held":
            since[opened], marks[opened] = ts, _DROPPED if hold else mark


def _episodes(users: NDArray[Any], ts: int, status: str, mark: str) -> Iterator[Episode]:
    return ((user, ts, status, mark) for user in users.tolist())
