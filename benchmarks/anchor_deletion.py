"""Does deleting a CTCF anchor weaken its predicted loop more than deleting another open site does?

    python -m benchmarks.anchor_deletion --folder DIR [--seeds 0 1 2]

Takes genomes and contact models (line C, ``infer_map``) that ``benchmarks.three_tasks`` left in DIR. Planted
loops of the test chromosomes that fit into a window are looked at. The signal within 500 bp of the CTCF motif
of each anchor is deleted (all tracks brought to their chromosome's median), and so is that around enhancers
in the same windows. Each anchor is paired with the enhancer, of those in its loop's window and off both
anchors, whose signal of ATAC and DNase together is nearest to its own, and at most a fifth off it. Prints
both ``screen`` commands; writes ``benchmarks/results/anchor_deletion.{tsv,json,md}`` and a figure in
``docs/figures``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, wilcoxon

from benchmarks.three_tasks import RESULTS, Step, run_of
from chromweave.data.store import RegionStore
from chromweave.files import atomic_path, write_json
from chromweave.plot.style import image_bytes, new_figure, styled
from chromweave.provenance import describe_process

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


def screened(folder: Path, loops: pd.DataFrame, found: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The table of ``screen`` for sites and loops."""
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
        ),
    ).run()  # fmt: skip
    table = pd.read_csv(out, sep="\t")
    return table[table["strength_change"].notna()].merge(found[["name", "middle", "signal"]], on="name")


def paired(loops: pd.DataFrame, anchors: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Each anchor of each loop beside the enhancer of its window with the most similar signal."""
    own = loops.set_index("name")
    pairs = []
    for row in anchors.itertuples():
        loop = own.loc[row.loop]
        if row.middle not in (loop["position1"], loop["position2"]):
            continue  # a motif of another loop
        near = others[others["loop"] == row.loop]
        off = (near["middle"] - loop["position1"]).abs().gt(AWAY) & (
            near["middle"] - loop["position2"]
        ).abs().gt(AWAY)
        near = near[off & ((near["signal"] / row.signal - 1).abs() <= LIKE)]
        if len(near):
            best = near.loc[(near["signal"] - row.signal).abs().idxmin()]
            pairs.append(
                {
                    "loop": row.loop,
                    "anchor": row.name,
                    "site": best["name"],
                    "anchor_signal": row.signal,
                    "site_signal": best["signal"],
                    "before": row.strength_before,
                    "anchor_change": row.strength_change,
                    "site_change": best["strength_change"],
                }
            )
    return pd.DataFrame(pairs)


@styled
def figure(pairs: pd.DataFrame):  # type: ignore[no-untyped-def]
    """Both distributions, and every pair."""
    drawn = new_figure(6.4, 3.6)
    ax = drawn.add_subplot()
    values = [pairs["anchor_change"], pairs["site_change"]]
    ax.boxplot(values, orientation="horizontal", widths=0.5, showfliers=False, medianprops={"color": "black"})
    jitter = np.random.default_rng(0)
    for place, column in enumerate(values, 1):
        ax.plot(column, place + jitter.uniform(-0.2, 0.2, len(column)), "o", ms=3, alpha=0.5)
    ax.axvline(0, color="grey", lw=0.8, ls=":")
    ax.set_yticks([1, 2], ["its CTCF anchor", "open site of\nequal signal"])
    ax.invert_yaxis()
    ax.set_xlabel("change of the predicted loop's strength, log2")
    return drawn


def main() -> None:
    """Run the screens that are missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="what benchmarks.three_tasks wrote")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    parts = []
    for seed in given.seeds:
        folder = given.folder / f"seed{seed}"
        loops = loops_of(folder)
        motifs, others = sites(folder, loops)
        tables = [
            screened(folder, loops, one, kind) for one, kind in ((motifs, "anchors"), (others, "sites"))
        ]
        parts.append(paired(loops, *tables).assign(seed=seed))
    pairs = pd.concat(parts, ignore_index=True)
    lines = ["# Deleting a loop's CTCF anchor, or another open site of equal signal", ""]
    lines += [
        "| genome | pairs | median, anchor | median, site | anchor weakens more | rank sum | signed rank |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, rows in [*pairs.groupby("seed"), ("all", pairs)]:
        a, b = rows["anchor_change"], rows["site_change"]
        ranks = [test(a, b, alternative="less").pvalue for test in (mannwhitneyu, wilcoxon)]
        lines.append(
            f"| {name} | {len(rows)} | {a.median():.3f} | {b.median():.3f} | {(a < b).mean():.0%} | "
            f"{ranks[0]:.1e} | {ranks[1]:.1e} |"
        )
    with atomic_path(RESULTS / "anchor_deletion.tsv") as temporary:
        pairs.to_csv(temporary, sep="\t", index=False, float_format="%.5g")
    write_json(RESULTS / "anchor_deletion.json", {**describe_process(), "seeds": given.seeds})
    with atomic_path(RESULTS / "anchor_deletion.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n")
    with atomic_path(FIGURES / "anchor-deletion.png") as temporary:
        temporary.write_bytes(image_bytes(figure(pairs)))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
