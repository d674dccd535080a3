"""The lines of the report's charts."""

from __future__ import annotations

from models.contenders import CONTENDERS
from models.record import CHAMPION, RECENCY_RULE
from models.trainer_config import TrainerConfig
from streams.report.chart import contenders, line_of


def test_every_model_has_a_line_of_its_own():
    for names in (TrainerConfig(partitions=1).names, tuple(CONTENDERS)):
        drawn = [
            line_of(name, place) for place, name in enumerate(contenders([*names, CHAMPION, RECENCY_RULE]))
        ]
        looks = [(line["color"], str(line["linestyle"]), line["linewidth"]) for line in drawn]

        assert len(set(looks)) == len(names) + 2
