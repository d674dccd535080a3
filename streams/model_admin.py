"""`churnwatch models`: which versions are kept, and an operator's word on who speaks.

What is said is one record on `models`; workers take it as they read it, and again whenever they start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from models.overrides import OVERRIDE_KEY, Override
from models.pool import Pool
from models.scorers import PoolScorer
from streams.context import wall_clock_ms
from streams.inspecting import moment
from streams.reading import read_versions
from streams.sending import Sender, new_producer, signed_message

if TYPE_CHECKING:
    from rich.console import Console

    from models.version_reader import InForce, VersionReader
    from models.versions import ModelSet
    from streams.reading import Versions
    from streams.settings import Settings


class ModelsError(RuntimeError):
    """What was asked of the models cannot be done; the message says why, and what can."""


async def promote(settings: Settings, name: str) -> InForce:
    """Let the contender `name` lead, in the version that was rolled back to if there is one.

    Raises ModelsError if it does not contend.
    """
    reader, found = await _to_override(settings)
    models = found.models
    if name not in models.contenders:
        known = ", ".join(models.contenders)
        raise ModelsError(f"no contender {name!r} in version {models.number}; there are {known}")
    pinned = found.override.number if found.override else None
    number = pinned if pinned in reader.kept else None
    return await _say(settings, Override(said_at=wall_clock_ms(), champion=name, number=number))


async def rollback(settings: Settings, number: int | None) -> InForce:
    """Bring version `number` back as it was, or the one before that in force.

    Raises ModelsError if it is not kept.
    """
    reader, found = await _to_override(settings)
    kept = list(reader.kept)
    if number is None:
        before = [n for n in kept if reader.kept[n].as_of < found.models.as_of]
        if not before:
            raise ModelsError(f"no version before {found.models.number} is kept")
        number = before[-1]
    elif number not in kept:
        raise ModelsError(f"version {number} is not kept; {_numbers(kept)}")
    return await _say(settings, Override(said_at=wall_clock_ms(), number=number))


async def release(settings: Settings) -> InForce:
    """Let the trainer say again which version speaks and who leads."""
    await _to_override(settings)
    return await _say(settings, None)


async def show(settings: Settings, console: Console) -> None:
    """Print the versions that are kept, and which is in force; raises ModelsError if there is none."""
    versions, found = await _read(settings)
    sets = versions.reader.kept | {found.newest.number: found.newest}
    table = Table(title="versions kept", title_justify="left")
    table.add_column("version", justify="right", no_wrap=True)
    table.add_column("as of", no_wrap=True)
    table.add_column("labels", justify="right", no_wrap=True)
    table.add_column("champion")
    table.add_column("contenders, with their weights in the pool")
    for number, models in sets.items():
        speaks = number == found.models.number
        leads = models.champion
        if speaks and leads != found.models.champion:
            leads = f"{found.models.champion} (not {leads})"
        row = (moment(models.as_of), f"{models.labels:,}", leads, _contenders(models))
        table.add_row(f"{'→ ' if speaks else ''}{number}", *row, style="bold" if speaks else "")
    console.print(table)
    for promoted in dict.fromkeys(models.promoted for models in sets.values()):
        if promoted is not None:
            console.print(f"promoted {moment(promoted.as_of)}: {promoted.in_words}", highlight=False)
    console.print(sentence(found), highlight=False)


def sentence(found: InForce) -> str:
    """What is in force, and by whose word."""
    speaks = f"version {found.models.number} is in force, led by {found.models.champion}"
    if (override := found.override) is None:
        return f"{speaks}, as the trainer says"
    said = f"by override since {moment(override.said_at)}"
    if found.unheeded:
        said += f", which cannot be followed: {found.unheeded}"
    trainers = f"the trainer's is {found.newest.number}, led by {found.newest.champion}"
    return f"{speaks}, {said}; {trainers} (`churnwatch models release`)"


def _contenders(models: ModelSet) -> str:
    pool = models.scorers.get(Pool.name)
    weights = dict(zip(pool.names, pool.weights, strict=True)) if isinstance(pool, PoolScorer) else {}
    named = (f"{name} {weights[name]:.3f}" if name in weights else name for name in models.contenders)
    return ", ".join(named)


def _numbers(kept: list[int]) -> str:
    return f"kept are {', '.join(map(str, kept))}" if kept else "none can be brought back"


async def _read(settings: Settings) -> tuple[Versions, InForce]:
    """The versions, and what is in force of them. Raises ModelsError if there is none."""
    versions = await read_versions(settings)
    if versions.reader.in_force is not None:
        return versions, versions.reader.in_force
    topic = settings.kafka.topics()["models"]
    if versions.refused:
        raise ModelsError(f"no version on {topic} can be used: {versions.refused[0]}")
    raise ModelsError(f"no version stands on {topic} yet: the trainer publishes one at every decision time")


async def _to_override(settings: Settings) -> tuple[VersionReader, InForce]:
    """As `_read`; raises ModelsError, too, if workers would refuse what is said."""
    versions, found = await _read(settings)
    if versions.signed and not settings.secret:
        raise ModelsError(
            "the versions are signed: set CHURNWATCH_SIGNING_KEY, for workers take nothing else"
        )
    return versions.reader, found


async def _say(settings: Settings, override: Override | None) -> InForce:
    """Write `override`, or the tombstone of the one that stands; returns what is in force then.

    Raises ModelsError if it is not followed: the trainer may have dropped the version meanwhile.
    """
    value = None if override is None else msgspec.json.encode(override)
    async with new_producer(settings.kafka.client_options()) as producer:
        sender = Sender(producer, settings.worker.write_timeout_seconds)
        message = signed_message(OVERRIDE_KEY, value, settings.secret)
        await sender.send(settings.kafka.topics()["models"], 0, [message])
    _, found = await _read(settings)
    if found.unheeded:
        raise ModelsError(f"what was said cannot be followed any more: {found.unheeded}")
    return found
