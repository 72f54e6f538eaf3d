"""From a store and a list of places to a window table on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..data.store import RegionStore
from ..data.windows import (
    Negatives,
    WindowReport,
    grid_windows,
    loop_windows,
    tss_windows,
    write_windows,
)
from ..errors import ConfigError
from ..genome import BlockSplit, ChromSplit, Interval
from ..io.intervals import read_bedpe, read_tss
from ..progress import notify
from .model_input import open_stores

__all__ = ["SplitConfig", "make_split", "make_windows"]


@dataclass(frozen=True)
class SplitConfig:
    """How train, validation and test are kept apart.

    Parameters
    ----------
    by
        ``"chromosomes"``: whole ones; ``"blocks"``: contiguous blocks of each chromosome with gaps.
    chroms
        Chromosomes in use; all of the store if empty.
    valid_chroms, test_chroms
        For ``"chromosomes"``; MIX-HIC's where both are empty and the store has them.
    valid_fraction, test_fraction, gap
        For ``"blocks"``: shares of each stretch, and bp between blocks.
    """

    by: Literal["chromosomes", "blocks"] = "chromosomes"
    chroms: tuple[str, ...] = ()
    valid_chroms: tuple[str, ...] = ()
    test_chroms: tuple[str, ...] = ()
    valid_fraction: float = 0.15
    test_fraction: float = 0.25
    gap: int = 2_000_000


def make_split(
    store: RegionStore, config: SplitConfig, exclude: Sequence[Interval] = ()
) -> ChromSplit | BlockSplit:
    """The split of a store's chromosomes.

    Blocks are cut from the longest stretch of each chromosome that holds no excluded region, so that no
    split is made of sequence nobody may use.

    Raises
    ------
    ConfigError
        A split is empty, or options that belong to the other kind are given.
    """
    chroms = tuple(store.assembly.require(chrom) for chrom in config.chroms) or store.chromosomes
    absent = [chrom for chrom in chroms if chrom not in store.chromosomes]
    if absent:
        raise ConfigError(f"{store.path}: has no {absent[0]}; it has {', '.join(store.chromosomes)}.")
    if config.by == "blocks":
        if config.valid_chroms or config.test_chroms:
            raise ConfigError(
                "validation and test chromosomes belong to a split by chromosomes, not by blocks."
            )
        stretches = [_longest(chrom, store.assembly.length(chrom), exclude) for chrom in chroms]
        for stretch in stretches:
            if len(stretch) < store.assembly.length(stretch.chrom):
                notify(f"blocks are cut from {stretch}, the longest stretch without an excluded region")
        return BlockSplit.fractions(
            stretches, valid=config.valid_fraction, test=config.test_fraction, gap=config.gap
        )
    if not config.valid_chroms and not config.test_chroms:
        return _paper(store, chroms)
    valid = tuple(store.assembly.require(chrom) for chrom in config.valid_chroms)
    test = tuple(store.assembly.require(chrom) for chrom in config.test_chroms)
    train = tuple(chrom for chrom in chroms if chrom not in valid + test)
    for name, members in (("validation", valid), ("training", train)):
        if not any(chrom in chroms for chrom in members):
            raise ConfigError(f"no {name} chromosome is left among {', '.join(chroms)}.")
    return ChromSplit(train, valid, test)


def _paper(store: RegionStore, chroms: tuple[str, ...]) -> ChromSplit:
    """MIX-HIC's chromosomes, where the store has some of each split."""
    remedy = "name validation and test chromosomes, or split by blocks"
    if store.assembly.canonical("17") is None or store.assembly.canonical("13") is None:
        raise ConfigError(f"{store.path}: the paper's split does not fit {store.assembly.name}; {remedy}.")
    whole = ChromSplit.paper(store.assembly)
    split = ChromSplit(
        *(tuple(c for c in members if c in chroms) for members in (whole.train, whole.valid, whole.test))
    )
    for name in ("train", "valid", "test"):
        if not getattr(split, name):
            raise ConfigError(
                f"{store.path}: the paper has no {name} chromosome among {', '.join(chroms)}; {remedy}."
            )
    return split


def _longest(chrom: str, length: int, exclude: Sequence[Interval]) -> Interval:
    """The longest stretch of a chromosome without an excluded region."""
    edges = [0]
    for interval in sorted(one for one in exclude if one.chrom == chrom):
        edges += [interval.start, max(interval.end, edges[-1])]
    edges.append(length)
    stretches = [(end - start, start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    size, start, end = max(stretches)
    if size <= 0:
        raise ConfigError(f"{chrom}: all of it is excluded.")
    return Interval(chrom, start, end)


def make_windows(
    out: str | Path,
    *,
    store: str | Path | RegionStore,
    around: Literal["loops", "tss", "grid"] = "grid",
    loops: str | Path | None = None,
    tss: str | Path | None = None,
    step: int = 62_500,
    negatives: Negatives = "strict",
    resolution: int = 5000,
    split: SplitConfig | None = None,
    exclude: Sequence[str | Interval] = (),
    seed: int = 0,
) -> WindowReport:
    """Write a table of windows: coordinates, labels and splits; no signal is copied.

    Parameters
    ----------
    out
        Parquet file.
    store
        The store the windows will be cut from.
    around
        ``"loops"`` (with negatives), ``"tss"``, or a ``"grid"`` along the diagonal.
    loops, tss
        The file for ``"loops"`` (BEDPE, Juicebox, washU) or ``"tss"`` (TSV, GFF).
    step
        bp between the centres of a grid.
    negatives, resolution, seed
        As in :func:`chromweave.data.windows.loop_windows`.
    split
        How train, validation and test are kept apart.
    exclude
        Regions no window may touch.

    Raises
    ------
    ConfigError
        The file for `around` is not given, or the split does not fit.
    """
    (opened,) = open_stores(store)
    excluded = [
        region if isinstance(region, Interval) else Interval.parse(region, opened.assembly)
        for region in exclude
    ]
    divided = make_split(opened, split or SplitConfig(), excluded)
    shared: dict[str, Any] = {"resolution": resolution, "exclude": excluded}
    if around == "loops":
        if loops is None:
            raise ConfigError("windows around loops need --loops FILE.")
        table = read_bedpe(loops, opened.assembly)
        report = loop_windows(opened, table, divided, negatives=negatives, seed=seed, **shared)
    elif around == "tss":
        if tss is None:
            raise ConfigError("windows around TSS need --tss FILE.")
        report = tss_windows(opened, read_tss(tss, opened.assembly), divided, **shared)
    else:
        report = grid_windows(opened, divided, step=step, **shared)
    write_windows(out, report.table)
    notify(f"{out}: {len(report.table):,} windows")
    return report
