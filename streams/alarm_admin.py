"""`churnwatch alarms`: what the guard holds back, and an operator's word on it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import msgspec

from models.words import ALARMS_KEY, Word
from streams.context import wall_clock_ms
from streams.inspecting import moment
from streams.model_admin import ModelsError
from streams.reading import read_versions
from streams.sending import Sender, new_producer, signed_message

if TYPE_CHECKING:
    from models.guard import Hold
    from models.version_reader import VersionReader
    from models.words import Verdict
    from streams.settings import Settings


async def say(settings: Settings, verdict: Verdict, said_by: str | None = None) -> str:
    """Release or drop what is held back now, in the name of `said_by` (default: who runs this).

    Returns what holds then. Raises ModelsError if nothing is held, or if workers would not heed it.
    """
    reader, signed = await _read(settings)
    hold = _held(reader)
    if hold is None:
        raise ModelsError("no alerts are held back")
    if signed and not settings.secret:
        raise ModelsError(
            "the versions are signed: set CHURNWATCH_SIGNING_KEY, for workers take nothing else"
        )
    word = Word(
        verdict=verdict, since=hold.since, said_at=wall_clock_ms(), said_by=said_by or getpass.getuser()
    )
    async with new_producer(settings.kafka.client_options()) as producer:
        sender = Sender(producer, settings.worker.write_timeout_seconds)
        message = signed_message(ALARMS_KEY, msgspec.json.encode(word), settings.secret)
        await sender.send(settings.kafka.topics()["models"], 0, [message])
    return await show(settings)


async def show(settings: Settings) -> str:
    """What is held back, why, and what an operator said of it; raises ModelsError if there is no version."""
    reader, _ = await _read(settings)
    hold, word = _held(reader), reader.word
    if hold is None:
        last = f"; the last word: {sentence(word)}" if word else ""
        return f"no alerts are held back{last}"
    said = sentence(word) if word and word.since == hold.since else "nobody has released or dropped them"
    return f"alerts are held back since {moment(hold.since)}: {hold.in_words}; {said}"


def sentence(word: Word) -> str:
    """Who said what, and when."""
    done = {"release": "released", "drop": "dropped"}[word.verdict]
    return f"{done} by {word.said_by} on {moment(word.said_at)}"


def _held(reader: VersionReader) -> Hold | None:
    return None if reader.in_force is None else reader.in_force.newest.hold


async def _read(settings: Settings) -> tuple[VersionReader, bool]:
    versions = await read_versions(settings)
    if versions.reader.in_force is None:
        raise ModelsError("no model version that can be used stands on the topic yet")
    return versions.reader, versions.signed
