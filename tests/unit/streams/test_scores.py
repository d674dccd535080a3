"""What stands on the topic `scores`."""

from __future__ import annotations

import msgspec
import pytest

from models import sweeping
from streams.scores import Score, scores
from tests.building import Feed, config, constant_models, core, day


@pytest.mark.parametrize(("labels", "standing"), [(99, "unknown"), (100, "critical")])
def test_nobody_is_called_safe_or_at_risk_before_the_models_have_seen_enough(labels: int, standing: str):
    target = core(config(min_labels=100))
    Feed(target).buys("ada", 0.5)
    models = msgspec.structs.replace(constant_models(0.97), labels=labels)
    (output,) = scores(target, sweeping.sweep(target, day(1), models), models)
    found = msgspec.json.decode(output.value, type=Score)

    assert (found.user_id, found.probability, found.tier) == ("ada", 0.97, standing)
