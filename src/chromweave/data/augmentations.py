"""Changes of training windows, drawn from seed, epoch and window alone: no batch, worker or device matters.

Draws are counter-based: a mixing function (splitmix64, Steele et al. 2014) turns the number of a window, or
of a pixel of the map, into random bits, so that each draw can be made anywhere without those before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from .transforms import WindowTransform

__all__ = ["FEW", "MOST_FEW", "Changes", "Draws", "draw", "jittered", "mixed", "thinned"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _11, _32 = (np.uint64(bits) for bits in (27, 30, 31, 11, 32))
_LOW = np.uint64(0xFFFFFFFF)

FEW = 10.0
"""Up to this expectation a binomial number is drawn exactly, from there on by its normal approximation."""
MOST_FEW = 40
"""More than this are not drawn where `FEW` are expected (the chance is below 1e-12)."""


@dataclass(frozen=True)
class Changes:
    """What happens to windows while they are cut.

    Parameters
    ----------
    flipped
        bool (n,): both axes run backwards.
    kept
        float64 (n,): part of the contacts that stays; the rest is scaled up, so that expectations stay.
    keys
        uint64 (n,): random bits of the thinning.
    """

    flipped: np.ndarray
    kept: np.ndarray
    keys: np.ndarray

    @classmethod
    def none(cls, n: int) -> Changes:
        """No change of `n` windows."""
        return cls(np.zeros(n, np.bool_), np.ones(n), np.zeros(n, np.uint64))

    def __getitem__(self, rows: np.ndarray) -> Changes:
        return Changes(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Draws:
    """What is drawn for the windows of a batch.

    Parameters
    ----------
    shift
        int64 (2, n): bins by which the anchors x and y are moved.
    swapped
        bool (n,): x and y are exchanged.
    changes
        What happens while they are cut.
    """

    shift: np.ndarray
    swapped: np.ndarray
    changes: Changes


def draw(transform: WindowTransform, seed: int, epoch: int, windows: np.ndarray) -> Draws:
    """The augmentations of `transform` for the windows of these numbers, int64 (n,), in one epoch."""

    def bits(purpose: int) -> np.ndarray:
        key = np.random.SeedSequence([seed, epoch, purpose]).generate_state(1, np.uint64)
        return np.asarray(mixed(key + windows.astype(np.uint64) * _GOLDEN))

    def uniform(purpose: int) -> np.ndarray:
        return (bits(purpose) >> _11) * 2.0**-53

    asked, n = transform.augmentations, len(windows)
    changes, shift, swapped = Changes.none(n), np.zeros((2, n), np.int64), np.zeros(n, np.bool_)
    if "swap" in asked:
        swapped = uniform(0) < 0.5
    if "flip" in asked:
        changes.flipped[:] = uniform(1) < 0.5
    if "jitter" in asked:
        reach = transform.jitter_bins
        shift = np.floor(np.stack([uniform(2), uniform(3)]) * (2 * reach + 1)).astype(np.int64) - reach
    if "thin" in asked:
        changes.kept[:] = transform.thin_least + (1 - transform.thin_least) * uniform(4)
        changes.keys[:] = bits(5)
    return Draws(shift, swapped, changes)


def jittered(
    x: np.ndarray, y: np.ndarray, shift: np.ndarray, half: int, n_bins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Anchors moved by `shift`, inside chromosomes of `n_bins`; on the diagonal by x's shift alone.

    Both anchors stay within the shift's reach of where they were, and x <= y stays so: moved past each other,
    they change places.
    """
    moved_x = np.clip(x + shift[0], half, n_bins - half)
    moved_y = np.clip(y + np.where(x == y, shift[0], shift[1]), half, n_bins - half)
    crossed = (x <= y) & (moved_x > moved_y)
    return np.where(crossed, moved_y, moved_x), np.where(crossed, moved_x, moved_y)


@njit(cache=True, nogil=True)
def mixed(bits: Any) -> Any:
    """Random bits, uint64, of a number or of each of an array (the finaliser of splitmix64)."""
    bits = (bits ^ (bits >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    return bits ^ (bits >> _31)


@njit(cache=True, nogil=True)
def thinned(count: int, kept: float, key: Any, pixel: int) -> Any:
    """How many of `count` contacts stay if each does with chance `kept`; the draw is that of key and pixel.

    Inversion of the binomial distribution where at most :data:`FEW` are expected to stay, or to go; else its
    Cornish-Fisher expansion to the skewness, with a variance that rounding brings back to the binomial's.
    """
    bits = mixed(key + np.uint64(pixel) * _GOLDEN)
    chance = min(kept, 1 - kept)
    drawn = 0
    if count * chance <= FEW:
        left = (bits >> _11) * 2.0**-53
        term = math.exp(count * math.log1p(-chance))
        most = min(count, MOST_FEW)
        while left >= term and drawn < most:
            left -= term
            drawn += 1
            term *= (count - drawn + 1) * chance / (drawn * (1 - chance))
    else:
        angle = 2 * math.pi * (bits & _LOW) * 2.0**-32
        normal = math.sqrt(-2 * math.log(((bits >> _32) + 1.0) * 2.0**-32)) * math.cos(angle)
        skew = (1 - 2 * chance) / 6
        spread = math.sqrt(count * chance * (1 - chance) - 1 / 12 - 2 * skew**2)
        value = math.floor(count * chance + spread * normal + skew * (normal**2 - 1) + 0.5)
        drawn = min(max(int(value), 0), count)
    return drawn if kept <= 0.5 else count - drawn
