"""What the arms of an experiment have in common: windows that can be judged, tracks, network, one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import ConfigError, DataError
from ..models.tasks import reads_tracks
from ..training.checkpoint import CONFIG, read_description
from .finetuning import Task
from .foundation_settings import FinetuneConfig, PretrainConfig
from .model_input import ModelInput, shared_tracks
from .networks import PRETRAIN, TASKS, made_by, network_config, wrong_kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["alike", "one_process", "read", "reading", "require_samples"]


def read(windows: str | Path, store: RegionStore, *splits: str) -> pd.DataFrame:
    """Windows of some splits, refused if they are not of this store (of its assembly, if it has no map)."""
    return read_windows(windows, store=store, splits=splits, contacts=bool(store.resolutions))


def require_samples(task: Task, store: RegionStore, windows: str | Path) -> None:
    """Refuse, before anything is trained, windows that could not be trained on or judged.

    Raises
    ------
    DataError
        A split is empty; or, for loops, has unlabelled windows or those of one label only.
    """
    if task not in TASKS:
        raise ConfigError(f"no task {task!r}; there are {', '.join(TASKS)}.")
    for split in ("train", "valid", "test"):
        label = read(windows, store, split)["label"]
        if not len(label):
            raise DataError(
                f"{windows}: has no window of the split {split!r}; an experiment needs all three, make "
                "windows with a split that has them."
            )
        if task == "loops" and (label.isna().any() or label.nunique() != 2):
            raise DataError(
                f"{windows}: loops are learned from loops and others, all labelled; of the split {split!r} "
                f"{int(label.isna().sum()):,} of {len(label):,} windows have no label; make windows with "
                "--around loops."
            )


def alike(config: FinetuneConfig, task: Task, pretrained: str | Path) -> FinetuneConfig:
    """Settings that give a model from scratch the size and the input of one from `pretrained`.

    Raises
    ------
    ModelError
        The folder holds no pre-trained model.
    """
    before = read_description(pretrained)
    if before.kind != PRETRAIN:
        raise wrong_kind(pretrained, before.kind, made_by(PRETRAIN))
    given = ModelInput.parse(before.data, f"{pretrained}: {CONFIG}")
    return config.after(network_config(before.model), given.transform, task)


def reading(
    config: FinetuneConfig, task: Task, stores: Sequence[RegionStore], *, whatever_mode: bool = False
) -> FinetuneConfig:
    """Settings that name the tracks read: those given, or all that `stores` share but the one predicted.

    A mode that reads no track names none, unless another arm reads them (`whatever_mode`).

    Raises
    ------
    ConfigError
        Nothing is left to read.
    DataError
        The stores have no track in common.
    """
    if config.transform.tracks or not (whatever_mode or reads_tracks(config.mode)):
        return config
    target = config.signal if task == "expression" else None
    tracks = tuple(name for name in shared_tracks(stores) if name != target)
    if not tracks:
        raise ConfigError(f"the stores share no track but {target}, which is to be predicted.")
    return replace(config, transform=replace(config.transform, tracks=tracks))


def one_process(config: FinetuneConfig | PretrainConfig) -> None:
    """Refuse settings that spread a training: what follows it would be done by every process.

    Raises
    ------
    ConfigError
        There is more than one process.
    """
    if config.fit.processes > 1:
        raise ConfigError(
            "an experiment trains its arms one after another in one process; leave devices and nodes at 1."
        )
