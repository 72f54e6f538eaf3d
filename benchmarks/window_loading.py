"""How fast training windows come, beside how fast a model takes them, and the memory of very many of them.

    python -m benchmarks.window_loading [--presets small paper-128] [--device cuda] [--folder DIR] [--out DIR]

Simulates a whole genome of hg38 at 5 kb (the map of `store_throughput`'s chr1, cut to the length of every
chromosome) with two tracks, as four stores. Measured, each in a process of its own and on one thread: windows
a second of the loader, with each augmentation, with and without a worker process; training steps of MIX-HIC;
peak memory while 130 thousand and 1.3 million windows of four stores are passed through; with ``--device``,
windows a second gathered from the stores resident there. Writes ``results/window_loading.{json,md}``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.store_throughput import ASSEMBLY, CHROM, GENOME, RESOLUTION, processor, simulate_pixels
from chromweave.batch import MapTrackBatch
from chromweave.data.dataset import WindowDataset, WindowLoader, loader
from chromweave.data.draft import Draft
from chromweave.data.layers import TRACK_WIDTH
from chromweave.data.layouts import pack_band, parts
from chromweave.data.resident import ResidentWindows, resident_loader
from chromweave.data.store import RegionStore
from chromweave.data.tables import describe_windows, read_windows, write_windows
from chromweave.data.transforms import WindowTransform
from chromweave.files import atomic_directory, atomic_path, write_json
from chromweave.io.pixels import Pixels
from chromweave.models.mixhic import MixHicPretrain, preset
from chromweave.provenance import describe_process
from chromweave.training.objectives import PairedPretraining

RESULTS = Path(__file__).parent / "results"
TRACKS = ("ATAC", "DNase")
DIAGONALS, SIDE = 450, 50
PLAIN = WindowTransform(TRACKS)
AUGMENTED = {
    "none": PLAIN,
    **{name: replace(PLAIN, augmentations=(name,)) for name in ("swap", "flip", "jitter", "thin")},
    "all four": replace(PLAIN, augmentations=("swap", "flip", "jitter", "thin")),
    "none, standardised maps": replace(PLAIN, contacts="standard"),
}
BATCH = 64
MODEL_BATCH = {"cpu": 8, "cuda": 256}
FEW, MANY = 130_000, 1_300_000


# --- stores and tables


def write_stores(folder: Path, n_contacts: int) -> dict[str, float]:
    """Four stores of a whole genome; the files of three are links to those of the first."""
    pixels = simulate_pixels(n_contacts)
    n_bins = -(-ASSEMBLY.length(CHROM) // RESOLUTION)
    band = pack_band(Pixels(*pixels, n_bins, RESOLUTION), DIAGONALS)
    seen = sum(np.bincount(side, pixels[2], n_bins) for side in pixels[:2])
    weight = np.where(seen > 0, np.sqrt(seen.mean() / np.maximum(seen, 1)), np.nan)
    signal = [_signal(seed) for seed in range(len(TRACKS))]
    for number in range(4):
        with atomic_directory(folder / f"{number}.store", marker="manifest.json") as place:
            draft = Draft(place)
            if number:
                first = RegionStore.open(folder / "0.store")
                draft.link(first)
                content = {key: first.manifest[key] for key in _CONTENT}
            else:
                content = _write_genome(draft, band, weight, signal)
            draft.finish(content | {"name": f"line {number}"})
    sizes = [entry["bytes"] for entry in RegionStore.open(folder / "0.store").manifest["files"].values()]
    return {"contacts_chr1": n_contacts, "store_gb": round(sum(sizes) / 1e9, 3)}


_CONTENT = ("assembly", "chromosomes", "contacts", "tracks", "sources")


def _signal(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = -(-ASSEMBLY.length(CHROM) // TRACK_WIDTH)
    values = rng.gamma(0.4, 3.0, steps) + 60 * (rng.random(steps) < 0.005)
    return np.where(rng.random(steps) < 0.05, np.nan, values).astype(np.float16)


def _write_genome(draft: Draft, band, weight: np.ndarray, signal: Sequence[np.ndarray]) -> dict:
    entries = {}
    for chrom in GENOME:
        n = -(-ASSEMBLY.length(chrom) // RESOLUTION)
        inside = np.searchsorted(band.overflow_keys, n * DIAGONALS)
        rows = {"near": n, "far": n, "overflow_keys": inside, "overflow_counts": inside}
        for part in parts("band"):
            draft.save(f"contacts/{RESOLUTION}/{chrom}/{part}", getattr(band, part)[: rows[part]])
        draft.save(f"contacts/{RESOLUTION}/{chrom}/weight.weight", weight[:n])
        steps = -(-ASSEMBLY.length(chrom) // TRACK_WIDTH)
        for name, values in zip(TRACKS, signal, strict=True):
            draft.save(f"tracks/{name}/{chrom}.mean", values[:steps])
            draft.save(f"tracks/{name}/{chrom}.coverage", np.full(steps, TRACK_WIDTH, np.uint8))
        entries[chrom] = {"layout": "band", "n_bins": n, "weights": {"weight": {"scale": 1.0}}}
    return {
        "assembly": {"name": ASSEMBLY.name, "chromosomes": dict(ASSEMBLY.chromosomes)},
        "chromosomes": list(GENOME),
        "contacts": {str(RESOLUTION): {"layout": "band", "default_weight": "weight", "chromosomes": entries}},
        "tracks": {name: {} for name in TRACKS},
        "sources": [],
    }


def write_tables(folder: Path) -> dict[str, float]:
    """Parquet tables of both sizes, one for each store."""
    for total, number in itertools.product((FEW, MANY), range(4)):
        store = RegionStore.open(folder / f"{number}.store")
        write_windows(folder / f"{total}.{number}.parquet", table(store, total // 4, number))
    return {"table_mb": round((folder / f"{MANY}.0.parquet").stat().st_size / 1e6, 1)}


def table(store: RegionStore, n: int, seed: int) -> pd.DataFrame:
    """`n` windows in genome order, anywhere within 2 Mb of the diagonal, half of them on it."""
    rng = np.random.default_rng(seed)
    lengths = np.array([ASSEMBLY.length(chrom) // RESOLUTION for chrom in GENOME])
    chrom = np.sort(rng.choice(len(GENOME), n, p=lengths / lengths.sum()))
    last = lengths[chrom] - SIDE // 2
    x = rng.integers(SIDE // 2, last)
    y = np.minimum(x + np.where(rng.random(n) < 0.5, 0, rng.integers(1, 401, n)), last)
    found = pd.DataFrame(
        {
            "chrom": np.array(GENOME, object)[chrom],
            "x": x * RESOLUTION,
            "y": y * RESOLUTION,
            "label": np.nan,
            "split": "train",
            "kind": "grid",
        }
    )
    found.attrs.update(
        describe_windows(
            store, RESOLUTION, window_bins=SIDE, seed=seed, protocol="anywhere near the diagonal"
        )
    )
    return found


def stores_of(folder: Path) -> list[RegionStore]:
    """The four stores."""
    return [RegionStore.open(folder / f"{number}.store") for number in range(4)]


def dataset(folder: Path, transform: WindowTransform, total: int) -> WindowDataset:
    """`total` windows of the four stores."""
    stores = stores_of(folder)
    tables = [read_windows(folder / f"{total}.{n}.parquet", store) for n, store in enumerate(stores)]
    return WindowDataset(stores, tables, transform)


# --- what is measured


def loading(folder: Path, windows: int = 12_800) -> dict[str, dict[str, float]]:
    """Windows a second by the clock and of processor time, by augmentation; and with one worker."""
    found = {}
    for name, transform in AUGMENTED.items():
        made = loader(dataset(folder, transform, FEW), BATCH, shuffle=True)
        wall, cpu = rates(made, windows // BATCH)
        found[name] = {"windows_per_second": round(wall), "windows_per_cpu_second": round(cpu)}
    for name in ("none", "all four"):
        made = loader(dataset(folder, AUGMENTED[name], FEW), BATCH, shuffle=True, num_workers=1)
        found[name]["windows_per_second_of_a_worker"] = round(rates(made, windows // BATCH)[0])
    return found


def rates(made: WindowLoader, batches: int, rounds: int = 3, after: Callable[[], None] = lambda: None):
    """Windows a second by the clock and of processor time, the better of some rounds.

    The first batches, in which files are brought to memory and functions compiled, do not count.
    """
    best = np.zeros(2)
    passing: Iterator[MapTrackBatch] = itertools.chain.from_iterable(itertools.repeat(made))
    for _ in itertools.islice(passing, batches):
        pass
    after()
    for _ in range(rounds):
        begin = time.perf_counter(), time.process_time()
        n = sum(len(batch) for batch in itertools.islice(passing, batches))
        after()
        spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
        best = np.maximum(best, n / np.array(spent))
    return best


def consumption(name: str, device: str, compiled: bool, rounds: int = 5) -> dict[str, float]:
    """Windows a second that training of a preset takes: forward, backward, and one step of AdamW."""
    config, size = preset(name), MODEL_BATCH[device]
    torch.manual_seed(0)
    network = MixHicPretrain(config).to(device)
    model = torch.compile(network) if compiled else network
    optimizer = torch.optim.AdamW(network.parameters(), fused=device == "cuda")
    batch = made_up(size).to(device)
    objective, best = PairedPretraining(), 0.0
    for number in range(rounds + 3):
        begin = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = objective.step(model, batch).total
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device
        if number >= 3:
            best = max(best, size / (time.perf_counter() - begin))
    return {"batch": size, "windows_per_second": round(best, 1)}


def made_up(n: int) -> MapTrackBatch:
    """Windows of noise."""
    positions = 2 * SIDE * RESOLUTION // TRACK_WIDTH
    index = torch.arange(n)
    return MapTrackBatch(
        contact_map=torch.rand(n, 1, SIDE, SIDE),
        contact_mask=torch.ones(n, 1, SIDE, SIDE, dtype=torch.bool),
        tracks=torch.rand(n, positions, len(TRACKS)),
        track_mask=torch.ones(n, positions, len(TRACKS), dtype=torch.bool),
        label=torch.full((n,), torch.nan),
        chrom=index * 0,
        x=index * 100,
        y=index * 100,
        store=index * 0,
    )


def memory(folder: Path, total: int) -> dict[str, float]:
    """Peak memory of a process that passes every window once: all, and what is not the stores' files."""
    made = loader(dataset(folder, AUGMENTED["all four"], total), 256, shuffle=True)
    begin = time.perf_counter()
    private = 0.0
    for number, _ in enumerate(made):
        if number % 50 == 0:
            private = max(private, _status("RssAnon"))
    return {
        "peak_gb": round(_status("VmHWM"), 3),
        "of_which_private_gb": round(private, 3),
        "minutes": round((time.perf_counter() - begin) / 60, 1),
    }


