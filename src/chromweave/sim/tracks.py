"""What the signal assays make of a chromosome: tracks with Poisson noise, written as bigWig."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from ..files import atomic_path
from ..genome import Assembly
from .genome import CellState, Sequence

__all__ = ["TRACKS", "TRACK_WIDTH", "signal_tracks", "write_bigwig"]

TRACK_WIDTH = 100  # bp
TRACKS = ("ATAC", "DNase", "CTCF", "H3K27me3", "H3K27ac", "CAGE")


@dataclass(frozen=True)
class _Bumps:
    """Gaussian bumps on a track: centres (bp), heights, and standard deviation (bp)."""

    centre: np.ndarray
    height: np.ndarray
    spread: float


def signal_tracks(
    sequence: Sequence, state: CellState, genes: pd.DataFrame, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Every assay's signal over one chromosome.

    Parameters
    ----------
    sequence, state
        Features, and their activity in the cell line.
    genes
        ``accessibility`` and ``expression`` of each gene.
    rng
        Source of the noise.

    Returns
    -------
    dict
        Assay -> mean signal per 100 bp (in the manner of RPGC: background about 0.3 to 1), float32, NaN
        where nothing maps.
    """
    n_windows = -(-sequence.length // TRACK_WIDTH)
    to_bin = np.minimum(np.arange(n_windows) * TRACK_WIDTH // sequence.resolution, sequence.n_bins - 1)
    in_a = 0.5 * (1.0 + state.compartment[to_bin])
    unseen = sequence.visibility[to_bin] == 0
    background = _backgrounds(sequence, state, in_a)
    tracks = {}
    for name, bumps in _peaks(sequence, state, genes, rng).items():
        signal = background[name].copy()
        for each in bumps:
            _add_bumps(signal, each.centre.astype(np.float64), each.height, each.spread, TRACK_WIDTH)
        depth = 10.0 if name == "CAGE" else 4.0  # reads per unit of signal
        noisy = (rng.poisson(signal * depth) / depth).astype(np.float32)
        noisy[unseen] = np.nan
        tracks[name] = noisy
    return tracks


def _backgrounds(sequence: Sequence, state: CellState, in_a: np.ndarray) -> dict[str, np.ndarray]:
    middles = np.arange(len(in_a)) * TRACK_WIDTH
    block = np.searchsorted(sequence.blocks["start"].to_numpy(), middles, side="right") - 1
    facultative = sequence.blocks["facultative"].to_numpy() & (state.block_sign < 0)
    polycomb = np.where(facultative[block], 3.0, 0.7)
    return {
        "ATAC": 0.35 + 0.3 * in_a,
        "DNase": 0.3 + 0.3 * in_a,
        "CTCF": np.full(len(in_a), 0.5),
        "H3K27me3": 0.4 + polycomb * (1.0 - in_a),
        "H3K27ac": 0.3 + 0.4 * in_a,
        "CAGE": np.zeros(len(in_a)),
    }


def _peaks(
    sequence: Sequence, state: CellState, genes: pd.DataFrame, rng: np.random.Generator
) -> dict[str, list[_Bumps]]:
    ctcf = sequence.ctcf["position"].to_numpy()
    enhancer = sequence.enhancers["position"].to_numpy()
    tss = sequence.genes["tss"].to_numpy()
    downstream = np.where(sequence.genes["strand"] == "+", 1, -1)
    promoter = genes["accessibility"].to_numpy()
    silent = np.where(promoter < 0.15, 1.0, 0.0)

    def varied(height: np.ndarray) -> np.ndarray:
        return np.asarray(height * np.exp(0.15 * rng.standard_normal(len(height))))

    def open_sites(at_ctcf: float, at_enhancers: float, at_promoters: float) -> list[_Bumps]:
        return [
            _Bumps(ctcf, varied(at_ctcf * state.occupancy), 120.0),
            _Bumps(enhancer, varied(at_enhancers * state.enhancer_access), 180.0),
            _Bumps(tss, varied(at_promoters * promoter), 220.0),
        ]

    def flanks(centre: np.ndarray, height: np.ndarray, spread: float, gap: int) -> list[_Bumps]:
        height = varied(height)
        return [_Bumps(centre - gap, height, spread), _Bumps(centre + gap, height, spread)]

    return {
        "ATAC": open_sites(12.0, 18.0, 35.0),
        "DNase": open_sites(20.0, 16.0, 25.0),
        "CTCF": [_Bumps(ctcf, varied(70.0 * state.occupancy), 100.0)],
        "H3K27me3": [_Bumps(tss, varied(3.0 * silent), 2_000.0)],
        "H3K27ac": [
            *flanks(enhancer, 14.0 * state.enhancer_activity, 350.0, 450),
            *flanks(tss, 12.0 * promoter, 450.0, 600),
        ],
        "CAGE": [_Bumps(tss + 60 * downstream, varied(2.0 * genes["expression"].to_numpy()), 80.0)],
    }


@njit(cache=True, nogil=True)
def _add_bumps(signal, centres, heights, spread, width):  # type: ignore[no-untyped-def]
    for bump in range(len(centres)):
        if heights[bump] <= 0:
            continue
        first = max(0, int((centres[bump] - 4 * spread) // width))
        last = min(len(signal) - 1, int((centres[bump] + 4 * spread) // width))
        for window in range(first, last + 1):
            z = ((window + 0.5) * width - centres[bump]) / spread
            signal[window] += heights[bump] * np.exp(-0.5 * z * z)


def write_bigwig(path: Path, signals: Mapping[str, np.ndarray], assembly: Assembly) -> None:
    """Write one track; windows without a value are left out of the file.

    Parameters
    ----------
    path
        ``.bw`` to write.
    signals
        Chromosome -> value per window of `TRACK_WIDTH` bp, float32, NaN where there is none.
    assembly
        Chromosome lengths.
    """
    import pybigtools

    lengths = dict(assembly.chromosomes)
    with atomic_path(path) as temporary:
        pybigtools.open(str(temporary), "w").write(lengths, _runs(signals, lengths))


def _runs(
    signals: Mapping[str, np.ndarray], lengths: Mapping[str, int]
) -> Iterator[tuple[str, int, int, float]]:
    """Stretches of equal value, in the order bigWig wants them; unmapped ones are left out."""
    for chrom in sorted(signals):
        signal = signals[chrom]
        seen = ~np.isnan(signal)
        change = np.ones(len(signal), bool)
        change[1:] = (signal[1:] != signal[:-1]) | (seen[1:] != seen[:-1])
        start = np.flatnonzero(change)
        end = np.minimum(np.append(start[1:], len(signal)) * TRACK_WIDTH, lengths[chrom])
        kept = seen[start]
        values = signal[start[kept]].tolist()
        for first, last, value in zip(
            (start[kept] * TRACK_WIDTH).tolist(), end[kept].tolist(), values, strict=True
        ):
            yield chrom, first, last, value
