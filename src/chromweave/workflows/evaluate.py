"""The model beside the trivial rows, on windows nothing was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.store import RegionStore
from ..data.windows import read_windows
from ..errors import DataError
from ..evaluation.bootstrap import block_bootstrap, genome_blocks
from ..evaluation.classification import at_threshold, auroc, average_precision, brier
from ..evaluation.matching import match_loops, shifted_control
from ..evaluation.strata import stratified_auroc
from ..evaluation.table import Result, write_results
from ..evaluation.trivial import fit_boosting, trivial_loop_scores
from ..files import atomic_path
from ..genome import Interval
from ..io.intervals import read_bedpe
from ..plot.curves import evaluation_figure
from ..plot.style import image_bytes
from ..progress import notify, track
from ..training.checkpoint import read_description
from .loop_calling import score_windows
from .model_input import open_stores

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TRIVIAL_LOOP_ROWS", "EvaluateConfig", "evaluate_loops", "loop_scores", "validate_loops"]

TRIVIAL_LOOP_ROWS = (
    "distance alone",
    "centre value",
    "centre O/E",
    "5x5 O/E",
    "boosting on distance + O/E",
)
"""Names of the rows that a model has to beat (`evaluation.md` rule 1)."""

_COLUMNS = dict(zip(TRIVIAL_LOOP_ROWS, ("distance", "centre", "centre_oe", "oe_5x5"), strict=False))
_PROBABILITIES = ("model", TRIVIAL_LOOP_ROWS[-1])


@dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated, and how intervals are made.

    Parameters
    ----------
    split
        ``"test"``; or ``"valid"`` while something is still being chosen.
    block
        Length of the blocks that are resampled, bp.
    """

    split: str = "test"
    block: int = 5_000_000


def evaluate_loops(
    out: str | Path,
    *,
    model: str | Path,
    store: str | Path | RegionStore,
    windows: str | Path,
    seed: int = 0,
    config: EvaluateConfig | None = None,
) -> pd.DataFrame:
    """Score a loop model and the trivial rows on held-out windows; write table and figure.

    Parameters
    ----------
    out
        Folder for ``loops.tsv``, ``loops.json`` and ``loops.png``.
    model
        A run of ``finetune --task loops``.
    store, windows
        The store, and its labelled window table; the boosted row is fitted on its training rows.
    seed
        Of the bootstrap and of the boosting.
    config
        Split and blocks.

    Returns
    -------
    pandas.DataFrame
        Schema `RESULTS`: AUROC (pooled, and within equal distances as ``auroc_distance_matched``), average
        precision, F1 at 0.5 and Brier score where there is a probability; each with its interval.

    Raises
    ------
    DataError
        The split has no labelled windows of both classes.
    """
    config = config or EvaluateConfig()
    (opened,) = open_stores(store)
    if config.split == "test" and read_description(model).provenance.get("include_test_chromosomes"):
        notify(
            f"{model}: its pre-training saw windows of the test split (without labels), as the paper's did."
        )
    table = read_windows(windows, store=opened, splits=("train", config.split))
    scores = loop_scores(opened, table, model=model, split=config.split, seed=seed)
    results = [
        result
        for method in track(("model", *TRIVIAL_LOOP_ROWS), "evaluating", unit="methods")
        for result in _results(scores, method, seed, config)
    ]
    folder = Path(out)
    written = write_results(
        folder / "loops", results, inputs=[opened.path, windows, model], extra={"config": asdict(config)}
    )
    shown = written[written["metric"].isin(["auroc", "auroc_distance_matched", "average_precision"])]
    with atomic_path(folder / "loops.png") as temporary:
        temporary.write_bytes(image_bytes(evaluation_figure(shown, trivial=TRIVIAL_LOOP_ROWS)))
    notify(f"scores: {folder / 'loops.tsv'}, figure: {folder / 'loops.png'}")
    return written


