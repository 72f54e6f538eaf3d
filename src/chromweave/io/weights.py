"""Balancing vectors made multiplicative at the door.

``cooler balance`` writes vectors that multiply (value = count * w[i] * w[j]), juicer's KR, VC, VC_SQRT and
SCALE divide (value = count / (v[i] * v[j])), and HiCExplorer's KR multiplies although juicer's divides. So
what a file says about a vector, or its name, is compared with what the vector does to the row sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from ..errors import ConfigError, WeightError
from .pixels import Pixels

__all__ = ["Direction", "Weight", "WeightType", "known_direction", "resolve_weight"]

Direction = Literal["multiplicative", "divisive"]
WeightType = Literal["auto", "multiplicative", "divisive"]

_DIVISIVE = {"KR", "VC", "VC_SQRT", "SCALE"}
_MULTIPLICATIVE = {"WEIGHT", "ICE"}
# Below this many usable bins, or this ratio between the two directions, row sums decide nothing.
_FEWEST_BINS = 10
_DECISIVE_RATIO = 1.1


@dataclass(frozen=True, eq=False)
class Weight:
    """A balancing vector of one chromosome that multiplies: ``balanced = count * w[i] * w[j]``.

    Parameters
    ----------
    name
        As in the file: ``"weight"``, ``"KR"``, ...
    values
        float64, (n_bins,); NaN where the bin is masked.
    origin
        Direction of the vector in its file, ``"multiplicative"`` or ``"divisive"``; ``"computed"`` when it
        comes from no file.
    """

    name: str
    values: np.ndarray
    origin: str


def known_direction(name: str) -> Direction | None:
    """The direction that vectors of this name have by custom; None for a name without a custom."""
    plain = name.upper().removeprefix("GW_").removeprefix("INTER_")
    if plain in _DIVISIVE:
        return "divisive"
    return "multiplicative" if plain in _MULTIPLICATIVE else None


def resolve_weight(
    name: str,
    stored: np.ndarray,
    pixels: Pixels,
    *,
    source: str,
    declared: Direction | None = None,
    weight_type: WeightType = "auto",
) -> Weight:
    """Make a stored vector multiplicative, having found out which way it goes.

    With ``weight_type="auto"``: what the file declares, else what the name stands for, must agree with the
    row sums, which vary less when the vector is applied the right way. Where row sums cannot tell (fewer
    than 10 usable bins, or a vector so even that both ways differ by less than a tenth), the declaration or
    the name stands. A name without a custom needs row sums that can tell.

    Parameters
    ----------
    name
        Name of the vector.
    stored
        float64, (n_bins,), as in the file.
    pixels
        Contacts of the chromosome, at best of all distances.
    source
        File, chromosome and resolution, for messages.
    declared
        What the file says about the vector, if it does.
    weight_type
        ``"multiplicative"`` or ``"divisive"`` ends the matter without a check.

    Raises
    ------
    WeightError
        The row sums contradict the declaration or the name, or nothing tells the direction.
    """
    if weight_type not in get_args(WeightType):
        raise ConfigError(f"weight_type is one of {', '.join(get_args(WeightType))}, not {weight_type!r}.")
    if weight_type != "auto":
        return _weight(name, stored, weight_type)
    expected = declared or known_direction(name)
    spread = {way: _row_sum_variation(_multiplicative(stored, way), pixels) for way in get_args(Direction)}
    found = _decide(spread)
    figures = f"row sums vary by {spread['multiplicative']:.3g} when it multiplies, "
    figures += f"by {spread['divisive']:.3g} when it divides"
    if expected is None and found is None:
        raise WeightError(
            f"{source}: nothing tells whether the weights {name!r} multiply or divide ({figures}); "
            "say which with weight_type."
        )
    if expected and found and expected != found:
        reason = "the file says" if declared else "by its name"
        raise WeightError(
            f"{source}: the weights {name!r} are {expected} ({reason}), but {figures}. "
            f"If the data is right, give weight_type={found!r}; if you know better, {expected!r}."
        )
    return _weight(name, stored, cast(Direction, expected or found))


def _weight(name: str, stored: np.ndarray, direction: Direction) -> Weight:
    return Weight(name, _multiplicative(stored, direction), direction)


def _multiplicative(stored: np.ndarray, direction: str) -> np.ndarray:
    """A stored vector as one that multiplies; what is not a positive number masks its bin."""
    values = np.full(len(stored), np.nan)
    usable = np.isfinite(stored) & (stored > 0)
    values[usable] = stored[usable] if direction == "multiplicative" else 1 / stored[usable]
    return values


def _row_sum_variation(weight: np.ndarray, pixels: Pixels) -> float:
    """Geometric coefficient of variation of the balanced row sums of unmasked bins; NaN for too few bins.

    On logarithms, so that a handful of nearly empty bins cannot outweigh the rest of a chromosome.
    """
    sums = pixels.row_sums(weight)
    sums = sums[sums > 0]
    if len(sums) < _FEWEST_BINS:
        return float("nan")
    return float(np.sqrt(np.expm1(min(np.var(np.log(sums)), 700.0))))


def _decide(spread: dict[str, float]) -> Direction | None:
    """The direction with clearly the smaller variation, or None."""
    better, worse = sorted(get_args(Direction), key=lambda way: spread[way])
    if not spread[worse] > _DECISIVE_RATIO * spread[better] or spread[worse] < 1e-6:
        return None
    return cast(Direction, better)
