"""The report in English."""

from __future__ import annotations

from typing import Final

ENGLISH: Final = {
    "lang": "en",
    "months": "January February March April May June July August September October November December",
    "date": "{day} {month} {year}",
    "comma": ", ",
    "and_more": "{shown} and {n} more",
    "fewer_than_1": "fewer than 1",
    "more_than_99": "more than 99",
    "unknown": "not known",
    # -- head
    "title": "Churn report: {name}",
    "as_of": "As of {date}.",
    "no_date": "Before the first decision date.",
    "meaning": (
        "Lost means: no purchase within {horizon} days. Active means: bought in the last {active} days."
    ),
    "from_backtest": "From a recorded log, judged day by day as if it had been live.",
    "from_live": "From the live system.",
    "skip": "Skip to the details",
    "contents": "On this page",
    # -- first screen: how many
    "risk.title": "Customers at risk",
    "risk.big": "of {judged} active customers are at risk: {of_100} in 100",
    "risk.expected": (
        "In all, we expect about {expected} of them ({of_100} in 100) not to buy in the next {horizon} days."
    ),
    "risk.none": "Nobody was active yet, so nobody is at risk.",
    "risk.means": (
        "At risk: we expect at least {least} of 100 such customers not to buy in the next {horizon} days."
    ),
    "tier.none": "not at risk",
    "tier.medium": "medium",
    "tier.high": "high",
    "tier.critical": "critical",
    # -- first screen: trust
    "trust.title": "Can the warnings be trusted?",
    "trust.precision": "Of 100 customers we warned about, {n} did not come back.",
    "trust.base_rate": "Of 100 customers picked blindly it would have been {n}.",
    "trust.recall": "Of 100 customers who left, we had warned about {n}.",
    "trust.rare": (
        "We warned about {warned} of 100 customers at a time. To reach more leavers, contact customers in "
        "the order of their risk: the highest tenth holds {reached} of 100 leavers."
    ),
    "trust.span": "Counted: warnings from {first} to {last}, whose outcome is known.",
    "trust.so_far": "So far, {called} warned customers could be checked: {found} did not come back.",
    "trust.outcome": "Of 100 customers we warned about, {n} did not come back; we had said {said}.",
    "trust.early.short": "Too early to say",
    "trust.early": "Warming up: a warning can be checked only {horizon} days later, and too few have been.",
    "trust.good.short": "Yes",
    "trust.good": "Warnings find customers who leave, and mean what they say.",
    "trust.bold.short": "Yes, but they exaggerate",
    "trust.bold": "Warnings find customers who leave, but fewer leave than they say.",
    "trust.timid.short": "Yes, they even understate",
    "trust.timid": "Warnings find customers who leave, and even more leave than they say.",
    "trust.useless.short": "Not yet",
    "trust.useless": "Customers we warned about left no more often than others.",
    # -- first screen: change
    "change.title": "What changed?",
    "change.up.short": "More at risk",
    "change.down.short": "Fewer at risk",
    "change.same.short": "Little",
    "change.up": "More at risk: {now} in 100 customers, {before} on {date}.",
    "change.down": "Fewer at risk: {now} in 100 customers, {before} on {date}.",
    "change.same": "As many at risk as on {date}: {now} in 100 customers.",
    "change.first": "There is no earlier date to compare with yet.",
    "change.loss": "Since {date} the forecasts have been less accurate than usual.",
    "change.no_loss": "The forecasts are as accurate as usual.",
    "change.inputs": "Customers differ from those the model learned from in: {names}.",
    "change.no_inputs": "Customers are like those the model learned from.",
    "change.champion": "Since {date} another model leads: {model}.",
    "change.early": "Changes can be told once the first outcomes are known.",
    # -- trend
    "trend.title": "How churn moves",
    "trend.plain": (
        "Each point is one decision date. The solid line is the share of active customers who then did "
        "not buy within {horizon} days; it ends {horizon} days ago, because later outcomes are not known "
        "yet. The dashed line is what we had said beforehand: the closer the two, the better. At risk is "
        "who reached the lowest risk level of then."
    ),
    "trend.actual": "did not come back",
    "trend.forecast": "our forecast",
    "trend.at_risk": "at risk",
    "trend.axis": "of 100 active customers",
    "trend.pending": "outcome not known yet",
    "trend.alt": (
        "Lines over time. Last known share of customers lost: {actual} of 100. Newest forecast: "
        "{forecast} of 100. At risk: {at_risk} of 100."
    ),
    # -- risk distribution
    "spread.title": "Who is at risk now",
    "spread.plain": (
        "Every active customer stands in one bar, the further to the right the likelier to leave. "
        "Colours are the risk levels at which we warn."
    ),
    "spread.axis": "of 100 such customers, how many we expect not to come back",
    "spread.count": "customers",
    "spread.alt": (
        "Bar chart of customers by risk: {none} not at risk, {medium} medium, {high} high, {critical} "
        "critical."
    ),
    "spread.table": "Risk levels: how many customers now, and what became of earlier ones",
    "spread.level": "risk level",
    "spread.from": "from",
    "spread.now": "customers now",
    "spread.share": "of 100",
    "spread.said": "we said",
    "spread.left": "really left",
    "spread.note": (
        "The last columns look back: of 100 customers who stood at this level, how many we expected to "
        "leave and how many left."
    ),
    # -- importance
    "importance.title": "What the model goes by",
    "importance.plain": "The longer the bar, the more this moves the risk of a typical customer up or down.",
    "importance.axis": "mean share in the log-odds",
    "importance.alt": "Bar chart of what moves the risk, strongest first: {names}.",
    "importance.table": "The strongest signals that work as one would expect",
    "importance.signal": "signal",
    "importance.theme": "about",
    "importance.weight": "weight",
    "importance.direction": "more of it means",
    "importance.up": "more risk",
    "importance.down": "less risk",
    "importance.note": (
        "Weight: mean absolute share in the log-odds against the average customer. A theme counts what "
        "is left after its signals cancel out. They describe, they do not prove a cause."
    ),
    # -- horizon
    "horizon.title": "Does the horizon suit the shop?",
    "horizon.plain": (
        "Half of the {customers} customers who ordered on two days or more usually order again within {gap} "
        "days. {beyond} of 100 usually take longer than the horizon of {horizon} days: when they order as "
        "they always did, they count as lost."
    ),
    "horizon.suits": "So the horizon suits this shop.",
    "horizon.longer": (
        "A horizon of {days} days would suit four of five of them. It makes an alert mean more, and its "
        "outcome known later."
    ),
    # -- signals
    "signals.title": "Every signal, also against common sense",
    "signals.plain": (
        "Signals that say nearly the same share their weight, and one may take back what another says too "
        "much: then more of it means less risk in the model although everybody would expect more. Alerts add "
        "up the signals of a theme, and never tell such a signal as a reason."
    ),
    "signals.table": "The heaviest signals",
    "signals.expected": "one would expect",
    "signals.both": "depends",
    "signals.either": "either",
    # -- reach
    "reach.title": "If you can contact only some",
    "reach.plain": (
        "Contacting the {share} of 100 customers with the highest risk reaches {reached} of 100 who are "
        "about to leave. Contacting as many at random reaches {share}."
    ),
    "reach.note": (
        "Judged at each decision date from {first} to {last} by itself: who had the highest risk then, "
        "and who left."
    ),
    "reach.x": "of 100 customers, contacted (highest risk first)",
    "reach.y": "of 100 leavers, reached",
    "reach.model": "by our risk",
    "reach.random": "at random",
    "reach.alt": "Curve of leavers reached against customers contacted, above the straight line of chance.",
    "reach.table": "What a limited budget reaches",
    "reach.contacted": "contacted, of 100",
    "reach.precision": "of 100 contacted, leaving (precision)",
    "reach.recall": "of 100 leavers, reached (recall)",
    "reach.lift": "times better than chance (lift)",
    "held.table": "Steps that were not believable: alerts of the present are held back from here on",
    "held.since": "decision time",
    "held.why": "what was not believable",
    "held.crossing": "how many came into risk at once",
    "held.orders": "how few customers bought",
    "held.value": "of 100 (active customers; usual buyers)",
    "held.limit": "believable",
    "closed.table": "When the shop was closed: silence on these days is no evidence against a customer",
    "closed.first": "from",
    "closed.last": "to",
    "closed.days": "days",
    "change.held": "Alerts are held back since {date}: that step is not believable (churnwatch alarms list).",
    "thresholds.table": "Thresholds to choose from, by what each would have caught in that time",
    "thresholds.threshold": "threshold (medium)",
    "thresholds.alerted": "of 100 customers, at risk",
    "thresholds.precision": "of 100 at risk, leaving (precision)",
    "thresholds.recall": "of 100 leavers, at risk (recall)",
    "thresholds.alarmed": "of 100 active now, alarmed",
    "thresholds.note": (
        "Unless fixed thresholds are set, they follow from how many customers you can care for "
        "(alerting.capacity). A threshold of this table is fixed with alerting.medium. Of the customers at "
        "risk only those are alarmed who are late with their next order (alerting.only_overdue)."
    ),
    # -- quality
    "quality.title": "How good the forecasts are",
    "quality.plain": (
        "Take one customer who left and one who stayed. In {n} of 100 such pairs the one who left had "
        "the higher risk (AUC {auc}). Guessing would manage 50; the plain rule “longest away leaves "
        "first” manages {rule}."
    ),
    "quality.since": "Judged on decision dates from {date} on.",
    "quality.all": "Judged on every decision date whose outcome is known, from the very first forecast on.",
    "quality.table": "Every model on the same outcomes",
    "quality.model": "model",
    "quality.labels": "outcomes",
    "quality.base": "always the average",
    "quality.note": (
        "Every probability is judged once, as it was issued, when its outcome became known. ↑ higher is "
        "better, ↓ lower is better. Log loss and Brier score: how far forecasts were from what happened. "
        "Calibration error: how far 100 forecasts of 70 are from 70 who leave, on average."
    ),
    "champion": "champion (raised the warnings)",
    "model.champion": "champion",
    "model.recency": "longest away first",
    "model.pool": "weighted mean of all",
    "model.calibrated": "weighted mean, recalibrated",
    "model.additive": "additive model",
    "model.second_order": "second-order logistic regression",
    "model.logistic": "logistic regression",
    "model.return_probability": "buying rhythm alone (BG/NBD)",
    "model.hoeffding_tree": "Hoeffding tree",
    "roc.title": "ROC curve",
    "roc.plain": (
        "Going down the list from the highest risk: how many leavers are found for how many false "
        "alarms. The more it bends to the upper left, the better."
    ),
    "roc.x": "of 100 who stayed, called",
    "roc.y": "of 100 who left, called",
    "roc.alt": "ROC curves. Area under the curve of the champion: {auc}; of chance: 0.5.",
    "pr.title": "Precision and recall",
    "pr.plain": (
        "How often a warning is right, the more leavers one wants to find. The dotted line is picking "
        "blindly."
    ),
    "pr.x": "of 100 who left, found (recall)",
    "pr.y": "of 100 called, left (precision)",
    "pr.alt": "Precision-recall curves. Average precision of the champion: {ap}; picking blindly: {rate}.",
    "reliability.title": "Do the numbers mean what they say?",
    "reliability.plain": (
        "When we say 70 of 100, do 70 of 100 leave? Points on the line: yes. Below: we exaggerated. "
        "Above: we understated. Bars are 95 % intervals."
    ),
    "reliability.x": "we said: of 100",
    "reliability.y": "left: of 100",
    "reliability.alt": (
        "Forecast against outcome over {n} groups of customers; the largest gap is {gap} of 100. "
        "Calibration error {ece}."
    ),
    "reliability.note": (
        "The same customer is judged at many dates, so {effect} outcomes are counted as one independent "
        "observation in all intervals of this page."
    ),
    "separation.title": "Are the two kinds told apart?",
    "separation.plain": (
        "The risk that was given to customers who then left, and to those who stayed. The less the two "
        "overlap, the better."
    ),
    "separation.x": "we said: of 100",
    "separation.y": "of 100 of each kind",
    "separation.left": "left",
    "separation.stayed": "stayed",
    "separation.alt": (
        "Two distributions of risk. Mean of those who left: {left} of 100; of those who stayed: {stayed} "
        "of 100."
    ),
    # -- over time
    "time.title": "Every model over time",
    "time.plain": (
        "First: in how many of 100 pairs each model ranked the leaver higher, date by date. Then the "
        "running lead in log loss: over always forecasting the average (above zero is better than no "
        "model), and over the champion as it was (above zero would have been better)."
    ),
    "time.auc": "pairs ranked rightly, of 100",
    "time.lead": "lead over the average",
    "time.against": "lead over the champion",
    "time.alt": "AUC by decision date and running log loss lead of {n} models.",
    "weights.title": "Whom the mean listens to",
    "weights.plain": (
        "Each model's say in the weighted mean. Who forecast better lately gains, nobody is silenced."
    ),
    "weights.axis": "weight, of 100",
    "weights.alt": "Pool weights over time; newest: {weights}.",
    "weights.calibration": (
        "Recalibration now: slope {slope}, intercept {intercept}. A slope below 1 says that "
        "probabilities were too bold, an intercept below 0 that they were too high."
    ),
    "weights.lead": "Champion since {date}: {model}.",
    # -- drift
    "drift.title": "What drifts",
    "drift.plain": (
        "How much each input differs from one horizon ago. Below 0.1 is noise, above 0.25 a real change: "
        "of the customers, or of the data that the shop sends."
    ),
    "drift.axis": "population stability index (PSI)",
    "drift.alt": "Bar chart of the largest stability indices: {names}.",
    "drift.none": "There is no earlier population to compare with yet.",
    "drift.events": "Drift that was noticed, newest first",
    "drift.at": "noticed",
    "drift.since": "against",
    "drift.what": "what",
    "drift.level": "level",
    "drift.strongest": "strongest",
    "drift.level.moderate": "moderate",
    "drift.level.large": "large",
    "drift.loss": "accuracy of the forecasts (log loss)",
    "drift.quiet": "No drift was noticed.",
    "drift.more": "{n} earlier ones are not shown.",
    # -- fairness
    "fairness.title": "Is everybody treated alike?",
    "fairness.plain": (
        "Warnings by group, with 95 % intervals. Where groups really differ in how many leave, the three "
        "rates cannot all be equal; this page shows, people judge."
    ),
    "fairness.none": (
        "No group attributes are known: send them with the customers' profiles to see this audit."
    ),
    "fairness.attribute": "By {attribute}",
    "fairness.group": "group",
    "fairness.labels": "outcomes",
    "fairness.selection": "of 100, warned about",
    "fairness.tpr": "of 100 who left, warned about",
    "fairness.fpr": "of 100 who stayed, warned about",
    "fairness.gap": "said minus left, of 100",
    "fairness.few": "too few to judge",
    "fairness.spread": (
        "Largest difference between groups: {selection} in 100 in being warned about, {odds} in 100 in "
        "being warned about rightly or wrongly."
    ),
    "fairness.single": "There are not two groups that are large enough to compare.",
    "fairness.alt": "Warnings by {attribute}: {groups}.",
    "fairness.alt_group": "{name} {n} of 100",
    # -- words and method
    "words.title": "Words on this page",
    "words": (
        "Active customer|bought in the last {active} days.\n"
        "Decision date|a date on which every active customer is judged, every {every} days.\n"
        "Champion|the model whose forecasts raise the warnings; the others run beside it.\n"
        "AUC|how often a leaver is ranked above a stayer. 0.5 is guessing, 1 is perfect.\n"
        "Log loss|the price of being surprised, in nats: 0 is perfect; certainty that is wrong costs "
        "most.\n"
        "PR-AUC|mean precision over all numbers of leavers one may want to find.\n"
        "Brier score|mean squared distance of probability and outcome.\n"
        "Calibration error|mean distance of forecast and outcome over 15 equally large groups.\n"
        "PSI|how far a distribution moved: 0 not at all, 0.1 noticeable, 0.25 large.\n"
        "95 % interval|what the true rate may be, given how few or how many were counted."
    ),
    "method.title": "How this was measured",
    "method": (
        "{labels} outcomes. Every {every} days all active customers get a probability of not buying "
        "within {horizon} days. It is judged once, {horizon} days later, against what happened; models "
        "learn it only then, so no forecast ever knew its own outcome."
    ),
    "warming": (
        "Warming up: no outcome is known yet. The first will be {horizon} days after the first decision date."
    ),
    "png": "Charts are also in single PNG files beside this page.",
}
