"""From types to words: what a field holds and means, taken from its annotation and its comment."""

from __future__ import annotations

import inspect
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from features.inputs import ALIASES

if TYPE_CHECKING:
    from types import ModuleType

REFERENCE: Final = "#/components/schemas/{name}"

Schema = dict[str, Any]

#: Fields that mean the same wherever they stand, for types that do not say it themselves.
GLOSSARY: Final = {
    "event_id": "name of this event; a retry repeats it",
    "user_id": "the customer; also the record key",
    "session_id": "the visit it belongs to",
    "item_id": "the product",
    "item_category": "the product's category",
    "device": "such as `mobile`",
    "query": "what was searched for",
    "coupon": "code of the coupon that was used",
    "transaction_id": "the order",
    "text": "in the customer's words",
    "command_id": "the command; contacts are known by it everywhere",
    "channel": "how the customer was reached",
    "consent": "which channels the customer allows",
    "email": "may be written to by e-mail; unknown means no",
    "sms": "may be written to by SMS; unknown means no",
    "call": "may be called; unknown means no",
    "onsite": "may be shown coupons in the shop; unknown means no",
    "alert_id": "the alert; stays the same while an episode escalates and resolves",
    "kind": "what raised it: the decision grid or an event that speaks for itself",
    "status": "the alert's place in its life",
    "ts": "decision time or time of the trigger, epoch milliseconds",
    "probability": "P(no purchase within the horizon)",
    "tier": "risk tier of that probability",
    "thresholds": "where the tiers began by then; absent in alerts of older releases",
    "medium": "least probability of the tier medium, and of an alert",
    "high": "least probability of the tier high",
    "critical": "least probability of the tier critical",
    "reasons": "the strongest reasons, first the strongest",
    "model": "which model spoke",
    "horizon_days": "days without purchase that count as churn",
    "segment": "the customer's segment",
    "expected_value": "what keeping the customer is worth, currency units",
    "feature": "name in the feature catalogue",
    "theme": "what a reason is about",
    "name": "name of the model",
    "version": "number of the version",
    "arm": "treated by the policy, or held out for comparison",
    "holdout_share": "probability of being held out",
    "action": "what is done",
    "propensity": "probability with which this action was chosen",
    "withheld": "why nothing is sent",
    "offer": "what is offered",
    "template": "which text to send",
    "mark": "what may follow from it: nothing, unless it is `live`",
    "host": "the machine it runs on",
    "not_before": "send from then on, epoch milliseconds",
    "expires_at": "and before then, epoch milliseconds",
}

_WORDS: Final = {"string": "text", "boolean": "true or false", "object": "texts by name"}
_COMMENT: Final = re.compile(r"\s+#: ?(.*)")
_FIELD: Final = re.compile(r"\s+(\w+)\s*:")
_MEMBER: Final = re.compile(r'\s+"(\w+)",\s+# (.*)')


def schemas(types: tuple[type[msgspec.Struct], ...]) -> dict[str, Schema]:
    """JSON schemas of `types` and of all they refer to, by name, with the meaning of every field."""
    _, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    for struct in types:
        for name, comment in field_comments(struct).items():
            components[struct.__name__]["properties"][name].setdefault("description", comment)
    for alias, owner in ALIASES.items():
        if owner in types:
            components[owner.__name__]["properties"]["type"]["enum"].append(alias)
    for schema in components.values():
        for name, value in schema.get("properties", {}).items():
            if name in GLOSSARY and not meaning(value):
                value["description"] = GLOSSARY[name]
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
    return components


@cache
def field_comments(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The `#:` comments above the fields of a struct and of those it inherits from, by field."""
    found: dict[str, str] = {}
    for owner in reversed(struct.__mro__):
        if issubclass(owner, msgspec.Struct) and owner is not msgspec.Struct:
            found |= _comments(inspect.getsource(owner).splitlines())
    return found


def _comments(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    pending: list[str] = []
    for line in lines:
        if comment := _COMMENT.fullmatch(line):
            pending.append(comment[1])
            continue
        if pending and (field := _FIELD.match(line)):
            found[field[1]] = " ".join(pending)
        pending = []
    return found


def literal_comments(module: ModuleType, name: str) -> dict[str, str]:
    """The comments beside the members of the Literal `name` of a module, by member."""
    lines = iter(inspect.getsource(module).splitlines())
    for line in lines:
        if line == f"{name} = Literal[":
            break
    found = (_MEMBER.fullmatch(line) for line in iter(lambda: next(lines), "]"))
    return {member[1]: member[2] for member in found if member}


def kind(schema: Schema) -> str:
    """What a value may be, in a few words: `text`, `number, 0 to 5`, `list of Item`."""
    if "anyOf" in schema:
        return " or ".join(kind(each) for each in schema["anyOf"] if each != {"type": "null"})
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " | ".join(f"`{each}`" for each in schema["enum"])
    if schema["type"] == "array":
        return f"list of {kind(schema['items'])}{_limits(schema)}"
    name = str(schema["type"])
    return str(schema.get("format") or _WORDS.get(name, name) + _limits(schema))


def _limits(schema: Schema) -> str:
    for name in ("maxLength", "maxItems", "maxProperties"):
        if name in schema:
            return f", at most {schema[name]}"
    low, high = schema.get("minimum"), schema.get("maximum")
    return "" if low is None or high is None else f", {low:g} to {high:g}".replace("e+", "e")


def meaning(schema: Schema) -> str:
    """What a field says, from its description or those of its parts."""
    parts = [schema, *schema.get("anyOf", ())]
    return " or ".join(str(each["description"]) for each in parts if "description" in each)
