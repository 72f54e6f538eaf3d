"""From loops to expected contacts.

A conformation is a chain whose loops are shortcuts. Two bins meet with a probability that falls as a power
of the shortest way between them, averaged over conformations; compartments multiply it. Loops (dots),
stripes, domains and the shoulder of P(s) are not drawn: they follow from where cohesin stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from .extrusion import Conformations

__all__ = ["ExpectedContacts", "Polymer", "expected_contacts", "shortest_ways"]

COARSE_BINS = 10


@dataclass(frozen=True)
class Polymer:
    """How contact probability depends on distance and compartments.

    Parameters
    ----------
    exponent
        Contact probability ~ (way + `capture`) ** -exponent; 1.5 is the ideal chain's.
    far_exponent
        The same beyond the near part, where loops no longer matter.
    capture
        bp; flattens the law at short distance.
    link
        Length of the way across the base of a loop, bp.
    compartments
        Log enhancement between bins wholly of one compartment, at long distance.
    compartment_distance
        bp at which compartments have half of their full effect.
    """

    exponent: float = 1.5
    far_exponent: float = 1.1
    capture: float = 5_000.0
    link: float = 5_000.0
    compartments: float = 0.5
    compartment_distance: float = 400_000.0

    def contact(self, way: np.ndarray) -> np.ndarray:
        """Contact probability (arbitrary units) of bins `way` bp apart along the chain."""
        return ((np.asarray(way, np.float64) + self.capture) / 10_000.0) ** -self.exponent

    def compartment_effect(self, distance: np.ndarray) -> np.ndarray:
        """Log enhancement at a genomic distance in bp."""
        distance = np.asarray(distance, np.float64)
        return self.compartments * distance / (distance + self.compartment_distance)


@dataclass(frozen=True)
class ExpectedContacts:
    """Expected contact map of one chromosome, before visibility, in arbitrary units.

    Parameters
    ----------
    near
        ``near[i, k]`` is the pixel (i, i + k); 0 beyond the chromosome's end. float32, (n_bins, width).
    far
        Of the squares of `COARSE_BINS` bins, by the distance between them in squares, without compartments.
        float64, (n_squares,).
    coarse_compartment
        Compartment value of each square's bins. float64, (n_squares,).
    far_effect
        Log enhancement by compartments at each distance in squares. float64, (n_squares,).
    resolution
        bp.
    """

    near: np.ndarray
    far: np.ndarray
    coarse_compartment: np.ndarray
    far_effect: np.ndarray
    resolution: int

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.near.shape[0]

    @property
    def width(self) -> int:
        """Number of diagonals, the main one included, that have an expectation per pixel."""
        return self.near.shape[1]

    def by_distance(self) -> np.ndarray:
        """Mean of each near diagonal. float64, (width,)."""
        lengths = self.n_bins - np.arange(self.width)
        return self.near.sum(axis=0, dtype=np.float64) / lengths

    def at(self, bin1: np.ndarray, bin2: np.ndarray) -> np.ndarray:
        """Near pixels by their two bins, in either order; NaN beyond the near part or the chromosome."""
        low, high = np.minimum(bin1, bin2), np.maximum(bin1, bin2)
        inside = (low >= 0) & (high < self.n_bins) & (high - low < self.width)
        values = self.near[np.where(inside, low, 0), np.where(inside, high - low, 0)]
        return np.where(inside, values, np.nan)

    def far_row(self, square: int) -> np.ndarray:
        """Expectation of a pixel in squares (`square`, `square` + k), k = 0, 1, ..."""
        count = len(self.coarse_compartment) - square
        pair = self.coarse_compartment[square] * self.coarse_compartment[square:]
        return np.asarray(self.far[:count] * np.exp(self.far_effect[:count] * pair))


def expected_contacts(
    conformations: Conformations | None,
    compartment: np.ndarray,
    resolution: int,
    near: int,
    model: Polymer,
) -> ExpectedContacts:
    """Average contact probability over conformations, and continue it to the whole chromosome.

    Parameters
    ----------
    conformations
        Loops; None for a chain without any (no cohesin).
    compartment
        Value of each bin, -1 to 1; float64, (n_bins,).
    resolution
        bp.
    near
        Distance in bp up to which every pixel is computed.
    model
        Distance law and compartment strength.
    """
    n_bins = len(compartment)
    width = max(2, min(near // resolution, n_bins))
    if conformations is None:
        chain = model.contact(np.arange(width) * resolution).astype(np.float32)
        averaged = np.where(np.arange(width) < n_bins - np.arange(n_bins)[:, None], chain, np.float32(0))
    else:
        averaged = _average(conformations, n_bins, width, resolution, model)
    squares = -(-n_bins // COARSE_BINS)
    far_distance = np.arange(squares) * float(COARSE_BINS * resolution)
    far = _continuation(averaged, far_distance, resolution, model)
    effect = model.compartment_effect(np.arange(width) * resolution).astype(np.float32)
    _apply_compartments(averaged, compartment.astype(np.float32), effect)
    return ExpectedContacts(
        near=averaged,
        far=far,
        coarse_compartment=_block_means(compartment, squares),
        far_effect=model.compartment_effect(far_distance),
        resolution=resolution,
    )


def _continuation(averaged: np.ndarray, distance: np.ndarray, resolution: int, model: Polymer) -> np.ndarray:
    """A power law through the last diagonals of the near part. float64, the shape of `distance` (bp)."""
    n_bins, width = averaged.shape
    tail = max(1, width // 20)
    diagonals = np.arange(width - tail, width)
    law = (diagonals * float(resolution)) ** -model.far_exponent
    level = averaged[:, width - tail :].sum(dtype=np.float64) / (law * (n_bins - diagonals)).sum()
    return np.asarray(level * np.maximum(distance, resolution) ** -model.far_exponent)


def _block_means(values: np.ndarray, squares: int) -> np.ndarray:
    starts = np.arange(squares) * COARSE_BINS
    sizes = np.diff(np.append(starts, len(values)))
    return np.asarray(np.add.reduceat(values, starts) / sizes)


def _average(
    conformations: Conformations, n_bins: int, width: int, resolution: int, model: Polymer
) -> np.ndarray:
    unit = min(conformations.site, resolution)
    step, link = resolution // unit, max(1, round(model.link / unit))
    table = model.contact(np.arange(width * step + 1) * unit).astype(np.float32)
    total = np.zeros((n_bins, width), np.float32)
    for left, right in zip(conformations.left, conformations.right, strict=True):
        base = left.astype(np.int64) * conformations.site // resolution
        tip = right.astype(np.int64) * conformations.site // resolution
        legs = _legs(base, tip, n_bins, width)
        between = _between_legs(*legs, step, link)
        _add_contacts(legs.position, between, step, table, total)
    total /= len(conformations.left)
    return total


def shortest_ways(
    left: np.ndarray, right: np.ndarray, n_bins: int, width: int, step: int = 1, link: int = 1
) -> np.ndarray:
    """Length of the shortest way between bins of a chain with loops that do not cross.

    Only the legs of loops are joined by search; every other bin lies on the chain between two of them.

    Parameters
    ----------
    left, right
        Bins at the base of each loop; integers.
    n_bins, width
        Shape of the answer: ``[i, k]`` is the way from i to i + k.
    step, link
        Length of a step along the chain, and across the base of a loop.

    Returns
    -------
    numpy.ndarray
        int32, (n_bins, width); 0 beyond the chain's end.
    """
    ways = np.zeros((n_bins, width), np.int32)
    legs = _legs(left, right, n_bins, width)
    between = _between_legs(*legs, step, link)
    at = 0
    for i in range(n_bins):
        while at + 1 < len(legs.position) and legs.position[at + 1] <= i:
            at += 1
        _fill_row(i, at, legs.position, between, step, ways[i, : n_bins - i])
    return ways


class _Legs(NamedTuple):
    """The bins with a leg of a loop, and both ends of the chain; loops by index into them."""

    position: np.ndarray  # int64, sorted bins
    left: np.ndarray
    right: np.ndarray
    reach: int  # how many of them one row of the map can meet


def _legs(left: np.ndarray, right: np.ndarray, n_bins: int, width: int) -> _Legs:
    real = left < right  # a loop within one bin is no shortcut
    position = np.unique(np.concatenate([left[real], right[real], [0, n_bins - 1]])).astype(np.int64)
    beyond = np.searchsorted(position, position + 2 * width) - np.arange(len(position))
    return _Legs(
        position,
        np.searchsorted(position, left[real]),
        np.searchsorted(position, right[real]),
        int(min(beyond.max() + 3, len(position))),
    )


@njit(cache=True, nogil=True)
def _chain_loops(legs, n_positions):  # type: ignore[no-untyped-def]
    """Linked lists of the loops that have a leg at each position."""
    head = np.full(n_positions, -1, np.int64)
    following = np.full(len(legs), -1, np.int64)
    for loop in range(len(legs)):
        following[loop] = head[legs[loop]]
        head[legs[loop]] = loop
    return head, following


@njit(cache=True, nogil=True)
def _between_legs(position, left, right, reach, step, link):  # type: ignore[no-untyped-def]
    """Shortest way from each leg to the `reach` legs from it on."""
    # Rows in order: where a loop encloses i, the way from its left leg to i stands in an earlier row.
    count = len(position)
    ways = np.zeros((count, reach), np.int32)
    by_right, next_right = _chain_loops(right, count)
    by_left, next_left = _chain_loops(left, count)
    for i in range(count):
        row = ways[i]
        for j in range(i + 1, min(count, i + reach)):
            best = row[j - i - 1] + (position[j] - position[j - 1]) * step
            first = j
            loop = by_right[j]
            while loop >= 0:
                base = left[loop]
                way = best
                if base >= i:
                    way = row[base - i] + link
                elif i - base < reach:
                    way = ways[base, i - base] + link
                if way < best:
                    best = way
                    first = min(first, max(base, i))
                loop = next_right[loop]
            row[j - i] = best
            # A shortcut to j is also one to the legs before it, inside the loop, and through the loops there.
            while _relax_back(row, i, first, j, position, step, link, right, by_left, next_left):
                _relax_forth(row, i, first, j, position, step, link, left, by_right, next_right)
    return ways


@njit(cache=True, nogil=True)
def _relax_back(  # type: ignore[no-untyped-def]
    row, i, first, last, position, step, link, right, by_left, next_left
):
    """Shorten ways between `first` and `last` from the right; True if one went through an inner loop."""
    through = False
    for k in range(last - 1, first, -1):
        way = row[k + 1 - i] + (position[k + 1] - position[k]) * step
        loop = by_left[k]
        while loop >= 0:
            if right[loop] < last and row[right[loop] - i] + link < min(way, row[k - i]):
                way = row[right[loop] - i] + link
                through = True
            loop = next_left[loop]
        if way < row[k - i]:
            row[k - i] = way
    return through


@njit(cache=True, nogil=True)
def _relax_forth(  # type: ignore[no-untyped-def]
    row, i, first, last, position, step, link, left, by_right, next_right
):
    """Shorten ways between `first` and `last` from the left."""
    for k in range(first + 1, last):
        way = row[k - 1 - i] + (position[k] - position[k - 1]) * step
        loop = by_right[k]
        while loop >= 0:
            if left[loop] > first:
                way = min(way, row[left[loop] - i] + link)
            loop = next_right[loop]
        if way < row[k - i]:
            row[k - i] = way


@njit(cache=True, nogil=True)
def _fill_row(i, at, position, between, step, row):  # type: ignore[no-untyped-def]
    """Ways from bin i to the bins from it on; `at` is the last leg not beyond i."""
    row[0] = 0
    before, way_before = i, 0
    here = (i - position[at]) * step
    ahead = at + 1
    while before < i + len(row) - 1:
        way = min(
            here + between[at, ahead - at],
            (position[at + 1] - i) * step + between[at + 1, ahead - at - 1],
        )
        for j in range(before + 1, min(position[ahead], i + len(row) - 1) + 1):
            row[j - i] = min(way_before + (j - before) * step, way + (position[ahead] - j) * step)
        before, way_before = position[ahead], way
        ahead += 1


@njit(cache=True, nogil=True)
def _add_contacts(position, between, step, table, total):  # type: ignore[no-untyped-def]
    n_bins, width = total.shape
    ways = np.zeros(width, np.int64)
    at = 0
    for i in range(n_bins):
        while at + 1 < len(position) and position[at + 1] <= i:
            at += 1
        row = ways[: min(width, n_bins - i)]
        _fill_row(i, at, position, between, step, row)
        for k in range(len(row)):
            total[i, k] += table[row[k]]


@njit(cache=True, nogil=True)
def _apply_compartments(near, compartment, effect):  # type: ignore[no-untyped-def]
    n_bins, width = near.shape
    for i in range(n_bins):
        for k in range(min(width, n_bins - i)):
            near[i, k] *= np.exp(effect[k] * compartment[i] * compartment[i + k])
