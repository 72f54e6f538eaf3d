"""Which windows hold enough contacts to be worth looking at: one rule for every class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError

__all__ = ["QualityFilter", "WindowStatistics", "window_statistics"]


@dataclass(frozen=True)
class WindowStatistics:
    """What the quality filter asks of each window.

    Parameters
    ----------
    nonzero
        float64 (windows,): fraction of the entries that are not zero; masked ones count as zero.
    centre
        float64 (windows,): the anchor pixel's contacts.
    corner
        float64 (windows,): mean contacts of the corner towards the diagonal.
    """

    nonzero: np.ndarray
    centre: np.ndarray
    corner: np.ndarray


def window_statistics(maps: np.ndarray) -> WindowStatistics:
    """Statistics of windows, float (windows, bins, bins), rows = x segment, columns = y segment.

    The corner is the lower left quarter-side square (rows 37 to 49, columns 0 to 12 of 50).
    """
    side = maps.shape[1]
    corner = side // 4 + 1
    return WindowStatistics(
        nonzero=np.count_nonzero(maps, axis=(1, 2)) / side**2,
        centre=maps[:, side // 2, side // 2].astype(np.float64),
        corner=maps[:, side - corner :, :corner].mean(axis=(1, 2), dtype=np.float64),
    )


@dataclass(frozen=True)
class QualityFilter:
    """Rules a window has to pass (MIX-HIC's, with the asymmetric one as an option).

    Parameters
    ----------
    min_nonzero
        Least fraction of non-zero entries.
    centre_contacts
        Whether the anchor pixel must have a contact, as every candidate of a loop caller does.
    centre_to_corner
        Least ratio of the anchor pixel to the mean of the corner towards the diagonal; a ratio that is no
        finite number passes. None for no such rule (0.1 in MIX-HIC's code, there for positives only).
    """

    min_nonzero: float = 0.1
    centre_contacts: bool = False
    centre_to_corner: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_nonzero <= 1:
            raise ConfigError(f"min_nonzero is a fraction of a window's entries, not {self.min_nonzero}.")

    def failures(self, statistics: WindowStatistics) -> dict[str, np.ndarray]:
        """By rule, bool (windows,): which windows fail it."""
        failed = {"too few non-zero entries": statistics.nonzero < self.min_nonzero}
        if self.centre_contacts:
            failed["no contact at the anchor pixel"] = ~(statistics.centre > 0)
        if self.centre_to_corner is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = statistics.centre / statistics.corner
            failed["weak anchor pixel"] = np.isfinite(ratio) & (ratio < self.centre_to_corner)
        return failed
