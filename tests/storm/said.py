"""What a run has said and kept: output topics and rows, read with the product's own codecs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson
import pandas as pd

from models.parts import PartAssembly, read_part_chunk
from models.version_reader import VersionReader
from streams.reading import read_core, read_models
from streams.topics import LIVE_COMMANDS, SHADOW_COMMANDS
from tests.storm import logs

if TYPE_CHECKING:
    from models.parts import Part
    from models.versions import ModelSet
    from streams.settings import Settings

Identity = tuple[str, ...]
#: Every distinct value that was published under an identity: more than one is a contradiction.
Published = dict[Identity, set[bytes]]

COMMANDS: Final = (*LIVE_COMMANDS, *SHADOW_COMMANDS)
OUTPUTS: Final = ("churn-alerts", "decisions", *COMMANDS)


@dataclass
class Said:
    """Outputs by identity, feature rows, and the parts that were sent to be learned."""

    alerts: Published = field(default_factory=lambda: defaultdict(set))
    #: By (alert_id, status, tier), and the decision time at which it was decided again, if it was.
    decisions: Published = field(default_factory=lambda: defaultdict(set))
    #: By (command_id,).
    commands: Published = field(default_factory=lambda: defaultdict(set))
    #: command_id → when it was first written, epoch ms.
    written: dict[str, int] = field(default_factory=dict)
    #: Commands that stand on the topics of gateways.
    for_gateways: set[str] = field(default_factory=set)
    #: Decision times whose step the guard held, as the version as of each says: "held", or "dropped".
    held: dict[int, str] = field(default_factory=dict)
    #: Records that repeated an earlier one.
    repeated: int = 0
    dead_letters: int = 0
    #: By (partition, decision time).
    parts: dict[tuple[int, int], Part] = field(default_factory=dict)
    #: One row a customer: index user, counts and times.
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    #: The newest model version, if the run has learned.
    models: ModelSet | None = None

    def about(self, user: str) -> list[bytes]:
        """Alerts, decisions and commands of one customer, by their times."""
        everything = (self.alerts, self.decisions, self.commands)
        values = [value for kind in everything for each in kind.values() for value in each]
        told = [(orjson.loads(value), value) for value in values]
        mine = [(body["ts"], value) for body, value in told if body["user_id"] == user]
        return [value for _, value in sorted(mine)]


async def read(settings: Settings) -> Said:
    """All of it, from the topics alone: local checkpoints are not looked at."""
    said, names, broker = Said(), settings.kafka.topics(), settings.kafka.bootstrap_servers
    for topic in OUTPUTS:
        for record in logs.read(broker, [names[topic]]):
            _publish(said, topic, record.value or b"", record.written)
    said.dead_letters = sum(1 for _ in logs.read(broker, [names["dead-letters"]]))
    said.parts = _parts(broker, names["examples"])
    said.held = _held(broker, names["models"])
    frames = [await _rows(settings, partition) for partition in range(settings.kafka.partitions)]
    said.rows = pd.concat(frames)
    models = await read_models(settings)
    said.models = models if models.number else None
    return said


def _publish(said: Said, topic: str, value: bytes, written: int) -> None:
    body = orjson.loads(value)
    if topic in COMMANDS:
        command = body["command_id"]
        known = said.commands[command,]
        said.for_gateways |= {command} if topic in LIVE_COMMANDS else set()
        said.written[command] = min(written, said.written.get(command, written))
    else:
        place = said.alerts if topic == "churn-alerts" else said.decisions
        again = (str(body["retried_at"]),) if "retried_at" in body else ()
        known = place[body["alert_id"], body["status"], body["tier"], *again]
    said.repeated += value in known
    known.add(value)


def _parts(broker: str, topic: str) -> dict[tuple[int, int], Part]:
    waiting: dict[tuple[int, int], PartAssembly] = defaultdict(PartAssembly)
    for record in logs.read(broker, [topic]):
        chunk = read_part_chunk(record.value or b"")
        waiting[chunk.partition, chunk.ts].add(chunk)
    return {place: found.part() for place, found in waiting.items() if found.complete}


def _held(broker: str, topic: str) -> dict[int, str]:
    """What each decision time was judged under: a word counts from where it stands among the versions."""
    reader, found = VersionReader(), {}
    for record in logs.read(broker, [topic]):
        in_force = reader.read(record.key or b"", record.value)
        if in_force is not None and in_force.newest.as_of not in found:
            hold = in_force.models.hold
            found[in_force.newest.as_of] = "" if hold is None else "dropped" if hold.dropped else "held"
    return {ts: state for ts, state in found.items() if state}


async def _rows(settings: Settings, partition: int) -> pd.DataFrame:
    core = await read_core(settings, partition)
    users, slots = list(core.table.index), core.table.live_slots()
    records = core.table.rows[slots]
    columns: dict[str, Any] = {
        name: records[name].astype("int64") for name in records.dtype.names if records[name].ndim == 1
    }
    columns["value_micros"] = columns["value_sum"]
    return pd.DataFrame(columns, index=pd.Index(users, name="user"))
