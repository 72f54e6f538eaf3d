"""Which description of bins tells A from B: linear probes on held-out blocks, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..analysis.embeddings import umap_layout
from ..analysis.map_components import map_components
from ..analysis.probes import linear_probe
from ..data.graph import ChromatinGraph, MessageEdges, all_edges
from ..data.graph_batches import normalised_adjacency
from ..data.store import RegionStore
from ..errors import DataError
from ..evaluation.bootstrap import Estimate, block_bootstrap, genome_blocks, paired_difference
from ..evaluation.classification import auroc

__all__ = [
    "LAPLACIAN",
    "MAP_PCA",
    "MAP_UMAP",
    "Asked",
    "Described",
    "balanced_map",
    "leading_vectors",
    "map_descriptions",
]

MAP_PCA = "PCA of the map's O/E correlation"
MAP_UMAP = "UMAP of the map's O/E correlation"
LAPLACIAN = "Laplacian of the graph"
_LAID_OUT = 32  # components of the map that a UMAP is made of


@dataclass(frozen=True)
class Described:
    """A description of every bin; a model has one of each training.

    Attributes
    ----------
    method
        What made it.
    reach
        The longest contacts that it has seen, bp; 0 for none, None for all.
    seeds
        float (bins, dimensions) each, NaN where a bin has no description.
    """

    method: str
    reach: int | None
    seeds: tuple[np.ndarray, ...]

    @property
    def dimensions(self) -> int:
        """Columns."""
        return int(self.seeds[0].shape[1])


def balanced_map(store: RegionStore, chrom: str, resolution: int, reach: int | None = None) -> np.ndarray:
    """Balanced contacts of a chromosome, float (bins, bins); NaN where masked, and beyond `reach` (bp)."""
    balanced = store.layer(chrom, resolution).dense(weight=store.default_weight(resolution))
    if reach is None:
        return balanced
    bins = np.arange(len(balanced))
    return np.where(np.abs(np.subtract.outer(bins, bins)) * resolution <= reach, balanced, np.nan)


def map_descriptions(
    store: RegionStore, graph: ChromatinGraph, dimensions: Sequence[int], *, seed: int = 0
) -> Iterator[Described]:
    """What describes bins without a network: place, tracks, components of the map and of the graph.

    Components are those of contacts as far as the graph's, and of all that the store holds. Those of several
    chromosomes are in no common frame, and are only made for a graph of one.

    Parameters
    ----------
    store, graph
        The map, and a graph made of it.
    dimensions
        How many components; a description for each.
    seed
        Of UMAP.
    """
    valid = ~graph.bin_table()["masked"].to_numpy()

    def everywhere(rows: np.ndarray) -> tuple[np.ndarray]:
        full = np.full((len(valid), rows.shape[1]), np.nan)
        full[valid] = rows
        return (full,)

    place = graph.bins.astype(np.float64)
    yield Described("position and its square", 0, everywhere(np.stack([place, place**2], axis=1)))
    if graph.features.shape[1]:
        yield Described("tracks", 0, everywhere(graph.features))
    resolution, reach = graph.config.resolution, graph.config.max_distance
    if len(graph.n_bins) == 1:
        (chrom,) = graph.config.chroms
        held = store.layer(chrom, resolution).n_diagonals
        most = None if held is None else held * resolution
        for far in dict.fromkeys((reach, most)):
            balanced = balanced_map(store, chrom, resolution, far)
            for k in dimensions:
                yield Described(MAP_PCA, far, (map_components(balanced, k),))
        components = map_components(balanced, min(_LAID_OUT, graph.n_nodes - 1))
        known = np.isfinite(components).all(axis=1)
        plane = np.full((len(components), 2), np.nan)
        plane[known] = umap_layout([components[known]], seed=seed)[0]
        yield Described(MAP_UMAP, most, (plane,))
    vectors = leading_vectors(graph.n_nodes, all_edges(graph), max(dimensions))
    for k in dimensions:
        yield Described(LAPLACIAN, reach, everywhere(vectors[:, :k]))


def leading_vectors(n_nodes: int, edges: MessageEdges, k: int) -> np.ndarray:
    """Eigenvectors of the normalised adjacency, largest first, (nodes, k).

    Left out is one for each part that no edge joins to the rest: it says only which part a node lies in.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import eigsh

    torch_csr = normalised_adjacency(n_nodes, edges)
    parts = (torch_csr.values(), torch_csr.col_indices(), torch_csr.crow_indices())
    adjacency = csr_array(tuple(part.numpy() for part in parts), shape=(n_nodes,) * 2)
    constant = connected_components(adjacency, directed=False, return_labels=False)
    start = np.random.default_rng(0).normal(size=n_nodes).astype(np.float32)
    found = eigsh(adjacency, min(k + constant, n_nodes - 1), which="LA", v0=start)[1]
    return np.asarray(found[:, ::-1][:, constant:])


