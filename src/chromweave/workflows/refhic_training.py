"""RefHiC trained on the windows of a table, with other cell lines' maps as its panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..baselines.refhic import PRESETS, RefHiC
from ..batch import LossParts
from ..data.store import RegionStore
from ..errors import ConfigError, DataError
from ..progress import track
from ..training.engine import FitConfig, FitResult, fit, seeded
from .finetuning import loop_scores
from .loop_patches import window_squares

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["RefHicConfig", "SquareBatch", "TrainedRefHic", "train_refhic"]


@dataclass(frozen=True)
class RefHicConfig:
    """How RefHiC is trained here: binary cross-entropy, early stopping on AUROC of validation.

    Parameters
    ----------
    preset
        Sizes, of :data:`chromweave.baselines.refhic.PRESETS`.
    fit
        Optimiser. The paper's focal loss, stochastic gradient descent and contrastive pre-training are meant
        for many down-samplings of one map, and are left out.
    """

    preset: str = "paper"
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(epochs=30, batch_size=64, patience=5, weight_decay=1e-4)
    )

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"RefHiC's presets are {', '.join(PRESETS)}, not {self.preset!r}.")


@dataclass(frozen=True)
class SquareBatch:
    """Squares around the same pixels in a study and in its references.

    Attributes
    ----------
    study
        Contacts and observed/expected; 0 where nothing is known, as in the paper.
    references
        The same of each reference.
    label
        1 loop, 0 no loop.
    """

    study: Float[Tensor, "batch 2 side side"]
    references: Float[Tensor, "batch references 2 side side"]
    label: Float[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device | str) -> SquareBatch:
        """The batch on another device."""
        return SquareBatch(self.study.to(device), self.references.to(device), self.label.to(device))


class Squares:
    """Batches of windows, in order or shuffled anew in every epoch.

    Parameters
    ----------
    study
        Store that the windows are judged by.
    panel
        Its references.
    table
        Schema `WINDOWS`.
    resolution, half
        Bin size (bp), and bins on each side of a pixel.
    batch_size
        Windows in a batch. A shuffled epoch leaves out a last one that is not full: BatchNorm would make much
        of it.
    seed
        Of the order; None: as the table stands.

    Attributes
    ----------
    known
        Whether a window's own pixel has a value in the study, bool (windows,).
    """

    def __init__(
        self,
        study: RegionStore,
        panel: Sequence[RegionStore],
        table: pd.DataFrame,
        resolution: int,
        half: int,
        batch_size: int,
        seed: int | None = None,
    ) -> None:
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0
        own, *others = (
            window_squares(store, table, resolution, half)
            for store in track((study, *panel), "cutting squares", unit="stores")
        )
        self.known = np.isfinite(own[:, 1, half, half])
        self._study = _filled(own)
        self._panel = torch.stack([_filled(other) for other in others], dim=1)
        self._label = torch.from_numpy(table["label"].to_numpy(np.float32))

    @property
    def sampler(self) -> Squares:
        """What is told the epoch: itself."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Shuffle anew."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[SquareBatch]:
        n = len(self._label)
        order = torch.arange(n)
        if self.seed is not None:
            order = torch.from_numpy(np.random.default_rng([self.seed, self.epoch]).permutation(n))
        for start in self._starts():
            rows = order[start : start + self.batch_size]
            yield SquareBatch(self._study[rows], self._panel[rows], self._label[rows])

    def _starts(self) -> range:
        n = len(self._label)
        whole = n - n % self.batch_size if self.seed is not None and n > self.batch_size else n
        return range(0, whole, self.batch_size)


def _filled(squares: np.ndarray) -> Tensor:
    return torch.from_numpy(np.where(np.isfinite(squares), squares, 0.0).astype(np.float32))


class _Loops:
    """Loop or no loop, by binary cross-entropy."""

    monitor: ClassVar[str] = "auroc"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def step(self, model: nn.Module, batch: SquareBatch) -> LossParts:
        """Cross-entropy of the batch."""
        said = model(batch.study, batch.references)
        loss = F.binary_cross_entropy_with_logits(said.logit, batch.label)
        return LossParts(loss, {}, {"label": batch.label, "probability": said.value})

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """AUROC and average precision."""
        label, probability = (outputs[name].double().numpy() for name in ("label", "probability"))
        return loop_scores(label, probability)


@dataclass(frozen=True)
class TrainedRefHic:
    """RefHiC with the weights of its best epoch.

    Attributes
    ----------
    network
        In evaluation mode.
    result
        How its training went.
    resolution
        Bin size that it reads, bp.
    """

    network: RefHiC
    result: FitResult
    resolution: int

    @property
    def parameters(self) -> int:
        """How many values were learned."""
        return sum(one.numel() for one in self.network.parameters())

    def predict(
        self, study: RegionStore, panel: Sequence[RegionStore], table: pd.DataFrame, *, batch_size: int = 256
    ) -> np.ndarray:
        """Probability of a loop at the centre of each window, float64 (windows,).

        NaN where the study's map has no value at a window's own pixel. `panel` need not be that of the
        training, nor as large.
        """
        _require_panel(panel)
        half = self.network.config.side // 2
        squares = Squares(study, panel, table, self.resolution, half, batch_size)
        device = next(self.network.parameters()).device
        with torch.no_grad():
            said = [self.network(b.study, b.references).value for b in (b.to(device) for b in squares)]
        probability = torch.cat(said).double().cpu().numpy() if said else np.empty(0)
        return np.where(squares.known, probability, np.nan)


def train_refhic(
    run: str | Path,
    *,
    study: RegionStore,
    panel: Sequence[RegionStore],
    table: pd.DataFrame,
    config: RefHicConfig | None = None,
    seed: int = 0,
) -> TrainedRefHic:
    """Train on the windows of the split train; the epoch with the best AUROC on valid is taken.

    Parameters
    ----------
    run
        Folder for the training's curve and checkpoints.
    study
        Store of the windows.
    panel
        Stores of other cell lines, of the same assembly and resolution.
    table
        Schema `WINDOWS`, with labels; it says its resolution.
    config
        Sizes and optimiser.
    seed
        Of weights, order and dropout.

    Raises
    ------
    ConfigError
        There is no reference.
    DataError
        A split has no window of one class.
    """
    config = config or RefHicConfig()
    _require_panel(panel)
    resolution = int(table.attrs["resolution"])
    sizes, size = PRESETS[config.preset], config.fit.batch_size
    half = sizes.side // 2

    def squares(split: str, order: int | None) -> Squares:
        return Squares(study, panel, _labelled(table, split), resolution, half, size, order)

    with seeded(seed):
        network = RefHiC(sizes)
    result = fit(
        network, _Loops(), run, squares("train", seed), squares("valid", None), config.fit, seed=seed,
        description="training RefHiC",
    )  # fmt: skip
    return TrainedRefHic(network, result, resolution)


def _require_panel(panel: Sequence[RegionStore]) -> None:
    if not panel:
        raise ConfigError("RefHiC holds a map against those of other cell lines: give at least one store.")


def _labelled(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """Labelled windows of a split.

    Raises
    ------
    DataError
        A class has none.
    """
    found = table[(table["split"] == split) & table["label"].notna()].reset_index(drop=True)
    if found["label"].nunique() < 2:
        raise DataError(
            f"the split {split} has {len(found):,} labelled windows, not of both loops and others; make "
            "windows around known loops."
        )
    return found
