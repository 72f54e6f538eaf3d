"""What is written on a simulated chromosome, and what each cell line makes of it.

The sequence (CTCF motifs, genes, candidate enhancers, domains, mappability) is shared by all cell lines;
occupancy, activity and compartments are each line's own. Every draw comes from a stream named by seed and
purpose, so that a further cell line or chromosome leaves the others as they were.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["CellState", "Sequence", "cell_state", "lay_out", "stream"]

_EDGE = 60_000  # bp without features at both ends of a chromosome


def stream(seed: int, *purpose: object) -> np.random.Generator:
    """A generator for one purpose, independent of every other purpose under the same seed."""
    name = "/".join(map(str, purpose))
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


@dataclass(frozen=True)
class Sequence:
    """The features of one chromosome, shared by all cell lines.

    Parameters
    ----------
    chrom
        Name.
    length
        In bp.
    resolution
        Bin size of `visibility`, in bp.
    boundaries
        Positions of domain (TAD) boundaries, bp.
    blocks
        Compartment blocks: ``start``, ``end`` (bp), ``sign`` (+1 A, -1 B), ``facultative`` (may switch).
    ctcf
        Motifs: ``position`` (bp), ``strand``, ``strength`` (0 to 1), ``constitutive``, ``boundary``
        (index into `boundaries`, -1 for a motif inside a domain).
    enhancers
        Candidates: ``position`` (bp), ``name``, ``potential`` (activity when active, mean about 1).
    genes
        ``tss`` (bp), ``strand``, ``name``, ``strength`` (of the promoter, mean about 1), ``housekeeping``.
    visibility
        How well each bin is seen, mean about 1; 0 where nothing maps. float64, (n_bins,).
    """

    chrom: str
    length: int
    resolution: int
    boundaries: np.ndarray
    blocks: pd.DataFrame
    ctcf: pd.DataFrame
    enhancers: pd.DataFrame
    genes: pd.DataFrame
    visibility: np.ndarray

    @property
    def n_bins(self) -> int:
        """Number of bins, counted from the length."""
        return len(self.visibility)


@dataclass(frozen=True)
class CellState:
    """What one cell line does with one chromosome.

    Parameters
    ----------
    block_sign
        +1 (A) or -1 (B) for each row of `Sequence.blocks`.
    compartment
        Smoothed compartment value of each bin, -1 to 1; float64, (n_bins,).
    occupancy
        Fraction of time each CTCF motif is bound, 0 to 1.
    enhancer_access, enhancer_activity
        Of each candidate enhancer; accessible and inactive ("poised") ones exist.
    promoter_access
        Of each gene.
    """

    block_sign: np.ndarray
    compartment: np.ndarray
    occupancy: np.ndarray
    enhancer_access: np.ndarray
    enhancer_activity: np.ndarray
    promoter_access: np.ndarray


def lay_out(chrom: str, length: int, resolution: int, seed: int) -> Sequence:
    """Draw the sequence features of one chromosome.

    Parameters
    ----------
    chrom, length
        Name, and length in bp.
    resolution
        Bin size of the visibility, bp.
    seed
        The genome's seed.
    """
    visibility = _visibility(length, resolution, stream(seed, "visibility", chrom, resolution))
    boundaries = _boundaries(length, stream(seed, "boundaries", chrom))
    blocks = _blocks(boundaries, length, stream(seed, "blocks", chrom))
    ctcf = _ctcf(boundaries, length, stream(seed, "ctcf", chrom))
    genes = _genes(chrom, blocks, stream(seed, "genes", chrom))
    enhancers = _enhancers(chrom, blocks, genes["tss"].to_numpy(), stream(seed, "enhancers", chrom))
    mapped = visibility > 0
    return Sequence(
        chrom=chrom,
        length=length,
        resolution=resolution,
        boundaries=boundaries,
        blocks=blocks,
        ctcf=_where_mapped(ctcf, "position", mapped, resolution),
        enhancers=_where_mapped(enhancers, "position", mapped, resolution),
        genes=_where_mapped(genes, "tss", mapped, resolution),
        visibility=visibility,
    )


def _where_mapped(table: pd.DataFrame, column: str, mapped: np.ndarray, resolution: int) -> pd.DataFrame:
    """Rows whose bin can be seen: a feature nobody can measure is no truth to test against."""
    keep = mapped[table[column].to_numpy() // resolution]
    return table[keep].reset_index(drop=True)


def _visibility(length: int, resolution: int, rng: np.random.Generator) -> np.ndarray:
    """Log-normal bias, part of it shared by neighbours; a gap, chromosome ends and single bins unseen."""
    from scipy.ndimage import gaussian_filter1d

    n_bins = -(-length // resolution)
    smooth = gaussian_filter1d(rng.standard_normal(n_bins), 10.0, mode="nearest")
    smooth /= max(float(smooth.std()), 1e-9)
    visibility = np.exp(0.2 * rng.standard_normal(n_bins) + 0.15 * smooth)
    visibility[rng.random(n_bins) < 0.01] = 0.0
    gap = max(1, min(length // 80, 3_000_000) // resolution)  # the centromere
    start = int(n_bins * rng.uniform(0.35, 0.6))
    visibility[start : start + gap] = 0.0
    telomere = max(1, 10_000 // resolution)
    visibility[:telomere] = 0.0
    visibility[-telomere:] = 0.0
    return visibility


def _walk(start: int, stop: int, median: float, sigma: float, low: int, high: int, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Positions from `start` on, log-normally spaced, the last one before `stop`."""
    position = start
    while True:
        position += int(np.clip(median * np.exp(sigma * rng.standard_normal()), low, high))
        if position >= stop:
            return
        yield position


