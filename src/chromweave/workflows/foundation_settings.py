"""Settings of the foundation model's verbs, and their presets.

Presets are named after the network's size: ``tiny`` learns on a CPU, ``paper-*`` are the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from ..analysis.clustering import ClusterConfig
from ..analysis.decoys import DecoyKind
from ..analysis.enrichment import EnrichmentConfig
from ..analysis.loops import CandidateConfig
from ..data.targets import LEAST_KNOWN
from ..data.transforms import WindowTransform, refuse_linear
from ..errors import ConfigError
from ..models.mixhic import PRESETS, MixHicConfig
from ..models.tasks import Mode
from ..training.engine import FitConfig
from ..training.objectives import PairLossConfig
from .architectures import MIX_HIC

__all__ = [
    "FINETUNE_FITS",
    "PRETRAIN_FITS",
    "FinetuneConfig",
    "LoadingConfig",
    "LoopCallConfig",
    "PretrainConfig",
]

# Epochs, batch, rate and patience of paper-* are the paper's; it does not clip.
_PAPER_PRETRAIN = FitConfig(epochs=500, batch_size=256, learning_rate=1e-5, gradient_clip=math.inf)
# As in the paper the mapping loss reaches the encoders; as in its code it waits for ten epochs.
_PAPER_LOSS = PairLossConfig(mapping_teaches="all", mapping_after=0.02)
_PAPER_TASK = FitConfig(
    epochs=200, batch_size=64, learning_rate=1e-5, weight_decay=1e-2, gradient_clip=math.inf, patience=20
)
_PAPER_EXPRESSION = replace(_PAPER_TASK, learning_rate=1e-4, weight_decay=1e-6)
PRETRAIN_FITS = {
    "tiny": FitConfig(
        epochs=20, batch_size=32, learning_rate=1e-3, warmup_steps=30, schedule="cosine", final_rate=0.02
    ),
    "small": FitConfig(
        epochs=10, batch_size=64, learning_rate=3e-4, warmup_steps=50, schedule="cosine", final_rate=0.02
    ),
    "paper-128": _PAPER_PRETRAIN,
    "paper-256": _PAPER_PRETRAIN,
}
# A rate that falls to nothing ends the swings from epoch to epoch that a steady one leaves in the scores.
# The track encoder normalises after its residuals; of loops and contacts a rate of 1e-3 could make its last
# tokens alike in every window. Expression is read from earlier ones and is better off with it (validation).
_TINY = FitConfig(
    epochs=16,
    batch_size=32,
    learning_rate=5e-4,
    warmup_steps=60,
    patience=8,
    schedule="cosine",
    final_rate=0.02,
)
_TINY_EXPRESSION = replace(_TINY, learning_rate=1e-3, warmup_steps=30)
_SMALL = FitConfig(
    epochs=30,
    batch_size=64,
    learning_rate=2e-4,
    warmup_steps=100,
    patience=8,
    schedule="cosine",
    final_rate=0.02,
)
_TASK_FITS = {"tiny": _TINY, "small": _SMALL, "paper-128": _PAPER_TASK, "paper-256": _PAPER_TASK}
FINETUNE_FITS: Mapping[str, Mapping[str, FitConfig]] = {
    "loops": _TASK_FITS,
    "contacts": _TASK_FITS,
    "expression": _TASK_FITS
    | {"tiny": _TINY_EXPRESSION, "paper-128": _PAPER_EXPRESSION, "paper-256": _PAPER_EXPRESSION},
}

# A window's pooled tokens say where in it something is only if the tokens know where they stand; and maps
# are told apart by what is left of them when the decay with distance, alike in all, is taken away.
_NETWORKS = {
    name: network
    if name.startswith("paper")
    else replace(
        network,
        position_encoding="sinusoidal",
        contact_mixing=True,
        fusion="residual",
        unimodal_heads=True,
    )
    for name, network in PRESETS.items()
}
_OURS = WindowTransform(contacts="observed_expected", augmentations=("swap", "flip"))


def _transform(name: str) -> WindowTransform:
    return WindowTransform() if name.startswith("paper") else _OURS


def _of_preset(table: Mapping[str, Any], name: str) -> Any:
    if name not in table:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(table)}.")
    return table[name]


@dataclass(frozen=True)
class LoadingConfig:
    """How training windows reach the model.

    Parameters
    ----------
    store_weights
        Share of each store (cell line) in an epoch, in their order; empty: every window once an epoch.
    workers
        Processes that cut windows beside the training; 0 cuts them in between.
    resident
        Keep contacts and tracks of all windows on the device, and cut there.
    """

    store_weights: tuple[float, ...] = ()
    workers: int = 0
    resident: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError(f"workers must not be negative, but is {self.workers}.")
        if self.resident and self.workers:
            raise ConfigError("windows of a resident store are cut on the device: leave workers at 0.")


@dataclass(frozen=True)
class PretrainConfig:
    """What is pre-trained, and how.

    Parameters
    ----------
    network
        Sizes; tracks, window and positions are taken from the data.
    loss, fit
        Objective and optimisation.
    transform
        What is done to the windows; its tracks are all that the stores share if it names none.
    loading
        How windows reach the model.
    include_test_chromosomes
        Train on windows of the split ``test``, too, as the paper did. What is fine-tuned from the model has
        then no test of its own on these chromosomes; the model card says so.
    """

    network: MixHicConfig = _NETWORKS["tiny"]
    loss: PairLossConfig = field(default_factory=PairLossConfig)
    fit: FitConfig = PRETRAIN_FITS["tiny"]
    transform: WindowTransform = _OURS
    loading: LoadingConfig = field(default_factory=LoadingConfig)
    include_test_chromosomes: bool = False

    def __post_init__(self) -> None:
        refuse_linear(self.transform)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> PretrainConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Raises
        ------
        ConfigError
            No such preset.
        """
        network, settings = _of_preset(_NETWORKS, name), _of_preset(PRETRAIN_FITS, name)
        loss = _PAPER_LOSS if name.startswith("paper") else PairLossConfig()
        transform = _transform(name)
        if transform.augmentations:  # nothing here speaks of the anchor pixel, so that it may be moved
            transform = replace(transform, augmentations=(*transform.augmentations, "jitter"))
        return cls(network=network, loss=loss, fit=replace(settings, **changes), transform=transform)


