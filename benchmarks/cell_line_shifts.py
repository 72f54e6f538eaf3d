"""Bins that shift between GM12878 and IMR90, with replicates as the null: are they those whose calls differ?

    python -m benchmarks.cell_line_shifts --data D --folder DIR [--published GM12878.bed IMR90.bed]

Maps: GM12878 HIC001 and its replicate HIC002, a third one of chr21 alone (HIC003), and IMR90 HIC050; chr21
and chr22 at 40 kb. A graph model is trained on HIC001, with three seeds, and encodes all of them; ``compare``
calls the bins that are further apart between the lines than between HIC001 and HIC002. Replicates share one
set of tracks while the lines have tracks of other laboratories, so that IMR90's map is encoded twice: with
its own tracks, and with GM12878's, when nothing but the map can differ, as between replicates.

Truth: bins whose published A/B calls differ, in both lines by one method (``--published``: BED files whose
names begin with A or B, such as SNIPER's, Xiong & Ma 2019, `annotations.zip` of its repository); and bins
whose E1 has another sign, with a confidence of 0.95 in both. The second is made of the same maps.

Trivial rows take the embedding's place: difference of E1, of log coverage, one less the correlation of rows
of observed/expected, and the tracks alone. "rows of z . z" is no distance of `compare`: it is the root mean
square difference of a bin's inner products with the bins within 5 Mb, which no rotation of a frame changes.
A step whose result is there is not run again. Writes ``benchmarks/results/cell_line_shifts.{tsv,json,md}``
and a figure of ``docs/figures``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.map_annotation import agreement, known_sides
from benchmarks.three_tasks import Step
from chromweave.analysis.compare import bin_distances
from chromweave.analysis.compartments import compartments
from chromweave.analysis.readings import against_shifts
from chromweave.analysis.replicates import replicate_calls, with_replicates
from chromweave.data.graph import robust_frame
from chromweave.data.store import RegionStore
from chromweave.evaluation.bootstrap import Estimate, block_bootstrap, genome_blocks, paired_difference
from chromweave.evaluation.classification import auroc
from chromweave.files import atomic_path, write_json
from chromweave.genome import Assembly, Interval
from chromweave.io.export import Embedding, read_embedding
from chromweave.io.intervals import read_bed
from chromweave.plot.style import DARK, VERMILLION, WIDTH, image_bytes, new_figure, styled
from chromweave.plot.tracks import draw_eigenvector, label_outer
from chromweave.provenance import describe_process

RESULTS = Path(__file__).parent / "results"
FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "cell-line-shifts.png"
TRACKS = ("CTCF", "RAD21", "H3K27ac", "H3K4me3")
PHASE, RESOLUTION, CHROMS, FDR = "H3K27ac", 40_000, ("chr21", "chr22"), 0.05
PRESETS = {"original": "vgae-original", "aware": "distance-aware"}
SEEDS = (0, 1, 2)
FIRST, SECOND, OTHER, MAP_ALONE = "HIC001", "HIC002", "IMR90", "IMR90_map"
SHORT_FIRST, SHORT_SECOND, THIRD = "HIC001_chr21", "HIC002_chr21", "HIC003"
PUBLISHED, SURE = "published", "E1, sure in both"
CONFIDENT, TOP = 0.95, 0.1
BLOCK = 2_000_000
NEAR_BINS, REACH_BINS = 2, 125
ROWS = {"difference of E1": "E1", "difference of log coverage": "coverage", "rows of O/E": "oe"}
CHOSEN, BEST_TRIVIAL = "distance-aware, its own tracks, cosine", "rows of O/E"


@dataclass(frozen=True)
class Sample:
    """A map, the line its tracks are of, the chromosomes that are encoded, and the store they are in."""

    contacts: str
    tracks: str
    chroms: tuple[str, ...] = CHROMS
    store: str = ""

    def store_in(self, folder: Path, name: str) -> Path:
        """Its store."""
        return folder / f"{self.store or name}.store"


SAMPLES = {
    FIRST: Sample("GM12878_HIC001", "GM12878"),
    SECOND: Sample("GM12878_HIC002", "GM12878"),
    OTHER: Sample("IMR90_HIC050", "IMR90"),
    MAP_ALONE: Sample("IMR90_HIC050", "GM12878"),
    THIRD: Sample("GM12878_HIC003.chr21", "GM12878", CHROMS[:1]),
    SHORT_FIRST: Sample("GM12878_HIC001", "GM12878", CHROMS[:1], FIRST),
    SHORT_SECOND: Sample("GM12878_HIC002", "GM12878", CHROMS[:1], SECOND),
}
"""HIC003 is of chr21: its null is encoded of chr21 alone, too, as features are standardised over a graph."""


@dataclass(frozen=True)
class Model:
    """A training; other seeds than the first encode no map of chr21 alone."""

    run: str
    preset: str
    seed: int

    @property
    def name(self) -> str:
        """What its rows are called."""
        return f"{self.preset}, seed {self.seed}" if self.seed else self.preset

    @property
    def samples(self) -> tuple[str, ...]:
        """What it encodes."""
        return (FIRST, SECOND, OTHER, MAP_ALONE) if self.seed else tuple(SAMPLES)

    def encoded(self, folder: Path, name: str) -> Path:
        """Where an encoding is."""
        return folder / f"{self.run}.{name}.h5ad"


MODELS = [
    Model(run if not seed else f"{run}{seed}", preset, seed)
    for seed in SEEDS
    for run, preset in PRESETS.items()
]


def steps(data: Path, folder: Path) -> Iterator[Step]:
    """Every command, in order."""
    lines = data / "gm12878_imr90_chr21_22_hg19"
    for name, sample in SAMPLES.items():
        store = sample.store_in(folder, name)
        tracks = [f"{track}={lines}/{sample.tracks}.{track}.bw" for track in TRACKS]
        yield Step(
            store / "manifest.json",
            (
                "build", str(store), "--contacts", f"{lines}/{sample.contacts}.mcool",
                "--resolution", str(RESOLUTION), "--assembly", "hg19", *repeated("--track", tracks),
            ),
        )  # fmt: skip
    for one in MODELS:
        yield Step(
            folder / one.run / "config.json",
            (
                "graph", "train", f"{folder}/{one.run}", "--store", f"{folder}/{FIRST}.store",
                "--resolution", str(RESOLUTION), *repeated("--chrom", CHROMS), "--preset", one.preset,
                "--seed", str(one.seed),
            ),
        )  # fmt: skip
        for name in one.samples:
            made = one.encoded(folder, name)
            yield Step(
                made,
                (
                    "graph", "encode", str(made), "--model", f"{folder}/{one.run}",
                    "--store", str(SAMPLES[name].store_in(folder, name)),
                    *repeated("--chrom", SAMPLES[name].chroms), "--phase-by", PHASE,
                ),
            )  # fmt: skip
        first, replicate = (str(one.encoded(folder, name)) for name in (FIRST, SECOND))
        for name in (OTHER, MAP_ALONE):
            out = folder / f"{one.run}.{name}"
            yield Step(
                out / "summary.tsv",
                (
                    "compare", str(out), first, str(one.encoded(folder, name)),
                    "--replicates", replicate, "--fdr", str(FDR),
                ),
            )  # fmt: skip


def repeated(option: str, values: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """One option for each value."""
    return tuple(word for value in values for word in (option, value))


@dataclass(frozen=True)
class Row:
    """One kind of distance: chrom, start, end, compartment_first, and distance (NaN where masked).

    Attributes
    ----------
    lines, replicates
        HIC001 with IMR90, and with HIC002.
    short, third
        HIC001 with HIC002, and with HIC003, all of chr21 alone; None where there is none.
    """

    lines: pd.DataFrame
    replicates: pd.DataFrame
    short: pd.DataFrame | None = None
    third: pd.DataFrame | None = None


def embedding_rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """The distances of each model, IMR90 with GM12878's tracks or with its own."""
    for one in MODELS:
        read = {name: read_embedding(one.encoded(folder, name)) for name in one.samples}
        nulls = [(FIRST, SECOND), (SHORT_FIRST, SHORT_SECOND), (SHORT_FIRST, THIRD)]
        shared = [_all_distances(read[a], read[b]) for a, b in nulls if a in read]
        for name, whose in ((MAP_ALONE, "GM12878's tracks"), (OTHER, "its own tracks")):
            tables = [_all_distances(read[FIRST], read[name]), *shared]
            for kind in ("cosine", "l2") if one.seed else ("cosine", "l2", "rows of z . z"):
                yield f"{one.name}, {whose}, {kind}", Row(*(of.assign(distance=of[kind]) for of in tables))


