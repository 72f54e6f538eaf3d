"""Contact maps that were computed, not counted, as coolers: pixels of float64 and a mask for the rest.

A `weight` of 1 marks every bin that has values, NaN every other one, so that programs that balance by
``weight`` show the values as they are and leave out what is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import AssemblyError, ConfigError, DataError
from ..files import atomic_path
from ..genome import Assembly, Binning

__all__ = ["PREDICTED", "ComputedMap", "assembly_of_predicted", "write_cool", "write_predicted_mcool"]

PREDICTED = "predicted contact map"
"""What a predicted map's metadata say under ``kind``."""

_PIXELS_AT_ONCE = 5_000_000
# What `cooler balance` declares by default: measured and predicted maps are then scored on the same pixels.
_IGNORE_DIAGS = 2
_STORAGE = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


class ComputedMap(NamedTuple):
    """The values of one chromosome at one resolution.

    Attributes
    ----------
    bin1, bin2
        int (pixels,), bins within the chromosome, ``bin1 <= bin2``, no pixel twice; in any order.
    value
        float (pixels,), finite. A pixel that is not named is 0, as in every cooler.
    valid
        bool (n_bins,): bins that have values. No pixel may lie on another one.
    """

    bin1: np.ndarray
    bin2: np.ndarray
    value: np.ndarray
    valid: np.ndarray


_Maps = Mapping[str, ComputedMap] | Iterable[tuple[str, ComputedMap]]


