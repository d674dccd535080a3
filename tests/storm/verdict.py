"""Truth against what was said: how much was lost, doubled, missed or should not have been."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import orjson

from tests.storm.truth import COUNTS, DAY_MS, hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from models.versions import ModelSet
    from tests.storm.said import Published, Said
    from tests.storm.truth import Truth

_SHOWN: Final = 20


@dataclass(frozen=True)
class Limits:
    """What commands must keep to, as the policy was told."""

    daily_budget: float
    cool_down_days: int = 14
    window_days: int = 30
    total: int = 2
    of_a_channel: Mapping[str, int] = field(
        default_factory=lambda: {"coupon": 1, "email": 2, "sms": 1, "call": 1}
    )


@dataclass
class Verdict:
    """Counts of what went wrong; all of them are zero when nothing did."""

    events: int = 0
    customers: int = 0
    lost: int = 0
    doubled: int = 0
    labels: int = 0
    labels_lost: int = 0
    labels_doubled: int = 0
    labels_wrong: int = 0
    #: Labels in the newest model version, and how many more or fewer than were sent to be learned by then.
    labels_learned: int = 0
    labels_learned_off: int = 0
    alerts: int = 0
    alerts_missing: int = 0
    alerts_unexpected: int = 0
    alerts_contradicted: int = 0
    triggers: int = 0
    triggers_missing: int = 0
    triggers_unexpected: int = 0
    decisions: int = 0
    decisions_missing: int = 0
    #: Two decisions about one alert that differ.
    decisions_doubled: int = 0
    #: About an alert that was never raised.
    decisions_unasked: int = 0
    commands: int = 0
    commands_missing: int = 0
    commands_doubled: int = 0
    commands_forbidden: int = 0
    caps_exceeded: int = 0
    budgets_exceeded: int = 0
    dead_letters: int = 0
    #: One line for each kind of fault, with the first few it befell.
    faults: list[str] = field(default_factory=list)
    #: The first customer with whom something is wrong.
    first: str | None = None

    def note(self, count: str, found: Any) -> None:
        """Add what went wrong to a count: messages, or tuples that begin with the customer."""
        if not (kept := list(found)):
            return
        setattr(self, count, getattr(self, count) + len(kept))
        self.faults.append(f"{count} {len(kept)}: {kept[:_SHOWN]}")
        self.first = self.first or _user_in(kept[0])

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all went wrong."""
        return not self.faults and not self.lost and not self.doubled

    def figures(self) -> dict[str, int]:
        """The counts."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def judge(truth: Truth, said: Said, limits: Limits, calm: Said | None = None) -> Verdict:
    """Compare a run with the truth and, if its models are frozen, with a calm run over the same input."""
    verdict = Verdict(
        events=len(truth.sent),
        customers=len(truth.counts),
        alerts=len(said.alerts),
        decisions=len(said.decisions),
        commands=len(said.commands),
        dead_letters=said.dead_letters,
    )
    if said.dead_letters:
        verdict.faults.append(f"{said.dead_letters} dead letters, though nothing bad was sent")
    _rows(truth, said, verdict)
    _labels(truth, said, verdict)
    _alerts(truth, said, calm, verdict)
    _decisions(truth, said, verdict)
    _limits(truth, said, limits, verdict)
    verdict.note("alerts_contradicted", _contradicted(said.alerts))
    verdict.note("decisions_doubled", _contradicted(said.decisions))
    verdict.note("commands_doubled", _contradicted(said.commands))
    return verdict


def _user_in(found: dict[str, Any] | tuple[Any, ...]) -> str:
    return str(found["user_id"] if isinstance(found, dict) else found[0])


def _rows(truth: Truth, said: Said, verdict: Verdict) -> None:
    """Every event is in its customer's row once: counts are whole numbers, money is in micros."""
    expected = truth.counts
    found = said.rows.reindex(columns=list(COUNTS))
    users = expected.index.union(found.index)
    more = found.reindex(users).fillna(0) - expected.reindex(users).fillna(0)
    events = more.drop(columns=["value_micros"])
    events = events[_events_of(events)].to_numpy()
    verdict.lost, verdict.doubled = int(-events.clip(max=0).sum()), int(events.clip(min=0).sum())
    for user, row in more[(more != 0).any(axis=1)].head(_SHOWN).iterrows():
        differing = {name: int(value) for name, value in row.items() if value}
        verdict.faults.append(f"the row of {user} differs by {differing}")
        verdict.first = verdict.first or str(user)


def _events_of(counts: pd.DataFrame) -> list[str]:
    """Columns that count an event once each: a click of any kind counts as one besides its kind."""
    browsing = {"views", "searches", "carts", "checkouts", "logins"}
    return [name for name in counts.columns if name not in browsing]


def _labels(truth: Truth, said: Said, verdict: Verdict) -> None:
    """Every label is sent once: each customer of the active base, at each decision time that matured."""
    sent: dict[int, Counter[int]] = {}
    churned: dict[tuple[int, int], bool] = {}
    for part in said.parts.values():
        for matured in part.matured:
            start = matured.cohort.decision_time
            hashes = matured.cohort.hashes.tolist()
            sent.setdefault(start, Counter()).update(hashes)
            churned |= {
                (start, code): label for code, label in zip(hashes, matured.churned.tolist(), strict=True)
            }
    erased = {hash_of(user, truth.rules.salt) for user in truth.erased}
    expected = truth.labels
    verdict.labels = sum(map(len, expected.values()))
    lost = [(c, s) for s, codes in expected.items() for c in codes if c not in sent.get(s, ())]
    verdict.note("labels_lost", _named(truth, lost))
    doubled = [(c, s) for s, codes in sent.items() for c, n in codes.items() if n > 1]
    verdict.note("labels_doubled", _named(truth, doubled))
    wrong = [
        (code, start)
        for (start, code), label in churned.items()
        if code not in erased and expected.get(start, {}).get(code) != label
    ]
    verdict.note("labels_wrong", _named(truth, wrong))
    if said.models is not None:
        _learned(truth, said, said.models, verdict)


