"""A fine-tuned model on windows as they are and with edited tracks, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from torch import Tensor

from ..batch import MapTrackBatch, Prediction
from ..data.edits import SignalEdit, SignalEditor
from ..data.store import RegionStore
from ..data.transforms import WindowTransform
from ..errors import ConfigError, ModelError
from ..genome import Assembly, Interval
from ..models.tasks import reads_tracks
from ..progress import notify
from ..training.checkpoint import CONFIG, LoadedModel, read_description
from .contact_scale import ContactScale
from .finetuning import Task
from .inference import Change, TaskModel, bins_with_data
from .model_input import StoreLike, open_stores
from .networks import TASKS, load_task, made_by

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EditableModel", "EditedAnswer", "parse_edits"]


class EditedAnswer(NamedTuple):
    """A batch with its raw signal, the model's answers to it as it is and edited, all on the CPU.

    `taken` is bool (batch,): whether the edits take hold of any data in a window.
    """

    batch: MapTrackBatch
    before: Prediction
    after: Prediction
    taken: np.ndarray


@dataclass(frozen=True)
class EditableModel:
    """A model that reads tracks, set up to get them raw, so that they can be edited before its transform.

    Parameters
    ----------
    task
        What it predicts.
    model
        The model, with ``"raw"`` signal as its input.
    transform
        What the network has learned to see.
    store
        Where windows are cut from.
    """

    task: Task
    model: TaskModel
    transform: WindowTransform
    store: RegionStore

    @classmethod
    def open(cls, model: str | Path | LoadedModel, store: StoreLike) -> EditableModel:
        """A model and its store, once they fit.

        Raises
        ------
        ModelError
            The model is of no task or reads no tracks, or the store does not fit it.
        """
        loaded, task = _loaded(model)
        name = "at hand" if isinstance(model, LoadedModel) else str(model)
        mode = str(loaded.description.model.get("mode"))
        if not reads_tracks(mode):
            raise ModelError(
                f"the model {name} reads no tracks (its mode is {mode}), so that there is nothing to edit; "
                f"give one of the mode bimodal, tracks or infer_map."
            )
        (opened,) = open_stores(store)
        own = TaskModel.of(loaded, task).given.transform
        raw = replace(TaskModel.of(_raw(loaded), task), name=name)
        raw.check(opened)
        if raw.reads_map:
            notify("the model reads the contact map, too: that is kept as measured, only tracks are edited")
        return cls(task, raw, own, opened)

    @property
    def loaded(self) -> LoadedModel:
        """The model as others may load it; it has to be given :meth:`change`, as it gets raw signal."""
        return self.model.loaded

    @property
    def window_bins(self) -> int:
        """Side of a window, bins."""
        return self.model.given.window_bins

    @property
    def resolution(self) -> int:
        """Bin size, bp."""
        return self.model.given.resolution

    @property
    def farthest_bins(self) -> int:
        """Largest distance of anchors of a contact model's training windows, bins."""
        return int(self.model.model.get("farthest_bins", 0))

    def scale(self) -> ContactScale:
        """What turns a contact model's answers into contacts."""
        return ContactScale.of(self.model.model, self.transform, f"{self.model.name}: {CONFIG}")

    def require_tracks(self, names: Iterable[str]) -> None:
        """Raise ModelError if the model does not read one of the tracks."""
        read = self.transform.tracks
        unknown = [name for name in names if name not in read]
        if unknown:
            raise ModelError(
                f"the model {self.model.name} does not read the track {', '.join(unknown)}; "
                f"it reads {', '.join(read)}. Edit one of these."
            )

    def at_once(self, batch_size: int) -> int:
        """Windows at a time: as many as asked for, or one where windows of a batch see one another.

        An imported model attends across the batch, as the published code does: the edit of one window would
        change the answer to the next.

        Raises
        ------
        ConfigError
            Less than one is asked for.
        """
        if batch_size < 1:
            raise ConfigError(f"a batch has at least one window, not {batch_size}.")
        if not self.model.model.get("network", {}).get("legacy", False):
            return batch_size
        notify(
            "the model's windows see the others of their batch: each is predicted by itself, which is slow"
        )
        return 1

    def editor(self, chromosomes: Sequence[str]) -> SignalEditor:
        """Edits windows whose chromosomes are numbered like that."""
        return SignalEditor(self.store, self.transform.tracks, chromosomes, self.resolution)

    def change(self, chrom: str, edits: Sequence[SignalEdit]) -> Change:
        """What makes the network's input of a batch of raw windows of one chromosome."""
        editor = self.editor([chrom])
        return lambda batch: self._as_learned(batch, editor.edited(batch, edits))

    def _as_learned(self, batch: MapTrackBatch, signal: Tensor) -> MapTrackBatch:
        """The batch as the network has learned to see it, with this raw signal."""
        return replace(batch, tracks=self.transform.of_signal(signal))

    def answers(
        self,
        table: pd.DataFrame,
        edits: Sequence[Sequence[SignalEdit]],
        batch_size: int,
        description: str,
    ) -> Iterator[EditedAnswer]:
        """What the model says of windows, each as it is and after edits of its own.

        Parameters
        ----------
        table
            :data:`schemas.WINDOWS`, of the model's geometry.
        edits
            One list for each row.
        batch_size
            Windows at a time.
        description
            What the progress bar says; it counts windows.
        """
        windows = self.model.windows(self.store, table)
        editor, done = self.editor(windows.chromosomes), 0
        for batch, before in self.model.answers(
            windows, batch_size, description, lambda batch: self._as_learned(batch, batch.tracks)
        ):
            now, done = edits[done : done + len(batch)], done + len(batch)
            after = self.model.say(self._as_learned(batch, editor.edited(batch, now)))
            taken = editor.take_hold(batch, now).numpy()
            yield EditedAnswer(batch, _on_cpu(before), _on_cpu(after), taken)

    def contacts(self, answer: EditedAnswer) -> tuple[np.ndarray, np.ndarray]:
        """Contacts before and after, float64 (n, bins, bins); NaN in bins without data.

        A window on the diagonal is made symmetric.
        """
        batch, scale = answer.batch, self.scale()
        known = bins_with_data(batch)
        unknown = ~(known[:, 0][:, :, None] & known[:, 1][:, None, :])

        def of(prediction: Prediction) -> np.ndarray:
            found = scale.windows(prediction.value[:, 0].numpy(), batch.x.numpy(), batch.y.numpy())
            found[unknown] = np.nan
            return found

        return of(answer.before), of(answer.after)