def _status(name: str) -> float:
    """A figure of this process in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise SystemExit(f"the system does not tell {name}")


def gathering(folder: Path, device: str, windows: int) -> dict[str, dict[str, float]]:
    """Windows a second gathered from four stores that lie on the device."""
    found = {}

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for name, transform in AUGMENTED.items():
        made = resident_loader(dataset(folder, transform, FEW), MODEL_BATCH["cuda"], shuffle=True)
        made.deal(0, 1, torch.device(device))
        wall, _ = rates(made, windows // MODEL_BATCH["cuda"], after=wait)
        assert isinstance(made.dataset, ResidentWindows)
        found[name] = {"windows_per_second": round(wall), "resident_gb": round(made.dataset.nbytes / 1e9, 3)}
    return found


# --- the whole


def in_a_process(what: str, *more: str) -> dict:
    """One step of this module in a process of its own, on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.window_loading", "--step", what, *more],
        capture_output=True, text=True, check=False, env=os.environ | threads,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: dict = json.loads(done.stdout.splitlines()[-1])
    return answer


def run(given: argparse.Namespace, folder: Path) -> dict:
    """All steps."""
    place = ("--folder", str(folder))
    if not (folder / "3.store").exists():
        in_a_process("stores", *place, "--contacts", str(given.contacts))
        in_a_process("tables", *place)
    sizes = [e["bytes"] for e in RegionStore.open(folder / "0.store").manifest["files"].values()]
    result = {
        "command": " ".join(["python -m benchmarks.window_loading", *shown(given)]),
        "store_gb": round(sum(sizes) / 1e9, 3),
        "loading": in_a_process("loading", *place),
        "models": {name: in_a_process("model", "--presets", name) for name in given.presets},
        "memory": {
            str(total): in_a_process("memory", *place, "--windows", str(total)) for total in (FEW, MANY)
        },
    }
    if given.device:
        options = ("--device", given.device, *(("--compile",) if given.compile else ()))
        result["device"] = {
            "name": torch.cuda.get_device_name() if given.device == "cuda" else processor(),
            "gathering": in_a_process("gathering", *place, *options),
            "models": {name: in_a_process("model", "--presets", name, *options) for name in given.presets},
        }
    return result | {
        "load": os.getloadavg()[0],
        "processor": processor(),
        "provenance": describe_process() | {"command": "window_loading"},
    }


