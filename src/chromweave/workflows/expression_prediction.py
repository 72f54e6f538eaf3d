"""A signal such as CAGE along whole chromosomes, as a model predicts it from tracks, contacts or both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ..data.layers import TRACK_WIDTH
from ..data.store import RegionStore
from ..data.targets import LEAST_KNOWN, binned_targets
from ..data.transforms import WindowTransform
from ..errors import DataError, ModelError
from ..files import write_json
from ..genome import Interval
from ..io.export import write_bigwig, write_table
from ..io.intervals import read_tss
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..training.checkpoint import CONFIG, LoadedModel
from .inference import Change, TaskModel, bins_with_data, require_file_names, window_table
from .model_input import StoreLike, open_stores
from .pair_scoring import ELSEWHERE
from .stitching import SignalMean, Tiling, bins_of, mark_bins, step_bins

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExpressionPrediction", "PredictedSignal", "linear", "predict_expression", "predicted_signal"]

TOO_SHORT = "chromosome shorter than a window"
NO_TRACKS = "bin without track data"
MASKED = "bin masked in the map"


class PredictedSignal(NamedTuple):
    """A predicted signal of one chromosome.

    Attributes
    ----------
    value
        float64 (n_bins,), on the model's scale (log2(mean + 1) of a bin, unless its transform says "raw");
        NaN where not `valid`.
    valid
        bool (n_bins,): bins that have a value.
    """

    value: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class ExpressionPrediction:
    """What :func:`predict_expression` wrote.

    Attributes
    ----------
    signal
        Name of the track that is predicted.
    bigwig
        The signal's file.
    genes
        The table of transcription start sites, and its file; None where none were given.
    table
        See `genes`.
    """

    signal: str
    bigwig: Path
    genes: pd.DataFrame | None = None
    table: Path | None = None

    @property
    def reasons(self) -> dict[str, int]:
        """How many sites have no prediction, by reason."""
        if self.genes is None:
            return {}
        reason = self.genes["reason"].to_numpy()
        names, counts = np.unique(reason[reason != ""].astype(str), return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def predict_expression(
    out: str | Path,
    *,
    model: str | Path | LoadedModel,
    store: StoreLike,
    tss: str | Path | None = None,
    chroms: Sequence[str] | None = None,
    step: int | None = None,
    batch_size: int = 64,
) -> ExpressionPrediction:
    """Predict a signal along chromosomes, and at transcription start sites.

    Parameters
    ----------
    out
        Prefix of the files to write. ``OUT.bw``: the signal of each bin on its linear scale, 2**v - 1 of the
        predicted log2(signal + 1), and 0 where that is below. ``OUT.json``: provenance. With `tss` also
        ``OUT.genes.tsv``: chrom, tss, name, strand, predicted_log2, predicted, and where the store has the
        signal's track measured_log2 and measured, each of the bin the site is in, empty where there is none;
        and `reason`, why there is no prediction, empty where there is one.
    model
        Run folder of a model fine-tuned for expression, or the model itself.
    store
        With what the model reads: a model of mode bimodal needs contacts, one of tracks alone does not.
    tss
        Transcription start sites (TSV with a header, GFF or GTF).
    chroms
        Chromosomes, and genes of these alone; all if not given. One shorter than a window is left out.
    step
        From window to window along the diagonal, bp; a quarter of a window if not given, so that each bin
        is near the middle of one of four. Their mean is taken on the model's scale.
    batch_size
        Windows at a time.

    Raises
    ------
    ModelError
        The model is of another task, or the store does not fit it.
    ConfigError
        The step is not possible.
    DataError
        No chromosome is long enough, no bin has data, or the sites do not fit the assembly.
    OutputError
        A file cannot be written.
    """
    bigwig, table = Path(f"{out}.bw"), None if tss is None else Path(f"{out}.genes.tsv")
    require_file_names(bigwig, f"{out}.json", *([] if table is None else [table]))
    task = TaskModel.of(model, "expression")
    signal = _signal_of(task)
    (opened,) = open_stores(store)
    task.check(opened)
    tiling = _tiling(task, step)
    names = task.long_enough(opened, chroms)
    genes = None if tss is None else _sites(tss, opened, chroms)
    predicted = {chrom: _along(task, opened, chrom, tiling, None, batch_size, None) for chrom in names}
    values = {chrom: linear(found.value, task.given.transform) for chrom, found in predicted.items()}
    write_bigwig(bigwig, values, task.given.resolution, opened.assembly)
    if genes is not None and table is not None:
        genes = _at_sites(genes, predicted, opened, task)
        write_table(table, genes)
    done = ExpressionPrediction(signal, bigwig, genes, table)
    inputs = [opened.path, *([] if tss is None else [tss])]
    inputs += [] if isinstance(model, LoadedModel) else [Path(model) / CONFIG]
    write_json(
        f"{out}.json",
        {
            "kind": "predicted signal",
            **describe_process(),
            "model": task.name,
            "signal": signal,
            "scale": "linear: 2**v - 1 of what the model says, not below 0"
            if task.given.transform.signal == "log2"
            else "as the model says, not below 0",
            "resolution": task.given.resolution,
            "step": tiling.step * task.given.resolution,
            "chromosomes": names,
            **({} if genes is None else {"start_sites": len(genes), "not_predicted": done.reasons}),
            "inputs": describe_inputs(inputs),
        },
    )
    notify(f"predicted {signal}: {bigwig}")
    if genes is not None:
        notify(f"{_counted(done.reasons, len(genes))}: {table}")
    return done


def _counted(reasons: Mapping[str, int], sites: int) -> str:
    """How many start sites have a prediction, and why others have none."""
    why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    without = f" (others: {why})" if why else ""
    return f"{sites - sum(reasons.values()):,} of {sites:,} start sites predicted{without}"


def predicted_signal(
    loaded: str | Path | LoadedModel,
    store: RegionStore,
    chrom: str,
    *,
    region: Interval | None = None,
    step: int | None = None,
    batch_size: int = 64,
    change: Change | None = None,
) -> PredictedSignal:
    """The predicted signal of one chromosome, or of a region of it.

    Parameters
    ----------
    loaded, store, step, batch_size
        See :func:`predict_expression`.
    chrom
        Chromosome.
    region
        Only bins in it, widened to whole bins: exactly those of the whole chromosome's signal, from the
        windows that overlap it and no others.
    change
        Done to each batch, on the CPU, before the model sees it, such as an edit of the tracks. It does not
        change which bins are valid: these are the store's.

    Raises
    ------
    ConfigError, DataError, ModelError
        As :func:`predict_expression`, or `region` is not on `chrom`.
    """
    task = TaskModel.of(loaded, "expression")
    task.check(store)
    tiling = _tiling(task, step)
    (chrom,) = task.long_enough(store, [chrom])
    return _along(task, store, chrom, tiling, region, batch_size, change)


def linear(value: np.ndarray, transform: WindowTransform) -> np.ndarray:
    """What the model says as a signal, float64: 2**value - 1 if it learned log2(signal + 1); at least 0."""
    value = np.asarray(value, np.float64)
    return np.maximum(np.exp2(value) - 1 if transform.signal == "log2" else value, 0)


def _signal_of(task: TaskModel) -> str:
    if "signal" not in task.model:
        raise ModelError(f"the model {task.name}: its {CONFIG} names no signal; it is damaged.")
    return str(task.model["signal"])


def _tiling(task: TaskModel, step: int | None) -> Tiling:
    side = task.given.window_bins
    return Tiling(side, step_bins(step, task.given.resolution, side))


def _along(
    task: TaskModel, store: RegionStore, chrom: str, tiling: Tiling, region: Interval | None,
    batch_size: int, change: Change | None,
) -> PredictedSignal:  # fmt: skip
    n_bins, side = task.n_bins(store, chrom), task.given.window_bins
    first, last = bins_of(region, chrom, task.given.resolution, n_bins)
    anchors = tiling.anchors(n_bins, first, last)
    windows = task.windows(store, window_table(chrom, *anchors, task.given.resolution))
    mean, known = SignalMean(n_bins, side), np.zeros(n_bins, np.bool_)
    for answer in task.answers(windows, batch_size, f"predicting {region or chrom}", change):
        at = answer.batch.x.numpy()
        value = answer.prediction.value.double().cpu().numpy()
        seen = bins_with_data(answer.batch)
        for half in (0, 1):  # both segments of a window on the diagonal are the same bins
            mean.add(value[:, half * side : (half + 1) * side], at)
            mark_bins(known, seen[:, half], at)
    known[:first] = known[last:] = False
    return PredictedSignal(np.where(known, mean.mean(), np.nan), known)


def _sites(tss: str | Path, store: RegionStore, chroms: Sequence[str] | None) -> pd.DataFrame:
    """The sites of a file, on the chromosomes asked for."""
    table = read_tss(tss, store.assembly)
    if not chroms:
        return table
    names = {store.require(chrom) for chrom in chroms}
    kept = table[table["chrom"].isin(names)].reset_index(drop=True)
    if not len(kept):
        raise DataError(f"{tss}: has no site on {', '.join(sorted(names))}; name other chromosomes.")
    return kept


def _at_sites(
    genes: pd.DataFrame, predicted: Mapping[str, PredictedSignal], store: RegionStore, task: TaskModel
) -> pd.DataFrame:
    """The table of genes: the predicted and the measured signal of the bin that each site is in."""
    table = genes[["chrom", "tss", "name"]].copy()
    table["strand"] = genes.get("strand", "")
    transform, value = task.given.transform, {chrom: found.value for chrom, found in predicted.items()}
    said = _of_bins(genes, value, task.given.resolution)
    table["predicted"] = linear(said, transform)
    table.insert(4, "predicted_log2", said if transform.signal == "log2" else np.log2(table["predicted"] + 1))
    if _signal_of(task) in store.track_names:
        chroms = genes["chrom"].unique()
        means = {c: _measured(store, c, task) for c in chroms if c in store.chromosomes}
        table["measured"] = _of_bins(genes, means, task.given.resolution)
        table.insert(6, "measured_log2", np.log2(table["measured"].clip(lower=0) + 1))
    table["reason"] = _reasons(genes, said, store, task, predicted)
    return table


def _reasons(
    genes: pd.DataFrame, said: np.ndarray, store: RegionStore, task: TaskModel, predicted: Collection[str]
) -> np.ndarray:
    """Why each site has no prediction, object; "" where it has one."""
    chrom, found = genes["chrom"].to_numpy(str), np.full(len(genes), "", object)
    found[np.isnan(said)] = NO_TRACKS if task.given.transform.tracks else MASKED
    found[~np.isin(chrom, list(predicted))] = TOO_SHORT
    found[~np.isin(chrom, store.chromosomes)] = ELSEWHERE
    return found


def _of_bins(genes: pd.DataFrame, values: Mapping[str, np.ndarray], resolution: int) -> np.ndarray:
    """The value of each site's bin, float64; NaN on a chromosome without values."""
    places = zip(genes["chrom"], genes["tss"] // resolution, strict=True)
    return np.array([values[c][i] if c in values else np.nan for c, i in places], np.float64)


def _measured(store: RegionStore, chrom: str, task: TaskModel) -> np.ndarray:
    """The signal's track in bins, float64, as training takes it; NaN where too little of a bin has data."""
    n_bins = task.n_bins(store, chrom)
    steps = np.full(n_bins * task.given.resolution // TRACK_WIDTH, np.nan, np.float32)
    stored = store.track(_signal_of(task), chrom).mean
    steps[: len(stored)] = stored
    track = torch.from_numpy(steps)[None]
    mask = ~track.isnan()
    least = float(task.model.get("least_known", LEAST_KNOWN))
    found = binned_targets(track.masked_fill(~mask, 0), mask, n_bins, least)
    return np.where(found.known[0].numpy(), found.value[0].double().numpy(), np.nan)
