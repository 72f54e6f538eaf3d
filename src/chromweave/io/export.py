"""Results as files other programs open: bigWig, bedGraph, TSV and AnnData.

Every file is written whole or not at all. Masked bins are NaN: no run in a bigWig or bedGraph, an empty
field in a table, and no row in the matrix of an AnnData.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, FileFormatError
from ..files import atomic_path
from ..genome import Assembly, Binning

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Embedding",
    "read_embedding",
    "write_bedgraph",
    "write_bigwig",
    "write_embedding",
    "write_table",
]

FORMAT = "chromweave embedding"
VERSION = 1

_FLOAT = "%.6g"


def _runs(
    values: Mapping[str, np.ndarray], resolution: int, assembly: Assembly, target: Path
) -> Iterator[tuple[str, int, int, float]]:
    """(chrom, start, end, value) of every bin with a value, in the assembly's order; the last bin clipped."""
    named = {assembly.require(chrom): np.asarray(array) for chrom, array in values.items()}
    for chrom, array in named.items():
        expected = Binning(assembly, resolution).n_bins(chrom)
        if array.shape != (expected,):
            raise DataError(
                f"{target}: {chrom} has {expected:,} bins of {resolution:,} bp in {assembly.name}, "
                f"but values of shape {array.shape} were given."
            )
    for chrom, length in assembly.chromosomes.items():
        if chrom in named:
            for index in np.flatnonzero(np.isfinite(named[chrom])).tolist():
                start = index * resolution
                yield chrom, start, min(start + resolution, length), float(named[chrom][index])


def write_bigwig(
    path: str | Path, values: Mapping[str, np.ndarray], resolution: int, assembly: Assembly
) -> None:
    """Write one value per bin as a bigWig; a bin that is not finite has no run.

    Parameters
    ----------
    path
        File to write.
    values
        Chromosome -> float (n_bins,), bins counted from the chromosome's length.
    resolution
        Bin size in bp; the last bin is clipped to the chromosome's end.
    assembly
        Its chromosomes that have a value go into the header, with their lengths.

    Raises
    ------
    DataError
        The number of values is not the number of bins, or none is finite (a bigWig cannot be empty).
    OutputError
        The file cannot be written.
    """
    import pybigtools

    path = Path(path)
    runs = list(_runs(values, resolution, assembly, path))
    if not runs:
        raise DataError(f"{path}: no bin has a value; an empty bigWig cannot be written.")
    with atomic_path(path) as temporary:
        pybigtools.open(str(temporary), "w").write(dict(assembly.chromosomes), iter(runs))


def write_bedgraph(
    path: str | Path, values: Mapping[str, np.ndarray], resolution: int, assembly: Assembly
) -> None:
    """Write one value per bin as a bedGraph (chrom, start, end, value); see :func:`write_bigwig`."""
    path = Path(path)
    runs = list(_runs(values, resolution, assembly, path))
    with atomic_path(path) as temporary, temporary.open("w") as file:
        for chrom, start, end, value in runs:
            file.write(f"{chrom}\t{start}\t{end}\t{value:.6g}\n")


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as TSV with a header; floats with six significant digits, missing values empty."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format=_FLOAT, lineterminator="\n")


