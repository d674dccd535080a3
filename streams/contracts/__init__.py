"""The contracts, written from the types: pages for people, an AsyncAPI 3 document for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from streams.contracts.asyncapi import document
from streams.contracts.page import page
from streams.contracts.rights import rights_page

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["document", "page", "write_contracts"]


def write_contracts(directory: Path) -> list[Path]:
    """Write `contracts.md`, `asyncapi.json` and `rights.md` into `directory`; their paths."""
    contents = {
        "contracts.md": page(),
        "asyncapi.json": json.dumps(document(), indent=2, ensure_ascii=False) + "\n",
        "rights.md": rights_page(),
    }
    for name, content in contents.items():
        (directory / name).write_text(content, encoding="utf-8")
    return [directory / name for name in contents]
