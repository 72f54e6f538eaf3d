"""Small planted maps as real files, and a reporter that keeps what is said."""

import numpy as np
import pandas as pd
import pytest

from chromweave.genome import Assembly
from chromweave.io.pixels import Pixels
from chromweave.progress import Silent, reporting

RESOLUTION = 10_000


class Listener(Silent):
    """Keeps every line it is told."""

    def __init__(self):
        self.lines = []

    def notify(self, message):
        self.lines.append(message)


@pytest.fixture
def heard():
    """What the code under test announces."""
    listener = Listener()
    with reporting(listener):
        yield listener.lines


@pytest.fixture(scope="session")
def toy():
    """Three chromosomes; the last bins are short."""
    return Assembly("toy", {"chr1": 2_003_000, "chr2": 1_500_000, "chrM": 16_569})


def planted(n_bins, seed, depth=60.0):
    """Poisson counts = depth * bias_i * bias_j / (1 + distance), with a few empty and nearly empty bins."""
    rng = np.random.default_rng(seed)
    bias = np.exp(rng.normal(0, 0.35, n_bins))
    if n_bins > 50:
        bias[10:13] = 0
        bias[40] = 0.02
    i, j = np.triu_indices(n_bins)
    count = rng.poisson(depth * bias[i] * bias[j] / (1 + (j - i)) ** 0.8)
    keep = count > 0
    return Pixels(
        i[keep].astype(np.int32), j[keep].astype(np.int32), count[keep].astype(np.int32), n_bins, RESOLUTION
    )


@pytest.fixture(scope="session")
def maps(toy):
    """Pixels of each chromosome of the toy assembly."""
    return {
        chrom: planted(-(-length // RESOLUTION), seed)
        for seed, (chrom, length) in enumerate(toy.chromosomes.items())
    }


def genome_table(maps, trans=()):
    """Pixels of all chromosomes with genome-wide bins, as cooler and hictkpy take them."""
    offset, parts = 0, []
    for pixels in maps.values():
        parts.append((pixels.bin1 + offset, pixels.bin2 + offset, pixels.count))
        offset += pixels.n_bins
    parts.extend(trans)
    bin1, bin2, count = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((bin2, bin1))
    return pd.DataFrame({"bin1_id": bin1[order], "bin2_id": bin2[order], "count": count[order]})


def write_cool(uri, lengths, maps, *, columns=(), trans=(), dtype=None, mode="w"):
    """A .cool (or one resolution of an .mcool) by cooler; `columns` are further columns of the bin table."""
    import cooler
    from cooler.util import binnify

    bins = binnify(pd.Series(lengths), RESOLUTION)
    for name, values in dict(columns).items():
        bins[name] = values
    pixels = genome_table(maps, trans)
    cooler.create_cooler(str(uri), bins, pixels, dtypes={"count": dtype or np.int32}, mode=mode, ordered=True)
    return str(uri)


@pytest.fixture(scope="session")
def trans():
    """Contacts between the first two chromosomes, and within none."""
    rng = np.random.default_rng(9)
    flat = np.unique(rng.integers(0, 201 * 150, 3000))
    return ((flat // 150, 201 + flat % 150, np.full(len(flat), 3)),)


@pytest.fixture(scope="session")
def cool_file(tmp_path_factory, toy, maps, trans):
    """The toy maps as one .cool, with contacts between chromosomes, unbalanced."""
    return write_cool(tmp_path_factory.mktemp("cool") / "toy.cool", dict(toy.chromosomes), maps, trans=trans)
