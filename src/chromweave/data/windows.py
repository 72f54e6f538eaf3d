"""Window tables: where to cut, what label a window has, and which split it belongs to; no signal.

The geometry is MIX-HIC's: for anchor bins x <= y, rows [x - 25, x + 25), columns [y - 25, y + 25).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..errors import ConfigError
from ..genome import BlockSplit, ChromSplit, Interval, RandomSplit, summarise
from ..progress import notify
from ..schemas import BEDPE, TSS, WINDOWS
from .funnel import Funnel, anchors, placed_windows
from .negatives import Pairs, paper_negatives, strict_negatives
from .placement import Placement
from .quality import QualityFilter
from .shuffle import dealt, shared_with_training
from .store import RegionStore
from .tables import check_windows, describe_windows, read_windows, select_split, write_windows

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Negatives",
    "QualityFilter",
    "WindowReport",
    "check_windows",
    "grid_windows",
    "loop_windows",
    "read_windows",
    "select_split",
    "tss_windows",
    "write_windows",
]

Negatives = Literal["strict", "anchors", "paper", "none"]
Split = ChromSplit | BlockSplit | RandomSplit

_PASSES = {
    # A caller looks only at pixels with contacts, so neither class may hold others.
    "strict": QualityFilter(centre_contacts=True),
    "anchors": QualityFilter(centre_contacts=True),
    "paper": QualityFilter(centre_to_corner=0.1),
    "none": QualityFilter(),
}


@dataclass(frozen=True)
class WindowReport:
    """A window table, and what did not get into it.

    Parameters
    ----------
    table
        Schema `WINDOWS`; its `attrs` say which store, resolution, seed and protocol it belongs to.
    dropped
        How many candidates each rule took away, in the order in which the rules were applied.
    """

    table: pd.DataFrame
    dropped: Mapping[str, int]

    def summary(self) -> dict[str, Any]:
        """Numbers of windows by split and kind, and of those dropped by each rule, as plain values."""
        counts = self.table.groupby(["split", "kind"]).size()
        return {
            "windows": len(self.table),
            **{f"{split} {kind}": int(n) for (split, kind), n in counts.items()},
            **{f"dropped: {rule}": n for rule, n in self.dropped.items()},
        }


def loop_windows(
    store: RegionStore,
    loops: pd.DataFrame,
    split: Split,
    *,
    resolution: int = 5000,
    window_bins: int = 50,
    negatives: Negatives = "strict",
    lower: int = 4,
    upper: int = 400,
    exclude: Sequence[Interval] = (),
    quality: QualityFilter | None = None,
    zone: int = 3,
    anchor: Literal["start", "middle"] = "start",
    seed: int = 0,
) -> WindowReport:
    """Windows around loops (label 1), and around pixels that are none (label 0).

    Parameters
    ----------
    store, resolution, window_bins
        The layer, and the side of a window in bins.
    loops
        Schema `BEDPE`.
    split
        Whole chromosomes, or blocks; a window that lies in no block is dropped. A random one deals all
        windows, whatever chromosome they are on, once they are chosen.
    negatives
        ``"strict"``: one for each positive at the same distance, on the same chromosome, in the same split,
        outside the exclusion zone of every loop, by the same filter; unmatched positives are dropped.
        ``"anchors"``: the same, but among pairs of anchors of different loops, so that the tracks at both
        ends look alike in both classes. ``"paper"``: as published. ``"none"``: positives only, as for
        pre-training.
    lower, upper
        Distance range, bins, both inclusive (0 and 400 for MIX-HIC's pre-training).
    exclude
        Regions no window may touch, such as amplified ones.
    quality
        Filter of all classes. Default: that of the protocol (strict: with a contact at the anchor pixel;
        paper: with the anchor rule, which the paper's negatives are spared).
    zone
        Radius of the exclusion zone, bins.
    anchor
        Which base of a loop's anchor decides its bin; the paper takes the start.
    seed
        Of the negatives.

    Raises
    ------
    SchemaError
        `loops` is no BEDPE table.
    ConfigError
        Unknown protocol or distance range.
    ResolutionError
        The store has no such layer, to judge windows by and to draw negatives from.
    """
    if negatives not in get_args(Negatives):
        raise ConfigError(f"negatives are one of {', '.join(get_args(Negatives))}, not {negatives!r}.")
    if not 0 <= lower <= upper:
        raise ConfigError(f"0 <= lower <= upper must hold for distances in bins, not {lower} and {upper}.")
    store.default_weight(resolution)  # the store's own error
    placement = Placement(store, resolution, window_bins, split, tuple(exclude))
    quality = quality or _PASSES[negatives]
    funnel = Funnel()
    known = _loop_pairs(BEDPE.check(loops, "the loops"), placement, anchor, funnel)
    inside = funnel.keep("distance out of range", known, known.gap.between(lower, upper))
    positives = placed_windows(inside, placement, quality, funnel)
    if negatives in ("strict", "anchors"):
        at_anchors = negatives == "anchors"
        every = _strict(placement, positives, known, quality, zone, seed, funnel, at_anchors)
    elif negatives == "paper":
        distances = _distances(loops, anchor, resolution)
        distances = distances[(distances >= lower) & (distances <= upper)]
        every = _paper(placement, positives, inside, quality, distances, seed)
    else:
        every = positives.assign(label=1.0, kind="loop")
    return _report(every, placement, funnel, seed, f"loops, negatives {negatives}")


def tss_windows(
    store: RegionStore,
    tss: pd.DataFrame,
    split: Split,
    *,
    resolution: int = 5000,
    window_bins: int = 50,
    exclude: Sequence[Interval] = (),
    quality: QualityFilter | None = None,
) -> WindowReport:
    """Windows on the diagonal around transcription start sites, one per bin, without labels.

    Parameters as in :func:`loop_windows`; `tss` has the schema `TSS`. The first gene of a bin gives the name.
    In a store without any contacts no window is judged by its map.

    Raises
    ------
    ConfigError
        A filter for a store that has no maps.
    """
    import pandas as pd

    placement = Placement(store, resolution, window_bins, split, tuple(exclude))
    funnel = Funnel()
    tss = TSS.check(tss, "the TSS table")
    bins = tss["tss"].to_numpy() // resolution
    found = pd.DataFrame(
        {"chrom": _canonical(store, tss["chrom"]), "x": bins, "y": bins, "name": tss["name"]}
    )
    _say_absent(tss["chrom"][found["chrom"].isna()], "transcription start sites")
    found = funnel.keep("chromosome not in the store", found, found["chrom"].notna())
    found = funnel.keep("second gene in a bin", found, ~found.duplicated(["chrom", "x", "y"]))
    placed = placed_windows(found, placement, _filter(placement, quality), funnel)
    return _report(placed.assign(label=np.nan, kind="tss"), placement, funnel, 0, "tss")


def grid_windows(
    store: RegionStore,
    split: Split,
    *,
    step: int = 62_500,
    upper: int = 0,
    resolution: int = 5000,
    window_bins: int = 50,
    exclude: Sequence[Interval] = (),
    quality: QualityFilter | None = None,
) -> WindowReport:
    """Windows along the diagonal, `step` bp apart, without labels; off it as well up to a distance.

    Parameters as in :func:`loop_windows`. The first centre is half a window from the chromosome's start;
    every two of a chromosome that are at most `upper` bins apart make a window. In a store without any
    contacts no window is judged by its map.

    Raises
    ------
    ConfigError
        `step` is not positive, `upper` is negative, or a filter is given for a store that has no maps.
    """
    import pandas as pd

    if step <= 0:
        raise ConfigError(f"step must be a positive number of bp, not {step}.")
    if upper < 0:
        raise ConfigError(f"upper must be at least 0 bins, not {upper}.")
    placement = Placement(store, resolution, window_bins, split, tuple(exclude))
    half = placement.half * resolution
    pieces = []
    for chrom in store.chromosomes:
        bins = np.unique(np.arange(half, store.assembly.length(chrom) - half + 1, step) // resolution)
        first, second = _pairs_within(bins, upper)
        pieces.append(pd.DataFrame({"chrom": chrom, "x": bins[first], "y": bins[second]}))
    funnel = Funnel()
    candidates = pd.concat(pieces, ignore_index=True)
    placed = placed_windows(candidates, placement, _filter(placement, quality), funnel)
    far = f", up to {upper} bins off the diagonal" if upper else ""
    return _report(placed.assign(label=np.nan, kind="grid"), placement, funnel, 0, f"grid, step {step}{far}")


def _pairs_within(bins: np.ndarray, upper: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of every two of ascending bins, the second no smaller, that are at most `upper` apart."""
    partners = np.searchsorted(bins, bins + upper, side="right") - np.arange(len(bins))
    first = np.repeat(np.arange(len(bins)), partners)
    return first, first + np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)


def _filter(placement: Placement, quality: QualityFilter | None) -> QualityFilter:
    """The filter of unlabelled windows, where there are maps to judge."""
    if not placement.judged:
        if quality is not None:
            raise ConfigError(
                f"{placement.store.path}: has no contacts to judge windows by; leave out quality."
            )
        notify(f"{placement.store.path}: has no contacts; no window is judged by its map")
    return quality or QualityFilter()


def _say_absent(chroms: pd.Series, what: str) -> None:
    if len(chroms):
        on = summarise(sorted(str(chrom) for chrom in chroms.unique()))
        notify(f"left out: {len(chroms):,} {what} on {on}, not in the store")


def _canonical(store: RegionStore, chroms: pd.Series) -> pd.Series:
    """The store's names of chromosomes; missing where it has none."""
    names = {found: store.assembly.canonical(str(found)) for found in chroms.unique()}
    return chroms.map({f: known if known in store.chromosomes else None for f, known in names.items()})


def _loop_pairs(
    loops: pd.DataFrame, placement: Placement, anchor: Literal["start", "middle"], funnel: Funnel
) -> pd.DataFrame:
    """Unique anchor bins x <= y of loops within one chromosome of the store, and their distance in bins."""
    import pandas as pd

    first, second = (_canonical(placement.store, loops[f"chrom{side}"]) for side in (1, 2))
    a, b = (_anchor_bins(loops, side, anchor, placement.resolution) for side in (1, 2))
    found = pd.DataFrame({"chrom": first, "x": np.minimum(a, b), "y": np.maximum(a, b)})
    if "name" in loops.columns:
        found["name"] = loops["name"]
    same = (loops["chrom1"] == loops["chrom2"]) | (first == second)
    _say_absent(loops["chrom1"][same & first.isna()], "loops")
    found = funnel.keep("between two chromosomes", found, same)
    found = funnel.keep("chromosome not in the store", found, found["chrom"].notna())
    found = funnel.keep("same two bins as another loop", found, ~found.duplicated(["chrom", "x", "y"]))
    return found.assign(gap=found["y"] - found["x"])


def _anchor_bins(loops: pd.DataFrame, side: int, anchor: str, resolution: int) -> np.ndarray:
    start, end = loops[f"start{side}"].to_numpy(np.int64), loops[f"end{side}"].to_numpy(np.int64)
    return (start if anchor == "start" else (start + end) // 2) // resolution


def _strict(
    placement: Placement,
    positives: pd.DataFrame,
    known: pd.DataFrame,
    quality: QualityFilter,
    zone: int,
    seed: int,
    funnel: Funnel,
    at_anchors: bool,
) -> pd.DataFrame:
    import pandas as pd

    pieces = [positives.iloc[:0].assign(label=1.0, kind="loop")]
    for chrom, here in positives.groupby("chrom", sort=False):
        matched = strict_negatives(
            placement,
            str(chrom),
            Pairs(*anchors(here)),
            Pairs(*anchors(known[known["chrom"] == chrom])),
            quality=quality,
            zone=zone,
            at_anchors=at_anchors,
            seed=seed,
        )
        here = funnel.keep("no negative left at its distance", here, matched.kept)
        pieces += [here.assign(label=1.0, kind="loop"), _negatives(str(chrom), matched.negatives, placement)]
    return pd.concat([one for one in pieces if len(one)] or pieces[:1], ignore_index=True)


def _distances(loops: pd.DataFrame, anchor: str, resolution: int) -> np.ndarray:
    """Distances in bins of all unique loops within chromosomes, those not in the store included."""
    import pandas as pd

    a, b = (_anchor_bins(loops, side, anchor, resolution) for side in (1, 2))
    within = pd.DataFrame({"chrom": loops["chrom1"], "x": np.minimum(a, b), "gap": np.abs(b - a)})
    distances: np.ndarray = within[loops["chrom1"] == loops["chrom2"]].drop_duplicates()["gap"].to_numpy()
    return distances


def _paper(
    placement: Placement,
    positives: pd.DataFrame,
    unfiltered: pd.DataFrame,
    quality: QualityFilter,
    distances: np.ndarray,
    seed: int,
) -> pd.DataFrame:
    import dataclasses

    import pandas as pd

    pairs = {str(chrom): Pairs(*anchors(here)) for chrom, here in unfiltered.groupby("chrom", sort=False)}
    spared = dataclasses.replace(quality, centre_to_corner=None)
    found = paper_negatives(placement, pairs, quality=spared, distances=distances, seed=seed)
    pieces = [positives.assign(label=1.0, kind="loop")]
    pieces += [_negatives(chrom, negatives, placement) for chrom, negatives in found.items()]
    return pd.concat([one for one in pieces if len(one)] or pieces[:1], ignore_index=True)


def _negatives(chrom: str, pairs: Pairs, placement: Placement) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "chrom": chrom,
            "x": pairs.x,
            "y": pairs.y,
            "split": placement.split_of(chrom, pairs.x, pairs.y),
            "label": 0.0,
            "kind": "negative",
        }
    )


