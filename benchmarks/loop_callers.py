"""Loops called by chromweave, chromosight and cooltools, held against known ones.

    python -m benchmarks.loop_callers --data ../shared/data --folder DIR [--peers VENV] [--only SET...]

Sets: chromosight's ten simulated maps with exact truth (as ten chromosomes of one file), K562 chr22 at 5 and
10 kb outside of its amplicon against CTCF and RAD21 ChIA-PET, GM12878 chr20 at 25 kb against HiCCUPS' list,
GM12878 chr21 cohesin HiChIP (``.hic``) against CTCF ChIA-PET. chromosight runs with five thresholds and
cooltools dots with three rates, each on the same file as ours; ``--peers`` is a virtual environment with
chromosight 1.6.3 and cooltools 0.7.1; without one only ours is run. A command whose
result is there is not run again. A list is matched one to one within 1 and 2 bins; the control are the calls
moved by 0.5 and 1 Mb. Seconds are of the processor, memory is the peak of the process, children included.
Writes ``benchmarks/results/loop_callers.{tsv,json,md}``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from benchmarks.loop_peers import Cost, chromosight, dots, measured
from benchmarks.tables import write_results
from chromweave.baselines.external import ExternalRequest
from chromweave.data.store import RegionStore
from chromweave.evaluation.matching import match_loops, shifted_control
from chromweave.files import atomic_path
from chromweave.genome import Assembly
from chromweave.io.pairs import read_bedpe
from chromweave.workflows.annotation_callers import Region, comparable_loops
from chromweave.workflows.store_cool import store_cool

RATES = (0.01, 0.05, 0.1, 0.2)
AMPLICON = ("chr22", 19_000_000, 23_300_000)


@dataclass(frozen=True)
class Known:
    """A map with known loops.

    Parameters
    ----------
    name
        Of the set.
    contacts
        Map to call on.
    uri
        The same as cooler names it; None for a ``.hic``, whose counts are brought into a cooler.
    resolution
        Bin size, bp.
    truth
        List -> file.
    assembly
        Name or chrom.sizes file.
    chroms
        Where the lists are compared.
    min_distance
        Between anchors, bp, for calls and known loops alike.
    exclude
        A stretch left out of the comparison.
    """

    name: str
    contacts: str
    uri: str | None
    resolution: int
    truth: dict[str, str]
    assembly: str
    chroms: tuple[str, ...]
    min_distance: int = 20_000
    max_distance: int = 2_000_000
    exclude: tuple[str, int, int] | None = None


def sets(data: Path, folder: Path) -> Iterator[Known]:
    """The maps."""
    yield simulated(data / "peers" / "chromosight_simulated", folder / "simulated")
    k562 = data / "k562_chr22_hg38"
    chia = {"CTCF ChIA-PET": "K562.CTCF_ChIA-PET.bedpe", "RAD21 ChIA-PET": "K562.RAD21_ChIA-PET.washu.txt"}
    for resolution in (5_000, 10_000):
        path = k562 / "K562.chr22.mcool"
        yield Known(
            f"K562 chr22, {resolution // 1000} kb",
            str(path), f"{path}::/resolutions/{resolution}", resolution,
            {name: str(k562 / file) for name, file in chia.items()}, "hg38", ("chr22",), exclude=AMPLICON,
        )  # fmt: skip
    deep = data / "gm12878_chr20_hg19" / "GM12878.chr20.mcool"
    loops = data / "truth_hg19" / "GM12878" / "GSE63525_GM12878_primary+replicate_HiCCUPS_looplist.txt.gz"
    yield Known(
        "GM12878 chr20, 25 kb", str(deep), f"{deep}::/resolutions/25000", 25_000, {"HiCCUPS": str(loops)},
        "hg19", ("chr20",), min_distance=50_000,
    )  # fmt: skip
    hichip = data / "gm12878_chr21_hichip_hg38" / "GM12878.cohesin_HiChIP.hic"
    ctcf = data / "truth_hg38" / "GM12878.CTCF_ChIA-PET.bedpe"
    for resolution in (5_000, 10_000):
        yield Known(
            f"GM12878 chr21 HiChIP, {resolution // 1000} kb", str(hichip), None, resolution,
            {"CTCF ChIA-PET": str(ctcf)}, "hg38", ("chr21",),
        )  # fmt: skip


def simulated(data: Path, folder: Path) -> Known:
    """chromosight's maps as chromosomes of one balanced ``.cool`` of 2 kb bins, and their loops as BEDPE."""
    folder.mkdir(parents=True, exist_ok=True)
    matrices = {f"map{k}": np.loadtxt(data / f"MAT_RAW_realisation_{k}.txt") for k in range(1, 11)}
    lengths = {name: 2_000 * len(matrix) for name, matrix in matrices.items()}
    sizes, path, loops = folder / "maps.chrom.sizes", folder / "maps.cool", folder / "loops.bedpe"
    sizes.write_text("".join(f"{name}\t{length}\n" for name, length in lengths.items()))
    if not path.exists():
        bins, pixels, offset = [], [], 0
        for name, matrix in matrices.items():
            start = np.arange(len(matrix)) * 2_000
            bins.append(pd.DataFrame({"chrom": name, "start": start, "end": start + 2_000}))
            i, j = np.nonzero(np.triu(matrix))
            count = matrix[i, j].astype(int)
            pixels.append(pd.DataFrame({"bin1_id": i + offset, "bin2_id": j + offset, "count": count}))
            offset += len(matrix)
        with atomic_path(path) as temporary:
            cooler.create_cooler(
                str(temporary), pd.concat(bins, ignore_index=True), pd.concat(pixels), ordered=True
            )
            made = cooler.Cooler(str(temporary))
            cooler.balance_cooler(made, cis_only=True, min_nnz=0, mad_max=0, store=True)
    rows = []
    for k in range(1, 11):
        found = np.unique(np.sort(np.loadtxt(data / f"Loops_realisation_{k}.txt", dtype=int), axis=1), axis=0)
        for x, y in 2_000 * found:
            rows.append((f"map{k}", x, x + 2_000, f"map{k}", y, y + 2_000))
    pd.DataFrame(rows).to_csv(loops, sep="\t", header=False, index=False)
    return Known(
        "chromosight's simulated maps, 2 kb", str(path), str(path), 2_000, {"exact": str(loops)}, str(sizes),
        tuple(lengths), min_distance=6_000, max_distance=576_000,
    )  # fmt: skip


