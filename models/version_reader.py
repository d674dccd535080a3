"""Which models are in force: the trainer's newest version, or what an operator has put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from models.overrides import OVERRIDE_KEY, Override, overridden
from models.signing import check_signature
from models.versions import (
    CHAMPION_KEY,
    ChampionRecord,
    ModelSet,
    VersionRecord,
    champion_key,
    version_key,
)
from models.words import ALARMS_KEY, Word, heard

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class InForce:
    """The models in force, and the trainer's newest; they differ where an override has its way."""

    models: ModelSet
    newest: ModelSet
    override: Override | None = None
    #: What of the override cannot be followed; empty if all is.
    unheeded: str = ""


class VersionReader:
    """Builds model sets from the records of the `models` topic, in log order.

    What is in force depends only on the newest record of each key, so a log and what compaction leaves of it
    say the same. With a `secret` only what is signed with it is read, tombstones too.
    """

    def __init__(self, secret: bytes = b"") -> None:
        self._secret = secret
        self._versions: dict[bytes, VersionRecord] = {}
        self._champions: dict[bytes, ChampionRecord] = {}
        self.override: Override | None = None
        #: What an operator said last of alerts that are held back.
        self.word: Word | None = None
        #: None until a whole set was read. The last one stays where all are taken away again.
        self.in_force: InForce | None = None

    @property
    def latest(self) -> ModelSet | None:
        """The models in force."""
        return None if self.in_force is None else self.in_force.models

    @property
    def kept(self) -> dict[int, ModelSet]:
        """The sets that can be brought back, by number, the oldest first."""
        found = [self._pinned(each.number) for each in self._champions.values()]
        return {each.number: each for each in sorted(filter(None, found), key=_age)}

    @property
    def states(self) -> dict[str, bytes]:
        """States of learners that travelled with the trainer's newest version, by name."""
        if self.in_force is None:
            return {}
        number = self.in_force.newest.number
        found = {name: self._versions.get(version_key(name, number)) for name in self.in_force.newest.scorers}
        return {name: each.state.encode() for name, each in found.items() if each and each.state is not None}

    def read(self, key: bytes, value: bytes | None, signed: bytes | None = None) -> InForce | None:
        """Take one record and its signature, if any; returns what is in force if that has changed.

        Raises SignatureError, msgspec.ValidationError or DecodeError for a record that is no sound version
        (the models in force stay), KeyError when the newest champion names a version that was not read.
        """
        if self._secret:
            check_signature(signed, key, value, self._secret)
        self._take(key, value)
        found = self._resolve()
        if found is not None and found != self.in_force:
            self.in_force = found
            return found
        if key == CHAMPION_KEY and value is not None and self._set(self._champions[key]) is None:
            raise KeyError(f"not all versions of set {self._champions[key].number} are there")
        return None

    def outdated(self, number: int, keep: int) -> list[bytes]:
        """Keys that go when version `number` is published and `keep` are to stay; never what is pinned."""
        as_of = {each.number: each.as_of for key, each in self._champions.items() if key != CHAMPION_KEY}
        others = sorted(as_of.keys() - {number}, key=lambda n: (as_of[n], n), reverse=True)
        stay = {number, *others[: keep - 1], self.override and self.override.number}
        # Of a later number without champion the rest may be on its way: another trainer has taken over.
        return sorted({key for key, n in self._keys() if n not in stay and (n in as_of or n < number)})

    def _keys(self) -> Iterator[tuple[bytes, int]]:
        """Every key that belongs to a version set, with the set's number."""
        for key, champion in self._champions.items():
            if key != CHAMPION_KEY:
                yield key, champion.number
                yield from ((version, champion.number) for version in _versions_of(champion))
        yield from ((key, version.number) for key, version in self._versions.items())

    def _take(self, key: bytes, value: bytes | None) -> None:
        if key == OVERRIDE_KEY:
            self.override = None if value is None else msgspec.json.decode(value, type=Override)
        elif key == ALARMS_KEY:
            self.word = None if value is None else msgspec.json.decode(value, type=Word)
        elif value is None:
            self._versions.pop(key, None)
            self._champions.pop(key, None)
        elif key.split(b"/")[0] == CHAMPION_KEY:
            self._champions[key] = msgspec.json.decode(value, type=ChampionRecord)
        else:
            self._versions[key] = msgspec.json.decode(value, type=VersionRecord)

    def _resolve(self) -> InForce | None:
        if (newest := self._newest()) is None:
            return None
        if (override := self.override) is None:
            return InForce(heard(newest, self.word), newest)
        pinned = None if override.number is None else self._pinned(override.number)
        models, unheeded = overridden(override, newest, pinned)
        return InForce(heard(models, self.word), newest, override, unheeded)

    def _newest(self) -> ModelSet | None:
        """The set of the latest decision time; of several the one that the `champion` record names."""
        by_age = sorted(self._champions.items(), key=lambda each: (each[1].as_of, each[0] == CHAMPION_KEY))
        return next(filter(None, (self._set(champion) for _, champion in reversed(by_age))), None)

    def _pinned(self, number: int) -> ModelSet | None:
        champion = self._champions.get(champion_key(number))
        return None if champion is None or champion.number != number else self._set(champion)

    def _set(self, chosen: ChampionRecord) -> ModelSet | None:
        """The whole set, or None where a version is missing or of another life of the trainer."""
        versions = [self._versions.get(key) for key in _versions_of(chosen)]
        whole = [each for each in versions if each is not None and each.as_of == chosen.as_of]
        if len(whole) < len(versions):
            return None
        return ModelSet(
            as_of=chosen.as_of,
            number=chosen.number,
            champion=chosen.champion,
            labels=chosen.labels,
            scorers={name: each.scorer for name, each in zip(chosen.contenders, whole, strict=True)},
            returns=chosen.returns,
            rhythm=chosen.rhythm,
            promoted=chosen.promoted,
            tiers=chosen.tiers,
            panel=chosen.panel,
            closed=chosen.closed,
            hold=chosen.hold,
            seasons=chosen.seasons,
        )


def _versions_of(champion: ChampionRecord) -> Iterator[bytes]:
    return (version_key(name, champion.number) for name in champion.contenders)


def _age(models: ModelSet) -> tuple[int, int]:
    return models.as_of, models.number
