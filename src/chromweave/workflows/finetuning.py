"""Fine-tuning: a task's model from a pre-trained one, or from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from torch import nn

from .. import config as configs
from ..data.store import RegionStore
from ..errors import ConfigError, DataError
from ..evaluation.calibration import fit_temperature
from ..evaluation.classification import auroc, average_precision
from ..files import is_first_process
from ..models.tasks import Mode, TaskBody, reads_map, reads_tracks
from ..progress import notify
from ..training.checkpoint import (
    CONFIG,
    LoadedModel,
    ModelDescription,
    Transfer,
    read_description,
    read_weights,
    transfer,
)
from ..training.engine import FitResult, seeded
from ..training.objectives import LoopClassification, Objective
from ..training.regression import ContactRegression, SignalRegression
from .architectures import MIX_HIC, architecture_mode, describe_baseline
from .contact_scale import ContactScale, mean_expected
from .foundation_settings import FinetuneConfig
from .inference import TaskModel
from .model_card import training_data
from .model_input import ModelInput, StoreLike, open_stores
from .networks import LOOPS, PRETRAIN, TASKS, build_network, made_by, network_config, wrong_kind
from .training_runs import (
    Paths,
    RunWindows,
    checkpoint_of,
    input_of,
    read_tables,
    run_windows,
    save_run,
    sized,
    start,
    table_paths,
    train,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FinetuneResult", "Task", "finetune", "loop_scores"]

Task = Literal["loops", "contacts", "expression"]


@dataclass(frozen=True)
class FinetuneResult:
    """A fine-tuning run.

    Attributes
    ----------
    run
        Its folder.
    fit
        How it went; `fit.best_metrics` holds AUROC and average precision of loops on validation, or Pearson
        correlation of contacts or expression.
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