def _all_distances(first: Embedding, second: Embedding) -> pd.DataFrame:
    return bin_distances(first, second).assign(**{"rows of z . z": inner_row_difference(first, second)})


def inner_row_difference(first: Embedding, second: Embedding) -> np.ndarray:
    """Root mean square difference of z_i . z_j over the bins j from 2 to 125 bins away, (bins,)."""
    found = np.full(len(first.bins), np.nan)
    a, b = (one.full().astype(np.float64) for one in (first, second))
    known = np.isfinite(a[:, 0]) & np.isfinite(b[:, 0])
    for chrom in first.bins["chrom"].unique():
        here = np.flatnonzero(known & (first.bins["chrom"] == chrom).to_numpy())
        away = np.abs(np.subtract.outer(here, here))
        partner = (away >= NEAR_BINS) & (away <= REACH_BINS)
        apart = np.where(partner, a[here] @ a[here].T - b[here] @ b[here].T, 0.0)
        count = partner.sum(axis=1)
        square = np.divide((apart**2).sum(axis=1), count, out=np.full(len(here), np.nan), where=count > 0)
        found[here] = np.sqrt(square)
    return found


def trivial_rows(folder: Path, e1: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, Row]]:
    """What needs no model."""
    stores = {name: RegionStore.open(folder / f"{name}.store") for name in e1}
    for title, kind in ROWS.items():
        lines, replicates, third = (_apart(kind, stores, e1, one) for one in (OTHER, SECOND, THIRD))
        yield title, Row(lines, replicates, replicates[replicates["chrom"] == CHROMS[0]], third)
    frames = {name: robust_frame(_signals(stores[name])) for name in (FIRST, OTHER)}
    bins = _frame(e1, FIRST, CHROMS)
    valid = bins["E1"].notna().to_numpy()
    apart = np.linalg.norm(frames[FIRST] - frames[OTHER], axis=1)
    lines = bins.assign(distance=np.where(valid, apart, np.nan))
    yield "tracks alone, l2", Row(lines, bins.assign(distance=np.where(valid, 0.0, np.nan)))


