"""Lives a scenario on real Kafka, while the workers are killed, and judges what is left."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import orjson

from features.layout import DAY_MS
from streams.alarm_admin import say
from streams.processes import environment
from streams.replay import replaying
from streams.sources import SourceEvent
from streams.topic_admin import create
from tests.storm import logs, said
from tests.storm.feeder import Feed
from tests.storm.fleet import PATIENCE_S, Chronicle, until
from tests.storm.limits import Limits
from tests.storm.outcome import Outcome
from tests.storm.scenario import BrokenOff, Days, History, Mode, Phase, Word
from tests.storm.storm import BUDGET, drained, fleet_of, settings_of, truth_of
from tests.storm.troubles import come_back
from tests.storm.truth import Era
from tests.storm.verdict import judge
from tests.storm.workload import START, Shop, day_start

if TYPE_CHECKING:
    from pathlib import Path

    from streams.settings import Settings
    from tests.storm.fleet import Member

#: Longest wait before a kill once a day was sent.
_KILL_AFTER_S: Final = 1.0
#: A session that falls silent is closed after twenty seconds; who is in trouble meanwhile hears of it later.
_CUT_OFF_S: Final = 120.0
#: Longest time for a replay to come so far, on a machine that has other things to do.
_REPLAY_S: Final = 1_200.0
_BACKLOG: Final = 4_000
#: Three closed days are not most of it, so all its cohorts are learned; not even with those behind the last
#: event, if five days with trade lie between.
HORIZON_DAYS: Final = 7


@dataclass
class Life:
    """One shop, its workers, and what they were told to do when."""

    settings: Settings
    folder: Path
    fleet: list[Member]
    arrivals: int
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    eras: list[Era] = field(default_factory=list)
    #: Nobody is killed by two at once.
    _befallen: dict[Member, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def live(self, phases: tuple[Phase, ...]) -> None:
        """Go through all of it, in shadow at first. AssertionError where it does not go as a phase says."""
        past, *present = phases
        self._era("rehearsal")
        await asyncio.gather(*(member.start() for member in self.fleet))
        await asyncio.gather(*(member.ready() for member in self.fleet))
        match past:
            case History():
                feed = await self._replayed(past)
            case BrokenOff():
                feed = await self._broken_off(past)
            case _:
                raise AssertionError("a shop begins with its history")
        self._era("shadow")
        with feed:
            for phase in present:
                match phase:
                    case Days():
                        await self._days(feed, phase)
                    case Mode():
                        await self._start_anew(phase.mode)
                    case Word():
                        await say(self.settings, phase.verdict, "the operator of the storm")
                    case _:
                        raise AssertionError(f"{phase} is not of the present")
                await self._at_rest(feed)
            await asyncio.to_thread(feed.finish)
            await self._at_rest(feed)
        await asyncio.gather(*(member.stop() for member in self.fleet))

    def _era(self, mark: str) -> None:
        self.eras.append(Era(int(time.time() * 1000), mark))

    async def _at_rest(self, feed: Feed, *, learned: bool = True) -> None:
        await asyncio.gather(*(member.ready() for member in self.fleet))
        await drained(self.settings, feed, self.fleet, learning=learned)

    # -- history

    async def _replayed(self, history: History) -> Feed:
        """The feed of a shop whose history was handed over."""
        shop = Shop(self.arrivals)
        feed = Feed(self.settings, shop, days=history.days)
        killing: list[asyncio.Task[None]] = []
        async with replaying(self.settings, PATIENCE_S) as replayer:

            async def trouble() -> None:
                if replayer.done.intervals in history.kills:
                    # The next days are sent meanwhile.
                    killing.append(asyncio.create_task(self._kill()))

            await replayer.run(_recorded(shop, history.days), then_live=True, after_interval=trouble)
        await asyncio.gather(*killing)
        await self._at_rest(feed)
        return feed

    async def _broken_off(self, history: BrokenOff) -> Feed:
        """The feed of a shop that tells itself what came behind the day on which its replay was cut off."""
        file, end = self.folder / "history.jsonl", day_start(history.after)
        file.write_bytes(b"\n".join(event.value for event in _recorded(Shop(self.arrivals), history.days)))
        replayer = await self._replay(file, f"--speed={history.days_a_second * 86_400}")
        try:
            await until(
                lambda: replayer.returncode is not None or self._reached() >= end, _REPLAY_S, "replaying"
            )
            assert replayer.returncode is None, "the replay was over before it could be killed"
        finally:
            if replayer.returncode is None:
                replayer.kill()
        await replayer.wait()
        shop, days = Shop(self.arrivals), (self._reached() - START) // DAY_MS
        for day in range(days):
            shop.day(day)
        feed = Feed(self.settings, shop, days=days)
        # Some partitions may know the end of a day, for whose version they wait in vain.
        await self._at_rest(feed, learned=False)
        await asyncio.gather(*(_taken_for_the_present(member) for member in self.fleet))
        refused = await self._replay(file)
        said, _ = await refused.communicate()
        assert refused.returncode == 1, said
        assert b"already stands at" in said
        return feed

    async def _replay(self, *arguments: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams.cli", "replay", *map(str, arguments)),
            env=environment(self.settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    def _reached(self) -> int:
        """The newest tick that stands in every partition of a topic; the start of history before any."""
        kafka = self.settings.kafka
        ticks = dict.fromkeys(range(kafka.partitions), START)
        for record in logs.read(kafka.bootstrap_servers, [kafka.topics()["outcomes"]]):
            told = orjson.loads(record.value or b"null")
            if told["type"] == "tick":
                ticks[record.partition] = told["ts"]
        return min(ticks.values())

    # -- the present

    async def _days(self, feed: Feed, phase: Days) -> None:
        killing: list[asyncio.Task[None]] = []
        for day in range(phase.days):
            await until(lambda: feed.lag() < _BACKLOG, PATIENCE_S, "reading the days before")
            await asyncio.to_thread(feed.send_day, closed=phase.closed)
            if day in phase.kills:
                killing.append(asyncio.create_task(self._kill()))
        await asyncio.gather(*killing)

    async def _start_anew(self, mode: Literal["shadow", "live"]) -> None:
        await asyncio.gather(*(member.stop() for member in self.fleet))
        self._era(mode)
        for member in self.fleet:
            member.adopt(interventions={"mode": mode})
        await asyncio.gather(*(member.start() for member in self.fleet))

    async def _kill(self) -> None:
        """One, two or all, each at a moment of its own; returns when they are ready again."""
        rng = self.rng
        victims = rng.sample(self.fleet, rng.choice((1, 1, 2, 2, 3)))
        await asyncio.gather(*(self._kill_one(victim) for victim in victims))

    async def _kill_one(self, victim: Member) -> None:
        async with self._befallen[victim]:
            await victim.ready()
            await victim.kill_busy(self.rng.random() * _KILL_AFTER_S)
            await come_back(victim, self.rng)
            await victim.ready()


async def _taken_for_the_present(member: Member) -> None:
    """Wait until a worker takes what it reads for the present, though nobody says that history is over."""
    end = time.monotonic() + _CUT_OFF_S
    while (await member.metrics())["churnwatch_replaying{}"]:
        assert time.monotonic() < end, "the session is not cut off"
        await asyncio.sleep(1.0)


def _recorded(shop: Shop, days: int) -> list[SourceEvent]:
    """What the shop has recorded of its first `days`, by time."""
    sent = [message for number in range(days) for message in shop.day(number)]
    found = [SourceEvent(each.topic, each.user, orjson.loads(each.value)["ts"], each.value) for each in sent]
    return sorted(found, key=lambda event: event.ts)


async def lived(bootstrap: str, folder: Path, phases: tuple[Phase, ...], arrivals: int) -> Outcome:
    """The verdict on a shop's life, to which so many new customers come a day."""
    began = time.monotonic()
    settings = settings_of(
        bootstrap,
        folder,
        learning=True,
        model={"horizon_days": HORIZON_DAYS},
        # Each decision time is judged by the version as of it, however long a trainer takes to come back.
        alerting={"guard_wait_seconds": 1e9},
        interventions={"mode": "shadow", "publish_rehearsals": True},
    )
    await create(settings.kafka.topics(), settings.kafka.client_options())
    chronicle = Chronicle()
    fleet = fleet_of(settings, folder, chronicle, static=True)
    life = Life(settings, folder, fleet, arrivals)
    try:
        await life.live(phases)
    finally:
        await asyncio.gather(*(member.bury() for member in fleet))
    found = await said.read(settings)
    truth = await asyncio.to_thread(truth_of, settings, tuple(life.eras))
    verdict = judge(truth, found, Limits(BUDGET))
    return Outcome(settings, verdict, chronicle, truth, found, time.monotonic() - began)
