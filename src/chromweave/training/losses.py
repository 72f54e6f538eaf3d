"""The three losses of MIX-HIC's pre-training, on plain tensors.

Where the paper (arXiv 2504.09060) and its published code differ, both forms are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Candidates", "MappingForm", "OrthogonalForm", "contrastive", "mapping", "orthogonal"]

OrthogonalForm = Literal["squared", "inner"]
MappingForm = Literal["squared", "unit"]


@dataclass(frozen=True)
class Candidates:
    """What the rows of a contrastive loss are compared with, where it is more than themselves.

    Attributes
    ----------
    first, second
        (all windows, channels), e.g. those of all processes.
    own
        Place of row 0 among them; the other rows follow.
    """

    first: Tensor
    second: Tensor
    own: int


def contrastive(
    first: Tensor,
    second: Tensor,
    temperature: Tensor | float,
    *,
    candidates: Candidates | None = None,
    excluded: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE: row i of `first` belongs to row i of `second` and to no other.

    Parameters
    ----------
    first, second
        (windows, channels), e.g. unit tokens averaged over a window.
    temperature
        Divides the inner products.
    candidates
        What each row is compared with; None compares the rows with one another.
    excluded
        (windows, candidates), True for pairs that are no negatives of each other, in either direction. A
        row's own partner always stays.

    Returns
    -------
    Tensor
        Scalar, in single precision or better; about ln(candidates) before anything is learned.
    """
    precision = torch.promote_types(first.dtype, torch.float32)
    with torch.autocast(first.device.type, enabled=False):
        first, second = first.to(precision), second.to(precision)
        if candidates is None:
            own = 0
            forward = first @ second.T / temperature
            backward = forward.T
        else:
            own = candidates.own
            forward = first @ candidates.second.to(precision).T / temperature
            backward = second @ candidates.first.to(precision).T / temperature
        target = torch.arange(own, own + len(first), device=first.device)
        if excluded is not None:
            excluded = excluded.clone()
            excluded[torch.arange(len(first), device=first.device), target] = False
            forward, backward = (logits.masked_fill(excluded, -torch.inf) for logits in (forward, backward))
        return (F.cross_entropy(forward, target) + F.cross_entropy(backward, target)) / 2


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
