"""The foundation model's verbs: pre-train it, fine-tune it for loops, score windows, call loops.

Each takes stores (paths or open ones) and writes a folder or file that says where it comes from.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from ..evaluation.classification import auroc, average_precision
from ..files import is_first_process, read_json
from ..models.mixhic import LoopModel, MixHicConfig, MixHicPretrain
from ..progress import notify
from ..provenance import describe_inputs, describe_process, start_run
from ..training.checkpoint import (
    CONFIG,
    WEIGHTS,
    ModelDescription,
    Transfer,
    read_description,
    read_weights,
    save_model,
    transfer,
)
from ..training.engine import FitConfig, FitResult, fit, seeded
from ..training.objectives import LoopClassification, Objective, PairedPretraining
from .foundation_settings import FinetuneConfig, LoadingConfig, LoopCallConfig, PretrainConfig
from .loop_calling import call_loops, score_windows
from .model_card import training_data, write_model_card
from .model_input import ModelInput, StoreLike, open_stores, shared_tracks
from .networks import CARD, LOOPS, PRETRAIN, load, network_config

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FinetuneConfig",
    "FinetuneResult",
    "LoadingConfig",
    "LoopCallConfig",
    "PretrainConfig",
    "PretrainResult",
    "call_loops",
    "finetune",
    "load",
    "pretrain",
    "score_windows",
]

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class PretrainResult:
    """A pre-training run.

    Attributes
    ----------
    run
        Its folder.
    fit
        How it went; `fit.best_metrics` holds retrieval, alignment, uniformity and the losses.
    train_windows, valid_windows
        How many there were.
    """

    run: Path
    fit: FitResult
    train_windows: int
    valid_windows: int


@dataclass(frozen=True)
class FinetuneResult:
    """A fine-tuning run.

    Attributes
    ----------
    run
        Its folder.
    fit
        How it went; `fit.best_metrics` holds AUROC and average precision on validation.
    train_windows, valid_windows
        How many there were.
    transfer
        Which tensors came from the pre-trained model, which are new, which stayed behind; None from scratch.
    """

    run: Path
    fit: FitResult
    train_windows: int
    valid_windows: int
    transfer: Transfer | None


@dataclass(frozen=True)
class _Windows:
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


def _paths(windows: Paths) -> list[Path]:
    return [Path(windows)] if isinstance(windows, str | Path) else [Path(path) for path in windows]


def _read_tables(stores: Sequence[RegionStore], windows: Paths, test: bool = False) -> list[pd.DataFrame]:
    """A table for each store; test windows are not even read, unless they are to be trained on."""
    paths = _paths(windows)
    if len(paths) != len(stores):
        raise ConfigError(
            f"{len(stores)} store(s) and {len(paths)} window table(s): give one table per store, in order."
        )
    splits = ["train", "valid", "test"] if test else ["train", "valid"]
    tables = [
        read_windows(path, store=store, splits=splits) for path, store in zip(paths, stores, strict=True)
    ]
    for name in ("resolution", "window_bins"):
        found = sorted({int(table.attrs[name]) for table in tables})
        if len(found) > 1:
            raise DataError(
                f"the window tables differ in {name} ({', '.join(map(str, found))}); make them alike."
            )
    return tables


def _input_of(
    stores: Sequence[RegionStore], tables: Sequence[pd.DataFrame], transform: WindowTransform
) -> ModelInput:
    """What a new model is to read: the tables' windows, and all tracks that the stores share."""
    if not transform.tracks:
        transform = replace(transform, tracks=shared_tracks(stores))
    return ModelInput(
        assembly=stores[0].assembly.name,
        resolution=int(tables[0].attrs["resolution"]),
        window_bins=int(tables[0].attrs["window_bins"]),
        transform=transform,
    )


def _windows(
    stores: Sequence[RegionStore],
    tables: Sequence[pd.DataFrame],
    given: ModelInput,
    model: str | Path,
    seed: int,
) -> _Windows:
    for store, table in zip(stores, tables, strict=True):
        given.check(store, model)
        given.check_windows(table, model)
    validate = any((table["split"] == "valid").any() for table in tables)
    if not validate:
        notify("no window has the split 'valid': training without validation, the last epoch is kept.")
    return _Windows(
        given,
        given.dataset(stores, tables, "train", seed),
        given.dataset(stores, tables, "valid") if validate else None,
    )