def chromweave(known: Known, folder: Path) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """Our calls at each rate: one search, cut four times."""
    program = str(Path(sys.executable).with_name("chromweave"))
    store, out = folder / "map.store", folder / "chromweave.bedpe"
    where = [
        "--contacts",
        known.contacts,
        "--resolution",
        str(known.resolution),
        "--assembly",
        known.assembly,
    ]
    measured([program, "build", str(store), *where], store / "manifest.json")
    cost = measured(
        [
            program, "loops", "call", str(out), "--store", str(store), "--resolution", str(known.resolution),
            "--fdr", str(max(RATES)), "--min-distance", str(known.min_distance),
            "--max-distance", str(known.max_distance), *(o for c in known.chroms for o in ("--chrom", c)),
        ],
        out,
    )  # fmt: skip
    table = pd.read_csv(out, sep="\t").rename(columns={"#chrom1": "chrom1"})
    for rate in RATES:
        yield f"chromweave, FDR {rate:g}", table[table["qvalue"].astype(float) <= rate], cost


def peers_of(known: Known, folder: Path, peers: Path) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """The other callers' on the same counts."""
    uri = known.uri
    if uri is None:  # of a .hic, which they do not read
        store = RegionStore.open(folder / "map.store")
        uri = str(store_cool(folder / "map.cool", store, known.resolution, known.chroms))
    request = ExternalRequest(
        uri, folder, known.resolution, known.chroms, known.min_distance, known.max_distance, peers / "bin"
    )
    yield from chromosight(request)
    if known.resolution >= 5_000:  # cooltools has no kernels for finer maps
        yield from dots(request)


