"""What the live system tells of itself is compared figure by figure, to the last bit."""

from __future__ import annotations

from benchmarks.quality.live import Agreement, told

AUC, LOSS = ("all", "champion", "auc"), ("evaluated", "pool", "log_loss")


def test_a_worker_page_is_read_for_every_record_and_contender():
    page = {
        "churnwatch_progressive_auc{model=champion,record=all}": 0.75,
        "churnwatch_progressive_log_loss{model=pool,record=evaluated}": 0.5,
        "churnwatch_progressive_log_loss{model=recency,record=all}": float("nan"),
        "churnwatch_labels_total{}": 12.0,
    }

    assert told(page) == {AUC: 0.75, LOSS: 0.5}


def test_what_differs_in_the_last_bit_or_is_told_by_one_side_only_is_named():
    almost = Agreement("shop", {AUC: 0.75, LOSS: 0.5}, {AUC: 0.75 + 2**-53, LOSS: 0.5})
    silent = Agreement("shop", {AUC: 0.75, LOSS: 0.5}, {LOSS: 0.5})
    same = Agreement("shop", {AUC: 0.75}, {AUC: 0.75})

    assert [each.differing for each in (almost, silent, same)] == [[AUC], [AUC], []]
