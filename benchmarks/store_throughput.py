"""Size, memory and speed of the region store on a simulated chr1 of hg38 at 5 kb.

    python -m benchmarks.store_throughput [--contacts 85000000] [--folder DIR]

Simulates a deep map (P(s) ~ 1/s, a steeper start as in real maps, bins of uneven visibility, unmappable
stretches) and two tracks as real files, builds a store from them in a process of its own whose peak memory is
read, measures the store's size and scales it to the whole genome, and cuts random windows on one thread.
Writes ``benchmarks/results/store_throughput.{json,md}``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chromweave.data.cutter import WindowCutter
from chromweave.data.store import RegionStore
from chromweave.files import atomic_path, write_json
from chromweave.genome import Assembly
from chromweave.provenance import describe_process

RESULTS = Path(__file__).parent / "results"
ASSEMBLY = Assembly.named("hg38")
CHROM = "chr1"
RESOLUTION = 5000
BATCH = 256
GENOME = [*ASSEMBLY.autosomes, "chrX", "chrY"]


def simulate_pixels(n_contacts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sorted pixels of a map in which the number of contacts falls as 1 / distance."""
    rng = np.random.default_rng(seed)
    n_bins = -(-ASSEMBLY.length(CHROM) // RESOLUTION)
    visibility = np.clip(rng.normal(0.8, 0.15, n_bins), 0.05, 1)
    visibility[int(0.49 * n_bins) : int(0.57 * n_bins)] = 0  # the centromere and its satellites
    keys = np.empty(0, np.int64)
    per_distance = (n_bins - np.arange(n_bins)) / (1.0 + np.arange(n_bins))
    per_distance[:3] *= (4.0, 3.4, 1.4)  # K562 at 5 kb has that much more in its first diagonals than 1 / s
    cumulative = np.cumsum(per_distance / per_distance.sum())
    while len(keys) < n_contacts:
        distance = np.searchsorted(cumulative, rng.random(5_000_000))
        first = (rng.random(len(distance)) * (n_bins - distance)).astype(np.int64)
        seen = rng.random(len(distance)) < visibility[first] * visibility[first + distance]
        keys = np.concatenate([keys, (first * n_bins + first + distance)[seen]])
    keys = keys[:n_contacts]
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(starts, append=len(keys)).astype(np.int32)
    unique = keys[starts]
    return (unique // n_bins).astype(np.int32), (unique % n_bins).astype(np.int32), counts


def write_inputs(folder: Path, n_contacts: int) -> dict[str, float]:
    """A .cool without weights (the build has to balance it), and two bigWigs."""
    import cooler
    import pandas as pd
    import pybigtools

    bin1, bin2, count = simulate_pixels(n_contacts)
    length = ASSEMBLY.length(CHROM)
    starts = np.arange(0, length, RESOLUTION)
    bins = pd.DataFrame({"chrom": CHROM, "start": starts, "end": np.minimum(starts + RESOLUTION, length)})
    pieces = (
        pd.DataFrame({"bin1_id": bin1[i : i + 2_000_000], "bin2_id": bin2[i : i + 2_000_000],
                      "count": count[i : i + 2_000_000]})
        for i in range(0, len(count), 2_000_000)
    )  # fmt: skip
    cooler.create_cooler(str(folder / "map.cool"), bins, pieces, ordered=True, symmetric_upper=True)
    for seed, name in enumerate(("ATAC", "DNase")):
        rng = np.random.default_rng(seed)
        edges = np.arange(0, length - 100, 100)
        values = rng.gamma(0.4, 3.0, len(edges)) + 60 * (rng.random(len(edges)) < 0.005)
        kept = rng.random(len(edges)) > 0.05
        begins = edges[kept].tolist()
        ends = (edges[kept] + 100).tolist()
        rows = zip([CHROM] * len(begins), begins, ends, values[kept].tolist(), strict=True)
        pybigtools.open(str(folder / f"{name}.bw"), "w").write({CHROM: length}, rows)
    near = bin2 - bin1 < 450
    return {
        "contacts": int(count.sum()),
        "pixels": len(count),
        "contacts_within_2.25Mb": int(count[near].sum()),
        "largest_count": int(count.max()),
    }


def build_measured(folder: Path) -> dict[str, float]:
    """Build the store in this process and report its peak memory, interpreter and libraries included."""
    from chromweave.data.build import build

    begin = time.perf_counter()
    store = build(
        folder / "bench.store",
        contacts=folder / "map.cool",
        tracks={name: folder / f"{name}.bw" for name in ("ATAC", "DNase")},
        resolutions=[RESOLUTION],
        assembly="hg38",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    weight = store.manifest["contacts"][str(RESOLUTION)]["chromosomes"][CHROM]["weights"]["weight"]
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "peak_memory_gb": round(peak / 1e9, 3),
        "weights": weight["origin"],
    }


def sizes(store: RegionStore) -> dict[str, float]:
    """Bytes of chr1, and what a whole genome of that density takes."""
    files = store.manifest["files"]
    contacts = sum(entry["bytes"] for name, entry in files.items() if name.startswith("contacts/"))
    tracks = sum(entry["bytes"] for name, entry in files.items() if name.startswith("tracks/"))
    share = sum(ASSEMBLY.length(chrom) for chrom in GENOME) / ASSEMBLY.length(CHROM)
    band = store.layer(CHROM, RESOLUTION).layout
    return {
        "chr1_contacts_mb": round(contacts / 1e6, 1),
        "chr1_tracks_mb": round(tracks / 1e6, 1),
        "near_diagonals": int(band.near.shape[1]),
        "overflow_pixels": len(band.overflow_keys),
        "genome_gb": round((contacts + tracks) * share / 1e9, 3),
    }


def throughput(store: RegionStore, n_batches: int = 80) -> dict[str, float]:
    """Windows per second on one thread: map, mask and both segments of two tracks, in random order."""
    cutter = WindowCutter(store, RESOLUTION, ("ATAC", "DNase"))
    rng = np.random.default_rng(0)
    n_bins = store.layer(CHROM, RESOLUTION).n_bins
    chrom = np.zeros(BATCH, np.int64)
    batches = []
    for _ in range(n_batches):
        distance = rng.integers(4, 401, BATCH)
        x = rng.integers(25, n_bins - 25 - 400, BATCH)
        batches.append((x, x + distance))
    for x, y in batches:  # compile, and bring the files into memory
        cutter.cut((CHROM,), chrom, x, y)
    cpu, wall = [], []
    for _ in range(5):
        begin = time.process_time(), time.perf_counter()
        for x, y in batches:
            cutter.cut((CHROM,), chrom, x, y)
        cpu.append(n_batches * BATCH / (time.process_time() - begin[0]))
        wall.append(n_batches * BATCH / (time.perf_counter() - begin[1]))
    return {
        "batch": BATCH,
        "windows_per_cpu_second": round(float(np.median(cpu))),
        "windows_per_second_wall": round(float(np.median(wall))),
        "windows_per_second_wall_best": round(max(wall)),
    }


def processor() -> str:
    """Name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def in_a_process(what: str, folder: Path, *more: str) -> dict[str, float]:
    """Run one step of this module in a process of its own, single-threaded."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.store_throughput", "--step", what, "--folder", str(folder), *more],
        capture_output=True, text=True, check=False, env=os.environ | threads,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def report(result: dict) -> str:
    """The result as Markdown."""
    made = result["provenance"]
    size, build, speed, given = (result[key] for key in ("size", "build", "speed", "input"))
    lines = [
        "# Region store: size, memory, speed",
        "",
        f"Simulated chr1 of hg38 at 5 kb, {given['contacts']:,} contacts in {given['pixels']:,} pixels, "
        "two tracks of 100 bp bins.",
        "",
        "| | measured | asked |",
        "|---|---|---|",
        f"| store of a whole genome (24 chromosomes, by length) | {size['genome_gb']} GB | at most 0.7 GB |",
        f"| peak memory of the build, ICE included | {build['peak_memory_gb']} GB | under 1.5 GB |",
        f"| windows cut per second of one core | {speed['windows_per_cpu_second']:,} | at least 20,000 |",
        "",
        f"Build: {build['seconds']} s. chr1: {size['chr1_contacts_mb']} MB contacts and weights, "
        f"{size['chr1_tracks_mb']} MB tracks; {size['near_diagonals']} of 450 diagonals wide, "
        f"{size['overflow_pixels']:,} pixels in the overflow list.",
        f"Windows: batches of {speed['batch']}, 50 x 50 balanced map with mask, 2 x 2,500 positions of two "
        f"tracks with mask; per second of wall clock {speed['windows_per_second_wall']:,} "
        f"(best of 5: {speed['windows_per_second_wall_best']:,}; load average {result['load']:.1f}).",
        "",
        f"Machine: {result['processor']}, {made['machine']}; {made['time'][:10]}, "
        f"commit {made['git_commit']}, numba {made['packages']['numba']}, numpy {made['packages']['numpy']}.",
        f"Command: `{result['command']}`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all steps, or the one asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contacts", type=int, default=85_000_000, help="contacts on chr1")
    parser.add_argument("--folder", type=Path, help="keep inputs and store here")
    parser.add_argument("--step", choices=["inputs", "build", "cut"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step = {
            "inputs": lambda: write_inputs(given.folder, given.contacts),
            "build": lambda: build_measured(given.folder),
            "cut": lambda: throughput(RegionStore.open(given.folder / "bench.store")),
        }[given.step]
        print(json.dumps(step()))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = {
            "command": f"python -m benchmarks.store_throughput --contacts {given.contacts}",
            "input": in_a_process("inputs", folder, "--contacts", str(given.contacts)),
            "build": in_a_process("build", folder),
            "size": sizes(RegionStore.open(folder / "bench.store")),
            "speed": in_a_process("cut", folder),
            "load": os.getloadavg()[0],
            "processor": processor(),
            "provenance": describe_process() | {"command": "store_throughput"},
        }
    write_json(RESULTS / "store_throughput.json", result)
    text = report(result)
    with atomic_path(RESULTS / "store_throughput.md") as path:
        path.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