def _signals(store: RegionStore) -> np.ndarray:
    """(bins, tracks) of all chromosomes; log1p of the mean, nothing covered as nothing there."""
    parts = []
    for chrom in CHROMS:
        binned = [store.track(name, chrom).binned(RESOLUTION) for name in TRACKS]
        parts.append(np.stack([np.nan_to_num(one.mean) * one.coverage for one in binned], axis=1))
    return np.log1p(np.concatenate(parts))


def _frame(e1: Mapping[str, pd.DataFrame], name: str, chroms: tuple[str, ...]) -> pd.DataFrame:
    table = e1[name]
    table = table[table["chrom"].isin(chroms)].reset_index(drop=True)
    return table.rename(columns={"compartment": "compartment_first"})


def _apart(
    kind: str, stores: Mapping[str, RegionStore], e1: Mapping[str, pd.DataFrame], other: str
) -> pd.DataFrame:
    """Distance of every bin of HIC001 to the same bin of another map."""
    chroms = SAMPLES[other].chroms
    bins, there = _frame(e1, FIRST, chroms), _frame(e1, other, chroms)
    valid = (bins["E1"].notna() & there["E1"].notna()).to_numpy()
    if kind == "E1":
        apart = np.abs(bins["E1"] - there["E1"]).to_numpy()
    else:
        of = {"coverage": coverage_difference, "oe": row_difference}[kind]
        apart = np.concatenate(
            [of(*(_map(stores[name], chrom, kind) for name in (FIRST, other))) for chrom in chroms]
        )
    return bins.assign(distance=np.where(valid, apart, np.nan))


def _map(store: RegionStore, chrom: str, kind: str) -> np.ndarray:
    weight = None if kind == "coverage" else store.default_weight(RESOLUTION)
    return store.layer(chrom, RESOLUTION).dense(weight=weight)


def coverage_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|log ratio| of the share each bin has of all contacts, (bins,); NaN where a map has none.

    `first` and `second` are raw counts (bins, bins).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (np.log(one.sum(axis=0) / one.sum()) for one in (first, second))
        apart = np.abs(a - b)
    return np.where(np.isfinite(apart), apart, np.nan)


