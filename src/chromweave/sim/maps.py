"""Writing simulated counts as an ``.mcool``: the finest resolution drawn, the others summed from it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_path
from ..genome import Assembly, Binning
from .contacts import Counts, HiCLibrary
from .polymer import COARSE_BINS

__all__ = ["coarsen", "write_mcool"]

_PIXELS_AT_ONCE = 1_000_000


def write_mcool(
    path: str | Path,
    libraries: Mapping[str, HiCLibrary],
    assembly: Assembly,
    resolutions: Sequence[int],
    *,
    replicate: int | None = None,
    balance: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Draw the contacts of every chromosome and write them at every resolution.

    Parameters
    ----------
    path
        ``.mcool`` to write.
    libraries
        Chromosome -> its library, for every chromosome of `assembly`.
    assembly
        Names, order and lengths.
    resolutions
        In bp, finest first; each a multiple of the first, which is the libraries' own.
    replicate
        Which replicate to draw; None for all of them together.
    balance
        Also compute cooler's cis-only ICE ``weight`` at every resolution.
    metadata
        Plain values kept in each resolution's metadata.
    """
    import cooler
    import h5py

    with atomic_path(path) as temporary:
        for resolution in resolutions:
            if resolution == resolutions[0]:
                pieces = _drawn(libraries, assembly, resolutions, replicate)
            else:
                source = f"{temporary}::resolutions/{_parent(resolution, resolutions)}"
                pieces = _summed(source, assembly, resolution)
            uri = f"{temporary}::resolutions/{resolution}"
            cooler.create_cooler(
                uri,
                bins=cooler.binnify(_sizes(assembly), resolution),
                pixels=pieces,
                ordered=True,
                mode="a",
                dtypes={"count": np.int32},
                assembly=assembly.name,
                metadata=dict(metadata or {}),
                boundscheck=False,
                triucheck=False,
                dupcheck=False,
                h5opts={"compression": "gzip", "compression_opts": 4, "shuffle": True},
            )
        with h5py.File(temporary, "r+") as file:
            file.attrs.update({"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"})
        if balance:
            _balance(temporary, resolutions)


def _sizes(assembly: Assembly) -> Any:
    """Chromosome lengths as cooler wants them."""
    import pandas as pd

    return pd.Series(dict(assembly.chromosomes), dtype="int64", name="length")


def _balance(path: Path, resolutions: Sequence[int]) -> None:
    import cooler

    for resolution in resolutions:
        with warnings.catch_warnings():
            # A coarse map of a small genome may not converge; its weights are then kept as cooler has them.
            warnings.filterwarnings("ignore", message="Iteration limit reached")
            cooler.balance_cooler(
                cooler.Cooler(f"{path}::resolutions/{resolution}"), cis_only=True, store=True
            )


def _parent(resolution: int, resolutions: Sequence[int]) -> int:
    """The coarsest resolution that `resolution` can be summed from."""
    return max(other for other in resolutions if other < resolution and resolution % other == 0)


def _drawn(
    libraries: Mapping[str, HiCLibrary],
    assembly: Assembly,
    resolutions: Sequence[int],
    replicate: int | None,
) -> Iterator[dict[str, np.ndarray]]:
    base = resolutions[0]
    align = math.lcm(COARSE_BINS, *(resolution // base for resolution in resolutions))
    offset = 0
    for chrom in assembly.chromosomes:
        library = libraries[chrom]
        rows = align * max(1, _PIXELS_AT_ONCE // (align * library.expected.width))
        for piece in library.pieces(rows, replicate):
            yield {"bin1_id": piece.bin1 + offset, "bin2_id": piece.bin2 + offset, "count": piece.count}
        offset += library.expected.n_bins


def _summed(uri: str, assembly: Assembly, resolution: int) -> Iterator[dict[str, np.ndarray]]:
    """Pixels of a finer cooler summed to `resolution`, a stretch of whole coarse rows at a time."""
    import cooler

    source = cooler.Cooler(uri)
    fine, coarse = Binning(assembly, int(source.binsize)), Binning(assembly, resolution)
    factor = resolution // fine.resolution
    fine_offset = coarse_offset = 0
    for chrom in assembly.chromosomes:
        n_fine, n_coarse = fine.n_bins(chrom), coarse.n_bins(chrom)
        for first, last in _stretches(source, fine_offset, n_fine, factor):
            with source.open("r") as group:
                part = Counts(
                    *(group[f"pixels/{name}"][first:last] - shift for name, shift in (
                        ("bin1_id", fine_offset), ("bin2_id", fine_offset), ("count", 0),
                    ))
                )  # fmt: skip
            summed = coarsen(part, factor, n_coarse)
            yield {
                "bin1_id": summed.bin1 + coarse_offset,
                "bin2_id": summed.bin2 + coarse_offset,
                "count": summed.count,
            }
        fine_offset, coarse_offset = fine_offset + n_fine, coarse_offset + n_coarse


def _stretches(source: Any, offset: int, n_bins: int, factor: int) -> Iterator[tuple[int, int]]:
    """Pixel ranges of whole coarse rows, about `_PIXELS_AT_ONCE` long."""
    with source.open("r") as group:
        index = group["indexes/bin1_offset"][offset : offset + n_bins + 1].astype(np.int64)
    edges = np.append(np.arange(0, n_bins, factor), n_bins)
    start = 0
    while start < len(edges) - 1:
        limit = index[edges[start]] + _PIXELS_AT_ONCE
        stop = max(start + 1, int(np.searchsorted(index[edges], limit, side="right")) - 1)
        yield int(index[edges[start]]), int(index[edges[stop]])
        start = stop


def coarsen(counts: Counts, factor: int, n_coarse: int) -> Counts:
    """Sum pixels into bins `factor` times as wide.

    Parameters
    ----------
    counts
        Pixels of whole coarse rows.
    factor
        Fine bins per coarse bin.
    n_coarse
        Coarse bins of the chromosome.
    """
    from scipy.sparse import coo_matrix

    if not len(counts.count):
        return counts
    bin1, bin2 = counts.bin1 // factor, counts.bin2 // factor
    first = int(bin1.min())
    shape = (int(bin1.max()) - first + 1, n_coarse)
    rows = coo_matrix((counts.count, (bin1 - first, bin2)), shape=shape).tocsr()
    rows.sort_indices()
    summed = rows.tocoo()
    return Counts(
        summed.row.astype(np.int64) + first, summed.col.astype(np.int64), summed.data.astype(np.int32)
    )
