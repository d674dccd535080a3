"""The sections of the settings: what can be set, in which unit, and what it is if nobody sets it."""

from __future__ import annotations

import ssl
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from features.fields import Channel
from features.wording import Language
from models.capacity import Capacity
from models.episodes import Thresholds
from models.marks import Mode
from models.trainer_config import AUTO, BESIDE_POOL, DEFAULT_CONTENDERS
from streams.learners import Learners
from streams.topics import Topics


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
    #: Of an encrypted key.
    ssl_key_password: SecretStr = SecretStr("")
    group: str = "churnwatch"
    #: Static membership: a name of this worker that stays the same over restarts.
    instance_id: str | None = None
    topic_prefix: str = ""
    topic_names: dict[str, str] = {}
    #: Field mappings (TOML files) of input topics whose messages are the shop's own JSON.
    field_mappings: tuple[Path, ...] = ()
    partitions: int = Field(default=12, ge=1)
    session_timeout_seconds: float = Field(default=30.0, gt=0)
    #: Longest wait of a fetch: what an event waits at most when nothing else comes.
    fetch_wait_ms: int = Field(default=20, ge=1)
    commit_interval_seconds: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _protocol_has_what_it_needs(self) -> Self:
        protocol, sasl = self.security_protocol, self.security_protocol.startswith("SASL")
        if sasl and not self.sasl_username:
            raise ValueError(f"security_protocol {protocol} needs sasl_username")
        if self.sasl_username and not sasl:
            raise ValueError(f"sasl_username is set, but security_protocol {protocol} has no users")
        files = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file")
        named = [name for name in files if getattr(self, name) is not None]
        if named and not protocol.endswith("SSL"):
            raise ValueError(f"{named[0]} is set, but security_protocol {protocol} is without TLS")
        if self.ssl_key_file is not None and self.ssl_cert_file is None:
            raise ValueError("ssl_key_file is set without its ssl_cert_file")
        return self

    def topics(self) -> Topics:
        """Names on the broker."""
        return Topics(
            prefix=self.topic_prefix, overrides=self.topic_names, partitions=self.partitions, group=self.group
        )

    def client_options(self) -> dict[str, Any]:
        """What every aiokafka client needs to connect; raises ValueError when something is missing."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            if not (password := self.sasl_password.get_secret_value()):
                raise ValueError(
                    f"user {self.sasl_username} has no password: set CHURNWATCH_KAFKA__SASL_PASSWORD"
                )
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": password,
            }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.ssl_context()
        return options

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context of the files named; raises ValueError, which names a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ssl_ca_file)
        except OSError as error:
            raise ValueError(f"kafka.ssl_ca_file {self.ssl_ca_file} cannot be used: {error}") from error
        if self.ssl_cert_file is not None:
            try:
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(
                    self.ssl_cert_file, self.ssl_key_file, self.ssl_key_password.get_secret_value()
                )
            except OSError as error:
                raise ValueError(
                    f"kafka.ssl_cert_file {self.ssl_cert_file} cannot be used: {error} "
                    "(is its key there, and CHURNWATCH_KAFKA__SSL_KEY_PASSWORD right?)"
                ) from error
        return context


class Model(_Part):
    """What is predicted, when, from whom, and by which learners."""

    horizon_days: int = Field(default=60, ge=1)
    every_days: int = Field(default=1, ge=1)
    active_within_days: int = Field(default=120, ge=1)
    #: A day whose 00:00 UTC lies on the decision grid.
    grid_anchor: date = date(1970, 1, 1)
    allowed_lateness_hours: float = Field(default=24.0, ge=0)
    contenders: tuple[str, ...] = DEFAULT_CONTENDERS
    #: Contenders that are judged beside the others and are not averaged in the pool.
    beside_pool: tuple[str, ...] = BESIDE_POOL
    champion: str = AUTO
    learners: Learners = Learners()
    learn_sample: int = Field(default=50_000, ge=1)
    min_labels: int = Field(default=1_000, ge=0)
    evict_after_days: int = Field(default=730, ge=1)
    evaluate_from: date | None = None
    #: When the loss drifted, learners forget as if so many days more had passed; by default one horizon.
    drift_forgets_days: float | None = Field(default=None, ge=0)
    #: Profile attributes by which forecasts are audited; their values then stand in cohorts and `examples`,
    #: under pseudonyms.
    audit: tuple[str, ...] = ()
    keep_versions: int = Field(default=20, ge=1)
    #: Days on which nobody can buy: dates, and ranges "first/last", past and to come.
    closed_days: tuple[str, ...] = ()

    @field_validator("closed_days")
    @classmethod
    def _are_days(cls, said: tuple[str, ...]) -> tuple[str, ...]:
        for each in said:
            _days(each)
        return said

    def closed(self) -> frozenset[int]:
        """The closed days, in days since the epoch."""
        return frozenset(day for each in self.closed_days for day in _days(each))


def _days(said: str) -> range:
    """The days of a date or of a range of dates, since the epoch; raises ValueError for anything else."""
    first, _, last = said.partition("/")
    start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    if end < start:
        raise ValueError(f"the range of closed days {said} ends before it begins")
    return range((start - date(1970, 1, 1)).days, (end - date(1970, 1, 1)).days + 1)


class Alerting(_Part):
    """Where the risk tiers begin, and how triggers behave."""

    #: Which share of the active customers stands in a tier or above it: the tiers begin accordingly.
    capacity: Capacity = Capacity()
    #: Fixed thresholds instead, as soon as one of them is set; the others are 0.80, 0.90 and 0.95 then.
    medium: float | None = None
    high: float | None = None
    critical: float | None = None
    #: How long a decision time waits for the version as of it, whose guard holds mass alarms back.
    guard_wait_seconds: float = Field(default=60.0, ge=0)
    #: How far below a fixed `medium` an episode ends.
    hysteresis: float = 0.05
    trigger_cooldown_days: float = Field(default=7.0, ge=0)
    low_rating: float = 2.0
    low_survey: float = 3.0
    #: A decision time or trigger older than this raises no alert in live operation; by default one grid step
    #: and the allowed lateness.
    act_within_days: float | None = Field(default=None, gt=0)
    #: Episodes open only for customers whose next order is late by their own rhythm (by the shop's, where
    #: there was one order), or who showed dissatisfaction since the last one.
    only_overdue: bool = True
    #: In which reasons are told. The `text` of a reason is in the first; the others stand in its `texts`.
    languages: tuple[Language, ...] = ("en",)

    @model_validator(mode="after")
    def _thresholds_are_of_one_kind(self) -> Self:
        if self._fixed and "capacity" in self.model_fields_set:
            raise ValueError("the tiers begin by a capacity or at fixed thresholds, not by both")
        return self

    def thresholds(self) -> Thresholds | None:
        """The fixed thresholds; None where the capacity says where the tiers begin."""
        return Thresholds(**self._fixed, hysteresis=self.hysteresis) if self._fixed else None

    @property
    def _fixed(self) -> dict[str, float]:
        said = {"medium": self.medium, "high": self.high, "critical": self.critical}
        return {tier: level for tier, level in said.items() if level is not None}


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
    #: Days for which an alert that the budget had nothing left for is decided again at each decision time.
    retry_days: int = Field(default=14, ge=0)
    #: `off` raises alerts and decides nothing, `shadow` decides everything and sends nothing, `live` has
    #: commands carried out.
    mode: Mode = "shadow"
    #: Publish commands from replayed history, marked `rehearsal`, on `commands.*.shadow`: by default only
    #: decisions say what they would have been. No mode sends them.
    publish_rehearsals: bool = False
    #: Channels that may be used for customers of whom the shop never said whether they agree.
    assume_consent: tuple[Channel, ...] = ()
    #: Time zone (IANA) of customers of whom none is known: without it they get no SMS and no call.
    timezone: str | None = None

    @field_validator("assume_consent", mode="before")
    @classmethod
    def _onsite_is_coupon(cls, channels: Any) -> Any:
        # Profiles call the consent to coupons `onsite`, after where they are shown.
        return ["coupon" if each == "onsite" else each for each in channels]


class Worker(_Part):
    """The process: where it keeps checkpoints, where it answers, when it gives up."""

    state_dir: Path = Path("run/state")
    #: 0 lets the system choose; the log says which.
    http_port: int = Field(default=8080, ge=0, le=65_535)
    http_host: str = "127.0.0.1"
    #: A checkpoint is due when the last one is older than this and rows were written since,
    checkpoint_seconds: float = Field(default=600.0, gt=0)
    #: or when more than this went to the changelog since, and `checkpoint_ratio` times its own size.
    checkpoint_bytes: int = Field(default=64 << 20, ge=1)
    checkpoint_ratio: float = Field(default=1.0, ge=0)
    idle_after_seconds: float = Field(default=60.0, gt=0)
    #: Longest wait for the broker's next confirmation of a write.
    write_timeout_seconds: float = Field(default=30.0, gt=0)
    #: Memory for what was read and is not acknowledged yet, two kilobytes a record and its value. A partition
    #: that holds as much of it as is left for the others is read no further.
    in_flight_bytes: int = Field(default=32 << 20, ge=1)
    max_message_bytes: int = Field(default=65_536, ge=1_024)
    #: More than this share of dead letters among the last `dead_letter_window` records stops the worker.
    max_dead_share: float = Field(default=0.5, gt=0, le=1)
    dead_letter_window: int = Field(default=10_000, ge=1)
    #: Lag without a commit for this long, and the worker says that it should be restarted.
    stalled_seconds: float = Field(default=120.0, gt=0)
    #: A stop that takes longer is ended by force; keep it below the grace period of whoever stops the worker.
    stop_seconds: float = Field(default=45.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
