"""Drift: that customers, or what becomes of them, are no longer what the models learned from.

Two watches, both deterministic, both saved as JSON. `InputWatch` compares the inputs of every feature with
a reference; it needs no labels, so it speaks at once. `LossWatch` follows the loss of matured forecasts; it
speaks a horizon late, but only of what harms. Both only tell: what follows from a `Drift` is decided by who
asks.
"""

from models.drift.histogram import InputHistogram
from models.drift.inputs import InputWatch, Stability, missing_inputs, population_stability
from models.drift.loss import LossWatch, excess_loss
from models.drift.told import LOSS, Drift

__all__ = [
    "LOSS",
    "Drift",
    "InputHistogram",
    "InputWatch",
    "LossWatch",
    "Stability",
    "excess_loss",
    "missing_inputs",
    "population_stability",
]
