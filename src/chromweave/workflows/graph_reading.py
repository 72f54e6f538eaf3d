"""What an embedding knows of compartments, sub-compartments and domains, beside the map's own components."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.bin_annotations import on_bins, widest_label
from ..analysis.embedding_clusters import NO_LABEL, cluster_agreement, cluster_bins
from ..analysis.embeddings import compartment_silhouette
from ..analysis.latent_gradient import gradient_against_insulation, latent_gradient
from ..analysis.map_components import map_components
from ..analysis.probes import linear_probe
from ..analysis.readings import Reading
from ..data.store import RegionStore
from ..errors import ConfigError, DataError, FileFormatError
from ..files import write_json
from ..genome import Assembly
from ..io.export import Embedding, read_embedding, write_table
from ..io.intervals import read_bed
from ..progress import notify
from ..provenance import describe_inputs, describe_process, start_run
from ..schemas import COMPARTMENTS, INSULATION, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EMBEDDING", "MAP_COMPONENTS", "ReadConfig", "read"]

EMBEDDING = "embedding"
MAP_COMPONENTS = "map PCA"

_COLUMNS = ["method", "against", "reading", "value", "expected", "pvalue", "bins"]


@dataclass(frozen=True)
class ReadConfig:
    """Settings of :func:`read`.

    Attributes
    ----------
    block
        Length of the blocks of the linear probe's cross-validation, bp. Bins within a quarter of it of a
        block that is asked are not learned from.
    levels
        Parts of dotted sub-compartment names to keep; None keeps all.
    permutations
        Circular shifts behind the p-values.
    """

    block: int = 2_000_000
    levels: int | None = None
    permutations: int = 200

    def __post_init__(self) -> None:
        for name in ("block", "permutations", "levels"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")


@dataclass(frozen=True)
class _Row:
    """One representation of the bins, (bins, dimensions), NaN where there is none; and if it is one frame."""

    method: str
    rows: np.ndarray
    one_frame: bool


def read(
    out: str | Path,
    *,
    embedding: str | Path,
    compartments: str | Path,
    subcompartments: str | Path | None = None,
    insulation: str | Path | None = None,
    store: str | Path | RegionStore | None = None,
    block: int = 2_000_000,
    levels: int | None = None,
    permutations: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Read an embedding against annotations, each reading with a null of circular shifts.

    A/B silhouette and linear probe (on held-out blocks), k-means clusters against compartments and
    sub-compartments, and the gradient between neighbouring bins against insulation and boundaries. With a
    store the leading components of its map are read in the same way; those of several chromosomes are in no
    common frame, and then only their gradient is.

    Writes into the folder `out`: readings.tsv, readings.json, and bins.tsv with what was found of each bin.

    Parameters
    ----------
    out
        Folder.
    embedding
        `.h5ad` file that ``encode`` wrote.
    compartments
        Table of :data:`chromweave.schemas.COMPARTMENTS` at the embedding's resolution.
    subcompartments
        BED with a name for each interval.
    insulation
        Table of :data:`chromweave.schemas.INSULATION`; with a column ``window`` each window is read.
    store
        Store of the map, for the trivial row.
    block, levels, permutations
        See :class:`ReadConfig`.
    seed
        Of shifts and k-means.

    Returns
    -------
    pandas.DataFrame
        method, against, reading, value, expected (mean under shifts), pvalue, bins.

    Raises
    ------
    DataError
        A table is not of the embedding's bins, or has too little to read.
    """
    import pandas as pd

    settings = ReadConfig(block, levels, permutations)
    encoded = read_embedding(embedding)
    annotated = _annotate(encoded, compartments, subcompartments, insulation, settings)
    representations = [_Row(EMBEDDING, encoded.full().astype(np.float64), True)]
    if store is not None:
        representations.append(_components(encoded, store))
    found: list[tuple[Any, ...]] = []
    for one in representations:
        for against, name, reading in _readings(one, annotated, encoded, settings, seed):
            found.append((one.method, against, name, *asdict(reading).values()))
    table = pd.DataFrame(found, columns=_COLUMNS)
    inputs = [path for path in (embedding, compartments, subcompartments, insulation) if path is not None]
    if store is not None:
        inputs.append(store.path if isinstance(store, RegionStore) else store)
    folder = start_run(out, kind="graph-read", config=settings, seed=seed, inputs=inputs)
    write_table(folder / "readings.tsv", table)
    write_table(folder / "bins.tsv", annotated.bins)
    _write_json(folder / "readings.json", table, settings, seed, inputs)
    return table


@dataclass
class _Annotated:
    """Every bin with its annotations as columns, to which readings add what they find of each bin."""

    bins: pd.DataFrame
    subcompartments: bool
    insulation: Mapping[str, pd.DataFrame]


def _annotate(
    encoded: Embedding,
    compartments: str | Path,
    subcompartments: str | Path | None,
    insulation: str | Path | None,
    settings: ReadConfig,
) -> _Annotated:
    assembly = _assembly(encoded)
    bins = encoded.bins[["chrom", "start", "end", "masked"]].reset_index(drop=True)
    called = on_bins(bins, _table(compartments, COMPARTMENTS, assembly), str(compartments))
    bins["compartment"] = called["compartment"].fillna(NO_LABEL).to_numpy()
    if subcompartments is not None:
        intervals = read_bed(subcompartments, assembly)
        try:
            bins["subcompartment"] = widest_label(bins, intervals, levels=settings.levels)
        except DataError as error:
            raise DataError(f"{subcompartments}: {error}") from error
    scores = {}
    if insulation is not None:
        table = _table(insulation, INSULATION, assembly)
        windows = table.groupby("window") if "window" in table.columns else [(None, table)]
        for window, rows in windows:
            name = "insulation" if window is None else f"insulation {int(window):,} bp"
            scores[name] = on_bins(bins, rows, str(insulation))
    return _Annotated(bins, subcompartments is not None, scores)


