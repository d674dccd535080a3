"""The AsyncAPI 3.0 document: https://www.asyncapi.com/docs/reference/specification/v3.0.0."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from features.inputs import type_name
from models.alerts import Reason
from streams.contracts.examples import EXAMPLES
from streams.contracts.words import schemas
from streams.topics import CATALOGUE, Topic

#: Version of the contracts: the first number rises with a change that a client must follow.
VERSION: Final = "2.0.0"

_BINDING: Final = "0.5.0"
_HEADERS: Final = {
    "ce_specversion": "1.0",
    "ce_id": "hash of the value: a repeated record repeats it",
    "ce_type": "type and version of the value, such as churnwatch.alert.v2",
    "ce_source": "/churnwatch/ and the consumer group",
    "ce_time": "the time of what is said, RFC 3339",
}

Node = dict[str, Any]


def document() -> Node:
    """The AsyncAPI document of all topics that others write or read, seen from churnwatch."""
    public = [topic for topic in CATALOGUE.values() if topic.role != "internal"]
    types = dict.fromkeys(type(example) for examples in EXAMPLES.values() for example in examples)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "churnwatch",
            "version": VERSION,
            "description": "Early warning of churn, and what is done about it. In words: contracts.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_id(topic.name): _channel(topic) for topic in public},
        "operations": {_id(topic.name): _operation(topic) for topic in public},
        "components": {
            "messages": {kind.__name__: _message(kind) for kind in types},
            "schemas": schemas((*types, Reason)) | {"CloudEventsHeaders": _headers()},
        },
    }


def _id(topic: str) -> str:
    """Ids may hold neither dots nor slashes if references are to stay simple."""
    return topic.replace(".", "-")


def _types(topic: Topic) -> list[str]:
    return list(dict.fromkeys(type(example).__name__ for example in EXAMPLES.get(topic.name, ())))


def _channel(topic: Topic) -> Node:
    key = f"Record key: {topic.key}. Written by: {topic.writer}."
    return {
        "address": topic.name,
        "description": key,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _types(topic)},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": [topic.cleanup], "retention.ms": topic.retention_ms}
                if topic.cleanup == "delete"
                else {"cleanup.policy": [topic.cleanup]},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: Topic) -> Node:
    channel = f"#/channels/{_id(topic.name)}"
    return {
        "action": "receive" if topic.role == "input" else "send",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _types(topic)],
    }


def _message(kind: type[msgspec.Struct]) -> Node:
    examples = [each for examples in EXAMPLES.values() for each in examples if type(each) is kind]
    message: Node = {
        "name": type_name(kind) if kind.__struct_config__.tag else kind.__name__,
        "summary": (kind.__doc__ or "").splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "`user_id` in UTF-8"},
                "bindingVersion": _BINDING,
            }
        },
        "examples": [{"payload": msgspec.to_builtins(each)} for each in examples],
    }
    if not kind.__struct_config__.tag:
        message["headers"] = {"$ref": "#/components/schemas/CloudEventsHeaders"}
    return message


def _headers() -> Node:
    return {
        "type": "object",
        "description": "CloudEvents 1.0 attributes, Kafka binary mode.",
        "properties": {name: {"type": "string", "description": text} for name, text in _HEADERS.items()},
    }
