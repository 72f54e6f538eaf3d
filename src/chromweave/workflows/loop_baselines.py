"""Baselines that score loop windows without the transformer's input: Peakachu's forest and RefHiC."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config as configs
from ..baselines.peakachu import PeakachuConfig, half_width
from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import DataError
from ..files import write_json
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from .loop_patches import window_enrichment
from .model_input import StoreLike, open_stores
from .peakachu_forest import grow_peakachu
from .window_scores import write_scores

if TYPE_CHECKING:
    import pandas as pd

    from .refhic_training import RefHicConfig

__all__ = ["StoreAndWindows", "score_peakachu", "score_refhic"]

StoreAndWindows = tuple[StoreLike, str | Path]
"""A store, and a window table (Parquet) that belongs to it."""


def score_peakachu(
    out: str | Path,
    *,
    train: StoreAndWindows,
    judged: StoreAndWindows | None = None,
    split: str = "test",
    config: PeakachuConfig | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Grow a forest on the training windows of a table, and score the windows of a split of a table.

    The forest is not kept: the same windows, settings and seed grow the same one. Validation windows are not
    looked at, since its settings are chosen by cross-validation over blocks of 1 Mb of the training ones.

    Parameters
    ----------
    out
        ``.tsv`` for the scores (schema `WINDOW_SCORES`, one probability for each window, NA where its own
        pixel is masked); ``OUT.json`` beside it says what they come from.
    train
        Store and window table to learn from.
    judged
        Store and window table to score, of the same resolution; those of `train` if not given.
    split
        Which windows are scored.
    config
        Of the forest.
    seed
        Of folds and forest.

    Returns
    -------
    dict
        ``windows`` scored, ``training_windows``, ``settings`` chosen, ``mcc`` of the cross-validation, and
        ``seconds``, as plain values.

    Raises
    ------
    DataError
        The training windows are of one class, or the tables of two resolutions.
    """
    began = time.perf_counter()
    learned, asked = _opened(train, ("train",)), _opened(judged or train, (split,))
    _require_one_resolution(learned[1], asked[1])
    forest = grow_peakachu(*learned, config=config, seed=seed)
    resolution = int(asked[1].attrs["resolution"])
    scored = forest.predict(window_enrichment(*asked, resolution, half_width(resolution)))
    values = {
        "windows": len(scored),
        "training_windows": len(learned[1]),
        "settings": asdict(forest.settings),
        "mcc": forest.scores.get(forest.settings),
        "seconds": round(time.perf_counter() - began, 1),
    }
    said = {"method": "Peakachu", "seed": seed, "split": split, "config": configs.to_mapping(forest.config)}
    _write(out, asked[1], scored, {**said, **values}, (train, judged or train))
    return values


def score_refhic(
    out: str | Path,
    *,
    train: StoreAndWindows,
    judged: StoreAndWindows | None = None,
    train_panel: Sequence[StoreLike],
    judged_panel: Sequence[StoreLike] | None = None,
    split: str = "test",
    config: RefHicConfig | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Train RefHiC on the training windows of a table, and score the windows of a split of a table.

    Parameters
    ----------
    out, train, judged, split
        As for :func:`score_peakachu`; the best epoch is that of the training table's validation windows. The
        training's curve and checkpoints are kept in the folder ``OUT.run``.
    train_panel
        Stores of other cell lines, which the study is held against while training.
    judged_panel
        The same for the windows to score; `train_panel` if not given. The judged cell line itself should not
        be among them.
    config
        Sizes and optimiser.
    seed
        Of weights, order and dropout.

    Returns
    -------
    dict
        ``windows`` scored, ``training_windows``, ``parameters``, ``epochs``, ``best_epoch``, ``valid``
        (scores of the best epoch) and ``seconds``, as plain values.

    Raises
    ------
    ConfigError
        A panel is empty.
    DataError
        A split lacks a class, or the tables are of two resolutions.
    """
    from .refhic_training import RefHicConfig, train_refhic

    began, config = time.perf_counter(), config or RefHicConfig()
    learned, asked = _opened(train, ("train", "valid")), _opened(judged or train, (split,))
    _require_one_resolution(learned[1], asked[1])
    panel = open_stores(list(train_panel))
    others = panel if judged_panel is None else open_stores(list(judged_panel))
    trained = train_refhic(
        f"{out}.run", study=learned[0], panel=panel, table=learned[1], config=config, seed=seed
    )
    scored = trained.predict(asked[0], others, asked[1])
    values = {
        "windows": len(scored),
        "training_windows": int((learned[1]["split"] == "train").sum()),
        "parameters": trained.parameters,
        "epochs": trained.result.epochs,
        "best_epoch": trained.result.best_epoch,
        "valid": trained.result.best_metrics,
        "seconds": round(time.perf_counter() - began, 1),
    }
    said = {"method": "RefHiC", "seed": seed, "split": split, "config": configs.to_mapping(config)}
    read = (train, judged or train, *((store, store) for store in (*panel, *others)))
    _write(out, asked[1], scored, {**said, **values}, read)
    return values


def _opened(given: StoreAndWindows, splits: tuple[str, ...]) -> tuple[RegionStore, pd.DataFrame]:
    """A store, and its windows of these splits.

    Raises
    ------
    DataError
        There are none.
    """
    (store,) = open_stores(given[0])
    table = read_windows(given[1], store, splits=splits)
    if not len(table):
        raise DataError(f"{given[1]}: has no window of the split {' or '.join(splits)}.")
    return store, table


def _require_one_resolution(learned: pd.DataFrame, asked: pd.DataFrame) -> None:
    first, second = (int(table.attrs["resolution"]) for table in (learned, asked))
    if first != second:
        raise DataError(
            f"the windows to learn from have bins of {first:,} bp and those to score {second:,} bp; give "
            "tables of one resolution."
        )


def _write(
    out: str | Path,
    table: pd.DataFrame,
    scored: np.ndarray,
    said: Mapping[str, Any],
    read: Sequence[tuple[StoreLike, Any]],
) -> None:
    """The scores, and what they come from."""
    write_scores(out, table, scored)
    paths = dict.fromkeys(str(getattr(one, "path", one)) for pair in read for one in pair)
    write_json(
        f"{out}.json",
        {"kind": "window scores", **describe_process(), **said, "inputs": describe_inputs(paths)},
    )
    notify(f"{np.isfinite(scored).sum():,} of {len(scored):,} windows scored: {out}")
