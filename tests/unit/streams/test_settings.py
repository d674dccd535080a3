"""Settings: where they come from, and how wrong ones are told."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import ValidationError

from deploy.kafka import Authority
from features.layout import DAY_MS
from interventions.policy import OFFERINGS, PolicyConfig
from models.capacity import Capacity
from models.episodes import Thresholds
from streams.settings import Settings, SettingsError, load
from streams.topics import VALID_DAYS

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.kafka import Certificate


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.startswith("CHURNWATCH_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path):
    return tmp_path / "shop.toml"


def faults(path: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value).splitlines()


def test_defaults_are_a_whole_that_works():
    settings = load()

    assert settings.core().horizon_days == 60
    assert settings.trainer().first_champion == "pool"
    assert settings.policy().daily_budget_micros == 500_000_000
    assert settings.kafka.topics()["orders"] == "orders"


def test_variables_reach_into_sections_by_two_underscores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("CHURNWATCH_MODEL__HORIZON_DAYS", "30")
    monkeypatch.setenv("CHURNWATCH_KAFKA__TOPIC_NAMES", '{"orders": "shop.sales"}')
    monkeypatch.setenv("CHURNWATCH_MODEL__CONTENDERS", '["logistic"]')

    settings = load()

    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.core().horizon_days == 30
    assert settings.kafka.topics()["orders"] == "shop.sales"
    assert settings.trainer().contenders == ("logistic",)


def test_arguments_win_over_variables_and_variables_over_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    file.write_text("[model]\nhorizon_days = 10\nevery_days = 2\nactive_within_days = 20\n")
    monkeypatch.setenv("CHURNWATCH_MODEL__EVERY_DAYS", "3")
    monkeypatch.setenv("CHURNWATCH_MODEL__ACTIVE_WITHIN_DAYS", "30")

    model = load(file, model={"active_within_days": 40}).model

    assert (model.horizon_days, model.every_days, model.active_within_days) == (10, 3, 40)


def test_the_file_may_be_named_by_a_variable(file: Path, monkeypatch: pytest.MonkeyPatch):
    file.write_text("[worker]\nhttp_port = 9000\n")
    monkeypatch.setenv("CHURNWATCH_SETTINGS", str(file))

    assert load().worker.http_port == 9000


def test_one_file_does_not_leak_into_the_next_load(file: Path):
    file.write_text("[worker]\nhttp_port = 9000\n")
    load(file)

    assert load().worker.http_port == 8080


def test_settings_are_frozen():
    settings = load()

    with pytest.raises(ValidationError):
        settings.model.horizon_days = 3


def test_every_fault_is_one_line_with_its_place(file: Path):
    file.write_text('[model]\nhorizon_days = "soon"\n[kafka]\nserver = "x"\npartitions = 0\n')

    found = faults(file)

    assert [line.split(":")[0] for line in found] == [
        "kafka.partitions",
        "kafka.server",
        "model.horizon_days",
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[model]\nchampion = "nobody"', "the champion 'nobody' is not among"),
        ("[alerting]\nmedium = 0.99", "alert thresholds must rise"),
        ("[alerting]\nlanguages = []", "reasons are told in at least one language"),
        ('[alerting]\nlanguages = ["zh", "zh"]', "and in each once"),
        ('[model]\naudit = ["age", "age"]', "an audited attribute has a name, and is named once"),
        ("[model]\nevict_after_days = 100", "eviction must wait"),
        ('[kafka.topic_names]\norder = "x"', "no such topic to rename: order"),
        ('[money]\ncurrency = "EUR"\nrates = {USD = -1.0}', "rate"),
    ],
)
def test_what_does_not_fit_together_is_said_in_one_line(file: Path, content: Any, what: str):
    file.write_text(content)

    (line,) = faults(file)

    assert line.startswith(("settings: ", "alerting: "))
    assert what in line


@pytest.mark.parametrize(
    "content",
    [
        'salt = "s"',
        'signing_key = "s"',
        '[kafka]\nsasl_password = "s"',
        'kafka.sasl_password = "s"',
        'kafka = { sasl_password = "s" }',
        '[kafka]\nssl_key_password = "s"',
        '"salt" = "s"',
    ],
)
def test_a_file_that_holds_a_secret_is_refused(file: Path, content: Any):
    file.write_text(content)

    (line,) = faults(file)

    assert "comes from the environment only" in line


def test_a_word_in_a_comment_or_a_value_is_no_secret(file: Path):
    file.write_text('# salt = "not here"\n[kafka]\ngroup = "salt"\n')

    assert load(file).kafka.group == "salt"


@pytest.mark.parametrize("content", [b"[model", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_told_in_one_line(file: Path, content: Any):
    file.write_bytes(content)

    (line,) = faults(file)

    assert line.startswith(f"{file} cannot be read:")


def test_a_file_that_is_not_there_is_told(file: Path):
    assert faults(file) == [f"there is no settings file {file}"]


def test_a_variable_that_is_no_json_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_KAFKA__TOPIC_NAMES", "{orders: x}")

    (line,) = faults()

    assert "kafka" in line


def test_secrets_come_from_the_environment_and_are_masked_when_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_SALT", "pepper")
    monkeypatch.setenv("CHURNWATCH_KAFKA__SASL_PASSWORD", "hunter2")

    settings = load()

    assert settings.core().salt == "pepper"
    shown = settings.model_dump_json() + repr(settings)
    assert "pepper" not in shown
    assert "hunter2" not in shown


def test_days_become_midnights_in_utc():
    settings = load(None, model={"grid_anchor": date(2024, 2, 29), "evaluate_from": date(1970, 1, 3)})

    assert settings.core().grid.anchor == 19_782 * DAY_MS
    assert settings.trainer().evaluate_from == 2 * DAY_MS


def test_tiers_follow_a_capacity_unless_a_threshold_is_fixed(file: Path):
    settings = load(None)
    assert settings.core().thresholds is None
    assert settings.trainer().capacity == Capacity(critical=0.02, high=0.05, medium=0.15)

    file.write_text("[alerting]\ncapacity = {critical = 0.01, high = 0.02, medium = 0.03}")
    assert load(file).trainer().capacity == Capacity(0.01, 0.02, 0.03)

    file.write_text("[alerting]\nmedium = 0.5")
    fixed = load(file)
    assert fixed.core().thresholds == Thresholds(0.5, 0.9, 0.95, 0.05)
    assert fixed.trainer().thresholds == fixed.core().thresholds


def test_a_capacity_and_fixed_thresholds_exclude_each_other(file: Path):
    file.write_text("[alerting]\nhigh = 0.9\ncapacity = {medium = 0.3}")
    (line,) = faults(file)
    assert "not by both" in line

    file.write_text("[alerting]\ncapacity = {medium = 0.01}")
    (line,) = faults(file)
    assert "a capacity holds shares that rise" in line


def test_closed_days_are_dates_and_ranges_of_dates(file: Path):
    file.write_text('[model]\nclosed_days = ["1970-01-03", "1970-02-01/1970-02-03"]')
    assert load(file).trainer().closed_days == {2, 31, 32, 33}
    assert load(None).trainer().closed_days == frozenset()


@pytest.mark.parametrize(
    "said", ["christmas", "2026-12-24/2026-12-20", "2026-13-01", "2026-12-24/2026-12-26/x"]
)
def test_what_is_no_closed_day_is_said_in_one_line(file: Path, said: str):
    file.write_text(f'[model]\nclosed_days = ["{said}"]')
    (line,) = faults(file)
    assert line.startswith("model.closed_days: ")


def test_by_default_an_alert_may_be_one_grid_step_and_the_lateness_old():
    settings = load(None, model={"every_days": 7, "allowed_lateness_hours": 12})
    assert settings.act_within_ms == 7 * DAY_MS + DAY_MS // 2

    settings = load(None, alerting={"act_within_days": 0.5})
    assert settings.act_within_ms == DAY_MS // 2


def test_reasons_are_told_in_english_unless_the_settings_say_otherwise(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    assert load(None).core().languages == ("en",)

    monkeypatch.setenv("CHURNWATCH_ALERTING__LANGUAGES", '["zh", "en"]')
    assert load(None).core().languages == ("zh", "en")

    file.write_text('[alerting]\nlanguages = ["zh", "tlh"]')
    monkeypatch.delenv("CHURNWATCH_ALERTING__LANGUAGES")
    assert [line.split(":")[0] for line in faults(file)] == ["alerting.languages.1"]


def test_clients_connect_as_the_settings_say():
    plain = load(None, kafka={"bootstrap_servers": "a:1,b:2"}).kafka.client_options()
    assert plain == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}

    sasl = {"security_protocol": "SASL_SSL", "sasl_username": "cw", "sasl_password": "hunter2"}
    options = load(None, kafka=sasl).kafka.client_options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("cw", "hunter2")
    assert options["ssl_context"].check_hostname


def test_there_is_a_decoder_for_each_input_topic_and_a_mapped_one_where_a_file_says_so(tmp_path: Path):
    path = tmp_path / "clicks.toml"
    path.write_text(
        'topic = "clickstream"\n[columns]\nuser_id = "visitor"\nts = "at"\ntype = "event"\nevent_id = "id"\n'
    )

    plain, mapped = load().decoders(), load(None, kafka={"field_mappings": [path]}).decoders()

    assert set(plain) == set(mapped) == {"clickstream", "orders", "reviews", "customers", "outcomes"}
    assert type(mapped["clickstream"]) is not type(plain["clickstream"])


@pytest.mark.parametrize(
    ("kafka", "what"),
    [
        ('security_protocol = "SASL_SSL"', "security_protocol SASL_SSL needs sasl_username"),
        ('sasl_username = "cw"', "sasl_username is set, but security_protocol PLAINTEXT has no users"),
        (
            'security_protocol = "SSL"\nsasl_username = "cw"',
            "sasl_username is set, but security_protocol SSL has no users",
        ),
        ('ssl_ca_file = "ca.pem"', "ssl_ca_file is set, but security_protocol PLAINTEXT is without TLS"),
        (
            'security_protocol = "SASL_PLAINTEXT"\nsasl_username = "cw"\nssl_cert_file = "c.pem"',
            "ssl_cert_file is set, but security_protocol SASL_PLAINTEXT is without TLS",
        ),
        (
            'security_protocol = "SSL"\nssl_key_file = "k.pem"',
            "ssl_key_file is set without its ssl_cert_file",
        ),
    ],
)
def test_a_protocol_without_what_it_needs_or_with_what_it_has_no_use_for_is_refused(
    file: Path, kafka: str, what: str
):
    file.write_text(f"[kafka]\n{kafka}\n")

    assert faults(file) == [f"kafka: {what}"]


def test_a_user_without_password_is_told_where_it_comes_from_by_whoever_connects():
    kafka = load(None, kafka={"security_protocol": "SASL_PLAINTEXT", "sasl_username": "cw"}).kafka

    with pytest.raises(ValueError, match="user cw has no password: set CHURNWATCH_KAFKA__SASL_PASSWORD"):
        kafka.client_options()


@pytest.fixture
def shown(tmp_path: Path) -> Certificate:
    return Authority(tmp_path / "tls").issue("worker", password="key-word")


def test_an_encrypted_key_opens_with_its_password(shown: Certificate):
    files = {"ssl_cert_file": shown.cert_file, "ssl_key_file": shown.key_file, "ssl_key_password": "key-word"}

    load(None, kafka={"security_protocol": "SSL", **files}).kafka.client_options()


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"ssl_ca_file": "nowhere.pem"}, "kafka.ssl_ca_file nowhere.pem cannot be used: "),
        ({"ssl_ca_file": "{key}"}, "kafka.ssl_ca_file {key} cannot be used: "),
        ({"ssl_cert_file": "{cert}"}, "kafka.ssl_cert_file {cert} cannot be used: "),
        ({"ssl_cert_file": "{cert}", "ssl_key_file": "{key}"}, "kafka.ssl_cert_file {cert} cannot be used: "),
        (
            {"ssl_cert_file": "{cert}", "ssl_key_file": "{key}", "ssl_key_password": "wrong-word"},
            "kafka.ssl_cert_file {cert} cannot be used: ",
        ),
        ({"ssl_cert_file": "{cert}", "ssl_key_file": "nowhere.pem"}, "kafka.ssl_cert_file {cert} cannot be"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nobody_is_asked_for_a_password(
    shown: Certificate, files: dict[str, str], named: str
):
    paths = {"cert": str(shown.cert_file), "key": str(shown.key_file)}
    kafka = {name: value.format(**paths) for name, value in files.items()}

    with pytest.raises(ValueError, match=r"^kafka\.ssl_") as caught:
        load(None, kafka={"security_protocol": "SSL", **kafka}).kafka.client_options()

    assert str(caught.value).startswith(named.format(**paths))
    assert "wrong-word" not in str(caught.value)


def test_drift_and_audits_are_set_under_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_MODEL__AUDIT", '["age_band", "gender"]')
    unset = load(None, model={"horizon_days": 30, "every_days": 7, "min_labels": 5}).trainer()

    assert load(None).core().audit == ("age_band", "gender")
    assert (unset.every_days, unset.min_labels, unset.forgets_days) == (7, 5, 30)
    assert load(None, model={"drift_forgets_days": 0}).trainer().forgets_days == 0


def test_a_command_that_its_topic_may_drop_before_it_expires_is_refused(monkeypatch: pytest.MonkeyPatch):
    coupon, *others = OFFERINGS
    lasting = msgspec.structs.replace(coupon, ttl_days=VALID_DAYS + 1)
    monkeypatch.setattr(Settings, "policy", lambda _: PolicyConfig(offerings=(lasting, *others)))

    with pytest.raises(SettingsError, match=r"coupon commands are valid for up to 17 days"):
        load()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"assume_consent": ["pigeon"]}, "assume_consent"),
        ({"mode": "dry"}, "mode"),
        ({"live_commands": True}, "live_commands"),
    ],
)
def test_an_intervention_that_cannot_be_meant_is_refused(said: dict[str, Any], fault: str):
    with pytest.raises(SettingsError, match=fault):
        load(interventions=said)


def test_nothing_is_sent_and_no_consent_assumed_unless_somebody_says_so():
    settings = load()

    assert settings.core().mode == settings.interventions.mode == "shadow"
    assert settings.policy().assume_consent == ()
    assert load(interventions={"assume_consent": ["onsite", "email"]}).policy().assume_consent == (
        "coupon",
        "email",
    )
