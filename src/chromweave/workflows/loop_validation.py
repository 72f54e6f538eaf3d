"""Called loops beside known ones: how many are the same, by score and by distance, and by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.store import RegionStore
from ..errors import ConfigError
from ..evaluation.bootstrap import BootstrapConfig, block_sums, bootstrap_sums, genome_blocks
from ..evaluation.loop_lists import Ranking, anchor_distance, bin_size, distance_strata, ranking
from ..evaluation.matching import MatchCurve, Matching, match_curve, match_loops, shifted_control
from ..evaluation.table import Result, results_table, write_results
from ..files import atomic_path
from ..genome import Interval
from ..io.export import write_table
from ..io.pairs import read_bedpe
from ..plot.style import image_bytes
from ..plot.validation import validation_figure
from ..progress import notify

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoopValidation", "validate_loops"]

_BLOCK = 5_000_000  # bp, resampled for the intervals
_FEW_DRAWS = BootstrapConfig(draws=200)  # of the many strata
_STEM = "validation"
_TASK = "loop calling"


@dataclass(frozen=True)
class LoopValidation:
    """What :func:`validate_loops` found.

    Attributes
    ----------
    summary
        resolution (bp), called, known, matched, precision, recall, f1; shifted_control: the share of calls
        that match a known loop after being moved along the diagonal, which is what chance gives; and where
        the calls are ranked, average_precision.
    strata
        called, known, matched (calls), precision, recall and f1 by stratum of anchor distance; only those
        that hold any loop.
    ranked_by
        Column of the calls by which they are ranked; None where there is none.
    curve
        Columns of that name, called, matched, precision, recall, f1: one row for each distinct value, from
        the best down. Empty where there is no ranking.
    table
        Schema `RESULTS`: the metrics over all loops and by distance, with intervals from blocks of 5 Mb.
    """

    summary: Mapping[str, float | int]
    strata: Mapping[str, Mapping[str, float | int]]
    ranked_by: str | None
    curve: pd.DataFrame
    table: pd.DataFrame


def validate_loops(
    calls: str | Path,
    truth: str | Path,
    *,
    store: str | Path | RegionStore,
    resolution: int | None = None,
    tolerance_bins: int = 2,
    chroms: Sequence[str] | None = None,
    exclude: Sequence[str | Interval] = (),
    out: str | Path | None = None,
    seed: int = 0,
) -> LoopValidation:
    """Match called loops with known ones, one to one, on the chromosomes that were called.

    Calls are ranked by their score, or by their q-value where they have no score, and matched from the best
    down. In a stratum of distance, precision is that of the calls in it, and recall that of the known loops
    in it, all matched together.

    Parameters
    ----------
    calls, truth
        BEDPE files (any dialect).
    store
        For the assembly and the chromosomes in use.
    resolution
        Bin size of the calls, bp; their own if not given.
    tolerance_bins
        Bins by which both anchors may differ.
    chroms
        Chromosomes compared; the store's by default.
    exclude
        Regions whose loops, on either side, are left out.
    out
        Folder for ``validation.tsv`` and ``.json`` (schema `RESULTS`), ``validation.png``, and
        ``validation_curve.tsv`` where the calls are ranked.
    seed
        Of the intervals.

    Raises
    ------
    ConfigError
        The calls are no bins of one size, and no resolution is given.
    """
    opened = store if isinstance(store, RegionStore) else RegionStore.open(store)
    compared = _Compared.of(opened, chroms, exclude)
    called, known = (read_bedpe(path, opened.assembly) for path in (calls, truth))
    if resolution is None:
        resolution = _own_bin_size(called, calls, opened)
    called, known = compared.take(called), compared.take(known)
    ranked = ranking(called)
    score = None if ranked is None else ranked.score
    matching = match_loops(called, known, tolerance_bins, resolution, score=score)
    control = shifted_control(called, known, tolerance_bins, resolution, counted=compared.holds)
    curve = None if score is None else match_curve(matching, score)
    loops = _both_lists(called, known, matching)
    results = _results(loops, control, curve, method=Path(calls).name, seed=seed)
    validation = LoopValidation(
        summary=_summary(loops, resolution, control, curve),
        strata={name: _numbers(rows) for name, rows in _by_distance(loops).items()},
        ranked_by=None if ranked is None else ranked.column,
        curve=_curve_table(curve, ranked),
        table=results_table(results),
    )
    if out is not None:
        settings = {
            "resolution": resolution,
            "tolerance_bins": tolerance_bins,
            "chromosomes": list(compared.chroms),
            "exclude": [str(region) for region in compared.exclude],
            "ranked_by": validation.ranked_by,
            "block": _BLOCK,
        }
        _write(Path(out), validation, results, (calls, truth, opened.path), settings)
    return validation


@dataclass(frozen=True)
class _Compared:
    """Where loops are compared."""

    store: RegionStore
    chroms: tuple[str, ...]
    exclude: tuple[Interval, ...]

    @classmethod
    def of(
        cls, store: RegionStore, chroms: Sequence[str] | None, exclude: Sequence[str | Interval]
    ) -> _Compared:
        wanted = tuple(store.assembly.require(chrom) for chrom in chroms or store.chromosomes)
        regions = (
            one if isinstance(one, Interval) else Interval.parse(one, store.assembly) for one in exclude
        )
        return cls(store, wanted, tuple(regions))

    def holds(self, loops: pd.DataFrame) -> np.ndarray:
        """Which loops lie on chromosomes that are compared, within them, and in no region left out."""
        lengths = loops["chrom1"].map(dict(self.store.assembly.chromosomes))
        kept = loops["chrom1"].isin(self.chroms) & (loops["end2"] <= lengths)
        for region in self.exclude:
            inside = (loops["start1"] < region.end) & (loops["end2"] > region.start)
            kept &= ~((loops["chrom1"] == region.chrom) & inside)
        return kept.to_numpy(bool)

    def take(self, loops: pd.DataFrame) -> pd.DataFrame:
        return loops[self.holds(loops)].reset_index(drop=True)


def _own_bin_size(called: pd.DataFrame, calls: str | Path, store: RegionStore) -> int:
    size = bin_size(called, store.assembly)
    if size is None:
        raise ConfigError(
            f"{calls}: its anchors are no bins of one size, which leaves open in which bins to compare; give "
            "--resolution, e.g. --resolution 5000."
        )
    return size


def _both_lists(called: pd.DataFrame, known: pd.DataFrame, matching: Matching) -> pd.DataFrame:
    """Calls, then known loops: columns known (which list), chrom, start (bp), distance (bp) and matched."""
    import pandas as pd

    sides = ((called, matching.call_matched), (known, matching.truth_matched))
    parts = [
        pd.DataFrame(
            {
                "known": np.full(len(loops), k == 1),
                "chrom": loops["chrom1"].to_numpy(dtype=object),
                "start": loops["start1"].to_numpy(np.int64),
                "distance": anchor_distance(loops),
                "matched": matched,
            }
        )
        for k, (loops, matched) in enumerate(sides)
    ]
    return pd.concat(parts, ignore_index=True)


def _by_distance(loops: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each stratum of distance that holds any."""
    strata = distance_strata(loops["distance"].to_numpy())
    return {name: loops[rows] for name, rows in strata.items() if rows.any()}


