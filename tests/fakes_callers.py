"""Callers of loops that find, raise or hang as they are told; they travel to processes of their own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np

from chromweave.baselines.loop_list import loop_list
from chromweave.errors import DataError
from chromweave.workflows.annotation_callers import Called


@dataclass(frozen=True)
class Finds:
    """Finds these pairs of bins, and notes in `log` that it was asked."""

    pairs: tuple[tuple[str, int, int], ...]
    log: str = os.devnull

    def settings(self):
        return {"pairs": self.pairs}

    def call(self, region, folder, timeout):
        with open(self.log, "a") as file:
            file.write("asked\n")
        chrom, x, y = (np.array([pair[k] for pair in self.pairs], object) for k in range(3))
        starts = [bins.astype(np.int64) * region.resolution for bins in (x, y)]
        return Called(loop_list(chrom, *starts, region.resolution, np.arange(len(x), 0, -1)), version="1.2")


@dataclass(frozen=True)
class Fails:
    """Raises an error of ours, or any other."""

    ours: bool

    def settings(self):
        return {"ours": self.ours}

    def call(self, region, folder, timeout):
        raise DataError("the map is too thin.") if self.ours else ZeroDivisionError("by nothing")


@dataclass(frozen=True)
class Sleeps:
    """Never comes back."""

    def settings(self):
        return {}

    def call(self, region, folder, timeout):
        time.sleep(600)
