"""What a Hi-C library makes of an expected map: Poisson counts, drawn a stretch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from .genome import stream
from .polymer import COARSE_BINS, ExpectedContacts

__all__ = ["Counts", "HiCLibrary"]


@dataclass(frozen=True)
class Counts:
    """Pixels of one stretch of rows: upper triangle, sorted by (bin1, bin2), no pixel twice.

    Parameters
    ----------
    bin1, bin2
        Bins within the chromosome, int64.
    count
        Contacts, int32, all positive.
    """

    bin1: np.ndarray
    bin2: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class HiCLibrary:
    """Contact counts of one chromosome of one cell line, drawn piece by piece.

    A piece drawn twice is the same twice: pooled maps are made by drawing each replicate again.

    Parameters
    ----------
    expected
        Expected contacts before visibility.
    visibility
        Of each bin; 0 where nothing is seen.
    depth
        Contacts per Mb over all replicates.
    length
        Of the chromosome, bp.
    replicates
        Number of independent replicates of equal depth.
    seed, purpose
        Name the stream of draws.
    """

    expected: ExpectedContacts
    visibility: np.ndarray
    depth: float
    length: int
    replicates: int
    seed: int
    purpose: str

    def scale(self) -> float:
        """Contacts of all replicates together per unit of expectation."""
        return self.depth * self.length / 1e6 / self._total()

    def _total(self) -> float:
        near = _near_total(self.expected.near, self.visibility)
        seen = _square_sums(self.visibility)
        far = 0.0
        beyond = _share_beyond(len(seen), self.expected.width)
        for square in range(len(seen)):
            row = self.expected.far_row(square)
            far += float((row * seen[square] * seen[square:] * beyond[: len(row)]).sum())
        return float(near + far)

    def pieces(self, rows: int, replicate: int | None = None) -> Iterator[Counts]:
        """Draw the counts of successive stretches of rows.

        Parameters
        ----------
        rows
            Bins per stretch, a multiple of `COARSE_BINS`.
        replicate
            Which, from 0 on; None for all of them together.
        """
        scale = self.scale() / self.replicates
        cumulative = np.concatenate([[0.0], np.cumsum(self.visibility)])
        chosen = range(self.replicates) if replicate is None else (replicate,)
        for start in range(0, self.expected.n_bins, rows):
            stop = min(start + rows, self.expected.n_bins)
            drawn = [
                self._draw(start, stop, scale, cumulative, stream(self.seed, self.purpose, one, start))
                for one in chosen
            ]
            yield _merge(drawn, self.expected.n_bins)

    def _draw(
        self, start: int, stop: int, scale: float, cumulative: np.ndarray, rng: np.random.Generator
    ) -> Counts:
        rate = _near_rate(self.expected.near, self.visibility, start, stop, scale)
        count = rng.poisson(rate).astype(np.int32)
        row, diagonal = np.nonzero(count)
        far1, far2 = self._draw_far(start, stop, scale, cumulative, rng)
        return Counts(
            np.concatenate([row + start, far1]),
            np.concatenate([row + start + diagonal, far2]),
            np.concatenate([count[row, diagonal], np.ones(len(far1), np.int32)]),
        )

    def _draw_far(
        self, start: int, stop: int, scale: float, cumulative: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Contacts beyond the near part, one by one.

        The total of a square is Poisson; each of its contacts falls on a row and a column by visibility.
        Those that fall into the near part are dropped, which leaves every other pixel exactly Poisson.
        """
        n_bins, width = self.expected.n_bins, self.expected.width
        edges = np.append(np.arange(0, n_bins, COARSE_BINS), n_bins)
        found1, found2 = [], []
        for square in range(start // COARSE_BINS, -(-stop // COARSE_BINS)):
            first = square + max(0, width // COARSE_BINS - 1)
            if first >= len(edges) - 1:
                break
            seen = np.diff(cumulative[edges])
            rate = self.expected.far_row(square)[first - square :] * seen[square] * seen[first:] * scale
            columns = np.repeat(np.arange(first, len(seen)), rng.poisson(rate))
            rows = np.full(len(columns), square)
            bin1 = _by_visibility(rows, edges, cumulative, rng)
            bin2 = _by_visibility(columns, edges, cumulative, rng)
            beyond = bin2 - bin1 >= width
            found1.append(bin1[beyond])
            found2.append(bin2[beyond])
        empty = np.zeros(0, np.int64)
        return np.concatenate([empty, *found1]), np.concatenate([empty, *found2])


def _by_visibility(
    squares: np.ndarray, edges: np.ndarray, cumulative: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A bin of each square, drawn in proportion to visibility."""
    low, high = cumulative[edges[squares]], cumulative[edges[squares + 1]]
    at = low + (high - low) * (1.0 - rng.random(len(squares)))  # in (low, high]: never an unseen bin
    return np.clip(np.searchsorted(cumulative, at) - 1, edges[squares], edges[squares + 1] - 1)


def _merge(drawn: list[Counts], n_bins: int) -> Counts:
    key = np.concatenate([piece.bin1 * n_bins + piece.bin2 for piece in drawn])
    count = np.concatenate([piece.count for piece in drawn])
    order = np.argsort(key, kind="stable")
    key, count = key[order], count[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    total = np.add.reduceat(count, first) if len(first) else count
    bin1, bin2 = np.divmod(key[first], n_bins)
    return Counts(bin1, bin2, total.astype(np.int32))


def _square_sums(visibility: np.ndarray) -> np.ndarray:
    return np.asarray(np.add.reduceat(visibility, np.arange(0, len(visibility), COARSE_BINS)))


def _share_beyond(squares: int, width: int) -> np.ndarray:
    """Share of a square's pixels that lie beyond the near part, by the squares' distance."""
    offset = np.arange(COARSE_BINS)
    within = offset[None, :] - offset[:, None]
    distance = np.arange(squares)[:, None, None] * COARSE_BINS + within
    return np.asarray((distance >= width).mean(axis=(1, 2)))


@njit(cache=True, nogil=True)
def _near_total(near, visibility):  # type: ignore[no-untyped-def]
    n_bins, width = near.shape
    total = 0.0
    for i in range(n_bins):
        row = 0.0
        for k in range(min(width, n_bins - i)):
            row += near[i, k] * visibility[i + k]
        total += row * visibility[i]
    return total


@njit(cache=True, nogil=True)
def _near_rate(near, visibility, start, stop, scale):  # type: ignore[no-untyped-def]
    n_bins, width = near.shape
    rate = np.zeros((stop - start, width))
    for i in range(start, stop):
        for k in range(min(width, n_bins - i)):
            rate[i - start, k] = scale * near[i, k] * visibility[i] * visibility[i + k]
    return rate
