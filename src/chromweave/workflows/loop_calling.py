"""A loop model at work: probabilities of windows, and loops of whole chromosomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from .. import config as configs
from ..analysis.loops import Candidates, candidates, cluster
from ..data.dataset import WindowDataset, loader
from ..data.store import RegionStore
from ..files import write_json
from ..io.pairs import write_bedpe
from ..progress import notify, track
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import LoadedModel
from .foundation_settings import LoopCallConfig
from .model_input import ModelInput, StoreLike, open_stores
from .networks import load_task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["call_loops", "score_windows"]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _probabilities(
    loaded: LoadedModel, windows: WindowDataset, batch_size: int, description: str
) -> Iterator[np.ndarray]:
    device = _device()
    network = loaded.network.to(device)
    batches = loader(windows, batch_size)
    with torch.inference_mode():
        for batch in track(batches, description, total=len(batches), unit="batch"):
            moved = batch.to(device)
            yield network(moved.contact_map, moved.tracks).value.float().cpu().numpy()


def score_windows(
    model: str | Path | LoadedModel,
    store: StoreLike,
    table: pd.DataFrame,
    *,
    batch_size: int = 256,
    description: str = "scoring windows",
) -> np.ndarray:
    """Probability of a loop at the centre of each window.

    Parameters
    ----------
    model
        Run folder of :func:`finetune`, or the model itself.
    store
        Where the windows are cut from.
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
    loaded = model if isinstance(model, LoadedModel) else load_task(model, "loops")
    (opened,) = open_stores(store)
    given = ModelInput.parse(loaded.description.data, "config.json: data")
    given.check(opened, "at hand" if isinstance(model, LoadedModel) else model)
    if not len(table):
        return np.empty(0, np.float32)
    if table.attrs:
        given.check_windows(table, "at hand" if isinstance(model, LoadedModel) else model)
    windows = given.dataset([opened], [table], "predict")
    return np.concatenate(list(_probabilities(loaded, windows, batch_size, description)))


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
    loaded = load_task(model, "loops")
    given = ModelInput.parse(loaded.description.data, f"{model}: config.json")
    given.check(opened, model)
    names = [opened.require(chrom) for chrom in chroms] if chroms else list(opened.chromosomes)
    found = [_call_chromosome(opened, chrom, loaded, given, config) for chrom in names]
    table = pd.concat(found, ignore_index=True)
    write_bedpe(out, table, style=style)
    write_json(
        f"{out}.json",
        {
            "kind": "loops",
            **describe_process(),
            "assembly": given.assembly,
            "resolution": given.resolution,
            "chromosomes": names,
            "loops": len(table),
            "config": configs.to_mapping(config),
            "inputs": describe_inputs([opened.path, Path(model) / "config.json"]),
        },
    )
    notify(f"{len(table):,} loops: {out}")
    return table


def _call_chromosome(
    store: RegionStore, chrom: str, loaded: LoadedModel, given: ModelInput, config: LoopCallConfig
) -> pd.DataFrame:
    layer = store.layer(chrom, given.resolution)
    weight = store.default_weight(given.resolution)
    found = _inside(
        candidates(layer, weight=weight, config=config.candidates), layer.n_bins, given.window_bins
    )
    probability = score_windows(
        loaded, store, _candidate_windows(found, chrom, given),
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


def _candidate_windows(found: Candidates, chrom: str, given: ModelInput) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "chrom": chrom,
            "x": found.x_bins.astype(np.int64) * given.resolution,
            "y": found.y_bins.astype(np.int64) * given.resolution,
            "label": np.nan,
            "split": "test",
            "kind": "candidate",
        }
    )
