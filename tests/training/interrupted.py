"""A slow training to be interrupted from outside: python interrupted.py FOLDER [SECONDS]"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from chromweave.errors import InterruptedTraining
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.objectives import PairedPretraining
from tests.fakes_windows import Batches, synthetic_batch
from tests.training.toys import Shuffled, TinyPair

FIT = FitConfig(epochs=3, learning_rate=3e-3, log_every=1, checkpoint_every=2, accelerator="cpu", ema=0.9)


class Slow(PairedPretraining):
    """Takes its time over each training step."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def for_epoch(self, epoch, epochs):
        return self

    def step(self, model, batch):
        time.sleep(self.seconds * model.training)
        return super().step(model, batch)


def learn(folder, seconds=0.0, resume=False, **changes):
    """Ten batches an epoch, three epochs."""
    with seeded(0):
        network = TinyPair()
    train, valid = Shuffled(synthetic_batch(40, seed=1), 4), Batches(synthetic_batch(8, seed=2), 4)
    return fit(
        network, Slow(seconds), Path(folder), train, valid, replace(FIT, **changes), seed=5, resume=resume
    )


if __name__ == "__main__":
    try:
        learn(sys.argv[1], float(sys.argv[2]))
    except InterruptedTraining as error:
        raise SystemExit(str(error)) from None
