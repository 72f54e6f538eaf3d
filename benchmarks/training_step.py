"""A whole training step, ours beside a plain transcription of the same network, in one process.

    python -m benchmarks.training_step [--device cpu] [--presets small,paper-128] [--batch 8] [--repeats 12]
    python -m benchmarks.training_step --device cuda [--presets paper-128,paper-256]

A step is forward, the three losses, backward and AdamW. On a CPU both run in fp32 with the same weights and
the same windows, taking turns, so that whatever else the machine does hits both alike. On a GPU ours runs in
bf16 with torch.compile and the plain one in fp32, as the published code does, each at its best batch; the
share of the bf16 matrix rate is measured against a product of two large matrices on the same device.
Writes ``benchmarks/results/training_step_<device>.{json,md}``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_mixhic import PlainMixHic, plain_from_ours
from benchmarks.store_throughput import processor
from chromweave.batch import MapTrackBatch
from chromweave.files import atomic_path, write_json
from chromweave.models.mixhic import MixHicPretrain, preset
from chromweave.provenance import describe_process
from chromweave.training.objectives import PairedPretraining, PairLossConfig

RESULTS = Path(__file__).parent / "results"
LIMITS = {"small": 0.6, "paper-128": 0.75}  # of the plain one's time, on a CPU
# The forms of the losses that the plain transcription has.
LOSSES = PairLossConfig(mapping_form="unit", mapping_teaches="all")
BATCHES = (32, 64, 128, 256, 512, 1024)
Step = Callable[[], float]


def windows(batch: int, device: str = "cpu") -> MapTrackBatch:
    """Random maps and tracks."""
    generator = torch.Generator().manual_seed(0)
    contacts = torch.rand(batch, 1, 50, 50, generator=generator)
    tracks = torch.rand(batch, 5000, 2, generator=generator)
    identity = torch.arange(batch)
    zero = torch.zeros(batch, dtype=torch.int64)
    return MapTrackBatch(
        contact_map=contacts,
        contact_mask=torch.ones_like(contacts, dtype=torch.bool),
        tracks=tracks,
        track_mask=torch.ones_like(tracks, dtype=torch.bool),
        label=torch.full((batch,), torch.nan),
        chrom=zero,
        x=1000 * identity,
        y=1000 * identity,
        store=zero,
    ).to(device)


def our_step(network: MixHicPretrain, batch: MapTrackBatch, *, fast: bool = False) -> Step:
    """One step of ours; `fast` is bf16 and compiled."""
    objective = PairedPretraining(LOSSES)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    model = torch.compile(network) if fast else network
    device = batch.contact_map.device.type

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=fast):
            loss = objective.step(model, batch).total
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def plain_step(network: PlainMixHic, batch: MapTrackBatch) -> Step:
    """One step of the plain transcription, in fp32."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)

    def step() -> float:
        optimizer.zero_grad()
        losses = network(batch.contact_map, batch.tracks)
        loss = losses.contrastive + losses.orthogonal + losses.mapping
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def networks(name: str, device: str = "cpu") -> tuple[MixHicPretrain, PlainMixHic]:
    """Ours and the plain one with the same weights."""
    torch.manual_seed(0)
    config = preset(name, temperature="learned")
    ours, plain = MixHicPretrain(config), PlainMixHic(config.channels)
    plain.load_state_dict(plain_from_ours(ours.state_dict()))
    return ours.to(device), plain.to(device)


def forward_flops(channels: int) -> int:
    """Operations of one window's forward pass, a multiply-add being two."""
    with torch.device("meta"):
        network = PlainMixHic(channels)
        contacts, tracks = torch.rand(1, 1, 50, 50), torch.rand(1, 5000, 2)
    with FlopCounterMode(display=False) as counter:
        network(contacts, tracks)
    return int(counter.get_total_flops())


def on_cpu(name: str, size: int, repeats: int) -> dict[str, object]:
    """Seconds of a step, ours and plain in turns; the first of each is not counted."""
    ours, plain = networks(name)
    batch = windows(size)
    steps = {"ours": our_step(ours, batch), "plain": plain_step(plain, batch)}
    wall: dict[str, list[float]] = {which: [] for which in steps}
    cpu: dict[str, list[float]] = {which: [] for which in steps}
    first = {which: float(step()) for which, step in steps.items()}
    if abs(first["ours"] - first["plain"]) > 1e-3:
        raise SystemExit(f"{name}: the two do not compute the same loss: {first}")
    for _ in range(repeats):
        for which, step in steps.items():
            begin = time.perf_counter(), time.process_time()
            step()
            wall[which].append(time.perf_counter() - begin[0])
            cpu[which].append(time.process_time() - begin[1])
    found: dict[str, object] = {"preset": name, "batch": size, "repeats": repeats, "limit": LIMITS.get(name)}
    for clock, times in (("wall", wall), ("cpu", cpu)):
        for which in steps:
            found[f"{which}_{clock}_best_s"] = round(min(times[which]), 4)
            found[f"{which}_{clock}_median_s"] = round(statistics.median(times[which]), 4)
        found[f"ratio_{clock}_best"] = round(min(times["ours"]) / min(times["plain"]), 3)
        found[f"ratio_{clock}_median"] = round(
            statistics.median(times["ours"]) / statistics.median(times["plain"]), 3
        )
    return found


def seconds_on_cuda(step: Step, repeats: int) -> float:
    """Median time of a step on the device."""
    for _ in range(5):
        step()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return statistics.median(times)


def matrix_rate(size: int = 8192) -> float:
    """Operations per second of a bf16 product of two square matrices, best of 30."""
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    times = []
    for i in range(40):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        a @ b
        end.record()
        torch.cuda.synchronize()
        if i >= 10:
            times.append(begin.elapsed_time(end) / 1000)
    return 2 * size**3 / min(times)


