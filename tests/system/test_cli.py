"""The command line: help worth reading, wrong usage in one line, backtests without a broker."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from features.wording import LANGUAGES
from streams.cli import main
from streams.cli_history import _Speed
from streams.cli_shared import Days
from tests.building import START, day, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """Every command and group, as the words that reach it."""
    found: list[tuple[str, ...]] = [path]
    for name, command in group.commands.items():
        found += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return found


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("command", commands(main), ids=" ".join)
def test_every_command_has_help_that_says_what_it_does(command: tuple[str, ...]):
    result = run(*command, "--help")

    assert result.exit_code == 0
    assert "Usage:" in result.output
    purpose = result.output.split("\n\n")[1].strip()
    assert len(purpose.split()) > 3


def test_a_customer_can_be_looked_at_in_every_language_that_reasons_are_told_in():
    """Named twice, because `--help` should not wait for the feature catalogue."""
    (option,) = (each for each in main.commands["inspect"].params if each.name == "language")

    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(LANGUAGES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command"),
        (["backtest"], "name FILES, or one of the known logs"),
        (["backtest", "--data", "nobody"], "is not one of"),
        (["backtest", "no.jsonl"], "does not exist"),
        (["backtest", "--data", "cdnow", "--horizon", "soon"], "'soon' is not a number of days like 60d"),
        (["backtest", "--data", "cdnow", "--every", "0d"], "'0d' is not a number of days like 60d"),
        (["replay", "--data", "cdnow", "--speed", "fast"], "'fast' is neither a positive number nor max"),
        (["replay", "--data", "cdnow", "--speed", "0"], "'0' is neither a positive number nor max"),
        (["worker", "--no-learning"], "belong together"),
        (["worker", "--leave"], "for workers with kafka.instance_id"),
        (["worker", "--settings", "no.toml"], "there is no settings file"),
        (["inspect"], "Missing argument"),
        (["inspect", "ada", "--language", "tlh"], "'tlh' is not one of 'en', 'zh'"),
        (["features"], "Missing option"),
        (["models", "promote"], "Missing argument"),
        (["models", "rollback", "yesterday"], "'yesterday' is not a valid integer range"),
        (["models", "rollback", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_one_line(words: list[str], said: str):
    result = run(*words)

    assert result.exit_code == 2
    assert said in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


def test_wrong_settings_are_wrong_usage(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_MODEL__HORIZON_DAYS", "soon")

    result = run("worker")

    assert result.exit_code == 2
    assert "model.horizon_days" in result.output


def test_a_mapping_without_files_is_wrong_usage(tmp_path: Path):
    mapping = tmp_path / "m.toml"
    mapping.write_text("")

    assert run("backtest", "--data", "cdnow", "--mapping", mapping).exit_code == 2


def test_each_file_may_have_a_mapping_of_its_own(tmp_path: Path):
    orders, clicks, mapping = tmp_path / "orders.csv", tmp_path / "clicks.jsonl", tmp_path / "orders.toml"
    orders.write_text("who,at,total\nu1,2024-05-01T09:00:00Z,5\nu1,2024-05-02T09:00:00Z,6\n")
    clicks.write_text('{"type":"login","event_id":"c1","user_id":"u1","ts":1714557000000}\n')
    mapping.write_text(
        'topic = "orders"\n[columns]\nuser_id = "who"\nts = "at"\nvalue = "total"\n'
        '[constants]\ntype = "purchase"\ncurrency = "EUR"\n'
    )
    both = ("--mapping", mapping, "--mapping", "-")

    judged = run("backtest", orders, clicks, *both, "--horizon", "1", "--every", "1")
    unpaired = run("backtest", orders, *both)

    assert "3 events, 0 labels, 0 late" in judged.output
    assert "refused" not in judged.output
    assert unpaired.exit_code == 2
    assert "2 mappings for 1 FILES" in unpaired.output


@pytest.mark.parametrize("command", ["backtest", "tune", "report"])
def test_one_row_of_another_century_changes_no_result_and_is_named(tmp_path: Path, command: str):
    events, stray = log(), dict(log()[0], event_id="typo", ts="2097-12-03T12:00:00Z")
    plain, typo = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    plain.write_text("\n".join(map(json.dumps, events)))
    typo.write_text("\n".join(map(json.dumps, [*events, stray])))
    options = ["--horizon", "4d", "--every", "1d", "--active-within", "10d"]
    if command == "tune":
        options += ["--learner", "logistic", "--trials", "1", "--out", tmp_path / "tuned.toml"]
    if command == "report":
        options += ["--out", tmp_path / "page"]

    was, now = run(command, plain, *options), run(command, typo, *options)

    assert (was.exit_code, now.exit_code) == (0, 0), now.output
    assert "left out" not in was.output
    assert "left out: 1 row dated ahead of now" in now.output
    assert f"record {len(events) + 1} of b.jsonl" in now.output


@pytest.mark.parametrize(("text", "days"), [("60d", 60), ("60", 60), ("1d", 1), (7, 7)])
def test_days_are_a_number_with_or_without_d(text: Any, days: int):
    assert Days().convert(text, None, None) == days


@pytest.mark.parametrize("text", ["", "d", "-3d", "1.5d", "0", "60 d", "60dd", "1e3"])
def test_other_texts_are_no_days(text: str):
    with pytest.raises(click.UsageError, match="not a number of days"):
        Days().convert(text, None, None)


def test_a_speed_is_a_positive_number_or_max():
    assert _Speed().convert("max", None, None) is None
    assert _Speed().convert("1.5", None, None) == 1.5
    for text in ("nan", "inf", "-1", ""):
        with pytest.raises(click.UsageError):
            _Speed().convert(text, None, None)


# -- backtest


def log() -> list[dict[str, Any]]:
    """Forty customers over thirty days, of whom some stop buying; the event ids are fixed."""
    rng = random.Random(1)
    events = []
    for number in range(40):
        until = rng.choice([6, 30])
        times = sorted(rng.uniform(0, until) for _ in range(6))
        events += [event("purchase", f"u{number:02}", day(t), event_id=f"{number}-{t}") for t in times]
    return sorted(events, key=lambda found: found["ts"])


LOG = log()
OPTIONS = ["--horizon", "5d", "--every", "5d", "--active-within", "10d"]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """One learner, and a return model that is not fitted: neither is what this is about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.trainer.fit", lambda _, before: before)
        patch.setenv("CHURNWATCH_MODEL__CONTENDERS", '["logistic"]')
        yield