def row_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 - Pearson's r between rows of log(1 + observed/expected) of two balanced maps, (bins,).

    The two nearest diagonals, and entries that either map lacks, are left out.
    """
    rows = [_log_ratio(one) for one in (first, second)]
    both = np.isfinite(rows[0]) & np.isfinite(rows[1])
    n = np.maximum(both.sum(axis=1, keepdims=True), 1)
    a, b = (np.where(both, one, 0.0) for one in rows)
    a, b = (np.where(both, one - one.sum(axis=1, keepdims=True) / n, 0.0) for one in (a, b))
    length = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return 1 - np.divide((a * b).sum(axis=1), length, out=np.full(len(a), np.nan), where=length > 0)


def _log_ratio(balanced: np.ndarray) -> np.ndarray:
    distance = np.abs(np.subtract.outer(np.arange(len(balanced)), np.arange(len(balanced))))
    held = np.isfinite(balanced)
    total = np.bincount(distance[held], balanced[held], len(balanced))
    pairs = np.bincount(distance[held], minlength=len(balanced))
    expected = np.divide(total, pairs, out=np.zeros(len(balanced)), where=pairs > 0)[distance]
    ratio = np.divide(balanced, expected, out=np.full_like(expected, np.nan), where=held & (expected > 0))
    return np.where(distance < 2, np.nan, np.log1p(ratio))


def list_agreement(e1: Mapping[str, pd.DataFrame], published: list[Path]) -> Iterator[str]:
    """How far E1 of each line agrees with its list, in words."""
    for line, name, path in zip(("GM12878", "IMR90"), (FIRST, OTHER), published, strict=True):
        for chrom, rows in _frame(e1, name, CHROMS).groupby("chrom", sort=False):
            found = agreement(rows.reset_index(drop=True), read_bed(path, Assembly.named("hg19")))
            yield (
                f"E1 of {line}, {chrom}, against its list: AUC {found['AUC']:.3f}, "
                f"same call in {found['same call']:.3f} of {found['bins']:,} bins."
            )


@dataclass(frozen=True)
class Truth:
    """Which bins' calls differ between the lines, float (bins,): 1 or 0, NaN where a line has no call."""

    name: str
    differs: np.ndarray


def truths(e1: Mapping[str, pd.DataFrame], published: list[Path] | None) -> list[Truth]:
    """Published calls if there are any, and the sign of E1."""
    one, other = (_frame(e1, name, CHROMS) for name in (FIRST, OTHER))
    sure = (one["confidence"] >= CONFIDENT) & (other["confidence"] >= CONFIDENT)
    opposite = np.sign(one["E1"]) != np.sign(other["E1"])
    found = [Truth(SURE, np.where(sure, opposite.to_numpy(np.float64), np.nan))]
    if published:
        a, b = (known_sides(one, read_bed(path, Assembly.named("hg19"))) for path in published)
        differs = np.where(np.isfinite(a) & np.isfinite(b), (a != b).astype(np.float64), np.nan)
        found.insert(0, Truth(PUBLISHED, differs))
    return found


def log_odds_ratio(label: np.ndarray, called: np.ndarray) -> float:
    """Log odds ratio of two 0/1 arrays, half a bin added to each cell (Haldane & Anscombe)."""
    a, b, c, d = cells(label, called) + 0.5
    return float(np.log(a * d / (b * c)))