def _boundaries(length: int, rng: np.random.Generator) -> np.ndarray:
    found = list(_walk(0, length - 150_000, 330_000, 0.5, 150_000, 900_000, rng))
    return np.array(found, dtype=np.int64)


def _blocks(boundaries: np.ndarray, length: int, rng: np.random.Generator) -> pd.DataFrame:
    """Alternate A and B between some of the domain boundaries, 0.3 to 2 Mb apart."""
    edges = [0]
    target = edges[-1] + rng.uniform(300_000, 1_500_000)
    for boundary in boundaries.tolist():
        if boundary >= target and length - boundary > 300_000:
            edges.append(boundary)
            target = boundary + rng.uniform(300_000, 1_500_000)
    n_blocks = len(edges)
    sign = np.where((np.arange(n_blocks) + rng.integers(2)) % 2 == 0, 1, -1)
    return pd.DataFrame(
        {
            "start": edges,
            "end": [*edges[1:], length],
            "sign": sign,
            "facultative": rng.permutation(n_blocks) < max(1, round(0.35 * n_blocks)),
        }
    )


def _ctcf(boundaries: np.ndarray, length: int, rng: np.random.Generator) -> pd.DataFrame:
    """Divergent motifs at boundaries (a loop's anchors point inwards), weaker ones anywhere."""
    rows: list[tuple[int, str, float, bool, int]] = []
    for index, boundary in enumerate(boundaries.tolist()):
        kept = rng.random(2) > 0.1
        for strand, side, keep in (("-", -1, kept[0]), ("+", 1, kept[1])):
            position = boundary + side * int(rng.uniform(1_000, 7_000))
            strength = float(rng.uniform(0.7, 0.97))
            constitutive = bool(rng.random() < 0.85)
            if keep:
                rows.append((position, strand, strength, constitutive, index))
    n_inner = rng.poisson(length / 130_000)
    for position in rng.integers(_EDGE, max(_EDGE + 1, length - _EDGE), n_inner).tolist():
        strand = "+" if rng.random() < 0.5 else "-"
        rows.append((position, strand, float(rng.uniform(0.15, 0.7)), bool(rng.random() < 0.6), -1))
    table = pd.DataFrame(rows, columns=["position", "strand", "strength", "constitutive", "boundary"])
    return table.sort_values("position", ignore_index=True)


def _scatter(
    blocks: pd.DataFrame, spacing_a: float, spacing_b: float, rng: np.random.Generator
) -> np.ndarray:
    """Sorted positions, uniform inside each block, with a mean spacing (bp) that depends on its kind."""
    last = int(blocks["end"].iloc[-1])
    found = []
    for block in blocks.itertuples():
        number = rng.poisson((block.end - block.start) / (spacing_a if block.sign > 0 else spacing_b))
        found.append(rng.integers(block.start, block.end, number))
    positions = np.sort(np.concatenate(found))
    return positions[(positions >= _EDGE) & (positions < last - _EDGE)]


