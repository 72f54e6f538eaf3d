"""The three losses of MIX-HIC's pre-training, on plain tensors.

Where the paper (arXiv 2504.09060) and its published code differ, both forms are here.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MappingForm", "OrthogonalForm", "contrastive", "mapping", "orthogonal"]

OrthogonalForm = Literal["squared", "inner"]
MappingForm = Literal["squared", "unit"]


def contrastive(first: Tensor, second: Tensor, temperature: Tensor | float) -> Tensor:
    """Symmetric InfoNCE: row i of `first` belongs to row i of `second` and to no other.

    Parameters
    ----------
    first, second
        (windows, channels), e.g. unit tokens averaged over a window.
    temperature
        Divides the inner products.

    Returns
    -------
    Tensor
        Scalar; about ln(windows) before anything is learned.
    """
    logits = first @ second.T / temperature
    target = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def orthogonal(
    track_invariant: Tensor,
    track_specific: Tensor,
    map_invariant: Tensor,
    map_specific: Tensor,
    form: OrthogonalForm = "squared",
) -> Tensor:
    """How far what the modalities share and what only one has are from being orthogonal.

    Parameters
    ----------
    track_invariant, track_specific, map_invariant, map_specific
        (windows, channels) each.
    form
        ``"squared"`` sums the squared inner products of both modalities (published code). ``"inner"`` is the
        paper's mean of the inner products themselves, which anti-parallel vectors minimise and not
        orthogonal ones.

    Returns
    -------
    Tensor
        Scalar.
    """
    tracks = (track_invariant * track_specific).sum(dim=-1)
    maps = (map_invariant * map_specific).sum(dim=-1)
    if form == "inner":
        return ((tracks + maps) / 2).mean()
    return (tracks.square() + maps.square()).mean()


def mapping(inferred: Tensor, target: Tensor, form: MappingForm = "squared") -> Tensor:
    """Distance between tokens inferred from the other modality and the true ones, in one direction.

    Parameters
    ----------
    inferred, target
        (windows, tokens, channels).
    form
        ``"squared"`` is the squared Euclidean distance (paper). ``"unit"`` is the distance, not squared,
        after every token of both is brought to unit length (published code); it leaves the length of an
        inferred token free, which the fusion block then has to cope with.

    Returns
    -------
    Tensor
        Scalar, the mean over windows and tokens.
    """
    if form == "squared":
        return (inferred - target).square().sum(dim=-1).mean()
    return torch.linalg.vector_norm(
        F.normalize(inferred, dim=-1) - F.normalize(target, dim=-1), dim=-1
    ).mean()
