"""A region store in memory: what the graph system asks of a store, no more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from chromweave.genome import Assembly


@dataclass(frozen=True)
class FakeLayer:
    """Contacts of one chromosome: a dense symmetric matrix of counts and a multiplicative weight."""

    counts: np.ndarray
    weights: np.ndarray
    resolution: int

    @property
    def n_bins(self):
        return len(self.counts)

    n_diagonals = None

    def pixels(self, max_distance=None):
        bin1, bin2 = np.nonzero(np.triu(self.counts))
        if max_distance is not None:
            near = (bin2 - bin1) * self.resolution < max_distance
            bin1, bin2 = bin1[near], bin2[near]
        return SimpleNamespace(
            bin1=bin1.astype(np.int32),
            bin2=bin2.astype(np.int32),
            count=self.counts[bin1, bin2],
            n_bins=self.n_bins,
            resolution=self.resolution,
        )

    def weight(self, name=None):
        return self.weights

    def valid(self, name=None):
        return np.isfinite(self.weights)

    def dense(self, start_bin=0, end_bin=None, weight=None, scaled=False):
        piece = slice(start_bin, end_bin)
        matrix = self.counts[piece, piece].astype(float)
        if weight is not None:
            w = self.weights[piece]
            matrix = matrix * w[:, None] * w[None, :]
        return matrix


@dataclass(frozen=True)
class FakeTrack:
    mean: np.ndarray
    coverage: np.ndarray

    def binned(self, resolution):
        return self


@dataclass(frozen=True)
class FakeStore:
    """A store of one resolution; `tracks` is {name: {chrom: values}} (NaN = not covered)."""

    name: str
    assembly: Assembly
    resolution: int
    layers: dict[str, FakeLayer]
    tracks: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    path: Path = Path("fake.store")

    @property
    def chromosomes(self):
        return tuple(self.layers)

    @property
    def resolutions(self):
        return (self.resolution,)

    @property
    def track_names(self):
        return tuple(self.tracks)

    def weight_names(self, resolution):
        return ("weight",)

    def default_weight(self, resolution):
        return "weight"

    def layer(self, chrom, resolution):
        assert resolution == self.resolution
        return self.layers[chrom]

    def track(self, name, chrom):
        values = np.asarray(self.tracks[name][chrom], dtype=np.float32)
        return FakeTrack(values, np.isfinite(values).astype(np.float32))


def store_of_cool(uri, tracks=None, name="fake"):
    """A fake store of a one-resolution cooler, with its `weight`; `tracks` is {name: bigWig path}."""
    import cooler

    source = cooler.Cooler(str(uri))
    assembly = Assembly("fake", {chrom: int(size) for chrom, size in source.chromsizes.items()})
    resolution = int(source.binsize)
    layers = {}
    for chrom in assembly.chromosomes:
        counts = source.matrix(balance=False).fetch(chrom)
        counts = np.nan_to_num(counts)
        layers[chrom] = FakeLayer(counts, source.bins().fetch(chrom)["weight"].to_numpy(float), resolution)
    signals = {
        track: {chrom: _means(path, chrom, layers[chrom].n_bins, resolution) for chrom in layers}
        for track, path in (tracks or {}).items()
    }
    return FakeStore(name, assembly, resolution, layers, signals)


def _means(path, chrom, n_bins, resolution):
    import pyBigWig

    with pyBigWig.open(str(path)) as file:
        values = file.values(chrom, 0, file.chroms(chrom), numpy=True)
    values = np.concatenate([values, np.full(n_bins * resolution - len(values), np.nan)])
    return np.nan_to_num(values).reshape(n_bins, resolution).mean(axis=1)


def planted_store(name="fake", n_bins=120, chroms=("chr1",), seed=0, resolution=10_000, depth=60.0, flip=()):
    """Two compartments in stripes of ten bins, distance decay, visibility and two masked bins.

    `flip` names bins whose compartment is exchanged, so that two cell lines can differ.
    The track ``signal`` is high in compartment A.
    """
    rng = np.random.default_rng(seed)
    layers, signal = {}, {}
    for chrom in chroms:
        state = np.where((np.arange(n_bins) // 10) % 2 == 0, 1.0, -1.0)
        state[list(flip)] *= -1
        distance = np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins)))
        visibility = rng.uniform(0.7, 1.3, n_bins)
        rate = depth * (1 + distance) ** -1.0 * (1 + 0.6 * np.outer(state, state))
        counts = np.triu(rng.poisson(rate * np.outer(visibility, visibility)))
        counts = counts + np.triu(counts, 1).T
        weights = 1.0 / visibility / np.sqrt(depth)
        masked = [0, n_bins // 2]
        weights[masked] = np.nan
        counts[masked] = 0
        counts[:, masked] = 0
        layers[chrom] = FakeLayer(counts.astype(np.int64), weights, resolution)
        signal[chrom] = 2.0 + state + rng.normal(0, 0.2, n_bins)
    lengths = dict.fromkeys(chroms, n_bins * resolution - 1)
    return FakeStore(name, Assembly("fake", lengths), resolution, layers, {"signal": signal})


@dataclass(frozen=True)
class PlantedFiles:
    """A planted store as files."""

    contacts: Path
    track: Path
    assembly: Assembly


def write_planted(folder: Path, store: FakeStore) -> PlantedFiles:
    """Write a fake store's contacts and its track ``signal`` as `.cool` and `.bw`."""
    import cooler
    import pandas as pd
    import pybigtools

    folder.mkdir(parents=True, exist_ok=True)
    bins, pixels, runs, offset = [], [], [], 0
    for chrom, layer in store.layers.items():
        start = np.arange(layer.n_bins, dtype=np.int64) * store.resolution
        end = np.minimum(start + store.resolution, store.assembly.length(chrom))
        bins.append(pd.DataFrame({"chrom": chrom, "start": start, "end": end, "weight": layer.weights}))
        found = layer.pixels()
        pixels.append(
            pd.DataFrame(
                {
                    "bin1_id": found.bin1.astype(np.int64) + offset,
                    "bin2_id": found.bin2.astype(np.int64) + offset,
                    "count": found.count,
                }
            )
        )
        values = store.tracks["signal"][chrom]
        runs += list(zip([chrom] * len(start), start.tolist(), end.tolist(), values.tolist(), strict=True))
        offset += layer.n_bins
    cool, bigwig = folder / "map.cool", folder / "signal.bw"
    cooler.create_cooler(
        str(cool), pd.concat(bins, ignore_index=True), pd.concat(pixels, ignore_index=True), ordered=True
    )
    pybigtools.open(str(bigwig), "w").write(dict(store.assembly.chromosomes), iter(runs))
    return PlantedFiles(cool, bigwig, store.assembly)
