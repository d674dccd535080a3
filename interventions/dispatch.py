"""One alert, one decision: the pure step between the `churn-alerts` topic and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from interventions.caps import DAY_MS, Contact
from interventions.commands import Action, Command, Decision, Withheld, command_id, command_topic
from interventions.holdout import Choice, choose, exploration_draw, is_held_out
from interventions.rows import REMEMBERED, Decided, Episode, Waiting

if TYPE_CHECKING:
    from features.fields import Channel
    from interventions.budget import DailyBudget
    from interventions.policy import CustomerView, Offering, Plan, PolicyConfig
    from interventions.rows import LedgerRow
    from models.alerts import Alert
    from models.marks import Mark


class Case(NamedTuple):
    """All that one decision depends on; deciding changes none of it."""

    #: Opened or escalated; a resolved one asks for no decision.
    alert: Alert
    view: CustomerView
    row: LedgerRow
    #: What the decision is made for; its contacts and costs are kept apart from those of other marks.
    mark: Mark
    #: When it is made, epoch ms: contacts are planned from then on.
    now: int
    #: The partition's book of this mark.
    budget: DailyBudget
    #: The UTC day that pays, days since 1970.
    day: int
    #: The partition's share of the daily budget, micros.
    share: int
    policy: PolicyConfig
    #: The later decision time at which the alert is decided again; None for the first time.
    retried_at: int | None = None


class Verdict(NamedTuple):
    """A decision and what follows from it."""

    decision: Decision
    command: Command | None
    #: What reaches the customer, or would reach a held-out one; None if nothing.
    contact: Plan | None
    #: What the day is charged; 0 without a command.
    cost_micros: int
    #: Whether nothing could be done for want of budget alone.
    short: bool = False

    def outputs(self) -> tuple[tuple[str, bytes], ...]:
        """What is to be published, complete: (logical topic, JSON)."""
        decision, command = ("decisions", msgspec.json.encode(self.decision)), self.command
        if command is None:
            return (decision,)
        return (decision, (command_topic(command.channel, command.mark), msgspec.json.encode(command)))


def decide(case: Case) -> Verdict:
    """Choose one action among those that consent, caps and budget admit, or none."""
    admitted, refusals = _admit(case)
    intended: Action = next(iter(admitted), "none")
    held_out = is_held_out(case.view.user_hash, case.policy.holdout_share)
    # A held-out customer's "none" is certain: the draw of the arm is `holdout_share`'s part.
    choice = Choice("none", 1.0) if held_out else _draw(case, list(admitted))
    plan = None if choice.action == "none" else admitted[choice.action]
    withheld: Withheld | None = None
    if plan is None:
        withheld = "holdout" if held_out else "explored" if admitted else next(iter(refusals), "no_action")
    command = None if plan is None else _command(case, plan)
    decision = _decision(case, choice, plan, intended=intended, withheld=withheld)
    would_reach = None if intended == "none" else admitted[intended]
    contact = would_reach if held_out else plan
    cost = 0 if plan is None else plan.cost_micros
    return Verdict(decision, command, contact, cost, short=not admitted and "budget" in refusals)


def remember(row: LedgerRow, alert: Alert, verdict: Verdict, policy: PolicyConfig) -> None:
    """Note a verdict in the customer's row: the decision, the contact, what the episode has used."""
    made = verdict.decision
    entry = Decided(made.alert_id, made.status, made.tier, made.ts, made.action, made.withheld, made.mark)
    row.decided = (*row.decided, entry)[-REMEMBERED:]
    if verdict.contact is not None:
        plan = verdict.contact
        contact = Contact(plan.at, plan.offering.channel, made.command_id or "", made.mark)
        row.contacts = policy.caps.relevant([*row.contacts, contact])
    if alert.kind == "episode":
        row.episode = _continued(row.episode, alert, made)
        row.waiting = _waiting(alert, verdict, policy)


def close(row: LedgerRow, alert: Alert) -> None:
    """Note that an episode is over: what a resolved alert says."""
    if row.episode is not None and row.episode.alert_id == alert.alert_id:
        row.episode = msgspec.structs.replace(row.episode, closed_at=alert.ts)
        row.waiting = None