def compared(known: Known, method: str, calls: pd.DataFrame, cost: Cost) -> Iterator[dict[str, object]]:
    """One row for each list of known loops and each tolerance."""
    found = within(calls, known)
    for name, path in known.truth.items():
        truth = within(read_bedpe(path, assembly_of(known)), known, unique=True)
        for bins in (1, 2):
            matching = match_loops(found, truth, bins, known.resolution)
            yield {
                "set": known.name, "truth": name, "known": len(truth), "method": method,
                "tolerance_bins": bins, "calls": len(found),
                "precision": matching.precision, "recall": matching.recall,
                "f1": matching.f1, "control": shifted_control(found, truth, bins, known.resolution),
                "seconds": cost.seconds, "megabytes": cost.megabytes,
            }  # fmt: skip


def assembly_of(known: Known) -> Assembly:
    """The assembly by name, or from the file of lengths."""
    if Path(known.assembly).is_file():
        lengths = [line.split("\t") for line in Path(known.assembly).read_text().splitlines()]
        return Assembly("simulated", {name: int(length) for name, length in lengths})
    return Assembly.named(known.assembly)


def within(loops: pd.DataFrame, known: Known, *, unique: bool = False) -> pd.DataFrame:
    """Loops of the set's chromosomes and distances, outside of what is left out."""
    where = Region("", known.resolution, known.chroms, known.min_distance, known.max_distance)
    loops = comparable_loops(loops, where, unique=unique)
    if known.exclude is None:
        return loops
    _, start, end = known.exclude
    outside = [(loops[f"end{side}"] <= start) | (loops[f"start{side}"] >= end) for side in ("1", "2")]
    return loops[outside[0] & outside[1]].reset_index(drop=True)


def summary(table: pd.DataFrame) -> str:
    """Markdown: for each set and list, each method's settings; the best F1 at 2 bins in bold."""
    lines = []
    for (name, truth), rows in table.groupby(["set", "truth"], sort=False):
        wide = {bins: of.set_index("method") for bins, of in rows.groupby("tolerance_bins")}
        best = wide[2]["f1"].max()
        lines += ["", f"### {name}: {truth} ({rows['known'].iloc[0]} known)", ""]
        lines += [
            "| | calls | precision | recall | F1, 1 bin | F1, 2 bins | control | s | MB |",
            "|---" * 9 + "|",
        ]
        for method, row in wide[2].iterrows():
            f1 = f"**{row['f1']:.3f}**" if row["f1"] == best else f"{row['f1']:.3f}"
            lines.append(
                f"| {method} | {row['calls']:.0f} | {row['precision']:.3f} | {row['recall']:.3f} "
                f"| {wide[1].loc[method, 'f1']:.3f} | {f1} | {row['control']:.3f} | {row['seconds']:.1f} "
                f"| {row['megabytes']:.0f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--folder", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--peers", type=Path, help="virtual environment with chromosight and cooltools")
    parser.add_argument("--only", nargs="+", help="names of sets, or the beginnings of them")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    for known in sets(given.data, given.folder):
        if given.only and not known.name.startswith(tuple(given.only)):
            continue
        folder = given.folder / known.name.replace(" ", "_").replace(",", "").replace("'", "")
        folder.mkdir(parents=True, exist_ok=True)
        methods = [chromweave(known, folder)]
        if given.peers:
            methods.append(peers_of(known, folder, given.peers))
        for method in methods:
            for name, calls, cost in method:
                rows += compared(known, name, calls, cost)
    table = pd.DataFrame(rows)
    text = summary(table)
    write_results("loop_callers", "Loop callers beside one another", table, text)
    print(text)


if __name__ == "__main__":
    main()
