"""Time and cost of the paper's pre-training, estimated from counted work and an assumed utilisation.

    python -m benchmarks.scaling [--rate 790] [--utilisation 0.35] [--price 3.0]

Nothing is measured here: the arithmetic of one training step is counted (multiply and add are two), three
times that of the forward pass; a GPU is taken to do `rate` TFLOP/s of bfloat16 matrix work at `utilisation`.
Gradients are exchanged while the backward pass goes on, so that a step takes the longer of the two. Writes
``benchmarks/results/scaling.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from chromweave.files import atomic_path
from chromweave.models.mixhic import MixHicPretrain, preset

RESULTS = Path(__file__).parent / "results"
WINDOWS, EPOCHS = 1_275_948, 500  # the paper's pre-training set and epochs
RUNS = ((1, 256), (8, 256), (64, 256), (8, 2048), (64, 16_384))  # GPUs, windows per step of all of them
LINK_BYTES = 450e9  # a second and one way, between the GPUs of one machine (NVLink)
NETWORK_BYTES = 50e9  # and between machines (400 Gb/s)


def forward_flops(name: str) -> float:
    """FLOP of one window through the pre-training model."""
    config = preset(name)
    with torch.device("meta"):
        network = MixHicPretrain(config)
        contact_map = torch.empty(1, 1, config.window_bins, config.window_bins)
        tracks = torch.empty(1, config.positions, config.n_tracks)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(contact_map, tracks)
    return float(counter.get_total_flops())


def parameters(name: str) -> int:
    """Weights of the pre-training model."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in MixHicPretrain(preset(name)).parameters())


def estimate(name: str, rate: float, utilisation: float, price: float) -> list[str]:
    """Rows of the table for one preset."""
    work, weights = 3 * forward_flops(name), parameters(name)
    rows = []
    for gpus, batch in RUNS:
        compute = batch / gpus * work / (rate * utilisation)
        bandwidth = LINK_BYTES if gpus <= 8 else NETWORK_BYTES
        exchange = 0.0 if gpus == 1 else 2 * 4 * weights / bandwidth  # ring all-reduce of float32
        step = max(compute, exchange)
        hours = WINDOWS * EPOCHS / batch * step / 3600
        rows.append(
            f"| {name} | {work / 1e9:.1f} | {gpus} | {batch:,} | {1e3 * compute:.1f} | "
            f"{1e3 * exchange:.1f} | {batch / step:,.0f} | {hours:,.1f} | {hours * gpus * price:,.0f} |"
        )
    return rows


def main() -> None:
    """Count, estimate, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=790.0, help="bf16 matrix rate of one GPU, TFLOP/s")
    parser.add_argument("--utilisation", type=float, default=0.35, help="share of it that training reaches")
    parser.add_argument("--price", type=float, default=3.0, help="of an hour of one GPU")
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.md")
    given = parser.parse_args()
    lines = [
        "# Pre-training as in the paper: an estimate, nothing measured",
        "",
        f"{WINDOWS:,} windows, {EPOCHS} epochs, {given.rate:g} TFLOP/s of bfloat16 matrix work per "
        f"GPU at a utilisation of {given.utilisation:.0%}, {given.price:g} per GPU hour "
        f"(`python -m benchmarks.scaling --rate {given.rate:g} --utilisation {given.utilisation:g} "
        f"--price {given.price:g}`).",
        "",
        "| preset | GFLOP per window, forward and backward | GPUs | windows per step | ms to compute | "
        "ms to exchange gradients | windows/s | hours | cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ("paper-128", "paper-256"):
        lines += estimate(name, given.rate * 1e12, given.utilisation, given.price)
    text = "\n".join(lines) + "\n"
    with atomic_path(given.out) as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
