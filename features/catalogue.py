"""The feature catalogue: the one place where a feature has its name, unit, formula and reason to exist.

Raw values are what people read (NaN = missing). Model inputs follow from them by the rule of each feature
(see `Feature`), and are finite whatever the record holds. Both depend on a record alone, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from features.buying import BUYING
from features.engagement import ENGAGEMENT
from features.service import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from features.feature import Feature, Scale
    from features.view import Floats, View

CATALOGUE: Final = (*BUYING, *ENGAGEMENT, *SERVICE)
NAMES: Final = tuple(feature.name for feature in CATALOGUE)
BY_NAME: Final = {feature.name: feature for feature in CATALOGUE}
#: The column whose log-odds model inputs start from, before any label was seen.
OFFSET: Final = "no_purchase_probability"
#: How many records are worked on at a time: their columns stay in the processor's cache.
CHUNK: Final = 4096

#: Probabilities are kept this far from 0 and 1 before their log-odds are taken.
_P_MIN: Final = 1e-6


def raw_features(view: View) -> Floats:
    """Raw values of all features, shape (n, len(CATALOGUE)), NaN = missing; stored column by column."""
    raw = np.empty((len(CATALOGUE), len(view.rows)))
    for column, feature in zip(raw, CATALOGUE, strict=True):
        column[:] = feature.compute(view)
    return raw.T


def model_inputs(raw: Floats, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Model inputs of raw values, same shape, all finite. Learning and scoring both use float32.

    They are written to `out` (n, len(CATALOGUE)) if it is given, which may be part of a wider array.
    """
    inputs = np.empty(raw.shape, np.float32) if out is None else out
    with np.errstate(over="ignore"):  # what no float32 can hold is cut to `high`
        for j, feature in enumerate(CATALOGUE):
            inputs[:, j] = _SCALED[feature.scale](raw[:, j], feature)
    return inputs


def _linear(raw: Floats, feature: Feature) -> NDArray[np.float32]:
    value = raw.astype(np.float32)
    if feature.fill != feature.low:
        np.copyto(value, feature.fill, where=np.isnan(value))
    np.fmax(value, feature.low, out=value)  # the bound stands in for NaN, too
    return np.minimum(value, feature.high, out=value)


def _log(raw: Floats, feature: Feature) -> NDArray[np.float32]:
    value = _linear(raw, feature)
    value += 1
    return np.log(value, out=value)


def _logit(raw: Floats, feature: Feature) -> Floats:
    # In float64: float32 knows few numbers next to 1.
    p = np.clip(np.where(np.isnan(raw), feature.fill, raw), _P_MIN, 1.0 - _P_MIN)
    return np.asarray(np.log(p / (1.0 - p)))


_SCALED: Final[dict[Scale, Callable[[Floats, Feature], NDArray[Any]]]] = {
    "linear": _linear,
    "log": _log,
    "logit": _logit,
}
