"""The feature catalogue: the one place where a feature has its name, unit, formula and reason to exist.

Raw values are what people read (NaN = missing). Model inputs follow from them by the rule of each feature
(see `Feature`), and are finite whatever the record holds. Both depend on a record alone, to the last bit.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from features.buying import BUYING
from features.engagement import ENGAGEMENT
from features.service import SERVICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.feature import Scale
    from features.view import View

CATALOGUE: Final = (*BUYING, *ENGAGEMENT, *SERVICE)
NAMES: Final = tuple(feature.name for feature in CATALOGUE)
BY_NAME: Final = {feature.name: feature for feature in CATALOGUE}
#: The column whose log-odds model inputs start from, before any label was seen.
OFFSET: Final = "no_purchase_probability"
#: How many records are worked on at a time: enough that threads, who take turns between two steps, seldom
#: wait for one another, and few enough for the processor's last cache.
CHUNK: Final = 32768

#: Probabilities are kept this far from 0 and 1 before their log-odds are taken.
_P_MIN: Final = 1e-6


def raw_features(view: View, out: NDArray[np.floating] | None = None) -> NDArray[np.floating]:
    """Raw values of all features (n, len(CATALOGUE)), NaN = missing, column by column in memory.

    They are written to `out` if it is given, which may be part of a wider array; else they are float64.
    """
    raw = np.empty((len(CATALOGUE), len(view))).T if out is None else out
    with np.errstate(over="ignore"):  # what no float32 can hold is infinite
        for column, feature in zip(raw.T, CATALOGUE, strict=True):
            column[:] = feature.compute(view)
    return raw


def model_inputs(raw: NDArray[np.floating]) -> NDArray[np.float32]:
    """Model inputs of raw values (n, len(CATALOGUE)), all finite. Learning and scoring both use float32."""
    with np.errstate(over="ignore"):  # what no float32 can hold is cut to `high`
        inputs = raw.astype(np.float32)
    scale(inputs)
    return inputs


def scale(values: NDArray[np.float32]) -> None:
    """Turn raw values (n, len(CATALOGUE)) into model inputs, in place; best column by column in memory."""
    columns = values.T
    # Of a number and the fill, the larger of the number and the smaller of both is the number; NaN loses.
    np.fmax(np.fmin(columns, _FILL), columns, out=columns)
    np.clip(columns, _LOW, _HIGH, out=columns)
    for run in _LOGS:
        part = columns[run]
        part += 1
        np.log(part, out=part)
    for j in _LOGITS:
        # In float64: float32 knows few numbers next to 1.
        p = np.clip(columns[j].astype(np.float64), _P_MIN, 1.0 - _P_MIN)
        columns[j] = np.log(p / (1.0 - p))


def _runs(scale: Scale) -> list[slice]:
    """Neighbouring features of one scale, which are scaled in one step."""
    places = groupby(range(len(CATALOGUE)), lambda j: CATALOGUE[j].scale == scale)
    found = [list(run) for is_scale, run in places if is_scale]
    return [slice(run[0], run[-1] + 1) for run in found]


def _bound(name: str) -> NDArray[np.float32]:
    """A number of each feature, as a column."""
    return np.array([[getattr(feature, name)] for feature in CATALOGUE], np.float32)


_FILL, _LOW, _HIGH = _bound("fill"), _bound("low"), _bound("high")
_LOGS: Final = _runs("log")
_LOGITS: Final = [j for j, feature in enumerate(CATALOGUE) if feature.scale == "logit"]
