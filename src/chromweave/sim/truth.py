"""What is true of a simulated chromosome: loops, boundaries, expression; read off the expectation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .genome import CellState, Sequence
from .polymer import ExpectedContacts

__all__ = ["LoopRule", "Regulation", "boundary_strength", "contact_response", "expression", "planted_loops"]


@dataclass(frozen=True)
class LoopRule:
    """When two convergent CTCF motifs hold a loop.

    Parameters
    ----------
    min_strength
        Expected contacts of the centre over its local background: the larger of the ring around it (3 to 6
        bins away) and the corner below and left of it, as HiCCUPS has it (Rao et al. 2014, Cell 159, 1665).
    min_distance, max_distance
        Between the anchors, bp.
    min_occupancy
        Of both motifs.
    """

    min_strength: float = 1.7
    min_distance: int = 50_000
    max_distance: int = 1_800_000
    min_occupancy: float = 0.1


@dataclass(frozen=True)
class Regulation:
    """How enhancers act on promoters.

    Parameters
    ----------
    reach
        Enhancers further away do nothing, bp.
    half
        Distance at which an enhancer with average contact has half of its full effect, bp.
    steepness
        Hill exponent of the response to contact.
    basal
        What an open promoter makes without any enhancer, in units of one active enhancer in full contact.
    scale
        Expression per unit, in the manner of TPM.
    noise
        Standard deviation of the log-normal noise.
    """

    reach: int = 1_000_000
    half: int = 60_000
    steepness: float = 4.0
    basal: float = 0.1
    scale: float = 10.0
    noise: float = 0.2


def planted_loops(
    sequence: Sequence, state: CellState, expected: ExpectedContacts, rule: LoopRule
) -> pd.DataFrame:
    """Pairs of convergent, bound CTCF motifs between which extrusion leaves a peak.

    Parameters
    ----------
    sequence, state
        Motifs and their occupancy.
    expected
        The chromosome's expected map; the rule is applied to it, not to counts.
    rule
        When a pair counts.

    Returns
    -------
    pandas.DataFrame
        ``bin1``, ``bin2``, ``position1``, ``position2`` (motifs, bp), ``occupancy1``, ``occupancy2``,
        ``strength`` (centre over local background), sorted; no two within two bins of each other.
    """
    pairs = _convergent_pairs(sequence, state, rule)
    resolution = expected.resolution
    bin1 = pairs["position1"].to_numpy() // resolution
    bin2 = pairs["position2"].to_numpy() // resolution
    pairs = pairs.assign(bin1=bin1, bin2=bin2, strength=_enrichment(expected, bin1, bin2))
    pairs = pairs[(pairs["strength"] >= rule.min_strength) & _is_summit(expected, bin1, bin2)]
    pairs = _strongest_nearby(pairs.sort_values("strength", ascending=False, kind="stable"))
    return pairs.sort_values(["bin1", "bin2"], ignore_index=True)


def _convergent_pairs(sequence: Sequence, state: CellState, rule: LoopRule) -> pd.DataFrame:
    bound = state.occupancy >= rule.min_occupancy
    forward = np.flatnonzero(bound & (sequence.ctcf["strand"] == "+").to_numpy())
    reverse = np.flatnonzero(bound & (sequence.ctcf["strand"] == "-").to_numpy())
    position = sequence.ctcf["position"].to_numpy()
    distance = position[reverse][None, :] - position[forward][:, None]
    first, second = np.nonzero((distance >= rule.min_distance) & (distance <= rule.max_distance))
    first, second = forward[first], reverse[second]
    return pd.DataFrame(
        {
            "position1": position[first],
            "position2": position[second],
            "occupancy1": state.occupancy[first],
            "occupancy2": state.occupancy[second],
        }
    )


def _square(radius: int) -> np.ndarray:
    """Offsets (rows, columns) of a square around a pixel; int64, (n, 2)."""
    reach = np.arange(-radius, radius + 1)
    return np.stack(np.meshgrid(reach, reach, indexing="ij"), axis=-1).reshape(-1, 2)


def _mean_at(
    expected: ExpectedContacts, bin1: np.ndarray, bin2: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    values = expected.at(bin1[:, None] + offsets[:, 0], bin2[:, None] + offsets[:, 1])
    seen = ~np.isnan(values)
    return np.asarray(np.where(seen, values, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def _enrichment(expected: ExpectedContacts, bin1: np.ndarray, bin2: np.ndarray) -> np.ndarray:
    offsets = _square(6)
    ring = offsets[np.abs(offsets).max(axis=1) >= 3]
    ring = ring[(ring != 0).all(axis=1)]
    corner = ring[(ring[:, 0] > 0) & (ring[:, 1] < 0)]
    background = np.maximum(_mean_at(expected, bin1, bin2, ring), _mean_at(expected, bin1, bin2, corner))
    centre = expected.at(bin1, bin2)
    return np.asarray(np.divide(centre, background, out=np.zeros_like(background), where=background > 0))


def _is_summit(expected: ExpectedContacts, bin1: np.ndarray, bin2: np.ndarray) -> np.ndarray:
    """Whether the peak beside a pair is its own: it falls to no less than 0.7 of any pixel next to it."""
    around = _square(1)
    values = expected.at(bin1[:, None] + around[:, 0], bin2[:, None] + around[:, 1])
    return np.asarray(expected.at(bin1, bin2) >= 0.7 * np.nan_to_num(values).max(axis=1, initial=0.0))


def _strongest_nearby(pairs: pd.DataFrame) -> pd.DataFrame:
    kept: list[int] = []
    bin1, bin2 = pairs["bin1"].to_numpy(), pairs["bin2"].to_numpy()
    for row in range(len(pairs)):
        if all(max(abs(bin1[row] - bin1[k]), abs(bin2[row] - bin2[k])) > 2 for k in kept):
            kept.append(row)
    return pairs.iloc[kept]


def boundary_strength(sequence: Sequence, state: CellState) -> np.ndarray:
    """How far each domain boundary holds cohesin from both sides, 0 to 1; float64, (n_boundaries,).

    The chance that the weaker of the two directions is stopped by the boundary's own motifs.
    """
    strength = np.zeros((2, len(sequence.boundaries)))
    for side, strand in enumerate("+-"):
        passing = np.ones(len(sequence.boundaries))
        motifs = ((sequence.ctcf["strand"] == strand) & (sequence.ctcf["boundary"] >= 0)).to_numpy()
        index = sequence.ctcf["boundary"].to_numpy()[motifs]
        np.multiply.at(passing, index, 1.0 - state.occupancy[motifs])
        strength[side] = 1.0 - passing
    return np.asarray(strength.min(axis=0))


def expression(
    sequence: Sequence,
    state: CellState,
    expected: ExpectedContacts,
    rule: Regulation,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Expression of each gene from its promoter's accessibility and its contacts with active enhancers.

    Every active enhancer adds its activity times a sigmoid of its contact with the promoter (steep, as
    Zuin et al. 2022, Nature 604, 571, measured; summed as in the activity-by-contact model, Fulco et al.
    2019, Nat Genet 51, 1664). An inaccessible promoter makes little of it.

    Parameters
    ----------
    sequence, state
        Genes, enhancers and their activity.
    expected
        The map; contact frequencies are expectations, not counts.
    rule
        How contact becomes expression.
    rng
        Source of the noise.

    Returns
    -------
    pandas.DataFrame
        ``accessibility``, ``enhancer_input``, ``expression`` (in the manner of TPM), a row per gene.
    """
    tss = sequence.genes["tss"].to_numpy()
    positions = sequence.enhancers["position"].to_numpy()
    active = np.flatnonzero(state.enhancer_activity > 0)
    mean = expected.by_distance()
    received = np.zeros(len(tss))
    for gene, start in enumerate(tss.tolist()):
        near = active[np.abs(positions[active] - start) <= rule.reach]
        reached = contact_response(expected, mean, start, positions[near], rule)
        received[gene] = (state.enhancer_activity[near] * reached).sum()
    noise = np.exp(rule.noise * rng.standard_normal(len(tss)))
    level = rule.scale * state.promoter_access * (rule.basal + received) * noise
    return pd.DataFrame(
        {"accessibility": state.promoter_access, "enhancer_input": received, "expression": level}
    )


def contact_response(
    expected: ExpectedContacts, mean: np.ndarray, tss: int, positions: np.ndarray, rule: Regulation
) -> np.ndarray:
    """What share of its activity an enhancer at each of `positions` (bp) brings to a promoter, 0 to 1.

    The geometric mean of contact frequency and of observed over expected, in units of the mean contact at
    `rule.half`, through a Hill function: distance counts, and so do the loops and boundaries between.
    `mean` is ``expected.by_distance()``.
    """
    half = mean[min(max(1, rule.half // expected.resolution), expected.width - 1)]
    there, here = positions // expected.resolution, tss // expected.resolution
    contact = np.nan_to_num(expected.at(np.full(len(there), here), there))
    typical = mean[np.minimum(np.abs(there - here), expected.width - 1)]
    relative = (contact / np.sqrt(typical * half)) ** rule.steepness
    return np.asarray(relative / (1.0 + relative))
