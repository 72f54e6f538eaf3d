"""Does deleting a CTCF anchor weaken its predicted loop more than deleting another open site does?

    python -m benchmarks.anchor_deletion --folder DIR [--seeds 0 1 2]

Takes genomes and contact models (line C, ``infer_map``) that ``benchmarks.three_tasks`` left in DIR. Planted
loops of the test chromosomes that fit into a window are looked at. The signal within 500 bp of the CTCF motif
of an anchor is deleted (all tracks brought to their chromosome's median), and so is that around enhancers.
Anchors and enhancers are paired so that each is in one pair at most: the enhancer lies in the loop's window,
more than 10 kb off both anchors, and its ATAC and DNase together differ by a fifth at most; the pairs with
the smallest differences are taken first. A loop counts once, by the mean over its anchors.

Two controls: the same enhancers as near to an anchor as they are (within the anchor's bin or the next, on the
loop's own row), and the anchor itself with CTCF left as it is. Prints the ``screen`` commands; writes
``benchmarks/results/anchor_deletion.{tsv,json,md}`` and a figure in ``docs/figures``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, wilcoxon

from benchmarks.tables import write_results
from benchmarks.three_tasks import Step, run_of
from chromweave.data.store import RegionStore
from chromweave.files import atomic_path
from chromweave.plot.style import BLUE, GREY, image_bytes, new_figure, styled

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
CHROMS = ("chr5", "chr6")
HALF = 500  # bp on each side of a motif, or of an enhancer's middle
LONGEST = 200_000  # bp, of a loop that fits into a window of 250 kb with its surroundings
OPEN = ("ATAC", "DNase")
LIKE = 0.2  # part by which the signal of a pair may differ
AWAY = 10_000  # bp between an enhancer and an anchor's motif


def loops_of(folder: Path) -> pd.DataFrame:
    """Planted loops of the test chromosomes that fit into a window."""
    loops = pd.read_csv(folder / "genome" / "truth" / "C.loops.tsv", sep="\t")
    fits = (loops["start2"] - loops["start1"]) <= LONGEST
    return loops[loops["chrom1"].isin(CHROMS) & fits].reset_index(drop=True)


def sites(folder: Path, loops: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Motifs of anchors, and enhancers: BED columns and the open signal within `HALF` of the middle."""
    store = RegionStore.open(folder / "C.store")
    motifs = pd.concat(
        [pd.DataFrame({"chrom": loops["chrom1"], "middle": loops[f"position{side}"]}) for side in (1, 2)]
    ).drop_duplicates(ignore_index=True)
    motifs["name"] = [f"anchor_{c}_{m}" for c, m in zip(motifs["chrom"], motifs["middle"], strict=True)]
    bed = pd.read_csv(folder / "genome" / "truth" / "C.enhancers.bed", sep="\t", header=None)
    others = pd.DataFrame({"chrom": bed[0], "middle": (bed[1] + bed[2]) // 2, "name": bed[3]})
    others = others[others["chrom"].isin(CHROMS)].reset_index(drop=True)
    return tuple(_measured(one, store) for one in (motifs, others))  # type: ignore[return-value]


def _measured(found: pd.DataFrame, store: RegionStore) -> pd.DataFrame:
    signal = np.zeros(len(found))
    for chrom, rows in found.groupby("chrom"):
        steps = (rows["middle"].to_numpy()[:, None] - HALF) // 100 + np.arange(2 * HALF // 100)
        for name in OPEN:
            track = np.asarray(store.track(name, str(chrom)).mean, dtype=np.float64)
            signal[rows.index] += np.nansum(track[np.clip(steps, 0, len(track) - 1)], axis=1)
    return found.assign(start=found["middle"] - HALF, end=found["middle"] + HALF, signal=signal)


def screened(
    folder: Path, loops: pd.DataFrame, found: pd.DataFrame, kind: str, tracks: tuple[str, ...] = ()
) -> pd.DataFrame:
    """The table of ``screen`` for sites and loops; without `tracks`, all are edited."""
    place = folder / "anchor-deletion"
    place.mkdir(exist_ok=True)
    bed, bedpe, out = place / f"{kind}.bed", place / "loops.bedpe", place / f"{kind}.tsv"
    found[["chrom", "start", "end", "name"]].to_csv(bed, sep="\t", header=False, index=False)
    columns = ["chrom1", "start1", "end1", "chrom2", "start2", "end2", "name"]
    loops[columns].to_csv(bedpe, sep="\t", header=False, index=False)
    model = run_of(folder, "contacts", "infer_map")
    Step(
        out,
        (
            "screen", str(out), "--model", str(model), "--store", str(folder / "C.store"),
            "--intervals", str(bed), "--delete", "--loops", str(bedpe), "--all-loops",
            *(option for name in tracks for option in ("--track", name)),
        ),
    ).run()  # fmt: skip
    table = pd.read_csv(out, sep="\t")
    return table[table["strength_change"].notna()].merge(found[["name", "middle", "signal"]], on="name")


def with_loops(loops: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A screen's rows with the motifs of their loops and the distances to them."""
    joined = table.merge(
        loops[["name", "position1", "position2"]].rename(columns={"name": "loop"}), on="loop"
    )
    off = np.stack([(joined["middle"] - joined[f"position{side}"]).abs() for side in (1, 2)])
    return joined.assign(nearest=off.min(axis=0))


def paired(anchors: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Anchors beside enhancers of similar signal in the same loop's window, each anchor and enhancer once."""
    found = anchors.merge(others, on="loop", suffixes=("_anchor", "_site"))
    unlike = (found["signal_site"] / found["signal_anchor"] - 1).abs()
    found = found.assign(unlike=unlike)[unlike <= LIKE].sort_values("unlike", kind="stable")
    used: set[tuple[str, str]] = set()
    kept = []
    for row in found.itertuples():
        both = {("anchor", row.name_anchor), ("site", row.name_site)}
        if not both & used:
            used |= both
            kept.append(row.Index)
    return found.loc[kept].rename(
        columns={"strength_change_anchor": "anchor_change", "strength_change_site": "site_change"}
    )[["loop", "name_anchor", "name_site", "signal_anchor", "signal_site", "anchor_change", "site_change"]]


def compared(folder: Path) -> dict[str, pd.DataFrame]:
    """Pairs of one genome by what the anchor is held against."""
    loops = loops_of(folder)
    motifs, enhancers = sites(folder, loops)
    whole, open_only, others = (
        with_loops(loops, screened(folder, loops, *what))
        for what in (
            (motifs, "anchors"),
            (motifs, "anchors-but-CTCF", ("ATAC", "DNase", "H3K27ac")),
            (enhancers, "sites"),
        )
    )
    own = whole[whole["nearest"] == 0]  # the loop's anchors, and not motifs of others in its window
    same = own.merge(
        open_only[open_only["nearest"] == 0], on=["loop", "name"], suffixes=("_anchor", "_site")
    ).rename(columns={"strength_change_anchor": "anchor_change", "strength_change_site": "site_change"})
    return {
        "open site of equal signal": paired(own, others[others["nearest"] > AWAY]),
        "open site beside an anchor": paired(own, others[others["nearest"] <= AWAY]),
        "the anchor, CTCF left": same[["loop", "name", "anchor_change", "site_change"]],
    }


@styled
def figure(comparisons: dict[str, pd.DataFrame]):  # type: ignore[no-untyped-def]
    """Changes of the loop, for the anchor and for what it is held against."""
    first = next(iter(comparisons.values()))
    values = {"its CTCF anchor": first["anchor_change"]}
    values |= {name: rows["site_change"] for name, rows in comparisons.items()}
    drawn = new_figure(7.0, 3.8)
    ax = drawn.add_subplot()
    ax.boxplot(
        list(values.values()), orientation="horizontal", widths=0.5, showfliers=False,
        medianprops={"color": "black"},
    )  # fmt: skip
    jitter = np.random.default_rng(0)
    for place, column in enumerate(values.values(), 1):
        ax.plot(
            column,
            place + jitter.uniform(-0.2, 0.2, len(column)),
            "o",
            ms=3,
            alpha=0.5,
            color=BLUE if place == 1 else GREY,
        )
    ax.axvline(0, color="grey", lw=0.8, ls=":")
    ax.set_yticks(range(1, len(values) + 1), list(values))
    ax.invert_yaxis()
    ax.set_xlabel("change of the predicted loop's strength, log2")
    return drawn


def row_of(name: str, genome: str, rows: pd.DataFrame) -> str:
    """A line of the table: a loop counts once."""
    loops = rows.groupby(["seed", "loop"])[["anchor_change", "site_change"]].mean()
    a, b = loops["anchor_change"], loops["site_change"]
    signed = wilcoxon(a, b, alternative="less").pvalue
    ranks = mannwhitneyu(a, b, alternative="less").pvalue
    return (
        f"| {name} | {genome} | {len(rows)} | {len(loops)} | {a.median():.3f} | {b.median():.3f} | "
        f"{(a < b).mean():.0%} | {signed:.1e} | {ranks:.1e} |"
    )


def main() -> None:
    """Run the screens that are missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="what benchmarks.three_tasks wrote")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    of_seed = {seed: compared(given.folder / f"seed{seed}") for seed in given.seeds}
    names = list(of_seed[given.seeds[0]])
    pooled = {
        name: pd.concat([of[name].assign(seed=seed) for seed, of in of_seed.items()], ignore_index=True)
        for name in names
    }
    lines = ["Medians are over loops; p-values are one-sided, of the anchor weakening the loop more."]
    lines += [
        "",
        "| held against | genome | pairs | loops | anchor | other | anchor more | signed rank | rank sum |",
    ]
    lines += ["|---" * 9 + "|"]
    for name, rows in pooled.items():
        lines += [row_of(name, str(seed), part) for seed, part in rows.groupby("seed") if len(part)]
        lines += [row_of(name, "all", rows)]
    everything = pd.concat([rows.assign(against=name) for name, rows in pooled.items()])
    title = "Deleting a loop's CTCF anchor, or something else"
    write_results("anchor_deletion", title, everything, "\n".join(lines), seeds=given.seeds)
    with atomic_path(FIGURES / "anchor-deletion.png") as temporary:
        temporary.write_bytes(image_bytes(figure(pooled)))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
