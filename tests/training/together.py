"""Trains toys as a user's script would: python together.py FOLDER --devices N SCENARIO ..."""

import argparse
import os
import signal
from dataclasses import replace
from pathlib import Path

import torch

from chromweave.errors import InterruptedTraining, TrainingError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.training.distributed import rank, world
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.objectives import PairedPretraining, PairLossConfig
from tests.fakes_windows import synthetic_batch
from tests.training.toys import Shuffled

NETWORK = MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=400, stem_norm="group")
FIT = FitConfig(epochs=2, batch_size=8, learning_rate=1e-3, warmup_steps=3, log_every=1, accelerator="cpu")
LOSS = PairLossConfig()

SCENARIOS = {
    "group": (NETWORK, FIT, LOSS),
    "batch": (replace(NETWORK, stem_norm="batch"), FIT, LOSS),
    "overlap": (
        NETWORK,
        replace(FIT, epochs=1, ema=0.9, accumulate=2, schedule="cosine"),
        PairLossConfig(overlapping_negatives=False),
    ),
    "alone": (NETWORK, replace(FIT, epochs=1), PairLossConfig(gather_negatives=False)),
    "fsdp": (NETWORK, replace(FIT, accumulate=2, gradient_clip=0.1), LOSS),
    "handed": (NETWORK, FIT, LOSS),
    "bad": (NETWORK, FIT, LOSS),
    "stopped": (NETWORK, FIT, LOSS),
}


def windows(name):
    train = synthetic_batch(32, seed=1)
    train.x[:] = 40 * torch.arange(32) // 3  # one in three overlaps with its neighbour
    train.y[:] = train.x + 10
    if name == "bad":
        train.tracks[5] = torch.nan
    return in_double(train)


def in_double(batch):
    """AdamW blows up the rounding of gradients next to nothing; in double precision it is not seen."""
    return replace(batch, contact_map=batch.contact_map.double(), tracks=batch.tracks.double())


class Stopped(PairedPretraining):
    """The last process is sent a SIGTERM in its third step."""

    def __init__(self, config):
        super().__init__(config)
        self.seen = 0

    def for_epoch(self, epoch, epochs):
        return self

    def step(self, model, batch):
        self.seen += model.training
        if self.seen == 3 and rank() == world() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(model, batch)


def learn(name, folder, kind=PairedPretraining, resume=False, **changes):
    """Train as scenario `name` says; the network, and how it went."""
    network, config, loss = SCENARIOS[name]
    with seeded(0):
        model = MixHicPretrain(network).double()
    result = fit(
        model,
        kind(loss),
        Path(folder) / name,
        Shuffled(windows(name), 8),
        Shuffled(in_double(synthetic_batch(20, seed=2)), 8, shuffle=False),  # three batches, the last short
        replace(config, **changes),
        seed=3,
        resume=resume,
        name_batch=lambda batch: f"windows at {batch.x.tolist()}",
    )
    return model, result


def act(name, folder, devices):
    """One scenario; its final weights and what came of it go to files of this process."""
    many = {"devices": devices, "strategy": "fsdp" if name in ("fsdp", "handed") else "auto"}
    said = []
    try:
        if name == "stopped":
            try:
                learn(name, folder, Stopped, **many)
            except InterruptedTraining as error:
                said.append(str(error))
        if name == "fsdp":  # taken up again for the second epoch
            learn(name, folder, epochs=1, **many)
        # one process has done the first epoch of what is handed over
        model, result = learn(name, folder, resume=name in ("stopped", "fsdp", "handed"), **many)
        torch.save(model.state_dict(), folder / f"{name}-{rank()}.pt")
        said.append(repr(result))
    except TrainingError as error:
        said.append(str(error))
    (folder / f"{name}-{rank()}.txt").write_text("\n".join(said))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("scenarios", nargs="+")
    given = parser.parse_args()
    for name in given.scenarios:
        act(name, given.folder, given.devices)


if __name__ == "__main__":
    main()
