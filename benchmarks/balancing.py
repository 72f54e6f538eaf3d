"""ICE in memory against ``cooler balance --cis-only``: CPU seconds of both, and how far their weights differ.

    python benchmarks/balancing.py FILE.mcool --resolution 25000

cooler runs in this process with its default chunk size; reading the pixels counts for both.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import cooler
import numpy as np

from chromweave.io.balancing import ice_cis
from chromweave.io.contacts import open_contacts


def timed(function):
    """CPU seconds and result of a call."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def ours(path: str, assembly: str | None, resolution: int) -> np.ndarray:
    source = open_contacts(path, assembly)
    pixels = {chrom: source.counts(chrom, resolution) for chrom in source.with_contacts}
    return np.concatenate([weight.values for weight in ice_cis(pixels).values()])


def theirs(path: str, resolution: int) -> np.ndarray:
    return cooler.balance_cooler(cooler.Cooler(f"{path}::/resolutions/{resolution}"), cis_only=True)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--assembly")
    given = parser.parse_args()
    seconds, weight = timed(lambda: ours(given.path, given.assembly, given.resolution))
    cooler_seconds, expected = timed(lambda: theirs(given.path, given.resolution))
    both = np.isfinite(weight) & np.isfinite(expected)
    print(
        json.dumps(
            {
                "map": Path(given.path).name,
                "resolution": given.resolution,
                "chromweave_cpu_s": round(seconds, 2),
                "cooler_cpu_s": round(cooler_seconds, 2),
                "times_faster": round(cooler_seconds / seconds, 1),
                "masked_bins_equal": bool(np.array_equal(np.isnan(weight), np.isnan(expected))),
                "largest_relative_difference": float(np.abs(weight[both] / expected[both] - 1).max()),
                "machine": f"{platform.machine()}, {platform.python_version()}",
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
