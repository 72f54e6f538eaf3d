"""Chromatin graphs: valid bins as nodes, contacts within a range as edges, track signal as node features.

Masked bins are no nodes. Message edges (what the encoder sees) and held-out edges (what it is asked) are
different types, so that one cannot be given for the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from ..batch import EdgeSet
from ..errors import ConfigError, DataError
from ..genome import Assembly, summarise

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ChromatinGraph",
    "EdgeSplit",
    "GraphConfig",
    "HeldOutEdges",
    "MessageEdges",
    "all_edges",
    "build_graph",
    "robust_frame",
    "split_edges",
]

_CLIP = 10.0


@dataclass(frozen=True)
class GraphConfig:
    """How a graph is made from a store.

    Attributes
    ----------
    resolution
        Bin size in bp; a layer of the store.
    chroms
        Chromosomes, together one graph without edges between them.
    features
        Tracks, in order.
    max_distance
        Contacts up to this distance in bp are edges.
    weight
        Balancing vector that masks bins and balances; None takes the store's default.
    edge_weight
        ``binary``: a contact is a contact (the original computes weights and drops them);
        ``log1p``: log(1 + balanced count).
    frame
        ``robust``: features standardised over this graph's valid bins (median, quartiles), so that cell
        lines share a frame; ``raw``: as they are (the original's way; BatchNorm follows).
    uncovered
        What bases without a value in a bigWig count as: ``zero`` (peak and pileup tracks: below threshold) or
        ``missing`` (the mean is over covered bases; a bin without any takes the median).
    structure
        Features taken from the message edges themselves, besides tracks: visibility, and this many leading
        components of what distance and visibility leave unexplained (`chromweave.data.graph_structure`).
    """

    resolution: int
    chroms: tuple[str, ...]
    features: tuple[str, ...]
    max_distance: int = 5_000_000
    weight: str | None = None
    edge_weight: Literal["binary", "log1p"] = "binary"
    frame: Literal["robust", "raw"] = "robust"
    uncovered: Literal["zero", "missing"] = "zero"
    structure: int = 0

    def __post_init__(self) -> None:
        if self.structure < 0:
            raise ConfigError(f"structure must not be negative, but is {self.structure}.")
        if not self.features and not self.structure:
            raise ConfigError(
                "a graph needs at least one track as node feature; give --feature TRACK, or --structure N "
                "for features from the map itself."
            )
        if not self.chroms:
            raise ConfigError("a graph needs at least one chromosome.")
        for name, values in (("features", self.features), ("chroms", self.chroms)):
            if len(set(values)) != len(values):
                raise ConfigError(f"{name} has a name twice: {', '.join(values)}.")
        if self.max_distance < self.resolution:
            raise ConfigError(
                f"max_distance ({self.max_distance:,} bp) is less than one bin ({self.resolution:,} bp); "
                "no contact would be an edge."
            )

    @property
    def n_features(self) -> int:
        """Features of each node: of tracks, and of the map's structure."""
        return len(self.features) + self.structure + (self.structure > 0)


@dataclass(frozen=True)
class MessageEdges(EdgeSet):
    """Edges the encoder passes messages along, with a weight and a raw count each."""

    weight: Float[torch.Tensor, " edges"]
    counts: Float[torch.Tensor, " edges"] | None = None


@dataclass(frozen=True)
class HeldOutEdges(EdgeSet):
    """Edges kept for validation or test, with a raw count each: never message edges."""

    counts: Float[torch.Tensor, " edges"] | None = None


@dataclass(frozen=True)
class EdgeSplit:
    """Three disjoint sets of edges."""

    message: MessageEdges
    valid: HeldOutEdges
    test: HeldOutEdges


@dataclass(frozen=True)
class ChromatinGraph:
    """Bins, features and contacts of one cell line, as numpy arrays.

    Attributes
    ----------
    config
        How it was made.
    assembly
        Where.
    n_bins
        Bins of each chromosome of the config, masked ones included.
    chrom, bins
        int32 (nodes,): index into ``config.chroms`` and bin within the chromosome; valid bins, sorted.
    features
        float32 (nodes, features), finite.
    edges
        int64 (2, edges), node indices i < j: contacts within ``max_distance``.
    edge_weight
        float32 (edges,), by ``config.edge_weight``.
    counts
        Raw contacts of each edge.
    known
        int64 (2, contacts): every contact between different valid bins, at any stored distance.
    weights
        float64 (nodes,): balancing weight of each node; a count times both ends' is balanced.
    """

    config: GraphConfig
    assembly: Assembly
    n_bins: tuple[int, ...]
    chrom: np.ndarray
    bins: np.ndarray
    features: np.ndarray
    edges: np.ndarray
    edge_weight: np.ndarray
    counts: np.ndarray
    known: np.ndarray
    weights: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of valid bins."""
        return len(self.bins)

    @property
    def max_bins(self) -> int:
        """``max_distance`` in bins."""
        return self.config.max_distance // self.config.resolution

    def bin_table(self) -> pd.DataFrame:
        """Every bin of the chromosomes: chrom, start, end (bp), masked; the unmasked rows are the nodes."""
        import pandas as pd

        parts = []
        for index, (name, n) in enumerate(zip(self.config.chroms, self.n_bins, strict=True)):
            start = np.arange(n, dtype=np.int64) * self.config.resolution
            masked = np.ones(n, dtype=bool)
            masked[self.bins[self.chrom == index]] = False
            end = np.minimum(start + self.config.resolution, self.assembly.length(name))
            parts.append(pd.DataFrame({"chrom": name, "start": start, "end": end, "masked": masked}))
        return pd.concat(parts, ignore_index=True)


def build_graph(store: Any, config: GraphConfig) -> ChromatinGraph:
    """Make the graph of `config` from a region store.

    Raises
    ------
    ConfigError
        The store's layer does not reach as far as `max_distance`.
    DataError
        A track is not in the store or has no data on a chromosome, no bin is valid, or there is no contact.
    """
    _check_features(store, config)
    chroms = tuple(store.assembly.require(chrom) for chrom in config.chroms)
    parts, offset = [], 0
    for chrom in chroms:
        part = _chromosome(store, chrom, config, offset)
        parts.append(part)
        offset += len(part.bins)
    features = np.concatenate([part.features for part in parts])
    graph = ChromatinGraph(
        config=config,
        assembly=store.assembly,
        n_bins=tuple(part.n_bins for part in parts),
        chrom=np.repeat(np.arange(len(parts), dtype=np.int32), [len(part.bins) for part in parts]),
        bins=np.concatenate([part.bins for part in parts]),
        features=robust_frame(features) if config.frame == "robust" else _fill_with_median(features),
        edges=np.concatenate([part.edges for part in parts], axis=1),
        edge_weight=np.concatenate([part.edge_weight for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        known=np.concatenate([part.known for part in parts], axis=1),
        weights=np.concatenate([part.weights for part in parts]),
    )
    if graph.edges.shape[1] == 0:
        raise DataError(
            f"{store.name}: no contact between different valid bins of {summarise(chroms)} within "
            f"{config.max_distance:,} bp at {config.resolution:,} bp; the map is too shallow or masked."
        )
    return graph


def _check_features(store: Any, config: GraphConfig) -> None:
    missing = [name for name in config.features if name not in store.track_names]
    if missing:
        raise DataError(
            f"{store.name}: has no track {', '.join(missing)}; it has {summarise(store.track_names)}. "
            "Give one of these, or add the track to the store."
        )


@dataclass(frozen=True)
class _Part:
    n_bins: int
    bins: np.ndarray
    features: np.ndarray
    edges: np.ndarray
    edge_weight: np.ndarray
    counts: np.ndarray
    known: np.ndarray
    weights: np.ndarray


def _chromosome(store: Any, chrom: str, config: GraphConfig, offset: int) -> _Part:
    layer = store.layer(chrom, config.resolution)
    if layer.n_diagonals is not None and config.max_distance // config.resolution >= layer.n_diagonals:
        raise ConfigError(
            f"{store.name}: its {config.resolution:,} bp layer holds contacts up to "
            f"{(layer.n_diagonals - 1) * config.resolution:,} bp; "
            f"max_distance {config.max_distance:,} is more."
        )
    weight = layer.weight(config.weight or store.default_weight(config.resolution))
    valid = np.isfinite(weight)
    if not valid.any():
        raise DataError(
            f"{store.name}: no bin of {chrom} is valid at {config.resolution:,} bp "
            "(all are masked by balancing); leave the chromosome out or take a coarser resolution."
        )
    node = np.cumsum(valid) - 1 + offset
    pixels = layer.pixels()
    kept = (pixels.bin1 != pixels.bin2) & valid[pixels.bin1] & valid[pixels.bin2] & (pixels.count > 0)
    bin1, bin2, count = pixels.bin1[kept], pixels.bin2[kept], np.asarray(pixels.count)[kept]
    near = (bin2.astype(np.int64) - bin1) * config.resolution <= config.max_distance
    known = np.stack([node[bin1], node[bin2]]).astype(np.int64)
    balanced = count[near] * weight[bin1[near]] * weight[bin2[near]]
    return _Part(
        n_bins=layer.n_bins,
        bins=np.flatnonzero(valid).astype(np.int32),
        features=_features(store, chrom, config)[valid],
        edges=known[:, near],
        edge_weight=(np.ones(len(balanced)) if config.edge_weight == "binary" else np.log1p(balanced)).astype(
            np.float32
        ),
        counts=count[near],
        known=known,
        weights=weight[valid],
    )


def _features(store: Any, chrom: str, config: GraphConfig) -> np.ndarray:
    """float64 (n_bins, tracks)."""
    if not config.features:
        return np.empty((store.layer(chrom, config.resolution).n_bins, 0))
    return np.stack([_feature(store, name, chrom, config) for name in config.features], axis=1)


def _feature(store: Any, name: str, chrom: str, config: GraphConfig) -> np.ndarray:
    """Mean signal per bin, float64 (n_bins,); the one place where uncovered bases get a meaning."""
    signal = store.track(name, chrom).binned(config.resolution)
    mean = np.asarray(signal.mean, dtype=np.float64)
    if not np.isfinite(mean).any():
        raise DataError(
            f"{store.name}: the track {name} has no data on {chrom}; leave out the track or the chromosome."
        )
    if config.uncovered == "missing":
        return mean
    coverage = np.asarray(signal.coverage, dtype=np.float64)
    return np.where(np.isfinite(mean), mean, 0.0) * coverage


def _fill_with_median(features: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(features), features, np.nanmedian(features, axis=0)).astype(np.float32)


def robust_frame(features: np.ndarray) -> np.ndarray:
    """Each column less its median, over its interquartile range as a standard deviation; within +-10.

    A column whose quartiles are equal (a sparse peak track) is divided by its standard deviation instead, a
    constant one is 0. Missing values become the median, 0. float32 (nodes, features).
    """
    if features.shape[1] == 0:
        return features.astype(np.float32)
    low, centre, high = np.nanquantile(features, [0.25, 0.5, 0.75], axis=0)
    scale = (high - low) / 1.349  # of a normal distribution
    scale = np.where(scale > 0, scale, np.nanstd(features, axis=0))
    standard = (features - centre) / np.where(scale > 0, scale, 1.0)
    return np.clip(np.nan_to_num(standard), -_CLIP, _CLIP).astype(np.float32)


def split_edges(graph: ChromatinGraph, *, valid: float = 0.1, test: float = 0.1, seed: int = 0) -> EdgeSplit:
    """Divide the graph's edges at random into message, validation and test edges.

    Raises
    ------
    ConfigError
        The fractions are out of range.
    DataError
        There are too few edges for three sets.
    """
    if valid <= 0 or test <= 0 or valid + test >= 1:
        raise ConfigError(f"valid ({valid}) and test ({test}) must be positive and sum to less than 1.")
    n = graph.edges.shape[1]
    n_valid, n_test = int(n * valid), int(n * test)
    if min(n_valid, n_test) == 0:
        raise DataError(f"{n} edges are too few to hold out {valid:.0%} and {test:.0%} of them.")
    order = np.random.default_rng(seed).permutation(n)
    message = np.sort(order[n_valid + n_test :])
    return EdgeSplit(
        message=_message(graph, message),
        valid=_held_out(graph, np.sort(order[:n_valid])),
        test=_held_out(graph, np.sort(order[n_valid : n_valid + n_test])),
    )


def _message(graph: ChromatinGraph, chosen: np.ndarray | slice) -> MessageEdges:
    return MessageEdges(
        torch.from_numpy(graph.edges[:, chosen]),
        torch.from_numpy(graph.edge_weight[chosen]),
        _counts(graph, chosen),
    )


def _held_out(graph: ChromatinGraph, chosen: np.ndarray) -> HeldOutEdges:
    return HeldOutEdges(torch.from_numpy(graph.edges[:, chosen]), _counts(graph, chosen))


def _counts(graph: ChromatinGraph, chosen: np.ndarray | slice) -> torch.Tensor:
    return torch.from_numpy(graph.counts[chosen].astype(np.float32))


def all_edges(graph: ChromatinGraph) -> MessageEdges:
    """Every edge as a message edge: for the final encoding, never for a score."""
    return _message(graph, slice(None))