@dataclass(frozen=True)
class Embedding:
    """A vector per valid bin, and a row per bin.

    Attributes
    ----------
    bins
        Every bin, masked ones included: chrom, start, end (bp), masked; compartment (A, B, N) and E1 where
        they are known.
    latent
        float32 (valid bins, dimensions), in the order of the unmasked rows of `bins`.
    layouts
        Other coordinates of the valid bins by name, e.g. ``umap``: float (valid bins, 2).
    provenance
        Plain values: model, store, assembly, resolution, versions.
    """

    bins: pd.DataFrame
    latent: np.ndarray
    layouts: Mapping[str, np.ndarray] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [name for name in ("chrom", "start", "end", "masked") if name not in self.bins.columns]
        if missing:
            raise DataError(f"the bins of an embedding need the column {', '.join(missing)}.")
        n = int((~self.bins["masked"]).sum())
        for name, array in {"latent": self.latent, **self.layouts}.items():
            if array.ndim != 2 or len(array) != n:
                raise DataError(
                    f"an embedding of {n} valid bins needs one row each; {name} has shape {array.shape}."
                )
        if not np.isfinite(self.latent).all():
            raise DataError("an embedding has values that are not finite; the model that made it diverged.")

    @property
    def valid_bins(self) -> pd.DataFrame:
        """The rows of `bins` that have a vector."""
        return self.bins[~self.bins["masked"]]

    def full(self) -> np.ndarray:
        """float32 (bins, dimensions), NaN where masked."""
        rows = np.full((len(self.bins), self.latent.shape[1]), np.nan, dtype=np.float32)
        rows[~self.bins["masked"].to_numpy()] = self.latent
        return rows


def write_embedding(path: str | Path, embedding: Embedding) -> None:
    """Write an AnnData ``.h5ad`` that scanpy takes as it is, and ``NAME.bins.tsv`` with every bin beside it.

    Observations are the valid bins: scanpy's neighbours, PCA and UMAP accept no NaN, and zeros would put all
    masked bins into a cluster of their own. The masked rows are kept in ``uns["bins"]`` and in the TSV.
    ``X`` and ``obsm["X_vgae"]`` hold the latent means; ``obs_names`` are ``chr1:0-25000``.
    """
    import anndata

    path = Path(path)
    rows = embedding.valid_bins
    obs = _with_categories(rows.set_axis(_bin_names(rows), axis=0))
    latent = embedding.latent.astype(np.float32)
    with warnings.catch_warnings():
        # anndata turns text columns into categories and says so as a warning of its own.
        warnings.simplefilter("ignore")
        table = anndata.AnnData(
            X=latent,
            obs=obs,
            obsm={"X_vgae": latent, **{f"X_{name}": array for name, array in embedding.layouts.items()}},
            uns={
                "format": FORMAT,
                "version": VERSION,
                "bins": _with_categories(embedding.bins.reset_index(drop=True)),
                "provenance": _without_none(embedding.provenance),
            },
        )
        table.var_names = [f"z{i}" for i in range(latent.shape[1])]
        with atomic_path(path) as temporary:
            table.write_h5ad(temporary)
    write_table(path.with_suffix(".bins.tsv"), embedding.bins)


def _with_categories(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns as categories, which is how AnnData keeps them."""
    text = [name for name in table.columns if table[name].dtype == object]
    return table.astype(dict.fromkeys(text, "category"))


def _bin_names(bins: pd.DataFrame) -> list[str]:
    return [f"{c}:{s}-{e}" for c, s, e in zip(bins["chrom"], bins["start"], bins["end"], strict=True)]


def _without_none(value: Any) -> Any:
    """HDF5 has no None; a key without a value is left out."""
    if isinstance(value, Mapping):
        return {str(key): _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


def read_embedding(path: str | Path) -> Embedding:
    """Read what :func:`write_embedding` wrote.

    Raises
    ------
    FileFormatError
        The file is missing, no AnnData, or not one of ours.
    """
    import anndata

    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; give an .h5ad that `chromweave graph encode` wrote.")
    try:
        table = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(f"{path}: is no AnnData .h5ad, or is truncated ({error}).") from error
    if table.uns.get("format") != FORMAT or "bins" not in table.uns:
        raise FileFormatError(f"{path}: is an AnnData, but no embedding of chromweave.")
    if int(table.uns["version"]) > VERSION:
        raise FileFormatError(f"{path}: was written by a newer chromweave; update this one.")
    bins = table.uns["bins"].reset_index(drop=True)
    for name in bins.columns:
        if bins[name].dtype == "category":
            bins[name] = bins[name].astype(object)
    layouts = {
        name.removeprefix("X_"): np.asarray(array) for name, array in table.obsm.items() if name != "X_vgae"
    }
    return Embedding(bins, np.asarray(table.X), layouts, dict(table.uns.get("provenance", {})))
