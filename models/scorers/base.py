"""What all scorers share: numbers are finite, rows fit, and columns are standardised by one rule."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

#: Unscaled columns (the return probability's logit, the treatment) are cut off here; sigmoid(-20) = 2e-9.
RAW_BOUND: Final = 20.0

#: Rows per pass: a slice of this many rows and its scratch stay in the processor's cache.
_CHUNK: Final = 4096

_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


class NonFiniteError(ValueError):
    """The model holds or meets a number that is not finite; the previous version stays in force.

    One NaN weight makes every probability NaN, no NaN exceeds a threshold, and so it silences every
    alert without an error anywhere. Hence such a model is never built, learned or decoded.
    """


def require_finite(what: str, values: Sequence[float] | NDArray[np.floating]) -> None:
    """Raise `NonFiniteError` naming `what` unless every one of `values` is finite."""
    if not np.isfinite(np.asarray(values, dtype=np.float64)).all():
        raise NonFiniteError(f"{what} must be finite")


def require_width(X: NDArray[np.float32], width: int) -> None:
    """Raise ValueError unless `X` has `width` columns."""
    if X.ndim != 2 or X.shape[1] != width:
        raise ValueError(f"expected rows of {width} columns, got an array of shape {X.shape}")


def chunks(n: int) -> Iterator[slice]:
    """Slices of `n` rows, each small enough for the processor's cache."""
    return (slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK))


def bounds(
    mean: NDArray[np.float64], scale: NDArray[np.float64], clip: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value that counts, `mean` ± `clip` standard deviations, in the inputs' own float32.

    Cutting the input instead of the z-score lets a scorer fold the standardisation into its weights;
    learner and scorer share this rule, so they agree to the last bits.
    """
    low = np.clip(mean - clip * scale, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)
    high = np.clip(mean + clip * scale, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)
    return low, high


def bounded(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The return probability's logits, cut off at ± `RAW_BOUND`."""
    return np.clip(logits.astype(np.float64), -RAW_BOUND, RAW_BOUND)


class FromLogOdds:
    """Probabilities of a scorer that knows `log_odds`."""

    __slots__ = ()

    def log_odds(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds of churn (n,) of the rows of `X` (float32[n, d], finite, in the order of `columns`)."""
        raise NotImplementedError

    def probabilities(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(churn) (n,) of the rows of `X`, not rounded."""
        log_odds = self.log_odds(X)
        return np.asarray(expit(log_odds, out=log_odds))


class Standardised(FromLogOdds, msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A scorer over standardised columns: z = (x - `mean`) / `scale`, cut off at ± `clip`.

    z is 0 where `scale` is 0: a column that never varied says nothing. Columns named in `raw` enter
    unscaled, cut off at ± `RAW_BOUND`; their `mean` is only the reference of their contribution.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    raw: frozenset[str] = frozenset()
    clip: float = 5.0

    def __post_init__(self) -> None:
        if not len(self.columns) == len(self.mean) == len(self.scale):
            raise ValueError("mean and scale need one number for each column")
        if min(self.scale, default=0.0) < 0 or self.clip <= 0:
            raise ValueError("scale must not be negative and clip must be positive")
        require_finite("a scorer", (self.clip, *self.mean, *self.scale))

    @cached_property
    def _is_raw(self) -> NDArray[np.bool_]:
        return np.array([name in self.raw for name in self.columns], dtype=bool)

    @cached_property
    def _rates(self) -> NDArray[np.float64]:
        """Standard deviations in a unit of each column; 1 if it is raw, 0 if it never varied."""
        scale = np.where(self._is_raw, 1.0, np.asarray(self.scale))
        return np.divide(1.0, scale, out=np.zeros(len(scale)), where=scale > 0)

    @cached_property
    def _bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        low, high = bounds(np.asarray(self.mean), np.asarray(self.scale), self.clip)
        low[self._is_raw], high[self._is_raw] = -RAW_BOUND, RAW_BOUND
        return low, high
