"""Groups of customers for fairness audits: which value of each audited attribute the members of a cohort had.

Stored as one byte for each member and attribute beside a dictionary of the values: in the alphabet, at most
`MOST`, the others together. Those first in the alphabet are kept, a choice that commutes with adding up: what
is among the first of all is among the first of every part, so partitions and order cannot change a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

#: The group of those of whom the attribute is not known, and of all values beyond `MOST`.
UNKNOWN: Final = "unknown"
OTHER: Final = "other"
#: Values of an attribute that are told apart. More is no group but an identity.
MOST: Final = 50


def told_apart(values: Collection[str]) -> tuple[str, ...]:
    """Of these values those that are kept, in the alphabet; OTHER at the end if there are or were more."""
    known = sorted(set(values) - {UNKNOWN, OTHER})
    rest = (OTHER,) if OTHER in values or len(known) > MOST else ()
    return (*known[:MOST], *rest)


class GroupsForm(msgspec.Struct):
    """The stored form of `Groups`."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: bytes


@dataclass(frozen=True, eq=False)
class Groups:
    """Codes (n, a) uint8 of n members by attribute: 0 is unknown, k the k-th of the attribute's `values`."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: NDArray[np.uint8]

    @classmethod
    def of(cls, names: Sequence[str], members: Sequence[Sequence[str | None]]) -> Groups:
        """From what is known of each member, in the order of `names`; None is unknown."""
        values: list[tuple[str, ...]] = []
        codes = np.zeros((len(members), len(names)), np.uint8)
        for i in range(len(names)):
            column = [member[i] or UNKNOWN for member in members]
            values.append(told_apart(set(column)))
            code = {value: k for k, value in enumerate((UNKNOWN, *values[i]))}
            codes[:, i] = [code.get(value, len(values[i])) for value in column]
        return cls(tuple(names), tuple(values), codes)

    def __len__(self) -> int:
        return len(self.codes)

    def columns(self) -> Iterator[tuple[str, tuple[str, ...], NDArray[np.uint8]]]:
        """(attribute, groups by code, code of each member)."""
        for name, values, codes in zip(self.names, self.values, self.codes.T, strict=True):
            yield name, (UNKNOWN, *values), codes

    def take(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Groups:
        """The chosen members. A value that only others had is forgotten: it may tell who was erased."""
        codes = self.codes[keep]
        used = [np.bincount(column, minlength=256) > 0 for column in codes.T]
        values = tuple(
            tuple(value for k, value in enumerate(known, start=1) if occurs[k])
            for known, occurs in zip(self.values, used, strict=True)
        )
        return Groups(self.names, values, _recoded(codes, self.values, values))

    @staticmethod
    def join(pieces: Sequence[Groups]) -> Groups:
        """The members of all pieces, which are of the same attributes, in the order given."""
        by_attribute = zip(*(piece.values for piece in pieces), strict=True)
        values = tuple(told_apart(set().union(*dictionaries)) for dictionaries in by_attribute)
        codes = [_recoded(piece.codes, piece.values, values) for piece in pieces]
        return Groups(pieces[0].names, values, np.concatenate(codes))

    def form(self, part: slice) -> GroupsForm:
        """The stored form of some of the members."""
        return GroupsForm(self.names, self.values, self.codes[part].tobytes())

    @classmethod
    def read(cls, form: GroupsForm, members: int) -> Groups:
        """From the stored form of so many members; raises ValueError if it does not fit."""
        codes = np.frombuffer(form.codes, np.uint8).reshape(members, len(form.names))
        known = [len(values) for values in form.values]
        if len(known) != len(form.names) or (codes > np.array(known, np.intp)).any():
            raise ValueError("group codes without a value")
        return cls(form.names, form.values, codes)


def _recoded(
    codes: NDArray[np.uint8], old: Iterable[tuple[str, ...]], new: Iterable[tuple[str, ...]]
) -> NDArray[np.uint8]:
    """The codes of the same groups by other dictionaries; what those do not know is among the others."""
    found = np.zeros_like(codes)
    for i, (before, after) in enumerate(zip(old, new, strict=True)):
        place = {value: k for k, value in enumerate(after, start=1)}
        codes_now = np.array([0, *(place.get(value, len(after)) for value in before)], np.uint8)
        found[:, i] = codes_now[codes[:, i]]
    return found
