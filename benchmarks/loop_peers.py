"""Other callers' programs on a map, and what each command takes of time and memory.

They come from a virtual environment of their own (``pip install chromosight==1.6.3 cooltools==0.7.1
'pandas<3'``), since their requirements and ours do not meet.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cooler
import hictkpy
import numpy as np
import pandas as pd

from chromweave.files import atomic_path

PEARSON = (0.2, 0.3, 0.4, 0.5, 0.6)
DOTS = (0.02, 0.1, 0.2)
_QVALUES = [f"la_exp.{kernel}.qval" for kernel in ("donut", "vertical", "horizontal", "lowleft")]


@dataclass(frozen=True)
class Cost:
    """Processor seconds and peak memory of a command."""

    seconds: float
    megabytes: float


def measured(command: Sequence[str], made: Path) -> Cost:
    """Run a command unless what it makes is there; its cost is kept beside that."""
    kept = made.with_name(f"{made.name}.cost.json")
    if made.exists() and kept.exists():
        return Cost(**json.loads(kept.read_text()))
    print(shlex.join(command), flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(
            f"{shlex.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{said[-3000:]}"
        )
    cost = Cost(round(used.ru_utime + used.ru_stime, 1), round(used.ru_maxrss / 1024))
    kept.write_text(json.dumps(cost.__dict__))
    return cost


def balanced_cool(path: Path, contacts: str, resolution: int, chroms: Sequence[str]) -> Path:
    """Counts of some chromosomes of an ``.mcool`` or a ``.hic`` as one ``.cool`` balanced by cooler."""
    if path.exists():
        return path
    source = hictkpy.File(contacts, resolution)
    lengths = source.chromosomes()
    bins, pixels, offset = [], [], 0
    for chrom in chroms:
        start = np.arange(0, lengths[chrom], resolution)
        end = np.minimum(start + resolution, lengths[chrom])
        bins.append(pd.DataFrame({"chrom": chrom, "start": start, "end": end}))
        found = source.fetch(chrom).to_df()
        first = source.bins().get_id(chrom, 0)
        pixels.append(
            pd.DataFrame(
                {
                    "bin1_id": found["bin1_id"] - first + offset,
                    "bin2_id": found["bin2_id"] - first + offset,
                    "count": found["count"].astype(int),
                }
            )
        )
        offset += len(start)
    table = pd.concat(pixels).sort_values(["bin1_id", "bin2_id"])
    with atomic_path(path) as temporary:
        cooler.create_cooler(str(temporary), pd.concat(bins, ignore_index=True), table, ordered=True)
        cooler.balance_cooler(cooler.Cooler(str(temporary)), cis_only=True, store=True)
    return path


def chromosight(
    peers: Path, uri: str, folder: Path, min_distance: int, max_distance: int
) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """chromosight's loops at each threshold: name, list with its `score`, cost."""
    for threshold in PEARSON:
        prefix = folder / f"chromosight_{threshold}"
        made = prefix.with_name(f"{prefix.name}.tsv")
        cost = measured(
            [
                str(peers / "bin" / "chromosight"), "detect", "--no-plotting", f"--pearson={threshold}",
                f"--min-dist={min_distance}", f"--max-dist={max_distance}", uri, str(prefix),
            ],
            made,
        )  # fmt: skip
        yield f"chromosight, Pearson {threshold:g}", pd.read_csv(made, sep="\t"), cost


def dots(peers: Path, uri: str, folder: Path, max_distance: int) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """cooltools' at each rate, with its own expected values; `score` is less the largest of four q-values."""
    program, expected = str(peers / "bin" / "cooltools"), folder / "expected.tsv"
    measured([program, "expected-cis", uri, "-o", str(expected)], expected)
    for rate in DOTS:
        made = folder / f"dots_{rate}.bedpe"
        cost = measured(
            [
                program, "dots", uri, str(expected), "--fdr", str(rate),
                "--max-loci-separation", str(max_distance), "-o", str(made),
            ],
            made,
        )  # fmt: skip
        calls = pd.read_csv(made, sep="\t")
        yield f"cooltools dots, FDR {rate:g}", calls.assign(score=-calls[_QVALUES].max(axis=1)), cost
