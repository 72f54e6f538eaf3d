"""A fine-tuned model at work: what it reads, whether a store has it, and its answers window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from ..batch import MapTrackBatch, Prediction
from ..data.dataset import WindowDataset, loader
from ..data.store import RegionStore
from ..errors import DataError, ModelError, OutputError
from ..genome import Binning
from ..models.tasks import reads_map, reads_tracks
from ..progress import notify, track
from ..training.checkpoint import CONFIG, LoadedModel
from .model_input import ModelInput
from .networks import TASKS, load_task, made_by, wrong_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["Answer", "Change", "TaskModel", "bins_with_data", "require_file_names", "window_table"]

Change = Callable[[MapTrackBatch], MapTrackBatch]
"""What is done to a batch, on the CPU, before the model sees it; its windows stay what and where they are."""


class Answer(NamedTuple):
    """A batch as the store has it, on the CPU, and what the model says of it, on its device."""

    batch: MapTrackBatch
    prediction: Prediction


@dataclass(frozen=True)
class TaskModel:
    """A fine-tuned model, and what it reads.

    Parameters
    ----------
    loaded
        Network and description.
    given
        Windows and transform.
    reads_map
        Whether it reads the contact map; if not, a store needs none.
    name
        The model, for messages.
    """

    loaded: LoadedModel
    given: ModelInput
    reads_map: bool
    name: str

    @classmethod
    def of(cls, model: str | Path | LoadedModel, task: str) -> TaskModel:
        """The model of a run folder, or one at hand.

        Raises
        ------
        ModelError
            The folder is damaged, or the model is of another task.
        """
        at_hand = isinstance(model, LoadedModel)
        loaded = model if isinstance(model, LoadedModel) else load_task(model, task)
        name = "at hand" if at_hand else str(model)
        kind, described = loaded.description.kind, loaded.description.model
        if kind != TASKS[task]:
            raise wrong_kind(f"the model {name}", kind, made_by(TASKS[task]))
        if "mode" not in described:
            raise ModelError(f"the model {name}: its {CONFIG} lacks the mode; it is damaged.")
        mode = described["mode"]
        given = ModelInput.parse(loaded.description.data, f"{CONFIG} of the model {name}: data")
        if not reads_tracks(mode):
            given = replace(given, transform=replace(given.transform, tracks=()))
        return cls(loaded, given, reads_map(mode), name)

    @property
    def model(self) -> dict[str, Any]:
        """What the description says of the model."""
        return dict(self.loaded.description.model)

    def check(self, store: RegionStore) -> None:
        """Refuse a store that the model cannot read.

        Raises
        ------
        ModelError
            Assembly or tracks differ, or the map that the model reads is not there.
        """
        self.given.check(store, self.name, contacts=self.reads_map)

    def n_bins(self, store: RegionStore, chrom: str) -> int:
        """Bins of a chromosome, at the model's resolution."""
        return Binning(store.assembly, self.given.resolution).n_bins(chrom)

    def long_enough(self, store: RegionStore, chroms: Sequence[str] | None) -> list[str]:
        """The chromosomes that hold a window, of those named or of all, in the store's order.

        Raises
        ------
        ChromosomeError
            One that is named is not in the store.
        DataError
            None is long enough.
        """
        named = {store.require(chrom) for chrom in chroms} if chroms else set(store.chromosomes)
        wanted = [chrom for chrom in store.chromosomes if chrom in named]
        side = self.given.window_bins
        found = [chrom for chrom in wanted if self.n_bins(store, chrom) >= side]
        short = [chrom for chrom in wanted if chrom not in found]
        need = f"a window of the model {self.name} ({side} bins of {self.given.resolution:,} bp)"
        if not found:
            raise DataError(f"{store.path}: {', '.join(short)}: shorter than {need}; there is nothing to do.")
        if short:
            notify(f"left out, as shorter than {need}: {', '.join(short)}.")
        return found

    def windows(self, store: RegionStore, table: pd.DataFrame) -> WindowDataset:
        """The windows of a table, with a map only where the model reads it."""
        return self.given.dataset([store], [table], "predict", contacts=self.reads_map)

    def answers(
        self, windows: WindowDataset, batch_size: int, description: str, change: Change | None = None
    ) -> Iterator[Answer]:
        """What the model says of all windows, in their order, on a GPU where there is one.

        Parameters
        ----------
        windows
            See :meth:`windows`.
        batch_size
            Windows at a time.
        description
            What the progress bar says; it counts windows.
        change
            Done to each batch before the model sees it.
        """
        for answer in track(
            self._each_window(windows, batch_size, change), description, total=len(windows), unit="windows"
        ):
            if answer is not None:
                yield answer

    def _each_window(
        self, windows: WindowDataset, batch_size: int, change: Change | None
    ) -> Iterator[Answer | None]:
        """An answer at the first window of each batch, None at all others: so that windows are counted."""
        for batch in loader(windows, batch_size):
            yield Answer(batch, self.say(batch if change is None else change(batch)))
            yield from [None] * (len(batch) - 1)

    def say(self, batch: MapTrackBatch) -> Prediction:
        """What the model says of one batch, as it is; on a GPU where there is one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network, given = self.loaded.network.to(device).eval(), batch.to(device)
        with torch.inference_mode():
            found: Prediction = network(given.contact_map if self.reads_map else None, given.tracks)
        return found


def bins_with_data(batch: MapTrackBatch) -> np.ndarray:
    """bool (batch, 2, bins): bins of the x and of the y segment in which any track has data.

    Where there are no tracks, those with a known entry of the window's map.
    """
    bins = batch.contact_map.shape[-1]
    if batch.tracks.shape[-1]:
        return batch.track_mask.any(-1).reshape(len(batch), 2, bins, -1).any(-1).numpy()
    known = batch.contact_mask[:, 0]
    return torch.stack([known.any(2), known.any(1)], dim=1).numpy()


def window_table(chrom: str | np.ndarray, x: np.ndarray, y: np.ndarray, resolution: int) -> pd.DataFrame:
    """Windows around anchor bins (x, y) of one chromosome or of each its own, without labels.

    Columns as in :data:`schemas.WINDOWS`; a table that names no store, resolution or protocol.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "chrom": chrom,
            "x": x.astype(np.int64) * resolution,
            "y": y.astype(np.int64) * resolution,
            "label": np.nan,
            "split": "test",
            "kind": "grid",
        }
    )


def require_file_names(*paths: str | Path) -> None:
    """Refuse to begin where files are to be written that are folders.

    Raises
    ------
    OutputError
        A path is a folder.
    """
    for path in map(Path, paths):
        if path.is_dir():
            raise OutputError(f"{path}: is a directory, where a file is to be written; give a file name.")
