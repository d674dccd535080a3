"""The audit: what counts as a change of mode, and what its entry says."""

from __future__ import annotations

import msgspec
import pytest

from models.marks import MODES, Mode
from streams.audit import Entry, change, entry_of
from streams.settings import load

NOW = 1_700_000_000_000


def entry(after: Mode, worker: str = "w-0", group: str = "shop", before: Mode | None = None) -> Entry:
    return Entry(
        kind="mode",
        ts=NOW,
        before=before,
        after=after,
        group=group,
        worker=worker,
        host="host",
        os_user="me",
        text="",
    )


def test_the_first_worker_of_a_group_says_its_mode():
    assert change([], entry("shadow")) == entry("shadow")
    assert change([entry("shadow", group="another")], entry("shadow")) == entry("shadow")


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_that_starts_in_the_mode_it_had_says_nothing(mode: Mode):
    assert change([entry("shadow"), entry(mode)], entry(mode)) is None


def test_a_worker_that_starts_in_another_mode_says_which_it_was():
    known = [entry("off"), entry("shadow")]

    assert change(known, entry("live")) == entry("live", before="shadow")


def test_a_new_worker_is_compared_with_the_newest_of_its_group():
    known = [entry("shadow"), entry("live", before="shadow")]

    assert change(known, entry("live", "w-1")) is None
    assert change(known, entry("shadow", "w-1")) == entry("shadow", "w-1", before="live")


def test_a_worker_is_compared_with_what_it_was_itself_whatever_others_do():
    known = [entry("shadow", "w-1"), entry("live", "w-0")]

    assert change(known, entry("live", "w-1")) == entry("live", "w-1", before="shadow")


def test_an_entry_says_who_and_what_that_means():
    settings = load(
        None,
        kafka={"group": "shop", "instance_id": "w-7"},
        interventions={"mode": "live"},
    )

    found = entry_of(settings, NOW)

    assert (found.worker, found.group, found.after, found.ts) == ("w-7", "shop", "live", NOW)
    assert found.host
    assert found.os_user
    assert found.kafka_user is None
    assert found.text.startswith("SENDS REAL COMMANDS")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Entry) == found
