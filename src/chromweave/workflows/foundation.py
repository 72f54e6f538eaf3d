"""The foundation model's verbs: pre-train it, fine-tune it for a task, score windows, call loops.

Each takes stores (paths or open ones) and writes a folder or file that says where it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config as configs
from ..models.mixhic import MixHicPretrain
from ..training.engine import FitResult, seeded
from ..training.objectives import PairedPretraining
from .finetuning import FinetuneResult, finetune
from .foundation_settings import FinetuneConfig, LoadingConfig, LoopCallConfig, PretrainConfig
from .loop_calling import call_loops
from .loop_scores import score_windows
from .model_card import training_data
from .model_input import StoreLike, open_stores
from .networks import PRETRAIN, load
from .training_runs import (
    Paths,
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
    tables = read_tables(opened, windows, config.include_test_chromosomes)
    if config.include_test_chromosomes:
        tables = [_with_test_windows(table) for table in tables]
    chosen = run_windows(opened, tables, input_of(opened, tables, config.transform), run, seed)
    size = sized(config.network, chosen.input)
    config = replace(config, network=size, transform=chosen.input.transform)
    inputs = [*(store.path for store in opened), *table_paths(windows)]
    folder = start(run, "pretrain", config, seed, inputs, resume)
    with seeded(seed):
        network = MixHicPretrain(size)
    result = train(
        folder, network, PairedPretraining(config.loss), chosen, config.fit, config.loading,
        seed=seed, resume=checkpoint_of(resume), description="pre-training",
    )  # fmt: skip
    model = {"network": configs.to_mapping(size)}
    data = training_data(opened, tables)
    save_run(
        folder, network, PRETRAIN, model, chosen.input, result, data=data, inputs=inputs, seed=seed,
        include_test_chromosomes=config.include_test_chromosomes,
    )  # fmt: skip
    return PretrainResult(folder, result, len(chosen.train), chosen.n_valid)


def _with_test_windows(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose test windows are training windows."""
    changed = table.assign(split=table["split"].astype(str).replace("test", "train"))
    changed.attrs = dict(table.attrs)
    return changed
