"""From a store and a list of places to a window table on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from ..genome import BlockSplit, ChromSplit, Interval, RandomSplit, summarise
from ..io.intervals import read_bedpe, read_tss
from ..progress import notify
from .model_input import open_stores

__all__ = ["Protocol", "SplitConfig", "make_split", "make_windows"]

Protocol = Literal["strict", "paper"]


@dataclass(frozen=True)
class SplitConfig:
    """How train, validation and test are kept apart.

    Parameters
    ----------
    by
        ``"chromosomes"``: whole ones; ``"blocks"``: contiguous blocks of each chromosome with gaps;
        ``"random"``: windows of all chromosomes shuffled, as the paper does for CAGE, so that neighbours
        share bins across splits.
    chroms
        Chromosomes in use; all of the store if empty.
    valid_chroms, test_chroms
        For ``"chromosomes"``; MIX-HIC's where both are empty and the store has them.
    valid_fraction, test_fraction
        For ``"blocks"``: shares of each stretch, 0.15 and 0.25 if not given. For ``"random"``: shares of the
        windows, 0.1 each if not given.
    gap
        For ``"blocks"``: bp between them.
    seed
        For ``"random"``: of the shuffle.
    """

    by: Literal["chromosomes", "blocks", "random"] = "chromosomes"
    chroms: tuple[str, ...] = ()
    valid_chroms: tuple[str, ...] = ()
    test_chroms: tuple[str, ...] = ()
    valid_fraction: float | None = None
    test_fraction: float | None = None
    gap: int = 2_000_000
    seed: int = 0

    def fractions(self, valid: float, test: float) -> dict[str, float]:
        """The shares of validation and test; those given here, or these."""
        return {
            "valid": valid if self.valid_fraction is None else self.valid_fraction,
            "test": test if self.test_fraction is None else self.test_fraction,
        }


def make_split(
    store: RegionStore, config: SplitConfig, exclude: Sequence[Interval] = ()
) -> ChromSplit | BlockSplit:
    """The split of a store's chromosomes by place (a random one has none).

    Blocks are cut from the longest stretch of each chromosome that holds no excluded region, so that no
    split is made of sequence nobody may use.

    Raises
    ------
    ConfigError
        A split is empty, or options that belong to another kind are given.
    """
    chroms = _chosen(store, config)
    if config.by == "random":
        raise ConfigError("a random split says nothing of places; split by chromosomes or blocks.")
    if config.by == "blocks":
        stretches = [_longest(chrom, store.assembly.length(chrom), exclude) for chrom in chroms]
        for stretch in stretches:
            if len(stretch) < store.assembly.length(stretch.chrom):
                notify(f"blocks are cut from {stretch}, the longest stretch without an excluded region")
        return BlockSplit.fractions(stretches, **config.fractions(0.15, 0.25), gap=config.gap)
    if not config.valid_chroms and not config.test_chroms:
        return _paper(store, chroms)
    valid = tuple(store.assembly.require(chrom) for chrom in config.valid_chroms)
    test = tuple(store.assembly.require(chrom) for chrom in config.test_chroms)
    _say_missing(store, {"validation": valid, "test": test})
    train = tuple(chrom for chrom in chroms if chrom not in valid + test)
    for name, members in (("validation", valid), ("training", train)):
        if not any(chrom in chroms for chrom in members):
            raise ConfigError(f"no {name} chromosome is left among {', '.join(chroms)}.")
    return ChromSplit(train, valid, test)


def _chosen(store: RegionStore, config: SplitConfig) -> tuple[str, ...]:
    """The chromosomes in use, once the options fit each other."""
    if config.by != "chromosomes" and (config.valid_chroms or config.test_chroms):
        kind = {"blocks": "by blocks", "random": "a random one"}[config.by]
        raise ConfigError(f"validation and test chromosomes belong to a split by chromosomes, not {kind}.")
    chroms = tuple(store.assembly.require(chrom) for chrom in config.chroms) or store.chromosomes
    absent = [chrom for chrom in chroms if chrom not in store.chromosomes]
    if absent:
        raise ConfigError(f"{store.path}: has no {absent[0]}; it has {', '.join(store.chromosomes)}.")
    return chroms


def _say_missing(store: RegionStore, split: Mapping[str, Sequence[str]]) -> None:
    """Name the chromosomes of each split that the store lacks."""
    for name, members in split.items():
        missing = [chrom for chrom in members if chrom not in store.chromosomes]
        if missing:
            notify(f"{store.path}: lacks {summarise(missing)} of the {name} chromosomes")


def _paper(store: RegionStore, chroms: tuple[str, ...]) -> ChromSplit:
    """MIX-HIC's chromosomes, where the store has some of each split."""
    remedy = "name validation and test chromosomes, or split by blocks"
    if store.assembly.canonical("17") is None or store.assembly.canonical("13") is None:
        raise ConfigError(f"{store.path}: the paper's split does not fit {store.assembly.name}; {remedy}.")
    whole = ChromSplit.paper(store.assembly)
    if chroms == store.chromosomes:
        _say_missing(store, {"training": whole.train, "validation": whole.valid, "test": whole.test})
    used = whole.train + whole.valid + whole.test
    if unused := [chrom for chrom in chroms if chrom not in used]:
        notify(f"left out: {summarise(unused)}, in no split of the paper's")
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
    max_distance: int = 0,
    negatives: Negatives | None = None,
    protocol: Protocol | None = None,
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
    max_distance
        For a grid: also windows off the diagonal, up to so many bp.
    negatives
        As in :func:`chromweave.data.windows.loop_windows`; those of the protocol if not given.
    protocol
        ``"strict"``: strict negatives, and no random split; what is done if none is named. ``"paper"``: as
        published, with the paper's negatives. The table says which was named.
    resolution, seed
        As in :func:`chromweave.data.windows.loop_windows`.
    split
        How train, validation and test are kept apart.
    exclude
        Regions no window may touch.

    Raises
    ------
    ConfigError
        The file for `around` is not given, the split does not fit, or options contradict each other.
    """
    split = split or SplitConfig()
    negatives = _negatives(negatives, protocol, split)
    if max_distance and around != "grid":
        raise ConfigError(f"a largest distance belongs to a grid of windows, not to those around {around}.")
    (opened,) = open_stores(store)
    excluded = [
        region if isinstance(region, Interval) else Interval.parse(region, opened.assembly)
        for region in exclude
    ]
    divided = _dealt(opened, split) if split.by == "random" else make_split(opened, split, excluded)
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
        upper = max_distance // resolution
        report = grid_windows(opened, divided, step=step, upper=upper, **shared)
    if protocol is not None:
        report.table.attrs["protocol"] = f"{protocol}: {report.table.attrs['protocol']}"
    write_windows(out, report.table)
    notify(f"{out}: {len(report.table):,} windows")
    return report


def _negatives(negatives: Negatives | None, protocol: Protocol | None, split: SplitConfig) -> Negatives:
    """Those of the protocol, which nothing else may contradict."""
    allowed = {"strict": (None, "strict", "anchors"), "paper": (None, "paper")}
    if protocol is not None and negatives not in allowed[protocol]:
        raise ConfigError(
            f"the protocol {protocol!r} takes {protocol} negatives, not {negatives}; leave one of them out."
        )
    if protocol == "strict" and split.by == "random":
        raise ConfigError(
            "the protocol 'strict' keeps splits apart, and a random split does not; "
            "split by chromosomes or blocks, or follow the protocol 'paper'."
        )
    return negatives or protocol or "strict"


def _dealt(store: RegionStore, config: SplitConfig) -> RandomSplit:
    return RandomSplit(_chosen(store, config), **config.fractions(0.1, 0.1), seed=config.seed)
