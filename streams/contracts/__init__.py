"""The contracts, written from the types: a page for people, an AsyncAPI 3 document for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from streams.contracts.asyncapi import document
from streams.contracts.page import page

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["document", "page", "write_contracts"]


def write_contracts(directory: Path) -> list[Path]:
    """Write `contracts.md` and `asyncapi.json` into `directory`, which must exist; returns their paths."""
    contents = {
        "contracts.md": page(),
        "asyncapi.json": json.dumps(document(), indent=2, ensure_ascii=False) + "\n",
    }
    for name, content in contents.items():
        (directory / name).write_text(content, encoding="utf-8")
    return [directory / name for name in contents]
