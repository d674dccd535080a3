"""The settings of learners: one table for each, with the arguments that its constructor takes.

Nothing is said here of any one learner. Names, types and defaults are those of `models.contenders`, so a new
kind has its table by being there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model, model_validator

from models.contenders import CONTENDERS, new_learner, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class Table(BaseModel):
    """What is said of one learner; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def said(self) -> dict[str, Any]:
        """What somebody set, without the defaults."""
        return self.model_dump(exclude_unset=True)


def _table(name: str) -> type[Table]:
    def can_be_made(table: Table) -> Table:
        """The learner itself knows best which settings it cannot have."""
        if said := table.said():
            _require_no_negative(said)
            new_learner(name, **said)
        return table

    fields: dict[str, Any] = {key: (each.type, each.default) for key, each in settings_of(name).items()}
    validators: dict[str, Any] = {"can_be_made": model_validator(mode="after")(can_be_made)}
    return create_model(name, __base__=Table, __validators__=validators, **fields)


def _require_no_negative(said: Mapping[str, Any]) -> None:
    """No rate, variance, strength or number of anything is below zero."""
    for key, value in said.items():
        if isinstance(value, int | float) and value < 0:
            raise ValueError(f"{key} must not be negative")


class AllLearners(BaseModel):
    """A table for every learner that may contend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def said(self) -> dict[str, dict[str, Any]]:
        """What somebody set, by learner."""
        tables: dict[str, Table] = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: said for name, table in tables.items() if (said := table.said())}


def _all_learners() -> type[AllLearners]:
    tables = {name: _table(name) for name in CONTENDERS}
    fields: dict[str, Any] = {name: (table, table()) for name, table in tables.items()}
    return create_model("learners", __base__=AllLearners, **fields)


if TYPE_CHECKING:
    Learners = AllLearners  # what every section made of constructors has
else:
    Learners = _all_learners()