_OF_HEADS = ("head_dropout", "contact_mixing", "fusion", "unimodal_heads")
_OF_TRAININGS = ("augmentations", "jitter_bins", "thin_least")


@dataclass(frozen=True)
class FinetuneConfig:
    """What a task's model is, and how it is trained.

    Parameters
    ----------
    mode
        What it reads: ``"bimodal"`` map and tracks, ``"map"``, ``"tracks"``, ``"infer_map"``, tracks and the
        map tokens inferred from them, or ``"infer_tracks"``, the map and the track tokens inferred from it.
        A model that predicts contacts reads no map.
    tune
        What of a pre-trained model changes: all of it (``"full"``), nothing (``"frozen"``; what is new, such
        as fusion, decoder and head, learns), or nothing with a linear head right on the tokens
        (``"probe"``).
    signal
        For expression: the track that is predicted.
    least_known
        For expression: part of a bin's 100 bp steps at which the track must have data for the bin to count. A
        track with values at start sites alone wants a small part, such as 0.01.
    masked
        For contacts and expression: leave entries without data out of the loss; the paper counts them as 0.
    architecture, architecture_preset
        ``"mix-hic"``, or another paper's network (:func:`~chromweave.workflows.architectures.architectures`),
        and its sizes, ``"tiny"`` or ``"paper"``. It decides `mode`, starts from scratch, and takes of
        `network` the sizes of the windows alone.
    network, transform
        Used from scratch; a pre-trained model brings its own, but for dropout and mixing in the head,
        augmentations and, where contacts are predicted, the scale they are predicted on.
    fit
        Optimisation.
    loading
        How windows reach the model.
    """

    mode: Mode = "bimodal"
    tune: Literal["full", "frozen", "probe"] = "full"
    signal: str = "CAGE"
    least_known: float = LEAST_KNOWN
    masked: bool = True
    architecture: str = MIX_HIC
    architecture_preset: str = "tiny"
    network: MixHicConfig = _NETWORKS["tiny"]
    fit: FitConfig = FINETUNE_FITS["loops"]["tiny"]
    transform: WindowTransform = _OURS
    loading: LoadingConfig = field(default_factory=LoadingConfig)

    def __post_init__(self) -> None:
        refuse_linear(self.transform)
        if not 0 < self.least_known <= 1:
            raise ConfigError(f"least_known must lie above 0 and be at most 1, not {self.least_known}.")

    @classmethod
    def preset(
        cls, name: str, task: str = "loops", mode: Mode | None = None, **changes: Any
    ) -> FinetuneConfig:
        """A preset's network and optimisation; `changes` are to the optimisation (epochs, batch_size, ...).

        Without a `mode`, contacts are predicted by ``"infer_map"`` and all else by ``"bimodal"``. The paper's
        presets predict contacts clipped at 255 and count masked entries; the others predict the logarithm
        of observed over expected, of known entries only.

        Raises
        ------
        ConfigError
            No such preset or task.
        """
        network, settings = _of_preset(_NETWORKS, name), _of_preset(_of_task(task), name)
        return cls(
            mode=mode or ("infer_map" if task == "contacts" else "bimodal"),
            masked=not name.startswith("paper"),
            architecture_preset="tiny" if name == "tiny" else "paper",
            network=network,
            fit=replace(settings, **changes),
            transform=_transform(name),
        )

    def after(self, network: MixHicConfig, transform: WindowTransform, task: str) -> FinetuneConfig:
        """These settings with the network and the input of a pre-training.

        The task's own are what the pre-training does not have (dropout and mixing in the head, fusion), the
        augmentations and, where contacts are predicted, the scale they are predicted on.
        """
        head = {name: getattr(self.network, name) for name in _OF_HEADS}
        kept = {name: getattr(self.transform, name) for name in _OF_TRAININGS}
        if task == "contacts":
            kept["contacts"] = self.transform.contacts
        return replace(self, network=replace(network, **head), transform=replace(transform, **kept))


