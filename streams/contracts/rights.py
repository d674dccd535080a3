"""`docs/rights.md`: who may do what, written from the catalogue of rights."""

from __future__ import annotations

from importlib.resources import files
from itertools import groupby
from string import Template
from typing import TYPE_CHECKING

from streams.contracts.tables import table
from streams.rights import ROLES, Right, Role
from streams.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterator


def rights_page() -> str:
    """The page in Markdown."""
    topics = Topics()
    template = Template(files(__package__).joinpath("rights.template.md").read_text(encoding="utf-8"))
    return template.substitute(group=topics.group, roles="\n\n".join(_role(role, topics) for role in ROLES))


def _role(role: Role, topics: Topics) -> str:
    rows = table(("on", "named", "operations"), _rows(role, topics))
    return f"## {role.name}\n\nFor {role.who}.\n\n{rows}"


def _rows(role: Role, topics: Topics) -> Iterator[tuple[str, ...]]:
    rights = sorted(role.rights(topics), key=_alike)
    for (kind, operations, _), alike in groupby(rights, key=_alike):
        names = ", ".join(f"`{right.name}…`" if right.prefix else f"`{right.name}`" for right in alike)
        yield f"{kind}s", names, ", ".join(operations)


def _alike(right: Right) -> tuple[str, tuple[str, ...], bool]:
    return right.kind, right.operations, right.prefix
