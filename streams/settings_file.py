"""Settings as a TOML file that gives them again: what a demo leaves for the commands that are tried on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streams.settings import Settings


def to_toml(settings: Settings) -> str:
    """All that is not left at its default, without secrets, which no file may hold."""
    said = settings.model_dump(mode="json", exclude_defaults=True, exclude={"salt", "signing_key"})
    said.get("kafka", {}).pop("sasl_password", None)
    said.get("kafka", {}).pop("ssl_key_password", None)
    return "\n".join(_section("", said)).strip() + "\n"


def _section(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if plain:
        yield f"\n[{name}]" if name else ""
    # What JSON writes of texts, numbers, truth and lists of them is TOML, too.
    yield from (f"{_key(key)} = {json.dumps(value)}" for key, value in plain.items() if value is not None)
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _section(f"{name}.{_key(key)}" if name else _key(key), value)


def _key(key: str) -> str:
    """A name, quoted if it is no bare one: those of topics have dots."""
    return key if key.replace("_", "").isalnum() else json.dumps(key)