def _sized(network: MixHicConfig, given: ModelInput) -> MixHicConfig:
    return replace(
        network,
        n_tracks=len(given.transform.tracks),
        window_bins=given.window_bins,
        positions=given.positions,
    )


def _train(
    run: Path, network: nn.Module, objective: Objective[Any], windows: _Windows, config: FitConfig,
    loading: LoadingConfig, *, seed: int, resume: bool | Path, description: str,
) -> FitResult:  # fmt: skip
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


def _save(
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


def pretrain(
    run: str | Path,
    *,
    stores: StoreLike | Sequence[StoreLike],
    windows: Paths,
    preset: str = "tiny",
    config: PretrainConfig | None = None,
    seed: int = 0,
    resume: bool | str | Path = False,
) -> PretrainResult:
    """Pre-train MIX-HIC: both encoders learn which map and which tracks belong together.

    Several processes that the settings ask for (`fit.devices`, `fit.nodes`) each call this.

    Parameters
    ----------
    run
        Run folder: settings, `metrics.csv`, checkpoints, and at the end `model.safetensors`, `config.json`
        and the model card `README.md`.
    stores
        One or several cell lines.
    windows
        A window table per store, in the same order. Splits ``train`` and ``valid`` are used, and ``test``
        only where the settings include test chromosomes.
    preset
        Sizes and optimisation where no `config` is given: tiny, small, paper-128, paper-256.
    config
        All settings.
    seed
        Of weights, order and dropout.
    resume
        Continue an interrupted run of the same settings, from its last checkpoint or from the one named.

    Raises
    ------
    ConfigError, DataError, ModelError
        Settings, windows and stores do not fit one another.
    TrainingError
        The loss is no longer a number.
    InterruptedTraining
        The process was asked to end; a checkpoint was kept.
    """
    config = config or PretrainConfig.preset(preset)
    opened = open_stores(stores)
    tables = _read_tables(opened, windows, config.include_test_chromosomes)
    if config.include_test_chromosomes:
        tables = [_with_test_windows(table) for table in tables]
    chosen = _windows(opened, tables, _input_of(opened, tables, config.transform), run, seed)
    size = _sized(config.network, chosen.input)
    config = replace(config, network=size, transform=chosen.input.transform)
    inputs = [*(store.path for store in opened), *_paths(windows)]
    folder = _start(run, "pretrain", config, seed, inputs, resume)
    with seeded(seed):
        network = MixHicPretrain(size)
    result = _train(
        folder, network, PairedPretraining(config.loss), chosen, config.fit, config.loading,
        seed=seed, resume=_checkpoint(resume), description="pre-training",
    )  # fmt: skip
    model = {"network": configs.to_mapping(size)}
    data = training_data(opened, tables)
    _save(
        folder, network, PRETRAIN, model, chosen.input, result, data=data, inputs=inputs, seed=seed,
        include_test_chromosomes=config.include_test_chromosomes,
    )  # fmt: skip
    return PretrainResult(folder, result, len(chosen.train), chosen.n_valid)


def _with_test_windows(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose test windows are training windows."""
    changed = table.assign(split=table["split"].astype(str).replace("test", "train"))
    changed.attrs = dict(table.attrs)
    return changed


def _checkpoint(resume: bool | str | Path) -> bool | Path:
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


def _start(
    run: str | Path,
    kind: str,
    config: Any,
    seed: int,
    inputs: Sequence[str | Path],
    resume: bool | str | Path,
) -> Path:
    """A run folder; one to be resumed must have been started with the same settings, seed and inputs."""
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


def loop_scores(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """What is watched while a loop model is trained."""
    return {
        "auroc": auroc(label, probability),
        "average_precision": average_precision(label, probability),
    }


def _require_both_classes(tables: Sequence[pd.DataFrame]) -> None:
    for split in ("train", "valid"):
        labels = np.concatenate(
            [table.loc[table["split"] == split, "label"].to_numpy(float) for table in tables]
        )
        if np.isnan(labels).any() or set(labels) != {0.0, 1.0}:
            raise DataError(
                f"the split {split!r} has {len(labels):,} windows: {(labels == 1).sum():,} loops, "
                f"{(labels == 0).sum():,} without, {np.isnan(labels).sum():,} unlabelled; loop training "
                f"needs loops and others in 'train' and in 'valid', and none unlabelled."
            )


def finetune(
    run: str | Path,
    *,
    stores: StoreLike | Sequence[StoreLike],
    windows: Paths,
    task: Literal["loops"] = "loops",
    pretrained: str | Path | None = None,
    preset: str = "tiny",
    config: FinetuneConfig | None = None,
    seed: int = 0,
    resume: bool | str | Path = False,
) -> FinetuneResult:
    """Train a task's model, from a pre-trained one or from scratch.

    Parameters
    ----------
    run, stores, windows, seed, resume
        As in :func:`pretrain`; every window of ``train`` and ``valid`` needs a label.
    task
        ``"loops"``.
    pretrained
        Run folder of :func:`pretrain`; it decides sizes, tracks and transform. None starts from scratch.
    preset
        Optimisation, and from scratch sizes, where no `config` is given.
    config
        All settings.

    Raises
    ------
    ConfigError, DataError, ModelError
        Settings, windows, stores and the pre-trained model do not fit one another.
    TrainingError
        The loss is no longer a number.
    """
    if task != "loops":
        raise ConfigError(f"no task {task!r}; there is 'loops'.")
    config = config or FinetuneConfig.preset(preset)
    if "jitter" in config.transform.augmentations:
        raise ConfigError(
            "the augmentation 'jitter' moves the anchors that loops are labels of; leave it out."
        )
    opened = open_stores(stores)
    tables = _read_tables(opened, windows)
    _require_both_classes(tables)
    if pretrained is None:
        chosen = _windows(opened, tables, _input_of(opened, tables, config.transform), run, seed)
        config = replace(config, network=_sized(config.network, chosen.input))
    else:
        before = _pretrained(pretrained)
        given = ModelInput.parse(before.data, f"{pretrained}: config.json").augmented_as(config.transform)
        chosen = _windows(opened, tables, given, pretrained, seed)
        own = replace(network_config(before.model), head_dropout=config.network.head_dropout)
        config = replace(config, network=own)
    config = replace(config, transform=chosen.input.transform)
    inputs = [*(store.path for store in opened), *_paths(windows)]
    if pretrained is not None:
        inputs.append(Path(pretrained) / CONFIG)
    folder = _start(run, "finetune-loops", config, seed, inputs, resume)
    with seeded(seed):
        network = LoopModel(config.network, config.mode)
    moved = None if pretrained is None else _take_over(network, pretrained)
    result = _train(
        folder, network, LoopClassification(loop_scores), chosen, config.fit, config.loading,
        seed=seed, resume=_checkpoint(resume), description="training for loops",
    )  # fmt: skip
    model = {"network": configs.to_mapping(config.network), "mode": config.mode}
    more: dict[str, Any] = {}
    if pretrained is not None and moved is not None:
        more = {"pretrained": str(pretrained), "transferred_tensors": len(moved.moved)}
        seen = before.provenance.get("include_test_chromosomes")
        more |= {} if seen is None else {"include_test_chromosomes": seen}
    data = training_data(opened, tables)
    _save(folder, network, LOOPS, model, chosen.input, result, data=data, inputs=inputs, seed=seed, **more)
    return FinetuneResult(folder, result, len(chosen.train), chosen.n_valid, moved)


def _pretrained(path: str | Path) -> ModelDescription:
    description = read_description(path)
    if description.kind != PRETRAIN:
        raise ModelError(f"{path}: holds a {description.kind!r} model; give a run folder of pretrain.")
    return description


def _take_over(network: nn.Module, pretrained: str | Path) -> Transfer:
    moved = transfer(network, read_weights(pretrained), str(pretrained))
    modules = [
        sorted({name.split(".")[0] for name in names}) for names in (moved.moved, moved.new, moved.left)
    ]
    notify(
        f"from {pretrained}: {len(moved.moved)} tensors taken over ({', '.join(modules[0])}), "
        f"{len(moved.new)} new ({', '.join(modules[1])}), {len(moved.left)} not needed "
        f"({', '.join(modules[2]) or 'none'})."
    )
    return moved