def write_predicted_mcool(
    path: str | Path,
    chromosomes: _Maps,
    assembly: Assembly,
    resolutions: Sequence[int],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a predicted map as an ``.mcool``: the finest resolution as given, the others summed from it.

    A coarser bin is valid where any of its finer bins is; its sums then cover those finer bins only. Pixels
    beyond the distance predicted are absent, and read as 0: the metadata is the place to say how far the
    prediction reaches.

    Parameters
    ----------
    path
        File to write.
    chromosomes
        Chromosome -> its map at the finest resolution, none below 0. For genomes that do not fit into memory,
        (chromosome, map) pairs one at a time, in the assembly's order. Plain tuples of four will do.
    assembly
        All its chromosomes are in the bin table; those without a map have no valid bin.
    resolutions
        In bp; each a multiple of the finest.
    metadata
        Plain values, kept with every resolution (``cooler.Cooler(uri).info["metadata"]``).

    Raises
    ------
    ConfigError
        No resolution, or one that is no multiple of the finest.
    ChromosomeError
        A chromosome is none of the assembly's.
    DataError
        A map does not fit its chromosome, has pixels below the diagonal, twice, not finite, negative or on
        bins that are not valid; pairs come out of order; or there is no map at all.
    OutputError
        The file cannot be written.
    """
    import cooler
    import h5py

    path = Path(path)
    finest, *coarser = _ascending(resolutions, path)
    with atomic_path(path) as temporary:
        valid = _create(
            f"{temporary}::resolutions/{finest}",
            _pieces(chromosomes, assembly, finest, path, negative=False),
            Binning(assembly, finest),
            metadata,
            path,
        )
        done = [finest]
        for resolution in coarser:
            parent = max(other for other in done if resolution % other == 0)
            cooler.coarsen_cooler(
                f"{temporary}::resolutions/{parent}",
                f"{temporary}::resolutions/{resolution}",
                resolution // parent,
                _PIXELS_AT_ONCE,
                mode="r+",
                dtypes={"count": np.dtype(np.float64)},
                assembly=assembly.name,
                metadata=dict(metadata or {}),
                h5opts=_STORAGE,
            )
            done.append(resolution)
        with h5py.File(temporary, "r+") as file:
            file.attrs.update({"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"})
            for resolution in done:
                masks = _coarse_masks(valid, resolution // finest)
                _write_weight(file[f"resolutions/{resolution}"], masks, Binning(assembly, resolution))


def write_cool(
    path: str | Path,
    chromosomes: _Maps,
    assembly: Assembly,
    resolution: int,
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write computed values of one resolution as a ``.cool``, such as the difference of two maps.

    Values may be negative, which no map of contacts has: such a file is to be looked at and compared, and
    :func:`chromweave.io.contacts.open_contacts` refuses to take it for counts. Parameters and errors
    otherwise as in :func:`write_predicted_mcool`; pixels of exactly 0 are not kept.
    """
    import h5py

    path = Path(path)
    binning = Binning(assembly, resolution)
    with atomic_path(path) as temporary:
        pieces = _pieces(chromosomes, assembly, resolution, path, negative=True)
        valid = _create(str(temporary), pieces, binning, metadata, path)
        with h5py.File(temporary, "r+") as file:
            _write_weight(file, valid, binning)


def assembly_of_predicted(path: str | Path) -> Assembly | None:
    """The assembly of a map that :func:`write_predicted_mcool` wrote, which is all in the file.

    Parameters
    ----------
    path
        File, or cooler URI.

    Returns
    -------
    Assembly or None
        By the file's name of it, with the chromosomes of the bin table. None where the metadata do not say
        :data:`PREDICTED`, or the name is of a built-in assembly: its lengths are known.
    """
    import h5py

    file, _, group = str(path).partition("::")
    if not h5py.is_hdf5(file):
        return None
    with h5py.File(file, "r") as handle:
        found = handle[group or "/"]
        if "resolutions" in found:
            found = next(iter(found["resolutions"].values()))
        metadata = json.loads(found.attrs.get("metadata", "null"))
        name = str(found.attrs.get("genome-assembly", ""))
        if not isinstance(metadata, dict) or metadata.get("kind") != PREDICTED or not name or _is_known(name):
            return None
        names = [chrom.decode() for chrom in found["chroms/name"][:]]
        return Assembly(name, dict(zip(names, found["chroms/length"][:].tolist(), strict=True)))


def _is_known(name: str) -> bool:
    try:
        Assembly.named(name)
    except AssemblyError:
        return False
    return True


def _ascending(resolutions: Sequence[int], path: Path) -> list[int]:
    """The resolutions without repetition, finest first."""
    ordered = sorted({int(resolution) for resolution in resolutions})
    if not ordered or ordered[0] <= 0:
        raise ConfigError(f"{path}: an .mcool needs resolutions in bp, all above 0; {ordered} were given.")
    wrong = [resolution for resolution in ordered if resolution % ordered[0]]
    if wrong:
        raise ConfigError(
            f"{path}: {wrong[0]:,} bp is no multiple of the finest resolution, {ordered[0]:,} bp; "
            "coarser maps are summed from it. Leave it out or give a multiple."
        )
    return ordered


def _pieces(
    chromosomes: _Maps, assembly: Assembly, resolution: int, path: Path, *, negative: bool
) -> Iterator[tuple[str, ComputedMap]]:
    """Maps in the assembly's order by its names, checked, sorted, zeros dropped."""
    order = {chrom: i for i, chrom in enumerate(assembly.chromosomes)}
    pairs: Iterable[tuple[str, ComputedMap]]
    if isinstance(chromosomes, Mapping):
        named = {assembly.require(chrom): given for chrom, given in chromosomes.items()}
        pairs = sorted(named.items(), key=lambda item: order[item[0]])
    else:
        pairs = ((assembly.require(chrom), given) for chrom, given in chromosomes)
    last = -1
    for chrom, given in pairs:
        if order[chrom] <= last:
            raise DataError(
                f"{path}: the map of {chrom} comes after that of {list(order)[last]}; give each chromosome "
                f"once, in the order of {assembly.name}."
            )
        last = order[chrom]
        yield chrom, _checked(ComputedMap(*given), Binning(assembly, resolution), chrom, path, negative)


def _checked(given: ComputedMap, binning: Binning, chrom: str, path: Path, negative: bool) -> ComputedMap:
    bin1, bin2 = (np.asarray(each).astype(np.int64) for each in given[:2])
    value, valid = np.asarray(given.value, np.float64), np.asarray(given.valid)
    n = binning.n_bins(chrom)

    def refuse(what: str) -> DataError:
        return DataError(f"{path}: the map of {chrom} to be written {what}.")

    if valid.shape != (n,) or valid.dtype != np.bool_:
        raise refuse(
            f"needs one bool for each of its {n:,} bins of {binning.resolution:,} bp in "
            f"{binning.assembly.name}, but `valid` is {valid.dtype} of shape {valid.shape}"
        )
    if not bin1.shape == bin2.shape == value.shape or value.ndim != 1:
        raise refuse(
            f"has pixels of different lengths (bin1 {bin1.shape}, bin2 {bin2.shape}, value {value.shape})"
        )
    if len(bin1) and (bin1.min() < 0 or bin2.max() >= n or (bin1 > bin2).any()):
        raise refuse(f"has pixels outside the upper triangle of {n:,} bins; bin1 <= bin2 must hold")
    if not (valid[bin1] & valid[bin2]).all():
        raise refuse("has pixels on bins that are not valid; leave them out or mark the bins as valid")
    if not np.isfinite(value).all():
        raise refuse("has pixels that are no numbers; leave them out, or mask their bins")
    if not negative and (value < 0).any():
        raise refuse("has pixels below 0; contacts cannot be, and differences are written by write_cool")
    keep = np.flatnonzero(value)
    sorted_ = keep[np.lexsort((bin2[keep], bin1[keep]))]
    bin1, bin2, value = bin1[sorted_], bin2[sorted_], value[sorted_]
    if ((np.diff(bin1) == 0) & (np.diff(bin2) == 0)).any():
        raise refuse("has a pixel twice; sum or average them first")
    return ComputedMap(bin1, bin2, value, valid)


def _create(
    uri: str,
    pieces: Iterator[tuple[str, ComputedMap]],
    binning: Binning,
    metadata: Mapping[str, Any] | None,
    path: Path,
) -> dict[str, np.ndarray]:
    """Write bins and pixels of one resolution; returns the valid bins of each chromosome given."""
    import cooler
    import pandas as pd

    sizes = pd.Series(dict(binning.assembly.chromosomes), dtype="int64", name="length")
    valid: dict[str, np.ndarray] = {}
    cooler.create_cooler(
        uri,
        bins=cooler.binnify(sizes, binning.resolution),
        pixels=_genome_wide(pieces, binning, valid),
        ordered=True,
        mode="a",
        dtypes={"count": np.float64},
        assembly=binning.assembly.name,
        metadata=dict(metadata or {}),
        boundscheck=False,
        triucheck=False,
        dupcheck=False,
        h5opts=_STORAGE,
    )
    if not any(mask.any() for mask in valid.values()):
        raise DataError(f"{path}: no chromosome has a valid bin; there is no map to write.")
    return valid


def _genome_wide(
    pieces: Iterator[tuple[str, ComputedMap]], binning: Binning, valid: dict[str, np.ndarray]
) -> Iterator[dict[str, np.ndarray]]:
    """Pixels with bins counted over the genome; notes the valid bins on the way."""
    offsets, offset = {}, 0
    for chrom in binning.assembly.chromosomes:
        offsets[chrom] = offset
        offset += binning.n_bins(chrom)
    for chrom, found in pieces:
        valid[chrom] = found.valid
        shift = offsets[chrom]
        yield {"bin1_id": found.bin1 + shift, "bin2_id": found.bin2 + shift, "count": found.value}


def _coarse_masks(valid: Mapping[str, np.ndarray], factor: int) -> dict[str, np.ndarray]:
    """bool per coarse bin: whether any of its finer bins is valid."""
    return {
        chrom: np.logical_or.reduceat(mask, np.arange(0, len(mask), factor)) for chrom, mask in valid.items()
    }


def _write_weight(group: Any, valid: Mapping[str, np.ndarray], binning: Binning) -> None:
    """Put the column `weight` into the bin table of an open cooler: 1 at valid bins, NaN at all others."""
    weight = np.concatenate(
        [
            np.where(valid[chrom], 1.0, np.nan) if chrom in valid else np.full(binning.n_bins(chrom), np.nan)
            for chrom in binning.assembly.chromosomes
        ]
    )
    column = group["bins"].create_dataset("weight", data=weight, **_STORAGE)
    column.attrs.update({"ignore_diags": _IGNORE_DIAGS, "divisive_weights": False})
