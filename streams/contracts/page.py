"""`docs/contracts.md`: a template, filled with tables and examples that come from the types."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

import msgspec

from features import rejection
from features.decoding import MAX_DEPTH
from features.events import Consent, Event, Item, PageView
from features.hashing import partition_of
from features.inputs import ALIASES, EVENT_TYPES, type_name
from features.layout import Layout
from features.wording import LANGUAGES
from interventions import commands
from models.alerts import ModelRef, Reason, TierLevels
from streams.contracts.examples import EXAMPLES
from streams.contracts.tables import Row, table
from streams.contracts.words import Schema, kind, literal_comments, meaning, schemas
from streams.sections import Kafka, Model, Worker
from streams.topics import CATALOGUE, FOREVER, Topic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: An example of a field mapping, shown on the page.
MAPPING: Final = """\
topic = "clickstream"
ts_unit = "s"
[columns]                      # ours = theirs
event_id = "messageId"
user_id = "userId"
ts = "timestamp"
type = "event"
item_id = "properties.product_id"
price = "properties.price"
[types]                        # theirs = ours
"PDP Shown" = "view_item"
"Basket Add" = "add_to_cart"\
"""

_DAY_MS: Final = 86_400_000
_ENVELOPE: Final = ("type", *Event.__struct_fields__)
_COLUMNS: Final = ("field", "value", "required", "meaning")


def page() -> str:
    """The page in Markdown."""
    template = Template(files(__package__).joinpath("page.template.md").read_text(encoding="utf-8"))
    return template.substitute(
        topics=table(("topic", "key", "written by", "kept"), map(_topic, _public())),
        **_numbers(),
        envelope=_envelope(),
        aliases=", ".join(f"`{name}` ({type_name(owner)})" for name, owner in ALIASES.items()),
        mapping=MAPPING,
        **{topic: _input(topic) for topic in EVENT_TYPES},
        rejections=_members("reason", literal_comments(rejection, "Reason")),
        alerts=_output("churn-alerts", Reason, ModelRef, TierLevels),
        decisions=_output("decisions"),
        withheld=_members("withheld", literal_comments(commands, "Withheld")),
        commands=_output("commands.email"),
        audit=_output("audit"),
    )


def _numbers() -> dict[str, object]:
    """Numbers in the text: limits, and what settings say unless they are changed."""
    partitions, worker, layout = Kafka().partitions, Worker(), Layout()
    return {
        "partitions": partitions,
        "foobar": partition_of(b"foobar", partitions),
        "user": partition_of(b"c-1001", partitions),
        "bytes": f"{worker.max_message_bytes:,}",
        "depth": MAX_DEPTH,
        "lateness": f"{Model().allowed_lateness_hours:g}",
        "clicks": layout.clickstream_ids,
        # An order takes two places: its event id and its transaction id.
        "orders_kept": layout.order_ids // 2,
        "reviews_kept": layout.review_ids,
        "languages": " and ".join(f"`{tag}`" for tag in LANGUAGES),
        "share": f"{worker.max_dead_share:.0%}",
        "window": f"{worker.dead_letter_window:,}",
    }


def _public() -> Iterable[Topic]:
    return (topic for topic in CATALOGUE.values() if topic.role != "internal")


def _topic(topic: Topic) -> Row:
    days = f"{topic.retention_ms // _DAY_MS} days" if topic.retention_ms != FOREVER else "for good"
    kept = "latest of each key" if topic.cleanup == "compact" else days
    return f"`{topic.name}`", f"`{topic.key}`", topic.writer, kept


def _envelope() -> str:
    schema = schemas((PageView,))["PageView"]
    rows = [_row(name, schema) for name in _ENVELOPE if name != "type"]
    return table(_COLUMNS, [("`type`", "text", "yes", "one of those below"), *rows])


def _input(topic: str) -> str:
    """The types of an input topic, the fields they share, those of their own, and an example of each."""
    types = EVENT_TYPES[topic]
    found = schemas(types)
    rows = {owner: _rows(found[owner.__name__]) for owner in types}
    shared = [row for row in rows[types[0]] if all(row in others for others in rows.values())]
    parts = ["\n".join(f"- `{type_name(owner)}`: {found[owner.__name__]['description']}" for owner in types)]
    if shared:
        parts += ["All of them carry:", table(_COLUMNS, shared)]
    for owner in types:
        if own := [row for row in rows[owner] if row not in shared]:
            parts += [f"`{type_name(owner)}` carries{' besides' if shared else ''}:", table(_COLUMNS, own)]
    parts += [_struct(found[part.__name__]) for part in (Item, Consent) if part.__name__ in found]
    return "\n\n".join([*parts, _json(map(msgspec.json.encode, EXAMPLES[topic]))])


def _output(topic: str, *parts: type[msgspec.Struct]) -> str:
    """The message of an output topic, field by field, the structs in it, and its examples."""
    owner = type(EXAMPLES[topic][0])
    found = schemas((owner, *parts))
    shown = [
        table(_COLUMNS, _rows(found[owner.__name__])),
        *(_struct(found[each.__name__]) for each in parts),
    ]
    pretty = (msgspec.json.format(msgspec.json.encode(each)) for each in EXAMPLES[topic])
    return "\n\n".join([found[owner.__name__]["description"], *shown, _json(pretty)])


def _struct(schema: Schema) -> str:
    return f"#### {schema['title']}\n\n{schema['description']}\n\n{table(_COLUMNS, _rows(schema))}"


def _rows(schema: Schema) -> list[Row]:
    return [
        _row(name, schema)
        for name in schema["properties"]
        if name not in _ENVELOPE or "type" not in schema["properties"]
    ]


def _row(name: str, schema: Schema) -> Row:
    value = schema["properties"][name]
    return f"`{name}`", kind(value), "yes" if name in schema["required"] else "", meaning(value)


def _members(title: str, comments: Mapping[str, str]) -> str:
    return table((f"`{title}`", "meaning"), [(f"`{name}`", text) for name, text in comments.items()])


def _json(values: Iterable[bytes]) -> str:
    return "\n".join(["```json", *(value.decode() for value in values), "```"])