def _named(truth: Truth, places: list[tuple[int, int]]) -> list[tuple[str, int]]:
    """(user, decision time) of each (hash, decision time)."""
    return [(truth.users.get(code, f"hash {code}"), start) for code, start in places]


def _learned(truth: Truth, said: Said, models: ModelSet, verdict: Verdict) -> None:
    """The models know every label that was sent, up to the last decision time."""
    due = sum(len(matured.cohort) for part in said.parts.values() for matured in part.matured)
    verdict.labels_learned = models.labels
    verdict.labels_learned_off = abs(models.labels - due)
    if models.labels != due:
        verdict.faults.append(f"{models.labels} labels were learned of {due}")
    if models.as_of != truth.decided:
        verdict.faults.append(f"the models are as of {models.as_of}, not {truth.decided}")


def _alerts(truth: Truth, said: Said, calm: Said | None, verdict: Verdict) -> None:
    """Each trigger is answered once, and the grid raises what it raises when nothing goes wrong."""
    found = Counter((a["user_id"], a["ts"]) for a in _values(said.alerts) if a["kind"] == "trigger")
    answered = Counter({place: n for place, n in found.items() if place[0] not in truth.erased})
    expected = Counter(truth.triggers)
    verdict.triggers = len(truth.triggers)
    verdict.note("triggers_missing", sorted((expected - answered).elements()))
    verdict.note("triggers_unexpected", sorted((answered - expected).elements()))
    if calm is not None:
        raised, due = _episodes(said, truth.erased), _episodes(calm, truth.erased)
        verdict.note("alerts_missing", [orjson.loads(value) for value in sorted(due - raised)])
        verdict.note("alerts_unexpected", [orjson.loads(value) for value in sorted(raised - due)])


def _episodes(said: Said, erased: set[str]) -> set[bytes]:
    return {
        value
        for values in said.alerts.values()
        for value in values
        if (alert := orjson.loads(value))["kind"] == "episode" and alert["user_id"] not in erased
    }


def _decisions(truth: Truth, said: Said, verdict: Verdict) -> None:
    """One decision for each alert that asks for one, one command for each decision to act."""
    asked = {
        identity: alert
        for identity, alert in zip(said.alerts, _values(said.alerts), strict=True)
        if alert["status"] != "resolved" and alert["user_id"] not in truth.erased
    }
    verdict.note("decisions_missing", [asked[identity] for identity in asked.keys() - said.decisions.keys()])
    unasked = [
        d for i, d in zip(said.decisions, _values(said.decisions), strict=True) if i[:3] not in said.alerts
    ]
    verdict.note("decisions_unasked", unasked)
    ordered = {d["command_id"]: d for d in _values(said.decisions) if d["action"] != "none"}
    sent = {identity[0] for identity in said.commands}
    verdict.note("commands_missing", [d for command, d in ordered.items() if command not in sent])
    orphans = [c for c in _values(said.commands) if c["command_id"] not in ordered]
    verdict.note("commands_doubled", orphans)


def _limits(truth: Truth, said: Said, limits: Limits, verdict: Verdict) -> None:
    commands = _values(said.commands)
    verdict.note("commands_forbidden", [c for c in commands if truth.is_held_out(c["user_id"])])
    verdict.note(
        "commands_forbidden",
        [
            command
            for command in commands
            if not truth.may_contact(
                command["user_id"], command["channel"], command["ts"], said.written[command["command_id"]]
            )
        ],
    )
    # Each mark has a budget and caps of its own.
    spent: Counter[tuple[int, str]] = Counter()
    last: dict[tuple[int, str], str] = {}
    for decision in sorted(_values(said.decisions), key=_paid_at):
        day = _paid_at(decision) // DAY_MS, decision["mark"]
        spent[day] += round(decision["cost"] * 1e6)
        last[day] = decision["user_id"]
    over = [(last[day], *day, micros) for day, micros in spent.items() if micros > limits.daily_budget * 1e6]
    verdict.note("budgets_exceeded", over)
    contacts: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for command in commands:
        book = contacts.setdefault((command["user_id"], command["mark"]), [])
        book.append((command["not_before"], command["channel"]))
    crowded = [(*of, each) for of, each in contacts.items() if not _keeps_caps(sorted(each), limits)]
    verdict.note("caps_exceeded", crowded)


def _paid_at(decision: dict[str, Any]) -> int:
    """The decision time whose day pays: a later one if the budget had nothing left before."""
    paid: int = decision.get("retried_at", decision["ts"])
    return paid


def _keeps_caps(contacts: list[tuple[int, str]], limits: Limits) -> bool:
    times = [at for at, _ in contacts]
    if any(b - a < limits.cool_down_days * DAY_MS for a, b in pairwise(times)):
        return False
    for i, start in enumerate(times):
        near = [channel for at, channel in contacts[i:] if at - start < limits.window_days * DAY_MS]
        if len(near) > limits.total:
            return False
        if any(count > limits.of_a_channel[channel] for channel, count in Counter(near).items()):
            return False
    return True


def _contradicted(published: Published) -> list[tuple[str, ...]]:
    """(user, identity) of what was published in several versions."""
    several = [(identity, values) for identity, values in published.items() if len(values) > 1]
    return [(orjson.loads(min(values))["user_id"], *identity) for identity, values in several]


def _values(published: Published) -> list[Any]:
    """Each identity's value, decoded."""
    return [orjson.loads(min(values)) for values in published.values()]
