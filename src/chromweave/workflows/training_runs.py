"""What every training of the foundation model does: read tables, run the engine, keep model and card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from .. import config as configs
from ..batch import MapTrackBatch
from ..data.dataset import WindowDataset, WindowLoader, loader
from ..data.resident import resident_loader
from ..data.store import RegionStore
from ..data.transforms import WindowTransform
from ..data.windows import read_windows
from ..errors import ConfigError, DataError, ModelError
from ..files import is_first_process, read_json
from ..models.mixhic import MixHicConfig
from ..progress import notify
from ..provenance import describe_inputs, describe_process, start_run
from ..training.checkpoint import CONFIG, WEIGHTS, ModelDescription, save_model
from ..training.engine import FitConfig, FitResult, fit
from ..training.objectives import Objective
from .foundation_settings import LoadingConfig
from .model_card import write_model_card
from .model_input import ModelInput, shared_tracks
from .networks import CARD

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Paths",
    "RunWindows",
    "checkpoint_of",
    "input_of",
    "read_tables",
    "run_windows",
    "save_run",
    "sized",
    "start",
    "table_paths",
    "train",
]

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class RunWindows:
    """Training and validation windows of one run."""

    input: ModelInput
    train: WindowDataset
    valid: WindowDataset | None

    @property
    def n_valid(self) -> int:
        """Validation windows."""
        return 0 if self.valid is None else len(self.valid)

    def describe(self, batch: MapTrackBatch) -> str:
        """Which windows a batch holds, for an error message."""
        names, bp = self.train.chromosomes, self.input.resolution
        stores = [cutter.store.name for cutter in self.train.cutters]
        places = (batch.store, batch.chrom, batch.x, batch.y)
        shown = [
            f"{stores[s]} {names[c]}:{x * bp:,}/{y * bp:,}"
            for s, c, x, y in zip(*(place.tolist() for place in places), strict=True)
        ]
        return f"among windows {', '.join(shown[:8])}{', ...' if len(shown) > 8 else ''}"


def table_paths(windows: Paths) -> list[Path]:
    """The window tables' paths, of one or of several."""
    return [Path(windows)] if isinstance(windows, str | Path) else [Path(path) for path in windows]


def read_tables(
    stores: Sequence[RegionStore], windows: Paths, test: bool = False, *, contacts: bool = True
) -> list[pd.DataFrame]:
    """A table for each store; test windows are not even read, unless they are to be trained on."""
    paths = table_paths(windows)
    if len(paths) != len(stores):
        raise ConfigError(
            f"{len(stores)} store(s) and {len(paths)} window table(s): give one table per store, in order."
        )
    splits = ["train", "valid", "test"] if test else ["train", "valid"]
    tables = [
        read_windows(path, store=store, splits=splits, contacts=contacts)
        for path, store in zip(paths, stores, strict=True)
    ]
    for name in ("resolution", "window_bins"):
        found = sorted({int(table.attrs[name]) for table in tables})
        if len(found) > 1:
            raise DataError(
                f"the window tables differ in {name} ({', '.join(map(str, found))}); make them alike."
            )
    return tables


def input_of(
    stores: Sequence[RegionStore],
    tables: Sequence[pd.DataFrame],
    transform: WindowTransform,
    tracks: bool = True,
) -> ModelInput:
    """What a new model is to read: the tables' windows and, with `tracks`, all tracks the stores share."""
    if tracks and not transform.tracks:
        transform = replace(transform, tracks=shared_tracks(stores))
    return ModelInput(
        assembly=stores[0].assembly.name,
        resolution=int(tables[0].attrs["resolution"]),
        window_bins=int(tables[0].attrs["window_bins"]),
        transform=transform,
    )


def run_windows(
    stores: Sequence[RegionStore],
    tables: Sequence[pd.DataFrame],
    given: ModelInput,
    model: str | Path,
    seed: int,
    **cut: Any,
) -> RunWindows:
    """Training and validation windows of `tables`; `cut` says what of them (see :meth:`ModelInput.dataset`).

    Raises
    ------
    ModelError
        A store or a table does not fit `given`.
    ChromosomeError, DataError
        A window is not in its store.
    """
    for store, table in zip(stores, tables, strict=True):
        given.check(store, model, contacts=cut.get("contacts", True))
        given.check_windows(table, model)
    validate = any((table["split"] == "valid").any() for table in tables)
    if not validate:
        notify("no window has the split 'valid': training without validation, the last epoch is kept.")
    chosen = RunWindows(
        given,
        given.dataset(stores, tables, "train", seed, **cut),
        given.dataset(stores, tables, "valid", **cut) if validate else None,
    )
    for part in (chosen.train, chosen.valid):
        if part is not None:
            part.checked_chromosomes()  # before a run folder is begun
    return chosen


def sized(network: MixHicConfig, given: ModelInput) -> MixHicConfig:
    """The network with as many tracks, bins and positions as the windows have.

    One that reads no track keeps its number of tracks, which it has no use for.
    """
    return replace(
        network,
        n_tracks=len(given.transform.tracks) or network.n_tracks,
        window_bins=given.window_bins,
        positions=given.positions,
    )