def _report(
    found: pd.DataFrame, placement: Placement, funnel: Funnel, seed: int, protocol: str
) -> WindowReport:
    """The table in genome order, in bp, saying what it belongs to."""
    order = found["chrom"].map({chrom: i for i, chrom in enumerate(placement.store.chromosomes)})
    found = found.iloc[np.lexsort((found["y"], found["x"], order))].reset_index(drop=True)
    if isinstance(placement.split, RandomSplit):
        found["split"] = dealt(len(found), placement.split)
    table = found.assign(
        x=found["x"].to_numpy(np.int64) * placement.resolution,
        y=found["y"].to_numpy(np.int64) * placement.resolution,
    )
    table = WINDOWS.order(WINDOWS.check(table.drop(columns="gap", errors="ignore"), "the windows"))
    table.attrs.update(
        describe_windows(
            placement.store,
            placement.resolution,
            window_bins=placement.window_bins,
            seed=seed,
            protocol=protocol,
        )
    )
    table.attrs["split"] = _said(placement.split)
    table.attrs["dropped"] = dict(funnel.dropped)
    if isinstance(placement.split, RandomSplit) and len(table):
        _warn_of_sharing(table, placement.window_bins * placement.resolution)
    if not len(table):
        notify("no window is left; see what each rule took away")
    return WindowReport(table, dict(funnel.dropped))


def _said(split: Split) -> str:
    if isinstance(split, RandomSplit):
        return f"random, seed {split.seed}"
    return "chromosomes" if isinstance(split, ChromSplit) else "blocks"


def _warn_of_sharing(table: pd.DataFrame, side: int) -> None:
    share = shared_with_training(table, side)
    notify(
        "random split: neighbouring windows share bins between training and test; "
        f"{share:.0%} of the test windows overlap a training window by half or more. "
        "For places never seen, split by chromosomes or blocks."
    )