def _assembly(encoded: Embedding) -> Assembly:
    origin = encoded.provenance
    lengths = {str(chrom): int(length) for chrom, length in origin["chrom_sizes"].items()}
    return Assembly(str(origin["assembly"]), lengths)


def _table(path: str | Path, schema: Schema, assembly: Assembly) -> pd.DataFrame:
    """A table that chromweave wrote, with the assembly's names; rows of other chromosomes are left out."""
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", dtype={"chrom": str})
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: no such file.") from error
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise FileFormatError(f"{path}: is no {schema.name} table ({error}).") from error
    schema.check(table, str(path))
    table["chrom"] = [assembly.canonical(str(chrom)) for chrom in table["chrom"]]
    return table[table["chrom"].notna()]


def _components(encoded: Embedding, store: str | Path | RegionStore) -> _Row:
    """The map's leading components, as many as the embedding has dimensions."""
    opened = store if isinstance(store, RegionStore) else RegionStore.open(store)
    resolution = int(encoded.provenance["resolution"])
    parts = []
    for chrom, bins in encoded.bins.groupby("chrom", sort=False):
        layer = opened.layer(opened.assembly.require(str(chrom)), resolution)
        if layer.n_bins != len(bins):
            raise DataError(
                f"{opened.name}: has {layer.n_bins:,} bins on {chrom} where the embedding has {len(bins):,}; "
                "give the store that was encoded."
            )
        balanced = layer.dense(weight=opened.default_weight(resolution))
        try:
            parts.append(map_components(balanced, encoded.latent.shape[1]))
        except DataError as error:
            raise DataError(f"{opened.name}: {chrom}: {error}") from error
    return _Row(MAP_COMPONENTS, np.concatenate(parts), len(parts) == 1)


def _readings(
    one: _Row, annotated: _Annotated, encoded: Embedding, settings: ReadConfig, seed: int
) -> Iterator[tuple[str, str, Reading]]:
    bins = annotated.bins
    shifts = {"permutations": settings.permutations, "seed": seed}
    if one.one_frame:
        yield from _of_groups(one, annotated, int(encoded.provenance["resolution"]), settings, seed)
    else:
        notify(f"{one.method}: of several chromosomes, in no common frame; only its gradient is read.")
    if annotated.insulation:
        gradient = latent_gradient(one.rows, bins["chrom"].to_numpy())
        if one.method == EMBEDDING:
            bins["gradient"] = gradient
        for against, table in annotated.insulation.items():
            score = table["log2_insulation_score"].to_numpy(dtype=np.float64)
            boundary = table["is_boundary"].eq(True).to_numpy(dtype=bool)
            found = gradient_against_insulation(gradient, score, boundary, bins["chrom"].to_numpy(), **shifts)
            for name, reading in found.items():
                yield against, f"gradient {name}", reading


def _of_groups(
    one: _Row, annotated: _Annotated, resolution: int, settings: ReadConfig, seed: int
) -> Iterator[tuple[str, str, Reading]]:
    """Readings of compartments and sub-compartments."""
    bins, kept = annotated.bins, np.flatnonzero(np.isfinite(one.rows).all(axis=1))
    latent, chrom = one.rows[kept], bins["chrom"].to_numpy()[kept]
    shifts = {"permutations": settings.permutations, "seed": seed}
    probe = linear_probe(
        latent,
        bins["compartment"].to_numpy(dtype=object)[kept],
        chrom,
        bins["start"].to_numpy()[kept] // resolution,
        block=max(settings.block // resolution, 1),
        **shifts,
    )
    yield "compartments", "linear probe auroc", probe.auroc
    yield "compartments", "linear probe balanced accuracy", probe.balanced_accuracy
    if one.method == EMBEDDING:
        bins["probability_A"] = _everywhere(probe.probability, kept, len(bins))
    for column, against in (("compartment", "compartments"), ("subcompartment", "sub-compartments")):
        if column in bins.columns:
            labels = bins[column].to_numpy(dtype=object)[kept]
            groups = sorted(set(labels) - {NO_LABEL})
            clusters = cluster_bins(latent, max(len(groups), 1), seed=seed)
            apart = compartment_silhouette(latent, labels, chrom, groups=groups, **shifts)
            yield against, "silhouette", Reading(*asdict(apart).values())
            for name, reading in cluster_agreement(clusters, labels, chrom, **shifts).items():
                yield against, f"k-means {name}", reading
            if one.method == EMBEDDING:
                bins[f"{column}_cluster"] = _everywhere(clusters, kept, len(bins))


def _everywhere(values: np.ndarray, kept: np.ndarray, n: int) -> np.ndarray:
    full = np.full(n, np.nan)
    full[kept] = values
    return full


def _write_json(path: Path, table: pd.DataFrame, settings: ReadConfig, seed: int, inputs: list[Any]) -> None:
    rows = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in table.to_dict("records")
    ]
    write_json(
        path,
        {
            "kind": "chromweave readings",
            "version": 1,
            **describe_process(),
            "config": asdict(settings),
            "seed": seed,
            "inputs": describe_inputs(inputs),
            "readings": rows,
        },
    )
