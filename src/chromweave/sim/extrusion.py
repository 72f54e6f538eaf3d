"""Loop extrusion by cohesin on a one-dimensional lattice.

The model of Fudenberg et al. 2016 (Cell Reports 15, 2038) and Sanborn et al. 2015 (PNAS 112, E6456):
cohesins load, extrude with both legs until they meet a bound CTCF site that points towards them, another
cohesin or the chromosome's end, and unload after a while.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from .genome import CellState, Sequence

__all__ = ["Conformations", "Extrusion", "extrude"]


@dataclass(frozen=True)
class Extrusion:
    """How cohesin behaves.

    Parameters
    ----------
    separation
        Mean bp of chromosome per cohesin.
    processivity
        Mean bp that an unhindered cohesin extrudes.
    stabilisation
        How many times longer a cohesin stays that is held by CTCF at both legs.
    release
        Chance per step that a leg slips past the CTCF site that holds it.
    loading_in_a
        Loading in compartment A relative to B.
    site
        Lattice spacing, bp.
    """

    separation: float = 180_000.0
    processivity: float = 350_000.0
    stabilisation: float = 8.0
    release: float = 0.005
    loading_in_a: float = 1.5
    site: int = 5_000


@dataclass(frozen=True)
class Conformations:
    """Where the legs of every cohesin stood, snapshot by snapshot.

    Parameters
    ----------
    left, right
        Lattice sites, left < right; int32, (snapshots, cohesins).
    site
        Lattice spacing, bp.
    """

    left: np.ndarray
    right: np.ndarray
    site: int


def extrude(
    sequence: Sequence,
    state: CellState,
    model: Extrusion,
    n_snapshots: int,
    rng: np.random.Generator,
) -> Conformations:
    """Run extrusion over one chromosome and take snapshots of it.

    Parameters
    ----------
    sequence, state
        The chromosome, and the cell line's occupancy and compartments on it.
    model
        How cohesin behaves.
    n_snapshots
        How many snapshots to keep; they are one mean residence time apart.
    rng
        Source of every draw.
    """
    n_sites = -(-sequence.length // model.site)
    lifetime = model.processivity / (2 * model.site)
    n_cohesins = min(round(sequence.length / model.separation), n_sites // 4)
    left, right = _extrude(
        n_cohesins,
        _stopping(sequence, state, "+", model.site, n_sites),
        _stopping(sequence, state, "-", model.site, n_sites),
        _loading(sequence, state, model, n_sites),
        lifetime,
        model.stabilisation,
        model.release,
        n_snapshots,
        max(1, round(lifetime)),
        round(20 * lifetime),
        rng,
    )
    return Conformations(left, right, model.site)


def _stopping(sequence: Sequence, state: CellState, strand: str, site: int, n_sites: int) -> np.ndarray:
    """Chance that a leg is held at each site by motifs of `strand`: ``+`` holds left legs, ``-`` right."""
    motifs = (sequence.ctcf["strand"] == strand).to_numpy()
    passing = np.ones(n_sites)
    sites = sequence.ctcf["position"].to_numpy()[motifs] // site
    np.multiply.at(passing, sites, 1.0 - state.occupancy[motifs])
    return 1.0 - passing


def _loading(sequence: Sequence, state: CellState, model: Extrusion, n_sites: int) -> np.ndarray:
    """Cumulative chance of loading at each site."""
    bins = np.minimum(np.arange(n_sites) * model.site // sequence.resolution, sequence.n_bins - 1)
    in_a = 0.5 * (1.0 + np.clip(state.compartment[bins], -1.0, 1.0))
    rate = 1.0 + (model.loading_in_a - 1.0) * in_a
    return np.asarray(np.cumsum(rate) / rate.sum())


@njit(cache=True, nogil=True)
def _load(cohesin, left, right, occupied, loading, rng):  # type: ignore[no-untyped-def]
    n_sites = len(occupied)
    while True:
        at = min(np.searchsorted(loading, rng.random()), n_sites - 2)
        if not occupied[at] and not occupied[at + 1]:
            break
    left[cohesin] = at
    right[cohesin] = at + 1
    occupied[at] = True
    occupied[at + 1] = True


@njit(cache=True, nogil=True)
def _advance(at, direction, held, stop, release, occupied, rng):  # type: ignore[no-untyped-def]
    """One step of one leg: its new site and whether it is held there."""
    if held and rng.random() >= release:
        return at, True
    ahead = at + direction
    if ahead < 0 or ahead >= len(occupied) or occupied[ahead]:
        return at, False
    occupied[at] = False
    occupied[ahead] = True
    return ahead, rng.random() < stop[ahead]


@njit(cache=True, nogil=True)
def _extrude(  # type: ignore[no-untyped-def]
    n_cohesins, stop_left, stop_right, loading, lifetime, stabilisation, release, n_snapshots, interval,
    burn_in, rng,
):  # fmt: skip
    occupied = np.zeros(len(stop_left), np.bool_)
    left = np.zeros(n_cohesins, np.int32)
    right = np.zeros(n_cohesins, np.int32)
    held_left = np.zeros(n_cohesins, np.bool_)
    held_right = np.zeros(n_cohesins, np.bool_)
    kept_left = np.zeros((n_snapshots, n_cohesins), np.int32)
    kept_right = np.zeros((n_snapshots, n_cohesins), np.int32)
    for cohesin in range(n_cohesins):
        _load(cohesin, left, right, occupied, loading, rng)
    for step in range(1, burn_in + n_snapshots * interval + 1):
        for cohesin in range(n_cohesins):
            stay = lifetime
            if held_left[cohesin] and held_right[cohesin]:
                stay *= stabilisation
            if rng.random() * stay < 1.0:
                occupied[left[cohesin]] = False
                occupied[right[cohesin]] = False
                held_left[cohesin] = False
                held_right[cohesin] = False
                _load(cohesin, left, right, occupied, loading, rng)
                continue
            left[cohesin], held_left[cohesin] = _advance(
                left[cohesin], -1, held_left[cohesin], stop_left, release, occupied, rng
            )
            right[cohesin], held_right[cohesin] = _advance(
                right[cohesin], 1, held_right[cohesin], stop_right, release, occupied, rng
            )
        if step > burn_in and (step - burn_in) % interval == 0:
            kept = (step - burn_in) // interval - 1
            kept_left[kept] = left
            kept_right[kept] = right
    return kept_left, kept_right
