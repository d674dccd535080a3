"""`churnwatch worker --check`: would this worker run? Settings, broker, topics, rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from streams.acting import notes, what_is_sent
from streams.rights import WORKER
from streams.topic_admin import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.settings import Settings


async def check_worker(settings: Settings, say: Callable[[str], object]) -> bool:
    """Print the effective settings with secrets masked, and what is wrong; True if anything is.

    Raises TopicsError when no broker answers.
    """
    shown = settings.model_dump(mode="json")
    say(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    say(what_is_sent(settings))
    for note in notes(settings):
        say(f"note: {note}")
    if not settings.signing_key.get_secret_value():
        say("note: CHURNWATCH_SIGNING_KEY is not set; versions on `models` are not signed")
    if settings.salt.get_secret_value() == "churnwatch":
        say("note: CHURNWATCH_SALT is not set; everybody can compute the holdout and the pseudonyms")
    found = await check(settings.kafka.topics(), settings.kafka.client_options(), WORKER)
    for note in found.notes:
        say(f"note: {note}")
    for problem in found.problems:
        say(f"problem: {problem}")
    state = settings.worker.state_dir
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / ".probe").write_bytes(b"")
        (state / ".probe").unlink()
    except OSError as error:
        say(f"problem: the state directory {state} cannot be written: {error}")
        return True
    if not found.problems:
        say("this worker can run")
    return bool(found.problems)
