"""What a backtest prints."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from models.progressive import ScoreCounts
from models.record import RECENCY_RULE
from models.trainer_config import TrainerConfig
from streams.backtesting import quality_table


@pytest.mark.parametrize("width", [80, 100])
def test_every_contender_stands_there_with_its_whole_name(width: int):
    names = [*TrainerConfig(partitions=1).names, "hoeffding_adaptive_tree", "champion"]
    counts = ScoreCounts.of(np.array([0.2, 0.8]), np.array([False, True]))
    console = Console(file=io.StringIO(), width=width)
    console.print(quality_table("all", dict.fromkeys([*names, RECENCY_RULE], counts)))
    firsts = {line.split("│")[1].strip() for line in console.file.getvalue().splitlines() if "│" in line}

    assert firsts >= {*names, "recency rule", "base rate"}