def write(path: Path, events: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(each) + "\n" for each in events).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def backtest(folder: Path, name: str, events: list[dict[str, Any]], *more: object) -> tuple[Result, bytes]:
    out = folder / f"{name}.csv"
    result = run("backtest", write(folder / name, events), *OPTIONS, "--predictions", out, *more)
    assert result.exit_code == 0, result.output
    return result, out.read_bytes()


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, bytes]:
    return backtest(tmp_path_factory.mktemp("ordered"), "log.jsonl", LOG)


def test_predictions_have_the_header_and_the_columns_that_are_promised(ordered: tuple[Result, bytes]):
    lines = ordered[1].decode().splitlines()
    assert lines[0] == "user_id,decision_time,p_churn"

    rows = list(csv.DictReader(lines))
    assert b"\r" not in ordered[1]
    assert rows[0]["user_id"].startswith("u")
    times = sorted({row["decision_time"] for row in rows})
    # The grid begins at 00:00 UTC of the log's first day; the first decision time is one step later.
    assert START == 1_641_600_000_000
    assert times[:2] == ["2022-01-13T00:00:00Z", "2022-01-18T00:00:00Z"]
    for row in rows:
        assert 0 < float(row["p_churn"]) < 1
        assert len(row["p_churn"]) == 8


def test_every_active_customer_is_judged_once_at_every_decision_time(ordered: tuple[Result, bytes]):
    rows = list(csv.DictReader(ordered[1].decode().splitlines()))

    places = {(row["user_id"], row["decision_time"]) for row in rows}

    assert len(places) == len(rows)
    first = {user for user, time in places if time.startswith("2022-01-13")}
    assert first == {each["user_id"] for each in LOG if each["ts"] < day(5)}


def test_order_and_compression_of_the_log_change_nothing(ordered: tuple[Result, bytes], tmp_path: Path):
    shuffled = LOG[:]
    random.Random(7).shuffle(shuffled)

    _, predictions = backtest(tmp_path, "shuffled.jsonl.gz", shuffled)

    assert predictions == ordered[1]


def test_the_report_sets_the_champion_beside_base_rate_and_recency_rule(ordered: tuple[Result, bytes]):
    output = ordered[0].output

    assert f"{len(LOG)} events" in output
    for name in ("champion", "recency rule", "base rate", "log loss", "calibration"):
        assert name in output


def test_a_log_shorter_than_the_horizon_says_that_there_is_nothing_to_judge_by(tmp_path: Path):
    result, predictions = backtest(tmp_path, "log.jsonl", LOG, "--horizon", "40d")

    assert "no label matured" in result.output
    assert len(predictions.splitlines()) > 1


def test_refused_lines_are_counted_and_stop_nothing(ordered: tuple[Result, bytes], tmp_path: Path):
    broken = {**LOG[3], "value": "much", "event_id": "broken"}

    result, predictions = backtest(tmp_path, "log.jsonl", [*LOG, broken])

    assert "refused: 1" in result.output
    assert predictions == ordered[1]


