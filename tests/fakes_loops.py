"""A small store with planted loops: dots in the map, peaks of a track at both anchors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from chromweave.genome import Assembly, ChromSplit
from tests.fakes import FakeContacts, FakeTrack, build_fake

RESOLUTION = 5000
WINDOW_BINS = 16
CHROMS = ("chr1", "chr2", "chr3")
ASSEMBLY = Assembly("loopy", dict.fromkeys(CHROMS, 4_000_000))
SPLIT = ChromSplit(("chr1",), ("chr2",), ("chr3",))


def planted(per_chrom: int = 120, seed: int = 0) -> pd.DataFrame:
    """Loops of 20 to 60 bins, in BEDPE columns."""
    rng = np.random.default_rng(seed)
    rows = []
    for chrom in CHROMS:
        x = np.sort(rng.choice(np.arange(12, 700), per_chrom, replace=False))
        y = x + rng.integers(20, 60, per_chrom)
        rows += [(chrom, int(a), chrom, int(b)) for a, b in zip(x, y, strict=True)]
    table = pd.DataFrame(rows, columns=["chrom1", "start1", "chrom2", "start2"])
    for side in ("1", "2"):
        table[f"start{side}"] *= RESOLUTION
        table[f"end{side}"] = table[f"start{side}"] + RESOLUTION
    return table[["chrom1", "start1", "end1", "chrom2", "start2", "end2"]]


def fake_map(loops: pd.DataFrame, n_bins: int, rng: np.random.Generator) -> np.ndarray:
    """Poisson counts that fall with distance, five times as many around a loop."""
    distance = np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins)))
    expected = 300.0 / (1 + distance)
    for x, y in zip(loops["start1"] // RESOLUTION, loops["start2"] // RESOLUTION, strict=True):
        expected[x - 1 : x + 2, y - 1 : y + 2] *= 5
    counts = np.triu(rng.poisson(expected))
    return counts + np.triu(counts, 1).T


def fake_track(name: str, loops: pd.DataFrame, rng: np.random.Generator) -> FakeTrack:
    """Noise, and a peak in the middle of every anchor."""
    values = {}
    for chrom in CHROMS:
        signal = rng.uniform(0, 1, ASSEMBLY.length(chrom) // 100).astype(np.float32)
        own = loops[loops["chrom1"] == chrom]
        for start in (*own["start1"], *own["start2"]):
            middle = (start + RESOLUTION // 2) // 100
            signal[middle - 10 : middle + 10] += 20
        values[chrom] = signal
    return FakeTrack(name, values)


def loop_store(patch, out, tracks=("ATAC", "DNase"), seed=0, assembly=ASSEMBLY):
    """The store; the planted loops depend on no seed."""
    rng, loops = np.random.default_rng(seed), planted()
    n_bins = ASSEMBLY.length("chr1") // RESOLUTION
    maps = {(c, RESOLUTION): fake_map(loops[loops["chrom1"] == c], n_bins, rng) for c in CHROMS}
    weights = {("weight", c, RESOLUTION): np.full(n_bins, 0.02) for c in CHROMS}
    contacts = FakeContacts(maps, weights, assembly)
    made = [fake_track(name, loops, rng) for name in tracks]
    return build_fake(patch, out, contacts, made, assembly=assembly, max_distance=600_000)
