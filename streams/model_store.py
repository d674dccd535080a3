"""The models in force: read from the `models` topic by every worker, with a plain consumer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from features.clock import BEGINNING
from models.signing import HEADER
from models.version_reader import VersionReader
from streams.following import Follower
from streams.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.trainer_config import TrainerConfig
    from models.version_reader import InForce
    from models.versions import ModelSet
    from models.words import Word
    from streams.patience import Patience
    from streams.telemetry import Metrics

log = logger(__name__)

#: Each step of a lock-step replay waits for a version.
_FETCH_WAIT_MS: Final = 50


class ModelStore:
    """Follows the `models` topic. `current` is always usable: before any version the return probability.

    What is in force is the trainer's newest version, unless an operator has put another in its place.
    With a `secret` only versions that are signed with it come into force.
    """

    def __init__(
        self,
        topic: str,
        config: TrainerConfig,
        options: dict[str, Any],
        metrics: Metrics,
        secret: bytes = b"",
    ) -> None:
        self.current: ModelSet = config.initial(BEGINNING)
        self.loaded = asyncio.Event()
        self._topic = topic
        self._options = options
        self._metrics = metrics
        self._reader = VersionReader(secret)
        self._listeners: list[Callable[[], None]] = []
        self._found: InForce | None = None
        self._told_word: Word | None = None

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever another model set is in force or was published."""
        self._listeners.append(listener)

    @property
    def learns(self) -> bool:
        """Whether a version of each decision time is to be expected."""
        return True

    @property
    def learned(self) -> int:
        """As of when the trainer's newest version is (epoch ms), be it in force or not."""
        return (self.current if self._found is None else self._found.newest).as_of

    @property
    def newest(self) -> tuple[ModelSet, dict[str, bytes]] | None:
        """The trainer's newest version and the states that travelled with it; None if there is none."""
        return None if self._found is None else (self._found.newest, self._reader.states)

    def outdated(self, number: int, keep: int) -> list[bytes]:
        """See `VersionReader`."""
        return self._reader.outdated(number, keep)

    async def follow(self, patience: Patience) -> None:
        """Read all versions there are, then every new one; waits for the broker, and runs until cancelled."""
        follower = Follower(self._topic, self._options, self._lost, _FETCH_WAIT_MS)
        await follower.follow(
            lambda record: self._take(record.key or b"", record.value, dict(record.headers).get(HEADER)),
            loaded=self.loaded.set,
            patience=patience,
        )

    def _lost(self) -> None:
        # The version that the batch held is lost, and the models in force stay until the next.
        self._metrics.refused_versions.inc()
        self._metrics.lost_batches.labels("models").inc()

    def _take(self, key: bytes, value: bytes | None, signed: bytes | None = None) -> None:
        try:
            found = self._reader.read(key, value, signed)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            # The models in force stay: a refused version must not silence the alerts.
            self._metrics.refused_versions.inc()
            log.warning("a model version was refused", key=key.decode(errors="replace"), why=str(error))
            return
        self._metrics.model_override.set(self._reader.override is not None)
        if found is not None:
            self._bring_into_force(found)
            for listener in self._listeners:
                listener()

    def _bring_into_force(self, found: InForce) -> None:
        before, self._found, self.current = self._found, found, found.models
        speaks = {"version": found.models.number, "champion": found.models.champion}
        if found.override != (before and before.override):
            log.info(
                "an operator overrides the trainer" if found.override else "no override stands", **speaks
            )
        if found.unheeded and found.unheeded != (before and before.unheeded):
            log.warning("an override is not followed", why=found.unheeded, **speaks)
        self._tell_of_hold(before, found)
        metrics = self._metrics
        metrics.model_version.clear()
        metrics.model_version.labels(found.models.champion).set(found.models.number)
        metrics.model_as_of.set(found.newest.as_of / 1000)
        metrics.champion.clear()
        for name in found.models.contenders:
            metrics.champion.labels(name).set(name == found.models.champion)

    def _tell_of_hold(self, before: InForce | None, found: InForce) -> None:
        hold, word = found.newest.hold, self._reader.word
        state = "none" if hold is None else "released" if found.models.hold is None else "held"
        if hold is not None and state == "held" and found.models.hold != hold:
            state = "dropped"
        for each in ("held", "released", "dropped"):
            self._metrics.mass_alarm.labels(each).set(each == state)
        begun = before.newest.hold if before else None
        if hold is not None and (begun is None or begun.since != hold.since):
            log.warning("alerts are held back: the step is not believable", **msgspec.structs.asdict(hold))
        elif hold is None and begun is not None:
            log.info("alerts are held back no more", since=begun.since)
        if hold is not None and word is not None and word.since == hold.since and word != self._told_word:
            self._told_word = word
            log.info("an operator decided about held alerts", **msgspec.structs.asdict(word))


class FrozenModels(ModelStore):
    """One model set from a file, for ever: `worker --model FILE --no-learning`.

    What was held when it was learned is not: nobody would end the hold.
    """

    def __init__(self, models: ModelSet, topic: str, config: TrainerConfig, metrics: Metrics) -> None:
        super().__init__(topic, config, {}, metrics)
        self.current = msgspec.structs.replace(models, hold=None)
        self.loaded.set()

    @property
    def learns(self) -> bool:
        """See `ModelStore`."""
        return False

    async def follow(self, patience: Patience) -> None:  # noqa: ARG002 - there is nobody to wait for
        """There is nothing to follow."""
        await asyncio.Event().wait()