def _of_task(task: str) -> Mapping[str, FitConfig]:
    if task not in FINETUNE_FITS:
        raise ConfigError(f"no task {task!r}; there are {', '.join(FINETUNE_FITS)}.")
    return FINETUNE_FITS[task]


FDR = 0.05

# Scores that are smooth already need no neighbours, and their peak is the place.
_PEAKS = ClusterConfig(
    threshold=2.0,
    min_distance_bins=-1,
    min_neighbours=0,
    kernel_radius=1,
    separation=3,
    representative="highest-score",
)


@dataclass(frozen=True)
class LoopCallConfig:
    """How loops are called over a chromosome.

    Parameters
    ----------
    candidates
        Which pixels are scored.
    clusters
        How scored pixels become loops; its threshold is on the score.
    batch_size
        Windows that a model scores at a time.
    fdr
        False discovery rate, by decoys; None takes every cluster, without decoys.
    decoys
        ``"residuals"``: each pixel's deviation from its surroundings changes places, within its distance.
        ``"pixels"``: its value does (RefHiC, MIX-HIC).
    rank
        What clusters and decoys are compared by: the ``"density"`` of their centre (RefHiC, MIX-HIC) or the
        ``"score"`` of what stands for them.
    scores
        What a model's part in the score is: ``"both"`` adds its log-odds to how far a pixel stands out;
        ``"model"`` takes its probability alone (MIX-HIC). Without a model nothing.
    model_weight
        Standard deviations that a unit of the model's log-odds is worth in ``"both"``.
    least_enrichment
        Standard deviations from which on a model is asked in ``"both"``.
    enrichment
        Shape of a peak and its surroundings; by the resolution if not given.
    """

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    clusters: ClusterConfig = field(default_factory=ClusterConfig)
    batch_size: int = 256
    fdr: float | None = None
    decoys: DecoyKind = "residuals"
    rank: Literal["density", "score"] = "density"
    scores: Literal["both", "model"] = "model"
    model_weight: float = 0.7
    least_enrichment: float = 2.0
    enrichment: EnrichmentConfig | None = None

    def __post_init__(self) -> None:
        if self.fdr is not None and not 0 < self.fdr < 1:
            raise ConfigError(f"a false discovery rate lies between 0 and 1, not {self.fdr}.")
        if self.decoys not in get_args(DecoyKind):
            raise ConfigError(f"decoys are {' or '.join(get_args(DecoyKind))}, not {self.decoys!r}.")
        if self.rank not in ("density", "score"):
            raise ConfigError(f"clusters are ranked by density or score, not {self.rank!r}.")
        if self.scores not in ("both", "model"):
            raise ConfigError(f"scores are of both or of the model, not {self.scores!r}.")
        if not self.model_weight > 0:
            raise ConfigError(f"model_weight must be above 0, not {self.model_weight}.")

    @classmethod
    def with_model(cls, **changes: Any) -> LoopCallConfig:
        """For how far a pixel stands out and a model's log-odds, at a rate of 0.05 if no other is given."""
        return cls.without_model(**({"scores": "both"} | changes))

    @classmethod
    def model_alone(cls, **changes: Any) -> LoopCallConfig:
        """For a model's probabilities, clustered and ranked as RefHiC and MIX-HIC do, likewise."""
        # Candidates know the least distance; clusters have none of their own.
        defaults: dict[str, Any] = {"fdr": FDR, "clusters": ClusterConfig(min_distance_bins=-1)}
        return cls(**(defaults | changes))

    @classmethod
    def without_model(cls, **changes: Any) -> LoopCallConfig:
        """For scores from the map alone (standard deviations above the surroundings); None for no rate."""
        defaults: dict[str, Any] = {"fdr": FDR, "clusters": _PEAKS, "rank": "score"}
        return cls(**(defaults | changes))

    def clustering(self, **changes: Any) -> LoopCallConfig:
        """The same with other settings of `clusters`; those that are None stay."""
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, clusters=replace(self.clusters, **given))