def _genes(chrom: str, blocks: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    tss = _scatter(blocks, 45_000, 160_000, rng)
    tss = tss[np.diff(tss, prepend=-10_000) > 4_000]
    n_genes = len(tss)
    number = chrom.removeprefix("chr")
    return pd.DataFrame(
        {
            "tss": tss,
            "strand": np.where(rng.random(n_genes) < 0.5, "+", "-").astype(object),
            "name": [f"SIM{number}G{index:05d}" for index in range(1, n_genes + 1)],
            "strength": np.exp(0.4 * rng.standard_normal(n_genes)),
            "housekeeping": rng.random(n_genes) < 0.2,
        }
    )


def _enhancers(chrom: str, blocks: pd.DataFrame, tss: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    positions = _scatter(blocks, 14_000, 60_000, rng)
    right = np.searchsorted(tss, positions)
    padded = np.concatenate([[-(10**9)], tss, [10**10]])
    nearest = np.minimum(positions - padded[right], padded[right + 1] - positions)
    positions = positions[nearest > 10_000]
    number = chrom.removeprefix("chr")
    return pd.DataFrame(
        {
            "position": positions,
            "name": [f"SIM{number}E{index:05d}" for index in range(1, len(positions) + 1)],
            "potential": np.exp(0.5 * rng.standard_normal(len(positions))),
        }
    )


def cell_state(sequence: Sequence, cell_line: str, seed: int) -> CellState:
    """Draw what one cell line does with a chromosome.

    A facultative block (a third of them) is in either compartment with equal chance, so that two lines
    differ in 10 to 20 % of a genome; one strong CTCF site in seven is bound in some lines only.
    """
    rng = stream(seed, "cell", cell_line, sequence.chrom)
    facultative = sequence.blocks["facultative"].to_numpy()
    switched = facultative & (rng.random(len(facultative)) < 0.5)
    block_sign = sequence.blocks["sign"].to_numpy() * np.where(switched, -1, 1)
    compartment = _compartment(sequence, block_sign)
    occupancy = _occupancy(sequence.ctcf, rng)
    in_a = _sign_at(sequence, block_sign, sequence.enhancers["position"].to_numpy()) > 0
    draw = rng.random(len(in_a))
    active = draw < np.where(in_a, 0.5, 0.06)
    poised = ~active & (draw < np.where(in_a, 0.65, 0.14))
    level = sequence.enhancers["potential"].to_numpy() * np.exp(0.25 * rng.standard_normal(len(in_a)))
    return CellState(
        block_sign=block_sign,
        compartment=compartment,
        occupancy=occupancy,
        enhancer_access=np.where(active | poised, level * np.exp(0.2 * rng.standard_normal(len(level))), 0),
        enhancer_activity=np.where(active, level, 0.0),
        promoter_access=_promoter_access(sequence, block_sign, rng),
    )


def _compartment(sequence: Sequence, block_sign: np.ndarray) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    middles = np.minimum(
        (np.arange(sequence.n_bins) + 0.5) * sequence.resolution, sequence.length - 1
    ).astype(np.int64)
    steps = _sign_at(sequence, block_sign, middles).astype(np.float64)
    return np.asarray(gaussian_filter1d(steps, 25_000 / sequence.resolution, mode="nearest"))


def _sign_at(sequence: Sequence, block_sign: np.ndarray, positions: np.ndarray) -> np.ndarray:
    starts = sequence.blocks["start"].to_numpy()
    return np.asarray(block_sign)[np.searchsorted(starts, positions, side="right") - 1]


def _occupancy(ctcf: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    n_sites = len(ctcf)
    bound = ctcf["constitutive"].to_numpy() | (rng.random(n_sites) < 0.5)
    level = ctcf["strength"].to_numpy() * rng.uniform(0.88, 1.0, n_sites)
    return np.where(bound, level, 0.02)


def _promoter_access(sequence: Sequence, block_sign: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    genes = sequence.genes
    in_a = _sign_at(sequence, block_sign, genes["tss"].to_numpy()) > 0
    chance = np.where(genes["housekeeping"], 0.97, np.where(in_a, 0.75, 0.2))
    is_open = rng.random(len(genes)) < chance
    level = genes["strength"].to_numpy() * np.exp(0.3 * rng.standard_normal(len(genes)))
    return np.where(is_open, level, 0.04 * level)