def _waiting(alert: Alert, verdict: Verdict, policy: PolicyConfig) -> Waiting | None:
    """What is kept of an alert to decide it again; nothing of a rehearsal, which ends the same each time."""
    mark, until = verdict.decision.mark, alert.ts + policy.retry_days * DAY_MS
    if not verdict.short or mark == "rehearsal" or until <= alert.ts:
        return None
    return Waiting(msgspec.structs.replace(alert, reasons=()), mark, until)


def _admit(case: Case) -> tuple[dict[Channel, Plan], list[Withheld]]:
    """The admitted plans and why the others were refused, both beginning with the most preferred."""
    admitted: dict[Channel, Plan] = {}
    refusals: list[Withheld] = []
    for offering in case.policy.preferred(case.alert.tier, case.view):
        plan = case.policy.plan(offering, case.view, case.now)
        refusal = _refusal(case, offering, plan)
        if plan is not None and refusal is None:
            admitted[offering.channel] = plan
        elif refusal is not None:
            refusals.append(refusal)
    return admitted, refusals


def _refusal(case: Case, offering: Offering, plan: Plan | None) -> Withheld | None:
    channel = offering.channel
    if not case.policy.has_consent(case.view.profile, channel):
        return "no_consent"
    if plan is None:
        return "no_timezone"
    if _was_sent(case, channel):
        return "already_sent"
    book = [contact for contact in case.row.contacts if contact.mark == case.mark]
    refusal = case.policy.caps.refusal(book, channel, offering.cap, plan.at)
    return refusal or case.budget.refusal(case.day, plan.cost_micros, case.share)


def _was_sent(case: Case, channel: Channel) -> bool:
    # An episode may outlast the contacts that caps still need, so it remembers its own.
    episode = case.row.episode
    if episode is not None and _is_of(episode, case.alert, case.mark) and channel in episode.actions:
        return True
    sent = [contact.command_id for contact in case.row.contacts]
    return bool(sent) and command_id(case.alert.alert_id, channel, case.mark) in sent


def _is_of(episode: Episode, alert: Alert, mark: Mark) -> bool:
    """Whether this is the episode of an alert as it is decided under `mark`."""
    return (episode.alert_id, episode.mark) == (alert.alert_id, mark)


def _draw(case: Case, admitted: list[Channel]) -> Choice:
    occasion = f"{case.alert.status}/{case.alert.tier}"
    draw = exploration_draw(case.view.user_hash, case.alert.alert_id, occasion)
    return choose(admitted, case.policy.exploration, draw)


def _decision(
    case: Case, choice: Choice, plan: Plan | None, *, intended: Action, withheld: Withheld | None
) -> Decision:
    alert = case.alert
    return Decision(
        alert_id=alert.alert_id,
        status=alert.status,
        user_id=alert.user_id,
        ts=alert.ts,
        tier=alert.tier,
        probability=alert.probability,
        model=alert.model,
        policy=case.policy.name,
        arm="holdout" if withheld == "holdout" else "policy",
        holdout_share=case.policy.holdout_share,
        action=choice.action,
        propensity=choice.propensity,
        intended=intended,
        cost=0.0 if plan is None else plan.cost_micros / 1e6,
        mark=case.mark,
        withheld=withheld,
        retried_at=case.retried_at,
        command_id=None if plan is None else command_id(alert.alert_id, plan.offering.channel, case.mark),
    )


def _command(case: Case, plan: Plan) -> Command:
    alert, offering, profile = case.alert, plan.offering, case.view.profile
    return Command(
        command_id=command_id(alert.alert_id, offering.channel, case.mark),
        alert_id=alert.alert_id,
        user_id=alert.user_id,
        ts=alert.ts,
        channel=offering.channel,
        offer=offering.offer,
        template=offering.template,
        not_before=plan.at,
        expires_at=plan.expires_at,
        mark=case.mark,
        quiet_from=None if plan.timezone is None else case.policy.quiet_start,
        quiet_until=None if plan.timezone is None else case.policy.quiet_end,
        timezone=plan.timezone,
        locale=None if profile is None else profile.locale,
    )


def _continued(episode: Episode | None, alert: Alert, made: Decision) -> Episode:
    used = () if made.action == "none" else (made.action,)
    if episode is None or not _is_of(episode, alert, made.mark):
        return Episode(alert.alert_id, alert.tier, alert.ts, used, mark=made.mark)
    return msgspec.structs.replace(episode, tier=alert.tier, actions=(*episode.actions, *used))
