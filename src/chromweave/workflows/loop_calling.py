"""A loop model at work: probabilities of windows, and loops of whole chromosomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from .. import config as configs
from ..analysis.loops import Candidates, candidates, cluster
from ..batch import Prediction
from ..data.store import RegionStore
from ..errors import ModelError
from ..files import write_json
from ..io.pairs import write_bedpe
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .foundation_settings import LoopCallConfig
from .inference import TaskModel, window_table
from .model_input import StoreLike, open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["call_loops", "score_windows", "temperature_of"]


def temperature_of(task: TaskModel) -> float:
    """What a loop model's logits are divided by, so that its probabilities are calibrated; 1 if it has none.

    Raises
    ------
    ModelError
        It is not above 0.
    """
    value = task.model.get("temperature", 1.0)
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(
            f"the model {task.name}: its temperature is {value!r}, where a number above 0 is needed; its "
            f"{CONFIG} is damaged."
        )
    return float(value)


def score_windows(
    model: str | Path | LoadedModel,
    store: StoreLike,
    table: pd.DataFrame,
    *,
    batch_size: int = 256,
    description: str = "scoring windows",
) -> np.ndarray:
    """Calibrated probability of a loop at the centre of each window: sigmoid(logit / temperature).

    Parameters
    ----------
    model
        Run folder of :func:`finetune`, or the model itself.
    store
        Where the windows are cut from; contacts only where the model reads them, and tracks likewise.
    table
        :data:`schemas.WINDOWS`; labels are not looked at.
    batch_size
        Windows at a time.
    description
        What the progress bar says.

    Returns
    -------
    numpy.ndarray
        float32, one per row of `table`.

    Raises
    ------
    ModelError
        The folder holds no loop model, or the store does not fit it.
    """
    task = TaskModel.of(model, "loops")
    temperature = temperature_of(task)
    (opened,) = open_stores(store)
    task.check(opened)
    if not len(table):
        return np.empty(0, np.float32)
    if table.attrs:
        task.given.check_windows(table, task.name)
    answers = task.answers(task.windows(opened, table), batch_size, description)
    return np.concatenate([_probability(answer.prediction, temperature) for answer in answers])


def _probability(prediction: Prediction, temperature: float) -> np.ndarray:
    assert prediction.logit is not None
    return torch.sigmoid(prediction.logit.float() / temperature).cpu().numpy()


def call_loops(
    out: str | Path,
    *,
    store: StoreLike,
    model: str | Path,
    chroms: Sequence[str] | None = None,
    threshold: float | None = None,
    config: LoopCallConfig | None = None,
    style: Literal["bedpe", "juicebox"] = "bedpe",
) -> pd.DataFrame:
    """Call loops over whole chromosomes: candidate pixels, their probabilities, clusters.

    Parameters
    ----------
    out
        BEDPE file to write; settings and provenance go beside it as ``OUT.json``.
    store, model
        Where to call, and the run folder of :func:`finetune`.
    chroms
        Chromosomes; all of the store if not given.
    threshold
        Probability above which a pixel takes part, instead of the one in `config` (0.5).
    config
        Candidates, clustering, batch size.
    style
        Dialect: ``"bedpe"`` for HiGlass and bioframe, or ``"juicebox"``.

    Returns
    -------
    pandas.DataFrame
        :data:`schemas.LOOPS`.

    Raises
    ------
    ModelError
        The folder holds no loop model, or the store does not fit it.
    ChromosomeError
        A chromosome is not in the store.
    """
    import pandas as pd

    config = config or LoopCallConfig()
    if threshold is not None:
        config = replace(config, clusters=replace(config.clusters, threshold=threshold))
    (opened,) = open_stores(store)
    task = TaskModel.of(model, "loops")
    task.given.check(opened, task.name)  # its map, too: candidates come from there, whatever the model reads
    names = [opened.require(chrom) for chrom in chroms] if chroms else list(opened.chromosomes)
    found = [_call_chromosome(opened, chrom, task, config) for chrom in names]
    table = pd.concat(found, ignore_index=True)
    write_bedpe(out, table, style=style)
    write_json(
        f"{out}.json",
        {
            "kind": "loops",
            **describe_process(),
            "assembly": task.given.assembly,
            "resolution": task.given.resolution,
            "chromosomes": names,
            "loops": len(table),
            "config": configs.to_mapping(config),
            "inputs": describe_inputs([opened.path, Path(model) / "config.json"]),
        },
    )
    notify(f"{len(table):,} loops: {out}")
    return table


def _call_chromosome(store: RegionStore, chrom: str, task: TaskModel, config: LoopCallConfig) -> pd.DataFrame:
    given = task.given
    layer = store.layer(chrom, given.resolution)
    weight = store.default_weight(given.resolution)
    found = _inside(
        candidates(layer, weight=weight, config=config.candidates), layer.n_bins, given.window_bins
    )
    probability = score_windows(
        task.loaded, store, window_table(chrom, found.x_bins, found.y_bins, given.resolution),
        batch_size=config.batch_size, description=f"scoring {len(found):,} candidates of {chrom}",
    )  # fmt: skip
    return cluster(
        found,
        probability,
        chrom=chrom,
        resolution=given.resolution,
        length=store.assembly.length(chrom),
        config=config.clusters,
    )


def _inside(found: Candidates, n_bins: int, window_bins: int) -> Candidates:
    """Candidates whose windows lie within the chromosome."""
    half = window_bins // 2
    return found[(found.x_bins >= half) & (found.y_bins + half <= n_bins)]