def best_batch(make: Callable[[MapTrackBatch], Step], repeats: int) -> dict[str, float]:
    """Windows per second at the batch that gives most; larger ones are tried until memory or gain ends."""
    best: dict[str, float] = {"windows_per_second": 0.0}
    for size in BATCHES:
        torch._dynamo.reset()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            seconds = seconds_on_cuda(make(windows(size, "cuda")), repeats)
        except torch.cuda.OutOfMemoryError:
            break
        rate = size / seconds
        print(f"  batch {size}: {rate:,.0f} windows/s, {seconds * 1000:.1f} ms", flush=True)
        if rate > best["windows_per_second"]:
            peak = torch.cuda.max_memory_allocated() / 1e9
            best = {"batch": size, "windows_per_second": rate, "step_ms": 1000 * seconds, "peak_gb": peak}
        elif rate < 0.97 * best["windows_per_second"]:
            break
    return best


def on_cuda(name: str, rate: float, repeats: int) -> dict[str, object]:
    """Windows per second of both at their best batch, and the share of the matrix rate that ours reaches."""
    ours, plain = networks(name, "cuda")
    flops = 3 * forward_flops(ours.config.channels)  # backward is twice the forward
    print(f"{name}, ours:", flush=True)
    fast = best_batch(lambda batch: our_step(ours, batch, fast=True), repeats)
    del ours
    print(f"{name}, plain:", flush=True)
    slow = best_batch(lambda batch: plain_step(plain, batch), repeats)
    return {
        "preset": name,
        "training_gflop_per_window": round(flops / 1e9, 2),
        "ours": fast,
        "plain": slow,
        "times_faster": fast["windows_per_second"] / slow["windows_per_second"],
        "utilisation": fast["windows_per_second"] * flops / rate,
    }


def cpu_report(rows: list[dict], lines: list[str]) -> None:
    """The table of the CPU."""
    lines += [
        "| preset | batch | ours, s (best, median) | plain, s (best, median) | ours / plain (best, median) "
        "| processor time (best, median) | asked |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['preset']} | {row['batch']} | {row['ours_wall_best_s']:.3f}, "
            f"{row['ours_wall_median_s']:.3f} | {row['plain_wall_best_s']:.3f}, "
            f"{row['plain_wall_median_s']:.3f} | **{row['ratio_wall_best']:.2f}**, "
            f"{row['ratio_wall_median']:.2f} | {row['ratio_cpu_best']:.2f}, {row['ratio_cpu_median']:.2f} "
            f"| {'at most ' + str(row['limit']) if row['limit'] else ''} |"
        )


def cuda_report(rows: list[dict], rate: float, lines: list[str]) -> None:
    """The table of the GPU."""
    lines += [
        f"bf16 matrix rate (8192 x 8192, measured here): {rate / 1e12:.0f} TFLOP/s.",
        "",
        "| preset | | batch | windows/s | step, ms | peak memory, GB | of the matrix rate | times plain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for which, label in (("ours", "ours, bf16, compiled"), ("plain", "plain, fp32")):
            got = row[which]
            share, times = "", ""
            if which == "ours":
                share, times = f"{100 * row['utilisation']:.1f} %", f"{row['times_faster']:.1f}"
            lines.append(
                f"| {row['preset']} | {label} | {got['batch']} | {got['windows_per_second']:,.0f} | "
                f"{got['step_ms']:.1f} | {got['peak_gb']:.1f} | {share} | {times} |"
            )


def report(result: dict) -> str:
    """The result as Markdown."""
    made = result["provenance"]
    lines = ["# One training step: ours and a plain transcription", ""]
    lines += ["Forward, three losses, backward, AdamW; same weights, same random windows, one process.", ""]
    if result["device"] == "cpu":
        lines += [
            f"fp32, {result['threads']} thread(s), {result['rows'][0]['repeats']} steps each in turns.",
            "",
        ]
        cpu_report(result["rows"], lines)
    else:
        cuda_report(result["rows"], result["matrix_rate"], lines)
    lines += [
        "",
        f"Machine: {result['device_name']}, {made['machine']}; load average {result['load']:.1f}; "
        f"{made['time'][:10]}, commit {made['git_commit']}, torch {made['packages']['torch']}.",
        f"Command: `{result['command']}`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the presets asked for, on the device asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--presets", help="comma-separated")
    parser.add_argument("--batch", type=int, default=8, help="windows per step, on a CPU")
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--threads", type=int, help="of the CPU; torch's default if not given")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    default = "small,paper-128" if given.device == "cpu" else "paper-128,paper-256"
    names = (given.presets or default).split(",")
    result: dict = {"device": given.device, "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    if given.device == "cpu":
        result["device_name"] = processor()
        result["rows"] = [on_cpu(name, given.batch, given.repeats) for name in names]
        options = f" --batch {given.batch} --repeats {given.repeats} --threads {result['threads']}"
    else:
        result["device_name"] = torch.cuda.get_device_name()
        result["matrix_rate"] = matrix_rate()
        result["rows"] = [on_cuda(name, result["matrix_rate"], given.repeats) for name in names]
        options = f" --device cuda --repeats {given.repeats}"
    result["command"] = f"python -m benchmarks.training_step{options} --presets {','.join(names)}"
    result["provenance"] = describe_process() | {"command": "training_step"}
    given.out.mkdir(parents=True, exist_ok=True)
    write_json(given.out / f"training_step_{given.device}.json", result)
    text = report(result)
    with atomic_path(given.out / f"training_step_{given.device}.md") as path:
        path.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
