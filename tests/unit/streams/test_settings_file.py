"""A file of settings gives the same settings again."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from streams.settings import load
from streams.settings_file import to_toml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"kafka": {"partitions": 8, "bootstrap_servers": "a:1,b:2", "topic_prefix": 'de"mo.'}},
        {"kafka": {"topic_names": {"churn-alerts": "shop.alerts", "commands.email": "mails"}}},
        {"model": {"horizon_days": 14, "grid_anchor": date(1997, 1, 1), "evaluate_from": date(1998, 1, 1)}},
        {"model": {"contenders": ["logistic"], "learners": {"logistic": {"rate": 0.5}}}},
        {"alerting": {"languages": ["zh", "en"], "medium": 0.6}, "worker": {"stop_seconds": 3}},
        {"money": {"currency": "EUR", "rates": {"GBP": 1.17}}},
    ],
)
def test_what_was_written_is_read_again(tmp_path: Path, sections: dict[str, Any]):
    settings = load(None, **sections)
    file = tmp_path / "shop.toml"
    file.write_text(to_toml(settings), encoding="utf-8")

    assert load(file).model_dump() == settings.model_dump()


def test_no_secret_is_written(tmp_path: Path):
    secrets = {"salt": "s3cret", "signing_key": "s3cret"}
    kafka = {"sasl_password": "s3cret", "ssl_key_password": "s3cret", "group": "g"}
    text = to_toml(load(None, kafka=kafka, **secrets))

    assert text == '[kafka]\ngroup = "g"\n'
