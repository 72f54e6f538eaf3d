"""Sums from which correlations follow: test sets of any size are judged in one pass, and resampled cheaply.

Sums of parts add up to the sums of the whole: windows, blocks and distances are summed apart and pooled at
will.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .samples import counting_entries, paired_values

__all__ = ["Moments"]

_ROUNDING = 1e-12
"""A spread below this part of its sum of squares is rounding, not variance."""


@dataclass(frozen=True)
class Moments:
    """n, sum t, sum p, sum tt, sum pp and sum tp of truth t and prediction p.

    The sums are taken round 0. A spread (sum of squares round the mean) keeps a relative precision of about
    ``1e-14 (1 + mean^2 / variance)``: values that vary as much as they are large keep 13 digits, those
    round 10,000 with a standard deviation of 1 keep 6, with up to 1e8 of them. What varies by less than a
    millionth of its size counts as constant.

    Parameters
    ----------
    sums
        float64 (..., 6), in the order above.

    Raises
    ------
    DataError
        The last axis does not have 6 places.
    """

    sums: np.ndarray

    def __post_init__(self) -> None:
        sums = np.asarray(self.sums, dtype=np.float64)
        if sums.ndim == 0 or sums.shape[-1] != 6:
            raise DataError(f"moments are six sums along the last axis, not an array of shape {sums.shape}.")
        object.__setattr__(self, "sums", sums)

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        prediction: np.ndarray,
        mask: np.ndarray | None = None,
        *,
        axis: int | tuple[int, ...] | None = None,
    ) -> Moments:
        """Sum over `axis` (all axes without it) of the entries that count.

        Parameters
        ----------
        truth, prediction, mask
            As for :func:`chromweave.evaluation.samples.paired_values`.
        axis
            Axes summed over; the others stay, in their order.

        Raises
        ------
        DataError
            The prediction is missing where it counts, or shapes differ.
        """
        paired_values(truth, prediction, mask)  # a missing prediction is an error here as anywhere
        counts = counting_entries(truth, mask)
        t = np.where(counts, np.asarray(truth, dtype=np.float64), 0.0)
        p = np.where(counts, np.asarray(prediction, dtype=np.float64), 0.0)
        sums = [values.sum(axis=axis) for values in (counts, t, p, t * t, p * p, t * p)]
        return cls(np.stack(sums, axis=-1))

    @property
    def n(self) -> np.ndarray:
        """Entries, float64 (...)."""
        return self.sums[..., 0]

    @property
    def mean(self) -> np.ndarray:
        """Means of truth and prediction, float64 (..., 2); NaN where nothing counts."""
        n = self.sums[..., :1]
        return np.divide(self.sums[..., 1:3], n, out=np.full((*n.shape[:-1], 2), np.nan), where=n > 0)

    @property
    def spread(self) -> np.ndarray:
        """Sums round the means of tt, pp and tp, float64 (..., 3)."""
        some = np.maximum(self.n, 1)
        _, t, p, tt, pp, tp = np.moveaxis(self.sums, -1, 0)
        return np.stack([tt - t * t / some, pp - p * p / some, tp - t * p / some], axis=-1)

    def sum(self, axis: int | tuple[int, ...] = 0) -> Moments:
        """Pool along `axis` (of the shape without the six sums)."""
        axes = (axis,) if isinstance(axis, int) else axis
        ndim = self.sums.ndim - 1
        if any(not -ndim <= a < ndim for a in axes):
            raise DataError(f"moments of shape {self.sums.shape[:-1]} have no axis {axis} to pool along.")
        return Moments(self.sums.sum(axis=tuple(a % ndim for a in axes)))

    def about(self, truth: np.ndarray, prediction: np.ndarray) -> Moments:
        """The moments of t - `truth` and p - `prediction`, both float and broadcast to the shape (...).

        Only where something counts: the shifts of empty places may be NaN.
        """
        n, t, p, tt, pp, tp = np.moveaxis(self.sums, -1, 0)
        a, b = (np.where(n > 0, shift, 0.0) for shift in (truth, prediction))
        moved = [
            n,
            t - n * a,
            p - n * b,
            tt - 2 * a * t + n * a * a,
            pp - 2 * b * p + n * b * b,
            tp - a * p - b * t + n * a * b,
        ]
        return Moments(np.stack(moved, axis=-1))

    def pearson(self, scale: Moments | None = None) -> np.ndarray:
        """Pearson correlation, float64 (...); NaN below two entries, or where one side is constant.

        Parameters
        ----------
        scale
            The moments whose sums of squares tell what rounding is; their own without it. For
            moments that come from a subtraction (:meth:`about`), those before.
        """
        tt, pp, tp = np.moveaxis(self.spread, -1, 0)
        varies_t, varies_p = np.moveaxis(self._varies(scale), -1, 0)
        defined = varies_t & varies_p
        scaled = np.divide(
            tp,
            np.sqrt(np.where(defined, tt * pp, 1.0)),
            out=np.full(np.shape(tp), np.nan),
            where=defined,
        )
        return np.clip(scaled, -1.0, 1.0)

    def r2(self) -> np.ndarray:
        """Coefficient of determination, float64 (...); NaN where truth is constant."""
        return self._determination(0)

    def r2_swapped(self) -> np.ndarray:
        """R2 with truth and prediction exchanged (see `metrics.r2_swapped`), float64 (...)."""
        return self._determination(1)

    def _determination(self, side: int) -> np.ndarray:
        _, _, _, tt, pp, tp = np.moveaxis(self.sums, -1, 0)
        residual = np.maximum(tt - 2 * tp + pp, 0.0)
        varies = self._varies(None)[..., side]
        spread = self.spread[..., side]
        part = np.divide(residual, spread, out=np.full(np.shape(residual), np.nan), where=varies)
        return 1 - part

    def _varies(self, scale: Moments | None) -> np.ndarray:
        """Whether truth and prediction vary by more than rounding, bool (..., 2)."""
        raw = (self if scale is None else scale).sums[..., 3:5]
        return (self.spread[..., :2] > _ROUNDING * raw) & (self.n >= 2)[..., None]