def loop_scores(label: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """What is watched while a loop model is trained."""
    return {
        "auroc": auroc(label, probability),
        "average_precision": average_precision(label, probability),
    }


def finetune(
    run: str | Path,
    *,
    stores: StoreLike | Sequence[StoreLike],
    windows: Paths,
    task: Task = "loops",
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
        As in :func:`~chromweave.workflows.foundation.pretrain`; for loops every window of ``train`` and
        ``valid`` needs a label.
    task
        ``"loops"``; ``"contacts"``, the window's map from its tracks; or ``"expression"``, the bins' signal
        of the track that `config.signal` names.
    pretrained
        Run folder of :func:`~chromweave.workflows.foundation.pretrain`; it decides sizes, tracks and
        transform. None starts from scratch.
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
    if task not in TASKS:
        raise ConfigError(f"no task {task!r}; there are {', '.join(TASKS)}.")
    config = config or FinetuneConfig.preset(preset, task)
    if config.architecture != MIX_HIC:
        config = replace(config, mode=cast(Mode, architecture_mode(config.architecture, task)))
    _require_sense(config, task, pretrained)
    opened = open_stores(stores)
    cut = _cut(config, task)
    tables = read_tables(opened, windows, contacts=cut["contacts"])
    if task == "loops":
        _require_both_classes(tables)
    config, given = _settled(config, task, opened, tables, pretrained)
    chosen = run_windows(opened, tables, given, pretrained or run, seed, **cut)
    if task == "expression":
        _require_signal(chosen, config)
    model = _described(config, task, opened, tables, given)
    inputs = [*(store.path for store in opened), *table_paths(windows)]
    if pretrained is not None:
        inputs.append(Path(pretrained) / CONFIG)
    folder = start(run, f"finetune-{task}", config, seed, inputs, resume)
    with seeded(seed):
        network = build_network(TASKS[task], model)
    moved = None if pretrained is None else _take_over(network, pretrained, config.tune)
    result = train(
        folder, network, _objective(config, task), chosen, config.fit, config.loading,
        seed=seed, resume=checkpoint_of(resume), description=f"training for {task}",
    )  # fmt: skip
    if task == "loops" and is_first_process():
        model["temperature"] = _temperature(network, model, chosen, config.fit.batch_size)
    data = training_data(opened, tables)
    save_run(
        folder, network, TASKS[task], model, given, result,
        data=data, inputs=inputs, seed=seed, **_origin(pretrained, moved),
    )  # fmt: skip
    return FinetuneResult(folder, result, len(chosen.train), chosen.n_valid, moved)


def _require_sense(config: FinetuneConfig, task: Task, pretrained: str | Path | None) -> None:
    if task == "loops" and "jitter" in config.transform.augmentations:
        raise ConfigError(
            "the augmentation 'jitter' moves the anchors that loops are labels of; leave it out."
        )
    if task == "contacts" and "thin" in config.transform.augmentations:
        raise ConfigError("the augmentation 'thin' thins the map that is to be predicted; leave it out.")
    if task == "contacts" and reads_map(config.mode):
        raise ConfigError(
            f"a model that predicts contacts must not read them; its mode is infer_map or tracks, not "
            f"{config.mode}."
        )
    if config.architecture != MIX_HIC and pretrained is not None:
        raise ConfigError(
            f"{config.architecture} is trained from scratch: {pretrained} is a pre-training of {MIX_HIC}; "
            f"leave one of the two out."
        )
    if config.tune != "full" and pretrained is None:
        raise ConfigError(
            f"tune {config.tune!r} keeps pre-trained weights as they are; name the run they come from "
            f"(--from)."
        )


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


_LOOKED_AT = 256


def _require_signal(windows: RunWindows, config: FinetuneConfig) -> None:
    """Refuse a signal that no bin has enough of, which would train to nothing."""
    for name, dataset in {"train": windows.train, "valid": windows.valid}.items():
        if dataset is None:
            continue
        shown = np.linspace(0, len(dataset) - 1, min(len(dataset), _LOOKED_AT)).astype(np.int64)
        known = dataset.batch(shown).target_mask
        if known is None or not bool(known.any()):
            raise DataError(
                f"the track {config.signal} covers {config.least_known:g} of no bin of the {name} windows "
                f"looked at ({len(shown):,}); if it has values at start sites alone, set least_known to 0.01."
            )


def _settled(
    config: FinetuneConfig,
    task: Task,
    stores: Sequence[RegionStore],
    tables: Sequence[pd.DataFrame],
    pretrained: str | Path | None,
) -> tuple[FinetuneConfig, ModelInput]:
    """The settings with sizes and transform of the data, or of the pre-trained model; and what is read."""
    if pretrained is None:
        given = input_of(stores, tables, config.transform, tracks=reads_tracks(config.mode))
        config = replace(config, network=sized(config.network, given), transform=given.transform)
    else:
        before = _pretrained(pretrained)
        given = ModelInput.parse(before.data, f"{pretrained}: {CONFIG}")
        config = config.after(network_config(before.model), given.transform, task)
    transform = config.transform
    if not reads_tracks(config.mode):
        transform = replace(transform, tracks=())
    given = replace(given, transform=transform)
    if task == "expression" and config.signal in transform.tracks:
        raise ConfigError(
            f"the model would read the track {config.signal}, which it is to predict; name the tracks it "
            f"reads (--track), without that one{'' if pretrained is None else ', when pre-training'}."
        )
    return replace(config, transform=transform), given


def _pretrained(path: str | Path) -> ModelDescription:
    description = read_description(path)
    if description.kind != PRETRAIN:
        raise wrong_kind(path, description.kind, made_by(PRETRAIN))
    return description


def _cut(config: FinetuneConfig, task: Task) -> dict[str, Any]:
    """What the windows are cut with."""
    return {
        "contacts": task == "contacts" or reads_map(config.mode),
        "target": config.signal if task == "expression" else None,
        "least_known": config.least_known,
    }


def _described(
    config: FinetuneConfig,
    task: Task,
    stores: Sequence[RegionStore],
    tables: Sequence[pd.DataFrame],
    given: ModelInput,
) -> dict[str, Any]:
    """What builds the network, and what turns its answers into contacts or names the signal they are."""
    ratio = given.transform.contacts == "observed_expected"
    output = {"output": "linear" if ratio else "sigmoid"} if task == "contacts" else {}
    if config.architecture == MIX_HIC:
        model: dict[str, Any] = {"network": configs.to_mapping(config.network)}
    else:
        model = describe_baseline(
            config.architecture, task, config.architecture_preset, config.network, **output
        )
    model |= {"mode": config.mode, **output}
    if config.tune == "probe":
        model["probe"] = True
    if task == "contacts":
        model["farthest_bins"] = max(_farthest(table, given.resolution) for table in tables)
        if ratio:
            expected = mean_expected(stores, tables, given.transform, given.resolution)
            model["expected"] = [float(f"{value:.6g}") for value in expected]
        ContactScale.of(model, given.transform, CONFIG)  # what could not be turned back is refused now
    if task == "expression":
        model |= {"signal": config.signal, "least_known": config.least_known}
    return model


def _farthest(table: pd.DataFrame, resolution: int) -> int:
    """Largest distance of training anchors, bins."""
    rows = table[table["split"] == "train"]
    return int((rows["y"] - rows["x"]).max()) // resolution if len(rows) else 0


_OBJECTIVES: Mapping[str, Callable[[FinetuneConfig], Objective[Any]]] = {
    "loops": lambda config: LoopClassification(loop_scores),
    "contacts": lambda config: ContactRegression(config.masked),
    "expression": lambda config: SignalRegression(config.masked),
}


def _objective(config: FinetuneConfig, task: Task) -> Objective[Any]:
    return _OBJECTIVES[task](config)


def _take_over(network: nn.Module, pretrained: str | Path, tune: str) -> Transfer:
    moved = transfer(network, read_weights(pretrained), str(pretrained))
    modules = [
        sorted({name.split(".")[0] for name in names}) for names in (moved.moved, moved.new, moved.left)
    ]
    frozen = ""
    if tune != "full":
        assert isinstance(network, TaskBody)
        network.freeze(modules[0])
        frozen = " and kept as they are"
    notify(
        f"from {pretrained}: {len(moved.moved)} tensors taken over{frozen} ({', '.join(modules[0])}), "
        f"{len(moved.new)} new ({', '.join(modules[1])}), {len(moved.left)} not needed "
        f"({', '.join(modules[2]) or 'none'})."
    )
    return moved


def _origin(pretrained: str | Path | None, moved: Transfer | None) -> dict[str, Any]:
    """What the provenance says of the pre-trained model."""
    if pretrained is None or moved is None:
        return {}
    before = read_description(pretrained).provenance
    copied = {"include_test_chromosomes": "include_test_chromosomes", "pretraining_data": "data"}
    more = {name: before[theirs] for name, theirs in copied.items() if before.get(theirs) is not None}
    return {"pretrained": str(pretrained), "transferred_tensors": len(moved.moved), **more}


def _temperature(network: nn.Module, model: Mapping[str, Any], windows: RunWindows, batch_size: int) -> float:
    """What logits are divided by to be calibrated, learned on validation."""
    assert windows.valid is not None  # it has windows of both classes, or nothing would have been trained
    description = ModelDescription(LOOPS, model, configs.to_mapping(windows.input), {})
    task = TaskModel.of(LoadedModel(network, description), "loops")
    labels, logits = [], []
    for batch, said in task.answers(windows.valid, batch_size, "calibrating"):
        assert said.logit is not None
        logits.append(said.logit.double().cpu().numpy())
        labels.append(batch.label.double().numpy())
    return float(f"{fit_temperature(np.concatenate(labels), np.concatenate(logits)):.6g}")