def test_options_win_over_settings_and_settings_over_what_suits_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    monkeypatch.setattr("streams.backtesting.run_backtest", lambda settings, *_: seen.append(settings.model))
    monkeypatch.setenv("CHURNWATCH_MODEL__HORIZON_DAYS", "11")
    monkeypatch.setenv("CHURNWATCH_MODEL__EVERY_DAYS", "2")

    run("backtest", write(tmp_path / "log.jsonl", LOG), "--every", "3d", "--test-from", "2022-01-20")

    (model,) = seen
    assert (model.horizon_days, model.every_days, model.active_within_days) == (11, 3, 120)
    assert model.evaluate_from.isoformat() == "2022-01-20"


def test_a_long_horizon_keeps_customers_as_long_as_a_cohort_may_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    monkeypatch.setattr("streams.backtesting.run_backtest", lambda settings, *_: seen.append(settings.model))

    result = run(
        "backtest", write(tmp_path / "log.jsonl", LOG), "--horizon", "400d", "--active-within", "400d"
    )

    assert result.exit_code == 0, result.output
    assert seen[0].evict_after_days == 814


def test_predictions_that_cannot_be_written_are_one_line(tmp_path: Path):
    path = write(tmp_path / "log.jsonl", LOG)

    result = run("backtest", path, *OPTIONS, "--predictions", tmp_path / "no" / "such" / "out.csv")

    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.output


def test_contracts_writes_both_documents(tmp_path: Path):
    result = run("contracts", "--out", tmp_path)

    assert result.exit_code == 0, result.output
    assert (tmp_path / "contracts.md").read_text().startswith("# ")
    assert json.loads((tmp_path / "asyncapi.json").read_text())["asyncapi"].startswith("3.")


def test_a_model_file_that_holds_no_models_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("streams.logs.configure", lambda _: None)
    path = tmp_path / "models.json"
    path.write_text("{}")

    result = run("worker", "--model", path, "--no-learning")

    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith(f"Error: {path} holds no models")


# -- tune


def tune(path: Path, out: Path, *more: object) -> Result:
    words = ["tune", path, *OPTIONS, "--first", "0.6", "--method", "random", "--out", out, *more]
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(word) for word in words])


def test_a_search_writes_settings_that_a_backtest_takes_and_goes_on_with_more_trials(tmp_path: Path):
    path, out = write(tmp_path / "log.jsonl", LOG), tmp_path / "tuned.toml"

    first = tune(path, out, "--trials", 2)
    then = tune(path, out, "--trials", 4)

    assert (first.exit_code, then.exit_code) == (0, 0), first.output + then.output
    for said in ("as it was", "return probability", "base rate"):
        assert said in " ".join(then.output.split())
    head = [line for line in out.read_text().splitlines() if line.startswith("#")]
    assert head[1].endswith(f": {len(LOG)} events")
    assert any("logistic: 4 of 4 trials, log loss" in line for line in head)
    assert run("backtest", path, "--settings", out).exit_code == 0
    assert (tmp_path / "tuned.study.db").stat().st_size > 0


def test_an_interrupted_search_keeps_what_it_found_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from streams import tuning

    path, out = write(tmp_path / "log.jsonl", LOG), tmp_path / "tuned.toml"
    progressive, calls = tuning.progressive, itertools.count()

    def interrupted(*told: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return progressive(*told)

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "progressive", interrupted)
        broken_off = tune(path, out, "--trials", 5)
    text = out.read_text()
    resumed = tune(path, out, "--trials", 5)

    assert broken_off.exit_code == 130
    assert "the same command goes on from there" in " ".join(broken_off.output.split())
    assert "logistic: 2 of 5 trials" in text
    assert resumed.exit_code == 0, resumed.output
    assert "logistic: 5 of 5 trials" in out.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--learner", "oracle"], "nothing to tune in oracle; there are additive"),
        (["--learner", "return_probability"], "nothing to tune in return_probability"),
        (["--first", "1.0"], "'--first'"),
        (["--out", "no/such/folder/tuned.toml"], "there is no folder no/such/folder"),
    ],
)
def test_a_search_for_nothing_is_wrong_usage(tmp_path: Path, words: list[str], said: str):
    result = run("tune", write(tmp_path / "log.jsonl", LOG), *words)

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_first_part_too_short_and_a_grid_too_large_are_one_line(tmp_path: Path):
    path = write(tmp_path / "log.jsonl", LOG)

    short = tune(path, tmp_path / "tuned.toml", "--first", "0.1")
    large = tune(path, tmp_path / "tuned.toml", "--method", "grid", "--trials", 3)

    assert (short.exit_code, large.exit_code) == (1, 1)
    assert "longer than two horizons of 5 days" in short.output.splitlines()[-1]
    assert "has 4 points: too few trials" in large.output.splitlines()[-1]
