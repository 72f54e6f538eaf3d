"""Contact maps of whole chromosomes from their tracks: windows predicted, put together, written as .mcool.

A store of tracks alone will do. Values are contacts on the scale of the maps the model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.store import RegionStore
from ..errors import ConfigError
from ..files import sha256
from ..genome import Interval
from ..io.contact_export import PREDICTED, ComputedMap, write_predicted_mcool
from ..progress import notify
from ..provenance import describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .contact_scale import ContactScale
from .inference import Change, TaskModel, bins_with_data, window_table
from .model_input import StoreLike, open_stores
from .stitching import BandMean, Tiling, bins_of, mark_bins, step_bins

__all__ = ["ContactPrediction", "PredictedMap", "predict_contacts", "predicted_band"]

SCALE = "balanced contacts on the scale of the training maps"
_COARSER = (5_000, 10_000, 25_000, 50_000, 100_000)  # as measured maps have them


class PredictedMap(NamedTuple):
    """Predicted contacts of a chromosome, or of a region of it; one that io.contact_export can write.

    Attributes
    ----------
    bin1, bin2
        int64 (pixels,), bins within the chromosome, ``bin1 <= bin2``, sorted.
    value
        float64 (pixels,), contacts, not below 0.
    valid
        bool (n_bins,) over the whole chromosome: bins that have values. Between two of them every pixel up to
        the distance asked for has one.
    """

    bin1: np.ndarray
    bin2: np.ndarray
    value: np.ndarray
    valid: np.ndarray

    def square(self, first: int, last: int) -> np.ndarray:
        """Bins `first` to `last` - 1 as a symmetric matrix, float64; NaN where nothing is predicted."""
        matrix = np.full((last - first, last - first), np.nan)
        inside = (self.bin1 >= first) & (self.bin2 < last)
        i, j = self.bin1[inside] - first, self.bin2[inside] - first
        matrix[i, j] = matrix[j, i] = self.value[inside]
        return matrix


@dataclass(frozen=True)
class ContactPrediction:
    """What :func:`predict_contacts` wrote.

    Attributes
    ----------
    path
        The `.mcool`.
    chromosomes
        Those with a map.
    pixels, zeros
        Of the finest resolution, and how many of these are exactly 0: values below 0 become 0, and a cooler
        does not keep such pixels.
    resolutions
        In bp.
    max_distance, step
        How far from the diagonal the map reaches, and from window to window; bp.
    """

    path: Path
    chromosomes: tuple[str, ...]
    pixels: int
    zeros: int
    resolutions: tuple[int, ...]
    max_distance: int
    step: int


def predict_contacts(
    out: str | Path,
    *,
    model: str | Path | LoadedModel,
    store: StoreLike,
    chroms: Sequence[str] | None = None,
    max_distance: int | None = None,
    step: int | None = None,
    batch_size: int = 64,
) -> ContactPrediction:
    """Predict the contact maps of chromosomes from their tracks, and write them as an `.mcool`.

    Parameters
    ----------
    out
        File to write: float counts, coarser resolutions summed; weight 1 where there are values and NaN
        elsewhere. Model, store, version, scale and reach are in its metadata.
    model
        Run folder of a model fine-tuned for contacts, or the model itself.
    store
        With the model's tracks; it needs no contacts, and none are read.
    chroms
        Chromosomes; all of the store if not given. One shorter than a window is left out.
    max_distance
        How far from the diagonal, bp; as far as the model and the step allow if not given.
    step
        From window to window, bp; a quarter of a window if not given, so that each bin lies in four windows
        along the diagonal and is near the middle of one of them. What the corners of windows alone would
        cover, less than one step beyond all others, is left out, as not every pixel there lies in a window.
    batch_size
        Windows at a time.

    Raises
    ------
    ModelError
        The model is of another task, or the store does not fit it.
    ConfigError
        Distance or step are not possible.
    DataError
        No chromosome is long enough for a window, or none has track data.
    OutputError
        The file cannot be written.
    """
    task = TaskModel.of(model, "contacts")
    (opened,) = open_stores(store)
    plan = _plan(task, opened, max_distance, step)
    names = task.long_enough(opened, chroms)
    resolution, pixels, zeros = task.given.resolution, 0, 0

    def maps() -> Iterator[tuple[str, ComputedMap]]:
        nonlocal pixels, zeros
        for chrom in names:
            found = _band(task, opened, chrom, plan, None, batch_size, None)
            pixels += len(found.value)
            zeros += int((found.value == 0).sum())
            yield chrom, ComputedMap(*found)

    # Some readers (hictk) see no contacts where a chromosome is a single bin.
    shortest = min(opened.assembly.length(chrom) for chrom in names)
    coarser = [r for r in _COARSER if resolution < r < shortest and r % resolution == 0]
    resolutions = (resolution, *coarser)
    write_predicted_mcool(
        out, maps(), opened.assembly, resolutions, metadata=_metadata(task, opened, plan)
    )  # fmt: skip
    notify(f"predicted map: {out} ({pixels:,} pixels of {resolution:,} bp, {zeros:,} of them exactly 0)")
    return ContactPrediction(
        Path(out),
        tuple(names),
        pixels,
        zeros,
        resolutions,
        plan.distance * resolution,
        plan.tiling.step * resolution,
    )


def predicted_band(
    loaded: str | Path | LoadedModel,
    store: RegionStore,
    chrom: str,
    *,
    region: Interval | None = None,
    max_distance: int | None = None,
    step: int | None = None,
    batch_size: int = 64,
    change: Change | None = None,
) -> PredictedMap:
    """Predicted contacts of one chromosome, or of a region of it.

    Parameters
    ----------
    loaded, store, max_distance, step, batch_size
        See :func:`predict_contacts`.
    chrom
        Chromosome.
    region
        Only pixels with both bins in it, widened to whole bins: exactly those of the whole chromosome's map,
        from the windows that overlap it and no others.
    change
        Done to each batch, on the CPU, before the model sees it, such as an edit of the tracks. It does not
        change which bins are valid: these are the store's.

    Raises
    ------
    ConfigError, DataError, ModelError
        As :func:`predict_contacts`, or `region` is not on `chrom`.
    """
    task = TaskModel.of(loaded, "contacts")
    plan = _plan(task, store, max_distance, step)
    (chrom,) = task.long_enough(store, [chrom])
    return _band(task, store, chrom, plan, region, batch_size, change)


class _Plan(NamedTuple):
    """How a map is put together: windows, reach in bins, and the way back to contacts."""

    tiling: Tiling
    distance: int
    scale: ContactScale


def _plan(task: TaskModel, store: RegionStore, max_distance: int | None, step: int | None) -> _Plan:
    task.check(store)
    scale = ContactScale.of(task.model, task.given.transform, f"{CONFIG} of the model {task.name}")
    window_bins, resolution = task.given.window_bins, task.given.resolution
    farthest = int(task.model.get("farthest_bins", 0))
    tiling = Tiling(window_bins, step_bins(step, resolution, window_bins), farthest)
    if max_distance is None:
        return _Plan(tiling, tiling.reach, scale)
    if max_distance < resolution:
        raise ConfigError(
            f"max_distance must be at least one bin of {resolution:,} bp, not {max_distance:,}."
        )
    distance = max_distance // resolution
    if distance > tiling.reach:
        raise ConfigError(_too_far(tiling, max_distance, resolution, task.name))
    return _Plan(Tiling(window_bins, tiling.step, min(farthest, distance)), distance, scale)


def _too_far(tiling: Tiling, max_distance: int, resolution: int, name: str) -> str:
    """Why a distance is out of reach, and what would bring it within."""
    side, farthest = tiling.window_bins, tiling.farthest
    reaches = {step: Tiling(side, step, farthest).reach * resolution for step in range(1, tiling.step + 1)}
    fitting = [step for step, reach in reaches.items() if reach >= max_distance]
    remedy = (
        f"a step of {max(fitting) * resolution:,} bp reaches it"
        if fitting
        else f"the model reaches {max(reaches.values()):,} bp at most, with a step of one bin"
    )
    return (
        f"with windows {tiling.step * resolution:,} bp apart the model {name} predicts every pixel up to "
        f"{reaches[tiling.step]:,} bp from the diagonal, and {max_distance:,} bp are asked for; {remedy}."
    )


def _band(
    task: TaskModel, store: RegionStore, chrom: str, plan: _Plan, region: Interval | None,
    batch_size: int, change: Change | None,
) -> PredictedMap:  # fmt: skip
    n_bins, window_bins = task.n_bins(store, chrom), task.given.window_bins
    first, last = bins_of(region, chrom, task.given.resolution, n_bins)
    anchors = plan.tiling.anchors(n_bins, first, last)
    windows = task.windows(store, window_table(chrom, *anchors, task.given.resolution))
    mean = BandMean(first, last, plan.distance + 1, window_bins)
    valid = np.zeros(n_bins, np.bool_)
    for answer in task.answers(windows, batch_size, f"predicting {region or chrom}", change):
        x, y = answer.batch.x.numpy(), answer.batch.y.numpy()
        value = answer.prediction.value[:, 0].float().cpu().numpy()
        mean.add(plan.scale.windows(value, x, y), x, y)
        known = bins_with_data(answer.batch)
        mark_bins(valid, known[:, 0], x)
        mark_bins(valid, known[:, 1], y)
    valid[:first] = valid[last:] = False
    bin1, bin2, value = mean.pixels()
    both = valid[bin1] & valid[bin2]
    return PredictedMap(bin1[both], bin2[both], value[both], valid)


def _metadata(task: TaskModel, store: RegionStore, plan: _Plan) -> dict[str, Any]:
    """What a predicted map says of itself: plain values."""
    given, process = task.given, describe_process()
    weights = Path(task.name) / CONFIG
    about = {
        "kind": PREDICTED,
        "model": task.name,
        "model_sha256": sha256(weights) if weights.is_file() else None,
        "store": str(store.path),
        "store_name": store.name,
        "tracks": list(given.transform.tracks),
        "scale": SCALE,
        "window_bins": given.window_bins,
        "step": plan.tiling.step * given.resolution,
        "max_distance": plan.distance * given.resolution,
        **{name: process[name] for name in ("chromweave", "git_commit", "command", "time")},
    }
    if given.transform.contacts in ("clip", "log1p"):
        about["contacts_at_most"] = given.transform.clip
    return about
