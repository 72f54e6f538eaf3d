"""What a model is trained for: a loss per batch, and scores over a split.

An objective knows nothing of optimisers, devices or files; the engine knows nothing of what is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..batch import LossParts, MapTrackBatch, PairedTokens
from ..errors import ConfigError
from .distributed import from_first, gathered, joined, rank, summed, world
from .losses import Candidates, MappingForm, OrthogonalForm, contrastive, mapping, orthogonal

__all__ = [
    "LoopClassification",
    "Objective",
    "PairLossConfig",
    "PairedPretraining",
    "Staged",
    "Tally",
    "overlaps",
    "partner_ranks",
    "score",
]

Batch_contra = TypeVar("Batch_contra", contravariant=True)

_CHUNK = 512  # rows of a similarity matrix held at once
_MOST_UNIFORMITY = 4096  # windows whose pairwise distances are looked at


class Objective(Protocol[Batch_contra]):
    """What the engine asks of a task.

    Attributes
    ----------
    monitor, mode
        The score that decides which epoch is best, and whether more of it is better.
    """

    monitor: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]]

    def step(self, model: nn.Module, batch: Batch_contra) -> LossParts:
        """Loss of one batch, its terms, and one row per sample of whatever `summarise` needs."""
        ...

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Scores of a split from its samples' outputs, which stand in order."""
        ...


@runtime_checkable
class Staged(Protocol):
    """An objective that changes while training goes on; validation always uses the objective itself."""

    def for_epoch(self, epoch: int, epochs: int) -> Objective[Any]:
        """The objective of epoch `epoch` (from 0) of `epochs`."""
        ...