def shown(given: argparse.Namespace) -> list[str]:
    """The options that matter to a reader."""
    device = ["--device", given.device] if given.device else []
    return ["--presets", *given.presets, *device, *(["--compile"] if given.compile else [])]


def report(result: dict) -> str:
    """The result as Markdown."""
    made, few, many = (result["provenance"], *(result["memory"][str(n)] for n in (FEW, MANY)))
    lines = [
        "# Windows for training: speed and memory",
        "",
        f"Four simulated stores of hg38 at 5 kb, {result['store_gb']} GB each; windows of 50 x 50 bins, two "
        "tracks.",
        "",
        f"One thread, batches of {BATCH}:",
        "",
        "| augmentation | windows a second | of processor time | with one worker |",
        "|---|---|---|---|",
    ]
    for name, speed in result["loading"].items():
        worker = speed.get("windows_per_second_of_a_worker")
        lines.append(
            f"| {name} | {speed['windows_per_second']:,} | {speed['windows_per_cpu_second']:,} "
            f"| {'' if worker is None else f'{worker:,}'} |"
        )
    lines += consumers(result["models"], result["loading"]["all four"]["windows_per_second"], 5)
    lines += [
        "",
        "| windows | peak memory, stores' files included | asked | of it not those files |",
        "|---|---|---|---|",
        f"| {FEW:,} | {few['peak_gb']} GB | | {few['of_which_private_gb']} GB |",
        f"| {MANY:,} | {many['peak_gb']} GB | under 4 GB | {many['of_which_private_gb']} GB |",
    ]
    if "device" in result:
        device = result["device"]
        lines += ["", f"Resident on {device['name']}, batches of {MODEL_BATCH['cuda']}:", ""]
        lines += ["| augmentation | windows a second | stores there |", "|---|---|---|"]
        for name, speed in device["gathering"].items():
            lines.append(f"| {name} | {speed['windows_per_second']:,} | {speed['resident_gb']} GB |")
        lines += consumers(device["models"], device["gathering"]["all four"]["windows_per_second"], 3)
    lines += [
        "",
        f"Machine: {result['processor']}, {made['machine']}; {made['time'][:10]}, "
        f"commit {made['git_commit']}, torch {torch.__version__}; load average {result['load']:.1f}.",
        f"Command: `{result['command']}`.",
    ]
    return "\n".join(lines) + "\n"


