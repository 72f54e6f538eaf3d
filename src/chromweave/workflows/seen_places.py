"""Whether windows that a model is judged on lie where windows lie that it learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..progress import notify

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["covered_stretches", "seen_places", "tell_seen_places", "tell_trained_places"]


def covered_stretches(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """What either side of any window covers, touching sides merged into one stretch.

    Parameters
    ----------
    table
        Schema `WINDOWS`; `attrs` say how long a side is.

    Returns
    -------
    dict
        Of each chromosome with windows: int64 (stretches, 2), starts and ends, bp, in ascending order.
    """
    half = int(table.attrs["resolution"]) * int(table.attrs["window_bins"]) // 2
    found = {}
    for chrom, rows in table.groupby("chrom", observed=True):
        anchors = np.unique(rows[["x", "y"]].to_numpy(dtype=np.int64))
        breaks = np.flatnonzero(np.diff(anchors) > 2 * half)
        firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(anchors) - 1)
        found[str(chrom)] = np.stack([anchors[firsts] - half, anchors[lasts] + half], axis=1)
    return found


def seen_places(judged: pd.DataFrame, learned: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether a side of each window of `judged` overlaps a stretch that was learned from.

    Parameters
    ----------
    judged
        Schema `WINDOWS`; `attrs` say how long a side is.
    learned
        As from :func:`covered_stretches`.

    Returns
    -------
    numpy.ndarray
        bool (n,), in the order of `judged`.
    """
    half = int(judged.attrs["resolution"]) * int(judged.attrs["window_bins"]) // 2
    touches = np.zeros(len(judged), dtype=bool)
    for chrom, stretches in learned.items():
        starts, ends = stretches[:, 0], stretches[:, 1]
        here = np.flatnonzero((judged["chrom"] == chrom).to_numpy())
        for side in ("x", "y"):
            at = judged[side].to_numpy()[here]
            begun = np.searchsorted(starts, at + half)  # stretches that begin before the side ends
            touches[here] |= (begun > 0) & (ends[np.maximum(begun - 1, 0)] > at - half)
    return touches


def tell_seen_places(name: str, judged: pd.DataFrame, learned: pd.DataFrame) -> int:
    """Number of windows of `judged` at places of `learned`; where there are any, one line says so."""
    touching = int(seen_places(judged, covered_stretches(learned)).sum())
    if touching:
        notify(
            f"{name}: {touching:,} of {len(judged):,} test windows touch windows trained on, so that their "
            "places are not new to the model; split everything by the same chromosomes."
        )
    return touching


def tell_trained_places(name: str, judged: pd.DataFrame, provenance: Mapping[str, Any]) -> dict[str, int]:
    """Say where a model is judged at places that it, or its pre-training, learned from.

    Parameters
    ----------
    name
        The model, for the message.
    judged
        Schema `WINDOWS`; `attrs` say how long a side is.
    provenance
        Of the model, as :func:`~chromweave.workflows.training_runs.save_run` writes it.

    Returns
    -------
    dict
        Number of windows of `judged` that touch training windows, by the training (``"fine-tuning"``,
        ``"pre-training"``); where a training recorded chromosomes only, the number on these. What recorded
        nothing is left out, and said to be unknown.
    """
    trainings = {"fine-tuning": provenance.get("data")}
    if provenance.get("pretrained") is not None:
        trainings["pre-training"] = provenance.get("pretraining_data")
    found = {}
    for training, data in trainings.items():
        if data is None:
            notify(
                f"{name}: where its {training} took windows from is not recorded, nor is then whether it "
                "learned from places that it is judged on."
            )
            continue
        known = [entry["train"] for entry in data]
        touching = _trained(judged, known)
        found[training] = int(touching.sum())
        if found[training]:
            on_chromosomes = any("stretches" not in one for one in known)
            how = "lie on chromosomes" if on_chromosomes else "touch windows"
            notify(
                f"{name}: {found[training]:,} of the {len(judged):,} windows it is judged on {how} that its "
                f"{training} learned from, so that their places are not new to it."
            )
    return found


def _trained(judged: pd.DataFrame, known: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Which windows touch what the trainings of some stores covered."""
    touching = np.zeros(len(judged), dtype=bool)
    for one in known:
        if "stretches" in one:
            stretches = {chrom: np.array(rows, np.int64) for chrom, rows in one["stretches"].items()}
            touching |= seen_places(judged, stretches)
        else:
            touching |= judged["chrom"].isin(one["chromosomes"]).to_numpy()
    return touching