def score(
    objective: Objective[Any], model: nn.Module, batches: Iterable[Any], device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Mean loss, its terms, and the objective's scores over `batches`, in evaluation mode."""
    tally = Tally()
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                moved = batch.to(device)
                tally.add(objective.step(model, moved), len(moved))
    finally:
        model.train(training)
    return tally.summary(objective)


class Tally:
    """Running means of the loss and its terms, and the outputs of every sample seen.

    Where several processes train, each counts what it sees, and :meth:`means` and :meth:`summary`, which all
    of them have to call, are those of everything.
    """

    def __init__(self, keep_outputs: bool = True) -> None:
        self.samples = 0
        self._sums: dict[str, Tensor] = {}
        self._outputs: dict[str, list[Tensor]] | None = {} if keep_outputs else None

    def add(self, parts: LossParts, samples: int) -> None:
        """Take in one batch; nothing is copied off the device but the outputs."""
        self.samples += samples
        for name, value in {"loss": parts.total, **parts.terms}.items():
            weighted = value.detach() * samples
            self._sums[name] = self._sums[name] + weighted if name in self._sums else weighted
        if self._outputs is not None:
            for name, value in parts.outputs.items():
                self._outputs.setdefault(name, []).append(value.detach().cpu())

    def means(self) -> dict[str, float]:
        """Mean per sample of the loss and its terms; empty where nothing was seen."""
        sums, samples = self._totals()
        return {name: value / samples for name, value in sums.items()}

    def _totals(self) -> tuple[dict[str, float], float]:
        """Sums and number of samples, over all processes."""
        own = {name: value.item() for name, value in self._sums.items()}
        if world() == 1:
            return own, self.samples
        totals = summed({"": float(self.samples), **own})  # each process has had a batch, or none has
        samples = totals.pop("")
        return totals, samples

    def summary(self, objective: Objective[Any]) -> dict[str, float]:
        """The means and the objective's scores."""
        means, everything = self.means(), joined(self._outputs or {})
        scores: dict[str, float] = {}
        if everything is not None:
            outputs = {name: _in_order([one[name] for one in everything]) for name in everything[0]}
            scores = objective.summarise(outputs) if outputs else {}
        return {**means, **from_first(scores)}

    def state(self) -> dict[str, Any]:
        """Sums and number of samples over all processes, for a checkpoint."""
        if world() == 1:
            return {"samples": self.samples, "sums": dict(self._sums)}
        sums, samples = self._totals()
        double = {name: torch.tensor(value, dtype=torch.float64) for name, value in sums.items()}
        return {"samples": int(samples), "sums": double}

    def load(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a saved state, which the first process takes up for all."""
        if rank() == 0:
            self.samples = state["samples"]
            self._sums = {name: value.to(device) for name, value in state["sums"].items()}


def _in_order(parts: list[list[Tensor]]) -> Tensor:
    """Rows as one process would have them: batch i was dealt to process i modulo their number."""
    longest = max(len(part) for part in parts)
    return torch.cat([part[i] for i in range(longest) for part in parts if i < len(part)])


@dataclass(frozen=True)
class PairLossConfig:
    """Weights and forms of the pre-training losses.

    The default is the paper's plain sum, but the mapping loss teaches the inference layers only. Where it
    reaches the encoders, as in the paper, it wins at once by making every window alike, and the contrastive
    loss never leaves ln(batch size): a collapse seen on small data at every learning rate tried, with either
    form of the mapping, and with targets alone detached. `mapping_after` is the other remedy (the published
    code starts with the contrastive term alone); it helps only if the encoders have learned by then.

    Parameters
    ----------
    contrastive, orthogonal, mapping
        Weight of each term.
    orthogonal_form
        ``"squared"`` unless the paper's ``"inner"``, whose minimum is anti-parallel, is asked for.
    mapping_form
        The paper's ``"squared"``, or the published code's ``"unit"``.
    mapping_teaches
        What the mapping loss changes: the ``"inference"`` layers, the tokens they start from as well
        (``"source"``), or the tokens it aims at, too (``"all"``, the paper's).
    mapping_after
        Part of the epochs, at the start, that the mapping loss sits out.
    gather_negatives
        Whether, where several processes train, a window is told apart from those of all of them, as one
        process with the whole batch would, or from those of its own process only. Validation never gathers.
    overlapping_negatives
        Whether windows whose maps overlap (same store and chromosome, both anchors closer than a window's
        side) are told apart. They show part of the same pixels, which is an argument for False.
    """

    contrastive: float = 1.0
    orthogonal: float = 1.0
    mapping: float = 1.0
    orthogonal_form: OrthogonalForm = "squared"
    mapping_form: MappingForm = "squared"
    mapping_teaches: Literal["inference", "source", "all"] = "inference"
    mapping_after: float = 0.0
    gather_negatives: bool = True
    overlapping_negatives: bool = True

    def __post_init__(self) -> None:
        weights = (self.contrastive, self.orthogonal, self.mapping)
        if min(weights) < 0 or not any(weights):
            raise ConfigError(f"loss weights must not be negative, nor all 0, but are {weights}.")
        if not 0 <= self.mapping_after <= 1:
            raise ConfigError(f"mapping_after must lie in [0, 1], not {self.mapping_after}.")


class PairedPretraining:
    """Windows' maps and tracks learn to know each other (MIX-HIC).

    Scores: how often a window's own partner is the nearest, or among the nearest five, of a whole split
    (mean of both directions; chance is 1 / windows and 5 / windows); alignment and uniformity on the unit
    sphere (Wang & Isola 2020; lower is better); cosine between inferred and true tokens.
    """

    monitor: ClassVar[str] = "loss"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(self, config: PairLossConfig | None = None) -> None:
        self.config = config or PairLossConfig()

    def for_epoch(self, epoch: int, epochs: int) -> PairedPretraining:
        """Without the mapping loss at first, then all terms."""
        others = self.config.contrastive + self.config.orthogonal
        if not others or epoch >= self.config.mapping_after * epochs:
            return self
        return PairedPretraining(replace(self.config, mapping=0.0))

    def step(self, model: nn.Module, batch: MapTrackBatch) -> LossParts:
        """Weighted sum of the contrastive, orthogonal and mapping losses."""
        alone = self.config.mapping_teaches == "inference"
        pair: PairedTokens = model(batch.contact_map, batch.tracks, inference_alone=alone)
        tracks = torch.cat([pair.track_invariant, pair.track_specific], dim=-1)
        maps = torch.cat([pair.map_invariant, pair.map_specific], dim=-1)
        track_invariant, map_invariant = pair.track_invariant.mean(1), pair.map_invariant.mean(1)
        terms = {
            "contrastive": self._contrastive(model, batch, track_invariant, map_invariant, pair.temperature),
            "orthogonal": orthogonal(
                track_invariant,
                pair.track_specific.mean(1),
                map_invariant,
                pair.map_specific.mean(1),
                self.config.orthogonal_form,
            ),
            "mapping": (
                self._mapping(pair.map_from_tracks, maps) + self._mapping(pair.tracks_from_map, tracks)
            )
            / 2,
        }
        total = torch.stack([getattr(self.config, name) * term for name, term in terms.items()]).sum()
        with torch.no_grad():
            cosine = (_cosine(pair.map_from_tracks, maps) + _cosine(pair.tracks_from_map, tracks)) / 2
        outputs = {"tracks": track_invariant, "maps": map_invariant, "cosine": cosine}
        return LossParts(total, {**terms, "temperature": pair.temperature}, outputs)

    def _contrastive(
        self, model: nn.Module, batch: MapTrackBatch, tracks: Tensor, maps: Tensor, temperature: Tensor
    ) -> Tensor:
        gather = self.config.gather_negatives and world() > 1 and model.training
        candidates = excluded = None
        if gather:
            both = torch.stack([tracks, maps], dim=1)
            everyone = gathered(both.to(torch.promote_types(both.dtype, torch.float32)))
            candidates = Candidates(everyone[:, 0], everyone[:, 1], rank() * len(tracks))
        if not self.config.overlapping_negatives:
            places = torch.stack([batch.store, batch.chrom, batch.x, batch.y], dim=1)
            excluded = overlaps(places, gathered(places) if gather else places, batch.contact_map.shape[-1])
        return contrastive(tracks, maps, temperature, candidates=candidates, excluded=excluded)

    def _mapping(self, inferred: Tensor, target: Tensor) -> Tensor:
        target = target if self.config.mapping_teaches == "all" else target.detach()
        return mapping(inferred, target, self.config.mapping_form)

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Retrieval, alignment, uniformity and mapping cosine of a split."""
        tracks, maps = (F.normalize(outputs[name].float(), dim=-1) for name in ("tracks", "maps"))
        # The training loss compares vectors as pooled, so retrieval does, too.
        ranks = torch.cat(
            [
                partner_ranks(outputs["tracks"].float(), outputs["maps"].float()),
                partner_ranks(outputs["maps"].float(), outputs["tracks"].float()),
            ]
        )
        return {
            "retrieval_top1": (ranks < 1).double().mean().item(),
            "retrieval_top5": (ranks < 5).double().mean().item(),
            "retrieval_chance": 1 / len(tracks),
            "alignment": (tracks - maps).square().sum(-1).mean().item(),
            "uniformity": (_uniformity(tracks) + _uniformity(maps)) / 2,
            "mapping_cosine": outputs["cosine"].double().mean().item(),
        }


def overlaps(first: Tensor, second: Tensor, side: int) -> Tensor:
    """Which windows share pixels of one map.

    Parameters
    ----------
    first, second
        (windows, 4) integers: store, chromosome, and anchor bins x and y of each window.
    side
        Of a window, bins.

    Returns
    -------
    Tensor
        (windows of `first`, windows of `second`) booleans.
    """
    same = (first[:, None, :2] == second[None, :, :2]).all(-1)
    return same & ((first[:, None, 2:] - second[None, :, 2:]).abs() < side).all(-1)


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosine of matching tokens, mean over a window's tokens."""
    return F.cosine_similarity(first, second, dim=-1).mean(dim=-1)


def partner_ranks(queries: Tensor, partners: Tensor) -> Tensor:
    """How many other partners each query has a larger, or the same, inner product with than with its own.

    Parameters
    ----------
    queries, partners
        (windows, channels); row i belongs to row i. Ties count against the query.

    Returns
    -------
    Tensor
        (windows,) integers, 0 is best.
    """
    own = (queries * partners).sum(-1)
    ranks = []
    for start in range(0, len(queries), _CHUNK):
        similar = queries[start : start + _CHUNK] @ partners.T
        rows = torch.arange(len(similar))
        similar[rows, start + rows] = -torch.inf
        ranks.append((similar >= own[start : start + _CHUNK, None]).sum(-1))
    return torch.cat(ranks)


def _uniformity(unit: Tensor) -> float:
    """Log of the mean of exp(-2 d^2) over pairs of different windows; NaN for fewer than two."""
    if len(unit) > _MOST_UNIFORMITY:
        unit = unit[torch.linspace(0, len(unit) - 1, _MOST_UNIFORMITY).long()]
    if len(unit) < 2:
        return float("nan")
    squared = torch.pdist(unit.double()).square()
    return (squared.mul(-2).exp().mean().log()).item()


class LoopClassification:
    """Loop or no loop at a window's centre, by binary cross-entropy.

    Parameters
    ----------
    scores
        Computes named scores from labels and probabilities, both float64 (windows,).
    alone
        Weight of the cross-entropy of each modality's own logit, where the model gives them.
    """

    monitor: ClassVar[str] = "auroc"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(
        self, scores: Callable[[np.ndarray, np.ndarray], Mapping[str, float]], alone: float = 0.5
    ) -> None:
        self.scores, self.alone = scores, alone

    def step(self, model: nn.Module, batch: MapTrackBatch) -> LossParts:
        """Cross-entropy of the batch."""
        prediction = model(batch.contact_map, batch.tracks)
        label = batch.label.to(prediction.logit.dtype)
        loss = F.binary_cross_entropy_with_logits(prediction.logit, label)
        terms = {}
        if prediction.alone:
            by_itself = [F.binary_cross_entropy_with_logits(logit, label) for logit in prediction.alone]
            terms = {"together": loss, "alone": torch.stack(by_itself).sum()}
            loss = loss + self.alone * terms["alone"]
        return LossParts(loss, terms, {"label": batch.label, "probability": prediction.value})

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """The given scores of a split."""
        label, probability = (outputs[name].double().numpy() for name in ("label", "probability"))
        return dict(self.scores(label, probability))