def train(
    run: Path, network: nn.Module, objective: Objective[Any], windows: RunWindows, config: FitConfig,
    loading: LoadingConfig, *, seed: int, resume: bool | Path, description: str,
) -> FitResult:  # fmt: skip
    """Run the engine on training and validation windows, as the loading settings say.

    Parameters
    ----------
    run
        Run folder, begun by :func:`start`; metrics and checkpoints go there.
    network, objective
        What learns, in place, and what for.
    windows
        From :func:`run_windows`.
    config, loading
        Optimisation, and how windows reach the network.
    seed
        Of the order of the windows.
    resume
        As from :func:`checkpoint_of`.
    description
        What the progress bar says.

    Raises
    ------
    TrainingError
        The loss is no longer a number; the message names windows of the batch.
    InterruptedTraining
        The process was asked to end; a checkpoint was kept.
    """
    size = config.batch_size
    train = _batches(
        windows.train, size, loading,
        shuffle=True,
        seed=seed,
        # A short last batch has easier negatives, and noisier statistics.
        drop_last=len(windows.train) >= size,
        store_weights=loading.store_weights or None,
    )  # fmt: skip
    valid = None if windows.valid is None else _batches(windows.valid, size, loading)
    return fit(
        network,
        objective,
        run,
        train,
        valid,
        config,
        seed=seed,
        resume=resume,
        description=description,
        name_batch=windows.describe,
    )


def _batches(dataset: WindowDataset, batch_size: int, loading: LoadingConfig, **order: Any) -> WindowLoader:
    if loading.resident:
        return resident_loader(dataset, batch_size, **order)
    pinned = torch.cuda.is_available()
    return loader(dataset, batch_size, num_workers=loading.workers, pin_memory=pinned, **order)


def save_run(
    run: Path, network: nn.Module, kind: str, model: Mapping[str, Any], given: ModelInput,
    result: FitResult, *, data: Sequence[Mapping[str, Any]], inputs: Sequence[str | Path], seed: int,
    **more: Any,
) -> None:  # fmt: skip
    """Weights, description and card; of several processes the first writes them."""
    if not is_first_process():
        return
    provenance = {
        **describe_process(),
        "seed": seed,
        "data": list(data),
        "inputs": describe_inputs(inputs),
        "epochs": result.epochs,
        "best_epoch": result.best_epoch,
        "validation": {name: v for name, v in result.best_metrics.items() if np.isfinite(v)},
        **more,
    }
    save_model(run, network, ModelDescription(kind, model, configs.to_mapping(given), provenance))
    write_model_card(run)
    notify(f"model: {run}")


def checkpoint_of(resume: bool | str | Path) -> bool | Path:
    """Whether to resume, or the checkpoint to resume from, as the engine takes it."""
    return resume if isinstance(resume, bool) else Path(resume)


# What a run may be continued with other values of: none changes what a step computes.
_FREE = (
    "epochs",
    "patience",
    "checkpoint_every",
    "tensorboard",
    "accelerator",
    "devices",
    "nodes",
    "strategy",
)


def start(
    run: str | Path,
    kind: str,
    config: Any,
    seed: int,
    inputs: Sequence[str | Path],
    resume: bool | str | Path,
) -> Path:
    """A run folder; one to be resumed must have been started with the same settings, seed and inputs.

    Parameters
    ----------
    run
        The folder; what an earlier run left of a model in it is removed, unless it is resumed.
    kind
        What is trained, for ``run.json``.
    config, seed, inputs
        What is recorded: merged settings, seed, and files that are read.
    resume
        Whether an earlier run is continued, or from which checkpoint.

    Raises
    ------
    ModelError
        There is no run to resume.
    ConfigError, DataError
        It was started with other settings or another seed; or with other inputs.
    """
    folder, processes = Path(run), config.fit.processes
    if resume:
        _require_the_same(folder, config, seed, inputs)
    start_run(folder, kind=kind, config=config, seed=seed, inputs=inputs, processes=processes)
    if not resume and is_first_process(processes):
        for name in (WEIGHTS, CONFIG, CARD):  # of the run that was here before
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    return folder


def _require_the_same(run: Path, config: Any, seed: int, inputs: Sequence[str | Path]) -> None:
    path, record = run / "config.toml", run / "run.json"
    if not path.is_file() or not record.is_file():
        raise ModelError(f"{run}: there is no run to resume; start it without resuming.")
    before = configs.load(type(config), path)
    free = {name: getattr(config.fit, name) for name in _FREE}
    loading = replace(before.loading, workers=config.loading.workers, resident=config.loading.resident)
    if replace(before, fit=replace(before.fit, **free), loading=loading) != config:
        raise ConfigError(
            f"{path}: the run was started with other settings; resume with the same ones (only "
            f"{', '.join(_FREE)}, workers and resident may change), or start anew."
        )
    said = read_json(record)
    if said["seed"] != seed:
        raise ConfigError(
            f"{record}: the run was started with seed {said['seed']}; resume with the same one."
        )
    known = {entry["sha256"] for entry in said["inputs"]}
    for entry in describe_inputs(inputs):
        if entry["sha256"] not in known:
            raise DataError(
                f"{entry['path']}: is not what the run {run} was started with; resume with the same stores, "
                f"windows and models, or start anew."
            )