@dataclass(frozen=True)
class Asked:
    """Bins whose side is asked: those that a list calls, and that every description knows.

    Attributes
    ----------
    rows
        int64 (asked,), their rows in descriptions.
    side
        float (asked,), 1 for A and 0 for B.
    chrom, start
        (asked,), chromosome, and start in bp.
    resolution, block
        Width of bins and length of the blocks that are held out and resampled, bp.
    """

    rows: np.ndarray
    side: np.ndarray
    chrom: np.ndarray
    start: np.ndarray
    resolution: int
    block: int

    @classmethod
    def of(
        cls,
        side: np.ndarray,
        described: Sequence[Described],
        chrom: np.ndarray,
        start: np.ndarray,
        *,
        resolution: int,
        block: int,
    ) -> Asked:
        """The bins that can be asked.

        Parameters
        ----------
        side
            float (bins,): 1 for A, 0 for B, NaN for neither.
        described
            Descriptions that are compared.
        chrom, start
            (bins,): chromosome, and start in bp.
        resolution, block
            In bp.

        Raises
        ------
        DataError
            There is no A or no B among them.
        """
        known = np.isfinite(side)
        for one in described:
            for rows in one.seeds:
                known &= np.isfinite(rows).all(axis=1)
        kept = np.flatnonzero(known)
        if len(np.unique(side[kept])) < 2:
            raise DataError(
                f"{len(kept):,} bins are called, and described by all; among them must be A and B. Give "
                "compartments of these chromosomes, whose names begin with A and B."
            )
        return cls(kept, side[kept], np.asarray(chrom)[kept], np.asarray(start)[kept], resolution, block)

    def probe(self, described: Described) -> np.ndarray:
        """float (asked, seeds): probability of A from the fold that did not learn from a bin."""
        length = max(self.block // self.resolution, 1)
        labels = np.where(self.side == 1, "A", "B")
        return np.stack(
            [
                linear_probe(
                    rows[self.rows], labels, self.chrom, self.start // self.resolution,
                    block=length, permutations=0,
                ).probability
                for rows in described.seeds
            ],
            axis=1,
        )  # fmt: skip

    def auc(self, said: np.ndarray, *, seed: int = 0) -> Estimate:
        """Mean over seeds of the AUC, with an interval over blocks; `said` is what :meth:`probe` gave.

        A bin whose fold had only A or only B to learn from has no answer, whatever the description, and is
        left out.
        """
        known = np.isfinite(said).all(axis=1)
        samples = (self.side[known], said[known])
        return block_bootstrap(_mean_auroc, samples, self._blocks()[known], seed=seed)

    def difference(self, first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Estimate:
        """AUC of the first less that of the second, over the same resampled blocks."""
        known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        said = (first[known], second[known])
        return paired_difference(_mean_auroc, self.side[known], *said, self._blocks()[known], seed=seed)

    def _blocks(self) -> np.ndarray:
        return genome_blocks(self.chrom, self.start, self.block)


def _mean_auroc(side: np.ndarray, probability: np.ndarray) -> float:
    return float(np.mean([auroc(side, one) for one in probability.T]))
