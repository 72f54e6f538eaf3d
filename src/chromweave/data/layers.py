"""What a store hands out: the contacts of one chromosome at one resolution, and a track on one chromosome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError, ResolutionError, WeightError
from ..io.pixels import Pixels
from .layouts import Entries, Layout

__all__ = ["TRACK_WIDTH", "BinnedTrack", "ContactLayer", "TrackLayer"]

TRACK_WIDTH = 100
"""Bin size of stored tracks, bp."""


@dataclass(frozen=True)
class ContactLayer:
    """Raw contacts of one chromosome at one resolution, with its balancing vectors.

    Parameters
    ----------
    chrom
        Chromosome.
    resolution
        Bin size in bp.
    layout
        The counts as they are stored.
    weights
        Multiplicative float64 (n_bins,) vectors by name, the default one first; NaN where a bin is masked.
    scales
        By weight: what makes balanced values sum to the raw contacts (see :meth:`scale`).
    """

    chrom: str
    resolution: int
    layout: Layout
    weights: Mapping[str, np.ndarray]
    scales: Mapping[str, float]

    @property
    def n_bins(self) -> int:
        """Bins of the chromosome, from its length."""
        return self.layout.n_bins

    @property
    def n_diagonals(self) -> int | None:
        """Diagonals stored, the main one included; None when every distance is."""
        return self.layout.n_diagonals

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Balancing vectors of this chromosome, the default one first."""
        return tuple(self.weights)

    def weight(self, name: str | None = None) -> np.ndarray:
        """A multiplicative balancing vector: float64 (n_bins,), NaN at masked bins; the default for None.

        Raises
        ------
        WeightError
            There is no such vector on this chromosome.
        """
        name = self._known(name)
        return np.asarray(self.weights[name])

    def valid(self, name: str | None = None) -> np.ndarray:
        """bool (n_bins,): which bins a balancing vector does not mask."""
        return np.isfinite(self.weight(name))

    def scale(self, name: str | None = None) -> float:
        """Factor that brings balanced values to the scale of counts (`balanced * scale`).

        The sum of raw contacts over the sum of balanced ones, over the pixels of the whole chromosome whose
        bins are both valid; NaN where there are none.
        """
        return self.scales[self._known(name)]

    def pixels(self, max_distance: int | None = None) -> Pixels:
        """Raw contacts of the upper triangle, sorted; only the first `max_distance // resolution` diagonals.

        Counts are int64 or float64; `max_distance` is in bp.

        Raises
        ------
        ResolutionError
            The layer is a band narrower than `max_distance`.
        """
        width = None if max_distance is None else max(1, max_distance // self.resolution)
        stored = self.n_diagonals or self.n_bins
        if width is not None and stored < min(width, self.n_bins):
            raise ResolutionError(
                f"{self.chrom} at {self.resolution:,} bp is stored up to {stored * self.resolution:,} bp "
                f"from the diagonal, and {max_distance:,} bp is asked for; build with a larger max_distance."
            )
        found = [_within(piece, width) for piece in self.layout.entries()]
        count = np.concatenate([piece.count for piece in found]) if found else np.empty(0, np.int64)
        return Pixels(
            bin1=np.concatenate([piece.bin1 for piece in found]).astype(np.int32),
            bin2=np.concatenate([piece.bin2 for piece in found]).astype(np.int32),
            count=count.astype(np.float64 if count.dtype.kind == "f" else np.int64),
            n_bins=self.n_bins,
            resolution=self.resolution,
        )

    def dense(
        self, start_bin: int = 0, end_bin: int | None = None, weight: str | None = None, scaled: bool = False
    ) -> np.ndarray:
        """A symmetric square of the map, float64.

        Parameters
        ----------
        start_bin, end_bin
            Rows and columns; the whole chromosome if not given.
        weight
            Balancing vector to apply (``"default"`` for the default one); raw counts for None.
        scaled
            Bring balanced values to the scale of counts.

        Returns
        -------
        numpy.ndarray
            NaN beyond the band and, when balanced, at masked bins.

        Raises
        ------
        DataError
            The bins are not inside the chromosome.
        """
        end_bin = self.n_bins if end_bin is None else end_bin
        if not 0 <= start_bin <= end_bin <= self.n_bins:
            raise DataError(
                f"bins {start_bin} to {end_bin} are not inside {self.chrom}, which has {self.n_bins:,} bins "
                f"of {self.resolution:,} bp."
            )
        square = self.layout.dense(start_bin, end_bin)
        if weight is not None:
            vector = self.weight(weight)[start_bin:end_bin]
            square *= vector[:, None]
            square *= vector
            square *= self.scale(weight) if scaled else 1
        return square

    def _known(self, name: str | None) -> str:
        if name is None or name == "default":
            return self.weight_names[0]
        if name not in self.weights:
            raise WeightError(
                f"{self.chrom} at {self.resolution:,} bp has no weights {name!r} in this store; "
                f"it has {', '.join(self.weights)}."
            )
        return name


def _within(piece: Entries, width: int | None) -> Entries:
    if width is None:
        return piece
    keep = piece.bin2.astype(np.int64) - piece.bin1 < width
    return Entries(piece.bin1[keep], piece.bin2[keep], piece.count[keep])


@dataclass(frozen=True)
class BinnedTrack:
    """A track in bins of any size.

    Parameters
    ----------
    mean
        float32 (n,): mean over the covered bases; NaN where nothing is covered.
    coverage
        float32 (n,): covered fraction of the bin's true length.
    """

    mean: np.ndarray
    coverage: np.ndarray


@dataclass(frozen=True)
class TrackLayer:
    """A track on one chromosome in bins of :data:`TRACK_WIDTH` bp.

    Parameters
    ----------
    name, chrom
        Track and chromosome.
    length
        Of the chromosome, bp.
    mean
        float16 or float32 (n,): mean over the covered bases, NaN where nothing is covered.
    coverage
        uint8 (n,): covered bases of the bin.
    """

    name: str
    chrom: str
    length: int
    mean: np.ndarray
    coverage: np.ndarray

    def binned(self, resolution: int) -> BinnedTrack:
        """Mean over the covered bases, and covered fraction, in bins of `resolution` bp.

        Raises
        ------
        ConfigError
            `resolution` is no multiple of the stored width.
        """
        if resolution <= 0 or resolution % TRACK_WIDTH:
            raise ConfigError(
                f"tracks are stored in bins of {TRACK_WIDTH} bp; {resolution} is no multiple of that."
            )
        starts = np.arange(0, len(self.mean), resolution // TRACK_WIDTH)
        covered = self.coverage.astype(np.float64)
        total = np.where(covered > 0, self.mean.astype(np.float64), 0) * covered
        total, covered = np.add.reduceat(total, starts), np.add.reduceat(covered, starts)
        size = np.minimum(resolution, self.length - np.arange(len(starts)) * resolution)
        mean = np.full(len(starts), np.nan)
        np.divide(total, covered, out=mean, where=covered > 0)
        return BinnedTrack(mean.astype(np.float32), (covered / size).astype(np.float32))
