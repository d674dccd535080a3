"""The settings file that a search writes: the one that was there, tuned, comments and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tomlkit

from models.trainer_config import DEFAULT_CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tomlkit.items import Table

    from streams.sections import Model

#: Settings mean something for one question only, so it is written beside them.
_QUESTION: Final = ("horizon_days", "every_days", "active_within_days", "evict_after_days")
_HEADER: Final = "Written by churnwatch tune."


def tuned_file(
    base: Path | None, model: Model, chosen: Mapping[str, Mapping[str, Any]], notes: Sequence[str]
) -> str:
    """The text of a settings file: that of `base` with what was `chosen` by learner, `notes` at its head.

    A tuned learner that does not contend yet does so in this file.
    """
    document = tomlkit.parse(_without_notes(base.read_text(encoding="utf-8")) if base is not None else "")
    section = _table(document, "model")
    for name in _QUESTION:
        section[name] = getattr(model, name)
    tuned = {learner: settings for learner, settings in chosen.items() if settings}
    contenders = (*model.contenders, *(each for each in tuned if each not in model.contenders))
    if contenders != DEFAULT_CONTENDERS:
        section["contenders"] = list(contenders)
    for learner, settings in tuned.items():
        table = _table(_table(section, "learners", is_super_table=True), learner)
        for name, value in settings.items():
            table[name] = list(value) if isinstance(value, tuple) else value
    head = "".join(f"# {line}\n" for line in (_HEADER, *notes))
    return f"{head}\n{tomlkit.dumps(document)}"


def _table(parent: Any, name: str, *, is_super_table: bool = False) -> Table:
    if name not in parent:
        parent[name] = tomlkit.table(is_super_table)
    found: Table = parent[name]
    return found


def _without_notes(text: str) -> str:
    """A file that was tuned before, without what was noted then."""
    if not text.startswith(f"# {_HEADER}"):
        return text
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[first:]).lstrip("\n")
