"""Settings: a TOML file, overridden by CHURNWATCH_* variables; frozen once the process runs.

Nested names join with two underscores: CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS, CHURNWATCH_MODEL__HORIZON_DAYS.
Secrets (passwords, the salt, the signing key) come from the environment only; a file that holds one is
refused.
"""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError as UnreadableError

from features.decoding import EventDecoder
from features.grid import DecisionGrid
from features.layout import DAY_MS, TOPICS
from features.mapping import FieldMapping
from features.money import Currencies
from interventions.commands import command_topic
from interventions.policy import PolicyConfig
from models.config import CoreConfig
from models.trainer_config import TrainerConfig
from streams.sections import Alerting, Interventions, Kafka, Model, Money, Worker
from streams.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_VARIABLE: Final = "CHURNWATCH_SETTINGS"
_SECRETS: Final = ("salt", "signing_key", "sasl_password", "ssl_key_password")


class SettingsError(ValueError):
    """The settings contradict themselves; the message names each fault in one line."""


class Settings(BaseSettings):
    """All settings of one deployment. Build with `load`, which reports faults in one line each."""

    model_config = SettingsConfigDict(
        env_prefix="CHURNWATCH_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    kafka: Kafka = Kafka()
    model: Model = Model()
    alerting: Alerting = Alerting()
    money: Money = Money()
    interventions: Interventions = Interventions()
    worker: Worker = Worker()
    #: Keys every hash of a customer: holdout, learning order, pseudonyms. Changing it redraws the holdout.
    salt: SecretStr = SecretStr("churnwatch")
    #: Signs what the trainer pickles on its own disk and, if set, the versions on `models`: workers then
    #: take no others.
    signing_key: SecretStr = SecretStr("")

    _file: ClassVar[Path | None] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, cls._file)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        self.core()
        self.trainer()
        _require_lasting_commands(self.policy())
        self.currencies()
        self.kafka.topics()
        return self

    def core(self) -> CoreConfig:
        """What the pure core of a partition is built from."""
        model, alerting = self.model, self.alerting
        return CoreConfig(
            horizon_days=model.horizon_days,
            active_within_days=model.active_within_days,
            grid=DecisionGrid(model.every_days, _midnight(model.grid_anchor)),
            lateness_ms=round(model.allowed_lateness_hours * 3_600_000),
            thresholds=alerting.thresholds(),
            salt=self.salt.get_secret_value(),
            partitions=self.kafka.partitions,
            learn_sample=model.learn_sample,
            min_labels=model.min_labels,
            evict_after_days=model.evict_after_days,
            trigger_cooldown_ms=round(alerting.trigger_cooldown_days * DAY_MS),
            low_rating=alerting.low_rating,
            low_survey=alerting.low_survey,
            only_overdue=alerting.only_overdue,
            languages=alerting.languages,
            audit=model.audit,
            mode=self.interventions.mode,
        )

    def trainer(self) -> TrainerConfig:
        """What the trainer is built from."""
        start = self.model.evaluate_from
        return TrainerConfig(
            partitions=self.kafka.partitions,
            horizon_days=self.model.horizon_days,
            every_days=self.model.every_days,
            min_labels=self.model.min_labels,
            drift_forgets_days=self.model.drift_forgets_days,
            contenders=self.model.contenders,
            beside_pool=self.model.beside_pool,
            champion=self.model.champion,
            evaluate_from=None if start is None else _midnight(start),
            settings=self.model.learners.said(),
            capacity=self.alerting.capacity,
            thresholds=self.alerting.thresholds(),
            closed_days=self.model.closed(),
        )

    def policy(self) -> PolicyConfig:
        """What the dispatcher decides by."""
        return PolicyConfig(
            holdout_share=self.interventions.holdout_share,
            exploration=self.interventions.exploration,
            high_value=self.interventions.high_value,
            daily_budget_micros=round(self.interventions.daily_budget * 1e6),
            forget_after_days=self.model.evict_after_days,
            retry_days=self.interventions.retry_days,
            assume_consent=self.interventions.assume_consent,
            timezone=self.interventions.timezone,
        )

    def decoders(self) -> dict[str, EventDecoder]:
        """One decoder for each input topic, through its field mapping if there is one.

        Raises OSError or ValueError when a mapping cannot be read.
        """
        limit, currencies = self.worker.max_message_bytes, self.currencies()
        decoders = {topic: EventDecoder(topic, max_bytes=limit, currencies=currencies) for topic in TOPICS}
        for path in self.kafka.field_mappings:
            mapping = FieldMapping.from_toml(path.read_text())
            decoders[mapping.topic] = mapping.decoder(decoders[mapping.topic], limit)
        return decoders

    def currencies(self) -> Currencies:
        """Conversion into the configured currency."""
        return Currencies(self.money.currency, self.money.rates)

    @property
    def secret(self) -> bytes:
        """The key of all signatures; empty if there is none."""
        return self.signing_key.get_secret_value().encode()

    @property
    def act_within_ms(self) -> int:
        """Age beyond which a live decision time or trigger raises no alert.

        A decision time is swept when the watermark reaches it, so it is never younger than the lateness.
        """
        if self.alerting.act_within_days is not None:
            return round(self.alerting.act_within_days * DAY_MS)
        return self.model.every_days * DAY_MS + self.core().lateness_ms


def _require_lasting_commands(policy: PolicyConfig) -> None:
    """Raise ValueError if a topic may drop commands that are valid still."""
    for offering in policy.offerings:
        topic = CATALOGUE[command_topic(offering.channel, "live")]
        if (life := policy.longest_life_ms(offering)) > topic.least_retention_ms:
            raise ValueError(
                f"interventions: {offering.channel} commands are valid for up to {life / DAY_MS:g} days, "
                f"and {topic.name} is sure to keep them for {topic.least_retention_ms / DAY_MS:g}"
            )


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from `file` (or $CHURNWATCH_SETTINGS), the environment and `overrides`.

    Raises SettingsError, which lists the faults one a line.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = file or (Path(named) if named else None)
    if path is not None:
        _look_through(path)

    class _Settings(Settings):
        _file = path

    try:
        return _Settings(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(map(_one_line, error.errors()))) from error
    except UnreadableError as error:
        raise SettingsError(f"{error}: {error.__cause__}") from error


def _one_line(fault: Mapping[str, Any]) -> str:
    place = ".".join(map(str, fault["loc"])) or "settings"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}"


def _look_through(path: Path) -> None:
    """Raise SettingsError for a file that is not there, is no TOML, or holds a secret."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no settings file {path}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    for name in _names(content):
        if name in _SECRETS:
            raise SettingsError(f"{path}: {name} is a secret and comes from the environment only")


def _names(table: Mapping[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
