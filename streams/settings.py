"""Settings: a TOML file, overridden by CHURNWATCH_* variables; frozen once the process runs.

Nested names join with two underscores: CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS, CHURNWATCH_MODEL__HORIZON_DAYS.
Secrets (passwords, the salt, the signing key) come from the environment only; a file that holds one is
refused.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from features.grid import DecisionGrid
from features.layout import DAY_MS
from features.money import Currencies
from interventions.policy import PolicyConfig
from models.core import CoreConfig
from models.episodes import Thresholds
from models.trainer import TrainerConfig
from streams.topics import Topics

FILE_VARIABLE: Final = "CHURNWATCH_SETTINGS"
_SECRETS: Final = ("salt", "signing_key", "sasl_password")


class SettingsError(ValueError):
    """The settings contradict themselves; the message names each fault in one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kafka(_Part):
    """How to reach the broker, and the names on it."""

    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None
    group: str = "churnwatch"
    #: Static membership: a name of this worker that stays the same over restarts.
    instance_id: str | None = None
    topic_prefix: str = ""
    topic_names: dict[str, str] = {}
    partitions: int = Field(default=12, ge=1)
    session_timeout_seconds: float = Field(default=30.0, gt=0)
    #: Longest wait of a fetch: what an event waits at most when nothing else comes.
    fetch_wait_ms: int = Field(default=20, ge=1)
    commit_interval_seconds: float = Field(default=1.0, gt=0)

    def topics(self) -> Topics:
        """Names on the broker."""
        return Topics(
            prefix=self.topic_prefix, overrides=self.topic_names, partitions=self.partitions, group=self.group
        )

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client needs to connect."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password.get_secret_value(),
            }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.ssl_context()
        return options

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context of the files named; raises OSError or ssl.SSLError when they cannot be used."""
        context = ssl.create_default_context(cafile=self.ssl_ca_file)
        if self.ssl_cert_file is not None:
            context.load_cert_chain(self.ssl_cert_file, self.ssl_key_file)
        return context


class Model(_Part):
    """What is predicted, when, from whom, and by which learners."""

    horizon_days: int = Field(default=60, ge=1)
    every_days: int = Field(default=1, ge=1)
    active_within_days: int = Field(default=120, ge=1)
    #: A day whose 00:00 UTC lies on the decision grid.
    grid_anchor: date = date(1970, 1, 1)
    allowed_lateness_hours: float = Field(default=24.0, ge=0)
    contenders: tuple[str, ...] = ("logistic", "hoeffding_tree")
    champion: str = "logistic"
    learn_sample: int = Field(default=50_000, ge=1)
    min_labels: int = Field(default=1_000, ge=0)
    evict_after_days: int = Field(default=730, ge=1)
    evaluate_from: date | None = None
    keep_versions: int = Field(default=20, ge=1)


class Alerting(_Part):
    """Thresholds of the risk tiers, and how triggers behave."""

    medium: float = 0.80
    high: float = 0.90
    critical: float = 0.95
    hysteresis: float = 0.05
    trigger_cooldown_days: float = Field(default=7.0, ge=0)
    low_rating: float = 2.0
    low_survey: float = 3.0
    #: A decision time or trigger older than this raises no alert in live operation; default one grid step.
    act_within_days: float | None = Field(default=None, gt=0)


class Money(_Part):
    """The currency of all features and costs, and what others are worth in it."""

    currency: str | None = None
    rates: dict[str, float] = {}


class Interventions(_Part):
    """What the first policy may be told; costs are in currency units."""

    holdout_share: float = Field(default=0.10, ge=0, lt=1)
    exploration: float = Field(default=0.0, ge=0, le=1)
    high_value: float = Field(default=200.0, ge=0)
    daily_budget: float = Field(default=500.0, ge=0)
    #: Publish commands that come from replayed history too (still marked `dry_run`).
    live_commands: bool = False


class Worker(_Part):
    """The process: where it keeps checkpoints, where it answers, when it gives up."""

    state_dir: Path = Path("run/state")
    #: 0 lets the system choose; the log says which.
    http_port: int = Field(default=8080, ge=0, le=65_535)
    http_host: str = "127.0.0.1"
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    checkpoint_bytes: int = Field(default=64 << 20, ge=1)
    idle_after_seconds: float = Field(default=60.0, gt=0)
    write_timeout_seconds: float = Field(default=30.0, gt=0)
    max_message_bytes: int = Field(default=65_536, ge=1_024)
    #: More than this share of dead letters among the last `dead_letter_window` records stops the worker.
    max_dead_share: float = Field(default=0.5, gt=0, le=1)
    dead_letter_window: int = Field(default=10_000, ge=1)
    stalled_seconds: float = Field(default=120.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


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
    #: Signs what the trainer pickles on its own disk.
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
        self.policy()
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
            thresholds=Thresholds(alerting.medium, alerting.high, alerting.critical, alerting.hysteresis),
            salt=self.salt.get_secret_value(),
            partitions=self.kafka.partitions,
            learn_sample=model.learn_sample,
            min_labels=model.min_labels,
            evict_after_days=model.evict_after_days,
            trigger_cooldown_ms=round(alerting.trigger_cooldown_days * DAY_MS),
            low_rating=alerting.low_rating,
            low_survey=alerting.low_survey,
        )

    def trainer(self) -> TrainerConfig:
        """What the trainer is built from."""
        start = self.model.evaluate_from
        return TrainerConfig(
            partitions=self.kafka.partitions,
            contenders=self.model.contenders,
            champion=self.model.champion,
            evaluate_from=None if start is None else _midnight(start),
        )

    def policy(self) -> PolicyConfig:
        """What the dispatcher decides by."""
        return PolicyConfig(
            holdout_share=self.interventions.holdout_share,
            exploration=self.interventions.exploration,
            high_value=self.interventions.high_value,
            daily_budget_micros=round(self.interventions.daily_budget * 1e6),
        )

    def currencies(self) -> Currencies:
        """Conversion into the configured currency."""
        return Currencies(self.money.currency, self.money.rates)

    @property
    def act_within_ms(self) -> int:
        """Age beyond which a live decision time or trigger raises no alert."""
        days = self.alerting.act_within_days or float(self.model.every_days)
        return round(days * DAY_MS)


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from `file` (or $CHURNWATCH_SETTINGS), the environment and `overrides`.

    Raises SettingsError, which lists the faults one a line.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = file or (Path(named) if named else None)
    if path is not None and not path.is_file():
        raise SettingsError(f"there is no settings file {path}")
    _refuse_secrets(path)

    class _Settings(Settings):
        _file = path

    try:
        return _Settings(**overrides)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from error


def _refuse_secrets(path: Path | None) -> None:
    if path is None:
        return
    for line in path.read_text().splitlines():
        name = line.split("=", 1)[0].strip()
        if name in _SECRETS and "=" in line:
            raise SettingsError(f"{path}: {name} is a secret and comes from the environment only")


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