def cells(label: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Bins that differ and are called; that are alike and called; that differ and are not; neither."""
    label, called = label == 1, called == 1
    return np.array(
        [(label & called).sum(), (~label & called).sum(), (label & ~called).sum(), (~label & ~called).sum()],
        dtype=np.float64,
    )


def woolf(label: np.ndarray, called: np.ndarray) -> tuple[float, float]:
    """95 % interval of the odds ratio as if bins were independent (Woolf 1955), half a bin in each cell."""
    centre = log_odds_ratio(label, called)
    error = np.sqrt((1 / (cells(label, called) + 0.5)).sum())
    return float(np.exp(centre - 1.96 * error)), float(np.exp(centre + 1.96 * error))


def called_bins(row: Row, pooled: bool) -> pd.DataFrame:
    """The lines' distances with pvalue, qvalue and shifted."""
    drop = ["compartment_first"] if pooled else []
    return with_replicates(
        row.lines.drop(columns=drop), [row.replicates.drop(columns=drop)], distance="distance", fdr=FDR
    )


def null_rates(row: Row, found: pd.DataFrame) -> dict[str, float]:
    """How many bins of replicates are called, each beside distances it is no part of.

    Called: each chromosome beside the other. At the cut: with the largest p-value that was called between the
    lines, each block of 2 Mb beside all others. HIC003: beside HIC002, both against HIC001.
    """
    rates = {"replicates called": replicate_calls([row.replicates], distance="distance", fdr=FDR)}
    cut = found.loc[found["shifted"], "pvalue"].max()
    blocks = _blocks(row.replicates, np.full(len(row.replicates), fill_value=True))
    beside = [
        with_replicates(row.replicates[blocks == k], [row.replicates[blocks != k]], distance="distance")
        for k in range(blocks.max() + 1)
    ]
    pvalue = pd.concat(beside)["pvalue"].dropna()
    rates["replicates at the cut"] = float((pvalue <= cut).mean())
    if row.short is not None and row.third is not None:
        table = with_replicates(row.third, [row.short], distance="distance", fdr=FDR)
        rates["HIC003 called"] = float(table["shifted"].sum() / table["pvalue"].notna().sum())
    return rates


def measured(name: str, row: Row, truth: list[Truth]) -> Iterator[dict[str, Any]]:
    """Rows of the table for one kind of distance, each truth and each pooling of the null."""
    for pooled in (False, True):
        found = called_bins(row, pooled)
        shared = {
            "distance": name,
            "null": "all bins" if pooled else "by compartment",
            "null bins": int(row.replicates["distance"].notna().sum()),
            "bins": int(found["pvalue"].notna().sum()),
            "shifted": int(found["shifted"].sum()),
            "least p": found["pvalue"].min(),
            "cut p": found.loc[found["shifted"], "pvalue"].max(),
            **({} if pooled else null_rates(row, found)),
        }
        for one in truth:
            order = {} if pooled else ranking(found, one)
            yield {**shared, "truth": one.name, **enrichment(found, one), **order}


def _known(found: pd.DataFrame, truth: Truth) -> np.ndarray:
    return np.isfinite(truth.differs) & found["distance"].notna().to_numpy()


def enrichment(found: pd.DataFrame, truth: Truth) -> dict[str, float]:
    """Odds ratio of shifted bins for bins that differ, and its intervals."""
    known = _known(found, truth)
    label, called = truth.differs[known], found["shifted"].to_numpy(np.float64)[known]
    both, alike, missed, neither = cells(label, called)
    counts = {
        "known": len(label),
        "differing": int(label.sum()),
        "differing shifted": both / max(both + missed, 1),
        "alike shifted": alike / max(alike + neither, 1),
    }
    if not 0 < called.sum() < len(called):
        return counts  # none or all are shifted, and no odds say anything
    ratio = block_bootstrap(log_odds_ratio, (label, called), _blocks(found, known), seed=0)
    low, high = woolf(label, called)
    return {
        **counts,
        "odds ratio": float(np.exp(ratio.value)),
        "woolf low": low,
        "woolf high": high,
        "low": float(np.exp(ratio.low)),
        "high": float(np.exp(ratio.high)),
    }


def ranking(found: pd.DataFrame, truth: Truth) -> dict[str, float]:
    """AUC of the distance for bins that differ, the odds ratio of the tenth that is furthest apart, and how
    often turned calls have an odds ratio as large as that of the shifted bins."""
    known = _known(found, truth)
    label, chrom = truth.differs[known], found["chrom"].to_numpy()[known]
    called = found["shifted"].to_numpy(np.float64)[known]
    turned = against_shifts(
        lambda labels: {"odds": log_odds_ratio(labels, called)}, label, chrom, permutations=999, seed=0
    )["odds"]
    distance = found["distance"].to_numpy()[known]
    samples = (label, distance)
    top = (distance >= np.quantile(distance, 1 - TOP)).astype(np.float64)
    area = block_bootstrap(auroc, samples, _blocks(found, known), seed=0)
    return {
        "turned p": turned.pvalue if 0 < called.sum() < len(called) else np.nan,
        "top": float(np.exp(log_odds_ratio(label, top))),
        "AUC": area.value,
        "AUC low": area.low,
        "AUC high": area.high,
    }


def _blocks(table: pd.DataFrame, known: np.ndarray) -> np.ndarray:
    return genome_blocks(table["chrom"].to_numpy()[known], table["start"].to_numpy()[known], BLOCK)


def differences(rows: Mapping[str, Row], truth: Truth) -> Iterator[tuple[str, str, Estimate]]:
    """AUC of each embedding less that of each trivial row, over the same resampled blocks."""
    for name in rows:
        if not name.startswith(tuple(PRESETS.values())) or "seed" in name:
            continue
        for trivial in ROWS:
            a, b = (rows[one].lines["distance"].to_numpy() for one in (name, trivial))
            known = np.isfinite(truth.differs) & np.isfinite(a) & np.isfinite(b)
            yield name, trivial, paired_difference(
                auroc, truth.differs[known], a[known], b[known], _blocks(rows[name].lines, known), seed=0
            )  # fmt: skip


def eigenvectors(folder: Path) -> dict[str, pd.DataFrame]:
    """E1, compartment and confidence of each map."""
    return {
        name: compartments(
            RegionStore.open(folder / f"{name}.store"),
            resolution=RESOLUTION,
            chroms=sample.chroms,
            phase_by=PHASE,
        )
        for name, sample in SAMPLES.items()
        if name in (FIRST, SECOND, OTHER, THIRD)
    }


@styled
def figure(e1: Mapping[str, pd.DataFrame], rows: Mapping[str, Row], truth: Truth, chosen: str) -> Figure:
    """chr21: E1 of both lines, where calls differ, the embedding's distance and that of O/E rows."""
    chrom = CHROMS[0]
    start = e1[FIRST].loc[(e1[FIRST]["chrom"] == chrom) & e1[FIRST]["E1"].notna(), "start"]
    region = Interval(chrom, int(start.min()), int(start.max()) + RESOLUTION)
    drawn = new_figure(WIDTH, 4.6)
    axes = drawn.subplots(5, 1, sharex=True, height_ratios=[1, 1, 0.25, 1.3, 1.3])
    draw_eigenvector(axes[0], e1[FIRST], region, "GM12878\nE1")
    draw_eigenvector(axes[1], e1[OTHER], region, "IMR90\nE1")
    table = rows[chosen].lines
    _marks(axes[2], table[truth.differs == 1], region)
    _side(axes[2], "calls differ")
    for ax, name in zip(axes[3:], (chosen, BEST_TRIVIAL), strict=True):
        _distance(ax, rows[name], region, name)
    label_outer(axes)
    axes[-1].set_xlabel(f"{chrom} (Mb)")
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
    return drawn


def _side(ax: Any, text: str) -> None:
    ax.set_ylabel(text, rotation=0, ha="right", va="center")


def _marks(ax: Any, table: pd.DataFrame, region: Interval) -> None:
    here = table[table["chrom"] == region.chrom]
    ax.broken_barh(
        list(zip(here["start"], here["end"] - here["start"], strict=True)), (0, 1), color=DARK, lw=0
    )
    ax.set_ylim(0, 1)
    ax.set_yticks([])


def _distance(ax: Any, row: Row, region: Interval, name: str) -> None:
    """Distance between the lines, shifted bins in vermillion, and the replicates' as a line."""
    found = called_bins(row, pooled=False)
    here = (found["chrom"] == region.chrom).to_numpy()
    edges = np.append(found.loc[here, "start"], found.loc[here, "end"].iloc[-1])
    values, shifted = found.loc[here, "distance"].to_numpy(), found.loc[here, "shifted"].to_numpy()
    ax.stairs(np.where(shifted, np.nan, values), edges, fill=True, color="#C4C4C4", lw=0)
    ax.stairs(np.where(shifted, values, np.nan), edges, fill=True, color=VERMILLION, lw=0)
    ax.stairs(row.replicates["distance"].to_numpy()[here], edges, color=DARK, lw=0.7)
    ax.set_ylim(0, None)
    _side(ax, name.replace(", ", "\n"))


def summary(table: pd.DataFrame, apart: pd.DataFrame) -> str:
    """Markdown."""
    seeds = table["distance"].str.contains(", seed ")
    own, pooled = (table[(table["null"] == null) & ~seeds] for null in ("by compartment", "all bins"))
    lines = []
    for name, part in own.groupby("truth", sort=False):
        first = part.iloc[0]
        lines += [f"## Truth: {name} ({first['differing']:,} of {first['known']:,} bins differ)", ""]
        titles = "distance, shifted, of differing, of alike, odds ratio, Woolf, by blocks, p, top tenth, AUC"
        lines += [*_head(titles.split(", ")), *map(_enriched, part.to_dict("records")), ""]
    lines += ["## Replicates", ""]
    lines += _head(["distance", "called", "at the lines' cut", "HIC003 called", "least p", "cut p"])
    for row in own.drop_duplicates("distance").to_dict("records"):
        lines.append(
            f"| {row['distance']} | {row['replicates called']:.4f} | {row['replicates at the cut']:.4f} "
            f"| {row['HIC003 called']:.4f} | {row['least p']:.2g} | {row['cut p']:.2g} |"
        )
    lines += ["", "## Other seeds", ""]
    lines += _head(["distance", "truth", "shifted", "odds ratio", "by blocks", "AUC", "replicates called"])
    for row in table[(table["null"] == "by compartment") & seeds].to_dict("records"):
        lines.append(
            f"| {row['distance']} | {row['truth']} | {row['shifted']:,} | {row['odds ratio']:.2f} "
            f"| {row['low']:.2f}-{row['high']:.2f} | {row['AUC']:.3f} | {row['replicates called']:.4f} |"
        )
    lines += ["", "## One null of all bins, instead of each compartment's own", ""]
    lines += _head(["distance", "truth", "shifted", "odds ratio", "by blocks"])
    for row in pooled.to_dict("records"):
        lines.append(
            f"| {row['distance']} | {row['truth']} | {row['shifted']:,} | {row['odds ratio']:.2f} "
            f"| {row['low']:.2f}-{row['high']:.2f} |"
        )
    lines += ["", "## AUC of the embedding less that of a trivial row", ""]
    lines += _head(["truth", "embedding", *ROWS])
    for (name, embedding), part in apart.groupby(["truth", "embedding"], sort=False):
        cells_ = [f"{r['value']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f})" for r in part.to_dict("records")]
        lines.append(f"| {name} | {embedding} | {' | '.join(cells_)} |")
    return "\n".join(lines).replace("nan-nan", "-").replace(" nan ", " - ")


def _head(titles: list[str]) -> list[str]:
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def _enriched(row: Mapping[str, Any]) -> str:
    shown = [
        row["distance"],
        f"{row['shifted']:,}",
        f"{row['differing shifted']:.3f}",
        f"{row['alike shifted']:.3f}",
        f"{row['odds ratio']:.2f}",
        f"{row['woolf low']:.2f}-{row['woolf high']:.2f}",
        f"{row['low']:.2f}-{row['high']:.2f}",
        f"{row['turned p']:.3f}",
        f"{row['top']:.2f}",
        f"{row['AUC']:.3f} ({row['AUC low']:.3f}-{row['AUC high']:.3f})",
    ]
    return f"| {' | '.join(shown)} |"


def main() -> None:
    """Measure, and write table and figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--folder", type=Path, required=True, help="where stores, models and encodings are kept"
    )
    parser.add_argument("--published", type=Path, nargs=2, help="A/B calls of GM12878 and of IMR90, BED")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for step in steps(given.data, given.folder):
        step.run()
    e1 = eigenvectors(given.folder)
    truth = truths(e1, given.published)
    rows = {**dict(embedding_rows(given.folder)), **dict(trivial_rows(given.folder, e1))}
    table = pd.DataFrame([line for name, row in rows.items() for line in measured(name, row, truth)])
    apart = pd.DataFrame(
        [
            {
                "truth": one.name,
                "embedding": name,
                "row": trivial,
                "value": e.value,
                "low": e.low,
                "high": e.high,
            }
            for one in truth
            for name, trivial, e in differences(rows, one)
        ]
    )
    text = summary(table, apart)
    if given.published:
        text += "\n\n" + "\n".join(f"* {line}" for line in list_agreement(e1, given.published))
    RESULTS.mkdir(exist_ok=True)
    with atomic_path(RESULTS / "cell_line_shifts.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.6g")
    said = {
        **describe_process(),
        "command": "python -m benchmarks.cell_line_shifts",
    }  # no folder of this machine
    write_json(RESULTS / "cell_line_shifts.json", said)
    with atomic_path(RESULTS / "cell_line_shifts.md") as temporary:
        temporary.write_text(f"# Bins that shift between GM12878 and IMR90\n\n{text}\n")
    with atomic_path(FIGURE) as temporary:
        temporary.write_bytes(image_bytes(figure(e1, rows, truth[0], CHOSEN), dpi=110))
    print(text)


if __name__ == "__main__":
    main()