def loop_scores(
    store: RegionStore, table: pd.DataFrame, *, model: str | Path, split: str, seed: int
) -> pd.DataFrame:
    """Labelled windows of `split` with a column for each method: the model's and the trivial rows' scores.

    A score that is missing (masked bins) becomes the lowest of its method: such a pixel would not be called.
    """
    import pandas as pd

    labelled = table[table["label"].notna()]
    wanted, fitting = labelled[labelled["split"] == split], labelled[labelled["split"] == "train"]
    if wanted["label"].nunique() != 2:
        raise DataError(
            f"the {split} split has {len(wanted):,} labelled windows; loops and negatives are both needed."
        )
    resolution = int(table.attrs["resolution"])
    trivial = _trivial(store, wanted, resolution)
    columns = {name: trivial[column] for name, column in _COLUMNS.items()}
    if fitting["label"].nunique() == 2:
        boosted = fit_boosting(_trivial(store, fitting, resolution), fitting["label"].to_numpy(), seed=seed)
        columns[TRIVIAL_LOOP_ROWS[-1]] = pd.Series(boosted.predict(trivial), index=wanted.index)
    columns["model"] = pd.Series(score_windows(model, store, wanted), index=wanted.index)
    filled = {name: values.fillna(values.min()).fillna(0.0) for name, values in columns.items()}
    return pd.concat([wanted, pd.DataFrame(filled)], axis=1)


def _trivial(store: RegionStore, table: pd.DataFrame, resolution: int) -> pd.DataFrame:
    import pandas as pd

    weight = store.default_weight(resolution)
    parts = [
        trivial_loop_scores(store.layer(str(chrom), resolution), rows, weight)
        for chrom, rows in table.groupby("chrom", sort=False)
    ]
    return pd.concat(parts).loc[table.index]


def _f1(label: np.ndarray, probability: np.ndarray) -> float:
    return at_threshold(label, probability).f1


def _results(scores: pd.DataFrame, method: str, seed: int, config: EvaluateConfig) -> list[Result]:
    """Every metric of one method; a method that could not be fitted has no rows."""
    if method not in scores:
        return []
    label, score = scores["label"].to_numpy(dtype=float), scores[method].to_numpy(dtype=float)
    distance = (scores["y"] - scores["x"]).to_numpy()
    blocks = genome_blocks(scores["chrom"].to_numpy(), scores["x"].to_numpy(), config.block)
    metrics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]] = {
        "auroc": (auroc, (label, score)),
        "auroc_distance_matched": (stratified_auroc, (label, score, distance)),
        "average_precision": (average_precision, (label, score)),
    }
    if method in _PROBABILITIES:
        metrics |= {"f1_at_0.5": (_f1, (label, score)), "brier": (brier, (label, score))}
    return [
        Result.of("loops", method, name, block_bootstrap(metric, samples, blocks, seed=seed), seed=seed)
        for name, (metric, samples) in metrics.items()
    ]


def validate_loops(
    calls: str | Path,
    truth: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int = 5000,
    tolerance_bins: int = 2,
    chroms: Sequence[str] | None = None,
    exclude: Sequence[str | Interval] = (),
) -> dict[str, float | int]:
    """Match called loops with known ones, one to one, on the chromosomes that were called.

    Parameters
    ----------
    calls, truth
        BEDPE files (any dialect).
    store
        For the assembly and the chromosomes in use.
    resolution
        Bin size of the calls, bp.
    tolerance_bins
        Bins by which both anchors may differ.
    chroms
        Chromosomes compared; the store's by default.
    exclude
        Regions whose loops, on either side, are left out.

    Returns
    -------
    dict
        called, known, matched, precision, recall, f1, and shifted_control: the share of calls that match a
        known loop after being moved along the diagonal, which is what chance gives.
    """
    (opened,) = open_stores(store)
    wanted = tuple(opened.assembly.require(chrom) for chrom in chroms or opened.chromosomes)
    excluded = [
        region if isinstance(region, Interval) else Interval.parse(region, opened.assembly)
        for region in exclude
    ]
    called, known = (_within(read_bedpe(path, opened.assembly), wanted, excluded) for path in (calls, truth))
    matching = match_loops(called, known, tolerance_bins=tolerance_bins, resolution=resolution)
    control = shifted_control(called, known, tolerance_bins=tolerance_bins, resolution=resolution)
    return {
        "called": len(called),
        "known": len(known),
        "matched": len(matching),
        "precision": matching.precision,
        "recall": matching.recall,
        "f1": matching.f1,
        "shifted_control": control,
    }


def _within(loops: pd.DataFrame, chroms: Sequence[str], exclude: Sequence[Interval]) -> pd.DataFrame:
    kept = loops["chrom1"].isin(chroms)
    for region in exclude:
        inside = (loops["start1"] < region.end) & (loops["end2"] > region.start)
        kept &= ~((loops["chrom1"] == region.chrom) & inside)
    return loops[kept].reset_index(drop=True)
