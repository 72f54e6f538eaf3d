"""A task's model beside the trivial rows, on windows nothing was trained on.

Scores are taken on the test split by `evaluate` alone, which the experiments call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.store import RegionStore
from ..errors import ConfigError
from ..evaluation.matching import match_loops, shifted_control
from ..genome import Interval
from ..io.intervals import read_bedpe
from ..training.checkpoint import read_description
from .evaluate_contacts import SAME_PLACE, TRIVIAL_CONTACT_ROWS, evaluate_contacts
from .evaluate_expression import TRIVIAL_EXPRESSION_ROWS, evaluate_expression
from .evaluate_loops import TRIVIAL_LOOP_ROWS, evaluate_loops
from .evaluation_rows import EvaluateConfig, EvaluationRequest
from .model_input import StoreLike, open_stores
from .networks import TASKS, wrong_kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EvaluateConfig", "evaluate", "validate_loops"]

_EVALUATIONS = {"loops": evaluate_loops, "contacts": evaluate_contacts, "expression": evaluate_expression}

_ROWS = {
    "model",
    SAME_PLACE,
    *TRIVIAL_LOOP_ROWS,
    *TRIVIAL_CONTACT_ROWS,
    *TRIVIAL_EXPRESSION_ROWS,
}


def evaluate(
    out: str | Path,
    *,
    model: str | Path,
    store: StoreLike,
    windows: str | Path,
    trivial_store: StoreLike | None = None,
    trivial_windows: str | Path | None = None,
    beside: Mapping[str, str | Path] | None = None,
    seed: int = 0,
    config: EvaluateConfig | None = None,
) -> pd.DataFrame:
    """Score a model and the trivial rows on held-out windows; write table and figures.

    Parameters
    ----------
    out
        Folder for the table (``TASK.tsv``, ``TASK.json``) and the figures (``TASK*.png``).
    model
        A run of ``finetune``; it says for which task.
    store, windows
        The store, and its window table, labelled where the task is loops.
    trivial_store, trivial_windows
        Where the trivial rows learn, on the rows ``train``, what they need to; the store and table that are
        evaluated, if not given. For a model of another cell line: that line's, so that they know no more
        than it does.
    beside
        Other models of the task by the names of their rows, judged on the same windows.
    seed
        Of the bootstrap and of the boosting.
    config
        Split, blocks and batches.

    Returns
    -------
    pandas.DataFrame
        Schema `RESULTS`, every value with its interval; methods called ``"model - ROW"`` are paired
        differences over the same resampled blocks, of the model and a trivial row or a model beside it.

    Raises
    ------
    ModelError
        The folder holds no task's model, or the store does not fit it.
    DataError
        The split has no windows that can be judged, or there are none to learn the trivial rows from.
    ConfigError
        Trivial rows have a store without a table, or two rows one name.
    """
    kind = read_description(model).kind
    tasks = {of: task for task, of in TASKS.items()}
    if kind not in tasks:
        raise wrong_kind(model, kind, "finetune")
    if taken := sorted(set(beside or ()) & _ROWS):
        raise ConfigError(f"a row is called {taken[0]!r} already; name the model beside it otherwise.")
    request = EvaluationRequest(
        model,
        store,
        windows,
        trivial_store,
        trivial_windows,
        beside=dict(beside or {}),
        seed=seed,
        config=config or EvaluateConfig(),
    )
    return _EVALUATIONS[tasks[kind]](out, request)


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
