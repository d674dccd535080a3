"""docker-compose.yml and the Dockerfile, read: no engine is needed for what can be seen by reading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from streams.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
KAFKA: dict[str, Any] = SERVICES["kafka"]["environment"]


def variables(model: type[BaseModel] = Settings, prefix: str = "CHURNWATCH_") -> set[str]:
    """Every environment variable that the settings know."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names |= variables(kind, f"{prefix}{name.upper()}__")
        else:
            names.add(prefix + name.upper())
    return names


def test_every_setting_named_in_the_container_files_exists():
    named = re.findall(r"CHURNWATCH_\w+", DOCKERFILE + (ROOT / "docker-compose.yml").read_text())

    assert set(named) - {"CHURNWATCH_"} <= variables()


def test_no_secret_has_a_value():
    assigned = {
        name: value
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if re.search(r"SALT|KEY|PASSWORD|SECRET|TOKEN", name) and value is not None
    }

    assert assigned == {}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", SERVICES)
def test_mounted_files_exist_and_named_volumes_are_declared(name: str):
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).is_dir() if source.startswith("./") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str):
    assert re.search(r":v?\d+\.\d+", SERVICES[name]["image"])


def test_topics_are_made_before_a_worker_joins():
    waits = SERVICES["worker"]["depends_on"]

    assert SERVICES["topics"]["command"] == ["topics", "create"]
    assert waits["topics"]["condition"] == "service_completed_successfully"
    assert SERVICES["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    assert "healthcheck" in SERVICES["kafka"]


def test_topics_and_worker_have_the_same_settings():
    assert SERVICES["topics"]["environment"] == SERVICES["worker"]["environment"]


def listeners(variable: str) -> dict[str, str]:
    return dict(entry.split("://") for entry in KAFKA[variable].split(","))


def test_every_listener_of_kafka_has_a_protocol_and_all_but_the_controllers_an_address():
    protocols = dict(entry.split(":") for entry in KAFKA["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    controller = KAFKA["KAFKA_CONTROLLER_LISTENER_NAMES"]

    assert listeners("KAFKA_LISTENERS").keys() == protocols.keys()
    assert listeners("KAFKA_ADVERTISED_LISTENERS").keys() == protocols.keys() - {controller}
    assert KAFKA["KAFKA_INTER_BROKER_LISTENER_NAME"] in protocols.keys() - {controller}


def test_kafka_advertises_what_containers_and_the_host_can_reach():
    advertised = listeners("KAFKA_ADVERTISED_LISTENERS")
    [published] = SERVICES["kafka"]["ports"]

    assert advertised["NETWORK"] == SERVICES["worker"]["environment"]["CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS"]
    assert advertised["HOST"].endswith(":" + published.split(":")[1])
    assert all(advertised[name].endswith(listeners("KAFKA_LISTENERS")[name]) for name in advertised)


def test_prometheus_scrapes_the_port_that_the_worker_exposes():
    scrapes = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    [discovery] = next(each for each in scrapes if each["job_name"] == "churnwatch")["dns_sd_configs"]
    port = Settings.model_fields["worker"].get_default().http_port

    assert discovery["names"] == ["worker"]
    assert discovery["port"] == port
    assert f"EXPOSE {port}" in DOCKERFILE
    assert SERVICES["worker"]["ports"][0].endswith(f":{port}")


def test_the_image_copies_files_that_exist_and_that_dockerignore_lets_in():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    }

    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_is_not_root_and_keeps_its_state_in_the_volume():
    state = "/var/lib/churnwatch"

    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
    assert f"VOLUME {state}\n" in DOCKERFILE
    assert f"CHURNWATCH_WORKER__STATE_DIR={state}" in DOCKERFILE
    assert f"worker-state:{state}" in SERVICES["worker"]["volumes"]


def test_the_health_check_of_the_image_is_a_program_that_compiles():
    [check] = re.findall(r'CMD \["python", "-c", "(.+)"\]', DOCKERFILE)

    compile(check, "HEALTHCHECK", "exec")
    assert "/health/live" in check
