"""Truth against what was said: how much was lost, doubled, missed or should not have been."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson

from tests.storm.counts import SHOWN, Verdict, values
from tests.storm.limits import check_limits
from tests.storm.operation import check_episodes, check_operation
from tests.storm.truth import COUNTS, hash_of

if TYPE_CHECKING:
    import pandas as pd

    from models.versions import ModelSet
    from tests.storm.counts import Published
    from tests.storm.limits import Limits
    from tests.storm.said import Said
    from tests.storm.truth import Truth


def judge(
    truth: Truth, said: Said, limits: Limits, calm: Said | None = None, *, grid: bool = True
) -> Verdict:
    """Compare a run with the truth and, if its models are frozen, with a calm run over the same input.

    `grid` says that every partition judged each decision time by the version as of it, or by one for ever:
    whom the grid alarms follows from the input then.
    """
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
    check_limits(truth, said, limits, verdict)
    check_operation(truth, said, verdict)
    if grid:
        check_episodes(truth, said, verdict)
    verdict.note("alerts_contradicted", _contradicted(said.alerts))
    verdict.note("decisions_doubled", _contradicted(said.decisions))
    verdict.note("commands_doubled", _contradicted(said.commands))
    return verdict


def _rows(truth: Truth, said: Said, verdict: Verdict) -> None:
    """Every event is in its customer's row once: counts are whole numbers, money is in micros."""
    expected = truth.counts
    found = said.rows.reindex(columns=list(COUNTS))
    users = expected.index.union(found.index)
    more = found.reindex(users).fillna(0) - expected.reindex(users).fillna(0)
    events = more.drop(columns=["value_micros"])
    events = events[_events_of(events)].to_numpy()
    verdict.lost, verdict.doubled = int(-events.clip(max=0).sum()), int(events.clip(min=0).sum())
    for user, row in more[(more != 0).any(axis=1)].head(SHOWN).iterrows():
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
    found = Counter((a["user_id"], a["ts"]) for a in values(said.alerts) if a["kind"] == "trigger")
    answered = Counter({place: n for place, n in found.items() if place[0] not in truth.erased})
    expected = Counter(list(truth.triggers))
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
        for identity, alert in zip(said.alerts, values(said.alerts), strict=True)
        if alert["status"] != "resolved" and alert["user_id"] not in truth.erased
    }
    verdict.note("decisions_missing", [asked[identity] for identity in asked.keys() - said.decisions.keys()])
    unasked = [
        d for i, d in zip(said.decisions, values(said.decisions), strict=True) if i[:3] not in said.alerts
    ]
    verdict.note("decisions_unasked", unasked)
    ordered = {d["command_id"]: d for d in values(said.decisions) if d["action"] != "none"}
    sent = {identity[0] for identity in said.commands}
    verdict.note("commands_missing", [d for command, d in ordered.items() if command not in sent])
    orphans = [c for c in values(said.commands) if c["command_id"] not in ordered]
    verdict.note("commands_doubled", orphans)


def _contradicted(published: Published) -> list[tuple[str, ...]]:
    """(user, identity) of what was published in several versions."""
    several = [(identity, values) for identity, values in published.items() if len(values) > 1]
    return [(orjson.loads(min(values))["user_id"], *identity) for identity, values in several]