def _counts(loops: pd.DataFrame) -> np.ndarray:
    """Of each row whether it is a call, a matched call, a known loop, a matched one; float64 (n, 4)."""
    known, matched = loops["known"].to_numpy(), loops["matched"].to_numpy()
    return np.stack([~known, ~known & matched, known, known & matched], axis=1).astype(np.float64)


def _precision(total: np.ndarray) -> float:
    return float(total[1] / total[0]) if total[0] else float("nan")


def _recall(total: np.ndarray) -> float:
    return float(total[3] / total[2]) if total[2] else float("nan")


def _f1(total: np.ndarray) -> float:
    both = total[0] + total[2]
    return float((total[1] + total[3]) / both) if both else float("nan")


_METRICS = {"precision": _precision, "recall": _recall, "f1": _f1}


def _numbers(loops: pd.DataFrame) -> dict[str, float | int]:
    total = _counts(loops).sum(axis=0)
    called, matched, known, _ = (int(value) for value in total)
    counts: dict[str, float | int] = {"called": called, "known": known, "matched": matched}
    return counts | {name: metric(total) for name, metric in _METRICS.items()}


def _summary(
    loops: pd.DataFrame, resolution: int, control: float, curve: MatchCurve | None
) -> dict[str, float | int]:
    more = {} if curve is None else {"average_precision": curve.average_precision}
    return {"resolution": resolution, **_numbers(loops), "shifted_control": control, **more}


def _results(
    loops: pd.DataFrame, control: float, curve: MatchCurve | None, *, method: str, seed: int
) -> list[Result]:
    n_calls = int((~loops["known"]).sum())
    found = _with_intervals(loops, method, "all", seed)
    found.append(Result(_TASK, method, "shifted_control", control, n=n_calls))
    if curve is not None:
        found.append(Result(_TASK, method, "average_precision", curve.average_precision, n=n_calls))
    for stratum, rows in _by_distance(loops).items():
        found += _with_intervals(rows, method, stratum, seed, _FEW_DRAWS)
    return found


def _with_intervals(
    loops: pd.DataFrame, method: str, stratum: str, seed: int, config: BootstrapConfig | None = None
) -> list[Result]:
    """Precision (n: calls), recall (n: known loops) and F1 (n: both)."""
    counts = _counts(loops)
    sums = block_sums(counts, genome_blocks(loops["chrom"].to_numpy(), loops["start"].to_numpy(), _BLOCK))
    called, _, known, _ = (int(value) for value in counts.sum(axis=0))
    return [
        Result.of(
            _TASK, method, name, bootstrap_sums(metric, [sums], n=n, seed=seed, config=config),
            stratum=stratum, seed=seed,
        )
        for (name, metric), n in zip(_METRICS.items(), (called, known, called + known), strict=True)
    ]  # fmt: skip


def _curve_table(curve: MatchCurve | None, ranked: Ranking | None) -> pd.DataFrame:
    """The curve with the list's own values: a q-value as it is, not negated."""
    import pandas as pd

    columns = ("called", "matched", "precision", "recall", "f1")
    if curve is None or ranked is None:
        return pd.DataFrame(columns=list(columns))
    sign = 1 if ranked.values is ranked.score else -1
    return pd.DataFrame(
        {ranked.column: sign * curve.score, **{name: getattr(curve, name) for name in columns}}
    )


def _write(
    folder: Path,
    validation: LoopValidation,
    results: Sequence[Result],
    inputs: Sequence[str | Path],
    settings: Mapping[str, object],
) -> None:
    image = image_bytes(validation_figure(validation.table, validation.strata, validation.curve))
    write_results(folder / _STEM, results, inputs=inputs, extra={"config": settings})
    if validation.ranked_by is not None:
        write_table(folder / f"{_STEM}_curve.tsv", validation.curve)
    with atomic_path(folder / f"{_STEM}.png") as temporary:
        temporary.write_bytes(image)
    notify(f"validation: {folder / _STEM}.tsv, figure: {folder / _STEM}.png")
