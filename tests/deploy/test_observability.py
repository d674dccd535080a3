"""The alert rules and the dashboard ask for metrics that exist, and every alert has a runbook and tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from streams.telemetry import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
RULES = PROMETHEUS / "rules" / "churnwatch.yml"
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*_test.yml"))
SERIES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
#: What Prometheus itself adds to every series, and a histogram to its buckets.
ADDED_LABELS = {"job", "instance", "le"}

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed (Debian, Ubuntu: apt-get install prometheus)",
)


def catalogue() -> dict[str, set[str]]:
    """Names of all series that a worker exposes, with their labels."""
    metrics = [each for each in vars(Metrics()).values() if isinstance(each, MetricWrapperBase)]
    return {each._name + suffix: set(each._labelnames) for each in metrics for suffix in SERIES[each._type]}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "churnwatch.json").read_text())
    return parsed


def dashboard_expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def series_of(expression: str) -> set[str]:
    return set(re.findall(r"\bchurnwatch_\w+", expression))


def labels_of(expression: str) -> set[str]:
    """Labels that an expression selects, groups or joins by."""
    selected = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", expression)
    grouped = re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", expression)
    return {*selected, *(label for group in grouped for label in re.split(r"[,\s]+", group) if label)}


def unknown_names(expression: str) -> set[str]:
    """Series and labels in `expression` that no worker exposes."""
    known = catalogue()
    series = series_of(expression)
    labels = ADDED_LABELS.union(*(known.get(name, set()) for name in series))
    return (series - known.keys()) | (labels_of(expression) - labels)


def scenarios() -> list[dict[str, Any]]:
    return [test for file in RULE_TESTS for test in yaml.safe_load(file.read_text())["tests"]]


def runbook_sections() -> set[str]:
    return set(
        re.findall(r"^### (Churnwatch\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    )


def test_a_mistyped_metric_or_label_would_be_noticed():
    assert unknown_names('rate(churnwatch_records_total{topic="orders"}[5m])') == set()
    assert unknown_names("churnwatch_record_total") == {"churnwatch_record_total"}
    assert unknown_names("sum by (user) (churnwatch_records_total)") == {"user"}
    assert unknown_names('churnwatch_records_total{topik="orders"}') == {"topik"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_only_for_metrics_and_labels_that_exist(rule: dict[str, Any]):
    assert unknown_names(rule["expr"]) == set()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_what_and_where_to_read_on(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_every_alert_has_a_runbook_section_and_every_section_an_alert():
    assert runbook_sections() == {rule["alert"] for rule in rules()}


def test_every_alert_is_tested_to_fire_and_not_to_fire():
    tested = [
        (case["alertname"], bool(case["exp_alerts"]))
        for each in scenarios()
        for case in each["alert_rule_test"]
    ]

    assert set(tested) == {(rule["alert"], fires) for rule in rules() for fires in (True, False)}


def test_every_series_in_the_rule_tests_exists():
    names = {
        re.split(r"[{ ]", series["series"])[0] for test in scenarios() for series in test["input_series"]
    }

    assert names - {"up"} <= catalogue().keys()


@promtool
def test_promtool_accepts_the_configuration_and_the_rules():
    checked = subprocess.run(
        ["promtool", "check", "config", PROMETHEUS / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@promtool
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_promtool_confirms_when_alerts_fire_and_when_not(file: Path):
    tested = subprocess.run(
        ["promtool", "test", "rules", file.name], cwd=file.parent, capture_output=True, text=True, check=False
    )

    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("expression", dashboard_expressions())
def test_a_panel_asks_only_for_metrics_and_labels_that_exist(expression: str):
    assert series_of(expression)
    assert unknown_names(expression) == set()


def test_panels_have_their_own_ids_descriptions_and_places():
    panels = dashboard()["panels"]
    shown = [panel for panel in panels if panel["type"] != "row"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in shown)
    assert not [
        (a["title"], b["title"]) for a, b in combinations(panels, 2) if overlap(a["gridPos"], b["gridPos"])
    ]


def overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    return (
        a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    )


def test_the_provisioned_datasource_is_the_kind_the_dashboard_chooses_from():
    [source] = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    [choice] = [each for each in dashboard()["templating"]["list"] if each["type"] == "datasource"]

    assert source["type"] == choice["query"]
    assert {panel["datasource"]["uid"] for panel in dashboard()["panels"] if "datasource" in panel} == {
        f"${{{choice['name']}}}"
    }


def test_the_provider_reads_dashboards_from_where_compose_mounts_them():
    [provider] = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "churnwatch.yml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    assert (
        f"./deploy/grafana/dashboards:{provider['options']['path']}:ro"
        in compose["services"]["grafana"]["volumes"]
    )
