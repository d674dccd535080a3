"""Times as people write them on the command line."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.cli_customers import Moment


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("2026-03-02", 1_772_409_600_000),
        ("2026-03-02T00:00", 1_772_409_600_000),
        ("2026-03-02 00:00:00.5", 1_772_409_600_500),
        ("2026-03-02T00:00:00Z", 1_772_409_600_000),
        ("2026-03-02T01:00:00+01:00", 1_772_409_600_000),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, ts: int):
    assert Moment().convert(text, None, None) == ts


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "1772409600000"])
def test_what_is_no_time_is_wrong_usage(text: str):
    with pytest.raises(click.BadParameter, match="is not a time like 2026-03-02"):
        Moment().convert(text, None, None)


def test_one_cannot_ask_for_two_times():
    result = CliRunner().invoke(main, ["inspect", "ada", "--as-of", "2026-03-02", "--as-of-decision"])

    assert result.exit_code == 2
    assert "two ways to say as of when" in result.output


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "ada"),
        ("features", "--out", "f"),
        ("models", "list"),
        ("topics", "check"),
        ("worker", "--check"),
    ],
)
def test_where_no_broker_is_one_line_says_so(command: tuple[str, ...]):
    environment = {"CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = CliRunner(env=environment).invoke(main, list(command))

    assert result.exit_code == 1
    assert result.output.strip() == (
        "Error: no broker answers at 127.0.0.1:1: start it, or say where it is "
        "(CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS)"
    )
