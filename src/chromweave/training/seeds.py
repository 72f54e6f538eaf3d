"""Every random draw of a training has its place: (seed, epoch, batch, process)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["reseed", "seeded"]


@contextmanager
def seeded(seed: int, *where: int) -> Iterator[None]:
    """Seed torch's generators from `seed` (and a place in the run) in the block; restore them after it."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        reseed(seed, *where)
        yield


def reseed(seed: int, *where: int) -> None:
    """Seed torch's generators from `seed` and a place in the run."""
    torch.manual_seed(int(np.random.SeedSequence([seed, *where]).generate_state(1, np.uint64)[0] >> 1))