def consumers(models: dict, supply: float, asked: int) -> list[str]:
    """What models take, beside what the loader gives with all augmentations."""
    if not models:
        return []
    lines = [
        "",
        "| training step | takes, windows a second | loader gives, times that | asked |",
        "|---|---|---|---|",
    ]
    for name, taken in models.items():
        times = supply / taken["windows_per_second"]
        lines.append(
            f"| {name}, batch {taken['batch']} | {taken['windows_per_second']:,} | {times:,.1f} "
            f"| at least {asked} |"
        )
    return lines


def main() -> None:
    """Run all steps, or the one asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="*", default=["small", "paper-128"], help="models to compare with")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="gather from stores resident there")
    parser.add_argument("--compile", action="store_true", help="compile the models on the device")
    parser.add_argument("--contacts", type=int, default=85_000_000, help="contacts on chr1")
    parser.add_argument("--folder", type=Path, help="keep stores and tables here")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--windows", type=int, default=FEW, help=argparse.SUPPRESS)
    parser.add_argument(
        "--step",
        choices=["stores", "tables", "loading", "model", "memory", "gathering"],
        help=argparse.SUPPRESS,
    )
    given = parser.parse_args()
    if given.step:
        # CPU steps use one thread; the figures of a device are of its own steps.
        torch.set_num_threads(1)
        on_cpu = given.device != "cuda"
        step: dict[str, Callable[[], dict]] = {
            "stores": lambda: write_stores(given.folder, given.contacts),
            "tables": lambda: write_tables(given.folder),
            "loading": lambda: loading(given.folder),
            "model": lambda: consumption(given.presets[0], given.device or "cpu", given.compile),
            "memory": lambda: memory(given.folder, given.windows),
            "gathering": lambda: gathering(given.folder, given.device, 2_560 if on_cpu else 128_000),
        }
        print(json.dumps(step[given.step]()))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = run(given, folder)
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / "window_loading.json", result)
    text = report(result)
    with atomic_path(given.out / "window_loading.md") as path:
        path.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
