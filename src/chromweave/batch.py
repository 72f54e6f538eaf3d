"""Tensor contracts between data, models and training. Dimensions are named and checked while tests run.

Dimensions: ``batch`` windows, ``bins`` of a window's side (50), ``positions`` of the two track segments
laid end to end (2 x bins x resolution / 100 bp), ``tracks``, ``tokens`` and ``channels`` of an encoder,
``nodes`` and ``features`` of a graph, ``edges``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "CountBatch",
    "EdgeBatch",
    "EdgeSet",
    "GraphBatch",
    "LossParts",
    "MapTrackBatch",
    "PairedTokens",
    "Posterior",
    "Prediction",
]


@dataclass(frozen=True)
class MapTrackBatch:
    """A batch of windows.

    Attributes
    ----------
    contact_map
        Transformed contacts, rows = x segment, columns = y segment; 0 where `contact_mask` is False.
    contact_mask
        True where both bins are valid and the pixel is stored.
    tracks
        Transformed signal, x segment then y segment; 0 where `track_mask` is False.
    track_mask
        True where the track has data.
    label
        Target per window, NaN where there is none.
    chrom, x, y
        Identity of each window: index into the table's chromosomes, anchor bins.
    store
        Index of the store (cell line) each window comes from.
    target, target_mask
        A signal to be predicted, one value per bin of the x segment and then of the y segment, and where it
        has data; None where there is nothing to predict but the label or the map.
    """

    contact_map: Float[Tensor, "batch 1 bins bins"]
    contact_mask: Bool[Tensor, "batch 1 bins bins"]
    tracks: Float[Tensor, "batch positions tracks"]
    track_mask: Bool[Tensor, "batch positions tracks"]
    label: Float[Tensor, " batch"]
    chrom: Int[Tensor, " batch"]
    x: Int[Tensor, " batch"]
    y: Int[Tensor, " batch"]
    store: Int[Tensor, " batch"]
    target: Float[Tensor, "batch places"] | None = None
    target_mask: Bool[Tensor, "batch places"] | None = None

    def __len__(self) -> int:
        return self.contact_map.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> MapTrackBatch:
        """The batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> MapTrackBatch:
        """The batch in page-locked memory, whose copies to a GPU do not wait; a DataLoader calls this."""
        return self._each(Tensor.pin_memory)

    def __getitem__(self, index: slice) -> MapTrackBatch:
        return self._each(lambda tensor: tensor[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> MapTrackBatch:
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: change(one) for name, one in held.items() if one is not None})


@dataclass(frozen=True)
class EdgeSet:
    """Undirected edges among valid bins, each once (i < j)."""

    index: Int[Tensor, "2 edges"]

    def __len__(self) -> int:
        return self.index.shape[1]


@dataclass(frozen=True)
class GraphBatch:
    """A chromatin graph: bins as nodes, contacts as edges.

    Attributes
    ----------
    features
        Standardised node features.
    adjacency
        Symmetric sparse CSR (nodes, nodes) of the *message* edges only, normalised once with self-loops:
        D^-1/2 (A + I) D^-1/2 (Kipf & Welling 2017).
    bins
        Bin index of each node within its chromosome (masked bins are absent).
    chrom
        Chromosome index of each node.
    visibility
        Log of how much more each node is seen along message edges than distance foresees; None: not known.
    offset
        What is known beforehand of each node's log rate, such as -log of its balancing weight; None: nothing.
    """

    features: Float[Tensor, "nodes features"]
    adjacency: Tensor
    bins: Int[Tensor, " nodes"]
    chrom: Int[Tensor, " nodes"]
    visibility: Float[Tensor, " nodes"] | None = None
    offset: Float[Tensor, " nodes"] | None = None

    def __len__(self) -> int:
        return self.features.shape[0]

    def distance(self, pairs: Int[Tensor, "2 pairs"]) -> Int[Tensor, " pairs"]:
        """Distance of each pair of nodes of one chromosome, in bins."""
        return (self.bins.index_select(0, pairs[1]) - self.bins.index_select(0, pairs[0])).abs()

    def to(self, device: object) -> GraphBatch:
        """The graph on another device."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: one.to(device) for name, one in held.items() if one is not None})


@dataclass(frozen=True)
class EdgeBatch:
    """A graph, and pairs of its nodes to tell apart.

    Attributes
    ----------
    graph
        What the encoder sees.
    positives
        Node indices of contacts.
    negatives
        Node indices of non-contacts; while training, as many as there are positives are drawn from them.
    """

    graph: GraphBatch
    positives: Int[Tensor, "2 positives"]
    negatives: Int[Tensor, "2 negatives"]

    def __len__(self) -> int:
        return self.positives.shape[1]

    def to(self, device: object) -> EdgeBatch:
        """The batch on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True)
class CountBatch:
    """A graph, pairs of its nodes whose contacts are counted, and pairs of which little or nothing is known.

    Attributes
    ----------
    graph
        What the encoder sees.
    pairs
        Node indices of contacts: message edges while training, held-out ones in validation.
    counts
        Contacts of each pair.
    others
        While training, pairs within range that are no message edge: each has no contact, or one that was held
        out. In validation, non-contacts within range, for scores.
    share
        The loss of a batch is this times a sum over its pairs: one over the pairs of a mean batch.
    """

    graph: GraphBatch
    pairs: Int[Tensor, "2 pairs"]
    counts: Float[Tensor, " pairs"]
    others: Int[Tensor, "2 others"]
    share: float

    def __len__(self) -> int:
        return self.pairs.shape[1]

    def to(self, device: object) -> CountBatch:
        """The batch on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("graph", "pairs", "counts", "others")}
        return replace(self, **moved)


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian per node."""

    mean: Float[Tensor, "nodes latent"]
    log_std: Float[Tensor, "nodes latent"]


@dataclass(frozen=True)
class Prediction:
    """What a task's model says of each window.

    Attributes
    ----------
    value, logit
        The answer, and of a probability the logit that it comes from.
    alone
        Logits that each modality would give by itself, where the model has a head for each; they are part of
        `logit`, and may be trained beside it.
    """

    value: Float[Tensor, ...]
    logit: Float[Tensor, ...] | None = None
    alone: tuple[Float[Tensor, ...], ...] = ()


@dataclass(frozen=True)
class PairedTokens:
    """Both modalities of each window in one space, and each as inferred from the other.

    Attributes
    ----------
    track_invariant, track_specific, map_invariant, map_specific
        What the modalities share and what only one has; every token has unit length.
    map_from_tracks, tracks_from_map
        Joined tokens (invariant, then specific) of one modality, inferred from the other.
    temperature
        Of the contrastive loss.
    """

    track_invariant: Float[Tensor, "batch track_tokens half"]
    track_specific: Float[Tensor, "batch track_tokens half"]
    map_invariant: Float[Tensor, "batch map_tokens half"]
    map_specific: Float[Tensor, "batch map_tokens half"]
    map_from_tracks: Float[Tensor, "batch map_tokens joined"]
    tracks_from_map: Float[Tensor, "batch track_tokens joined"]
    temperature: Float[Tensor, ""]


@dataclass(frozen=True)
class LossParts:
    """A loss, and what is worth keeping of how it came about.

    Attributes
    ----------
    total
        What is minimised.
    terms
        The named terms it is made of; they are logged.
    outputs
        Tensors with one row per sample, from which an objective computes its scores over a whole split.
    """

    total: Float[Tensor, ""]
    terms: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor] = field(default_factory=dict)