def parse_edits(
    assembly: Assembly,
    *,
    delete: Sequence[str] = (),
    scale: Sequence[str] = (),
    tracks: Sequence[str] = (),
) -> tuple[SignalEdit, ...]:
    """Edits as they are written: regions to delete, and then ``REGION=FACTOR`` to scale, in that order.

    Raises
    ------
    ConfigError
        None is given, a text is no region or factor, or a factor is out of range.
    AssemblyError
        A region is not inside its chromosome.
    """
    named = tuple(dict.fromkeys(tracks))
    edits = [SignalEdit(Interval.parse(region, assembly), named) for region in delete]
    for text in scale:
        region, equals, factor = text.rpartition("=")
        if not equals:
            raise ConfigError(f"--scale {text!r}: write REGION=FACTOR, for example chr1:1,000-2,000=0.5.")
        edits.append(SignalEdit(Interval.parse(region, assembly), named, _factor(factor, text)))
    if not edits:
        raise ConfigError("there is nothing to edit; name a stretch with --delete or --scale.")
    return tuple(edits)


def _factor(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"--scale {whole!r}: {text!r} is no number to multiply by.") from error


def _loaded(model: str | Path | LoadedModel) -> tuple[LoadedModel, Task]:
    kind = (model.description if isinstance(model, LoadedModel) else read_description(model)).kind
    tasks: Mapping[str, Task] = {kind: cast("Task", task) for task, kind in TASKS.items()}
    if kind not in tasks:
        raise ModelError(
            f"the model {'at hand' if isinstance(model, LoadedModel) else model} is one of {made_by(kind)}, "
            f"which predicts nothing; give one that was fine-tuned for {', '.join(TASKS)}."
        )
    return (model if isinstance(model, LoadedModel) else load_task(model, tasks[kind])), tasks[kind]


def _raw(loaded: LoadedModel) -> LoadedModel:
    """The same model, described as one that gets raw signal."""
    data = dict(loaded.description.data)
    data["transform"] = {**data.get("transform", {}), "signal": "raw"}
    return replace(loaded, description=replace(loaded.description, data=data))


def _on_cpu(said: Prediction) -> Prediction:
    return Prediction(said.value.cpu(), None if said.logit is None else said.logit.cpu())
