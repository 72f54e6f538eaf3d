"""Contact maps and tracks in memory, as `io.contacts` and `io.tracks` hand them out, and a small assembly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from chromweave.data import build as building
from chromweave.data.store import RegionStore
from chromweave.errors import ChromosomeError, WeightError
from chromweave.genome import Assembly
from chromweave.io.pixels import Pixels

# The last bins are short, and chrM is there to be left out.
SMALL = Assembly("small", {"chr1": 2_003_210, "chr2": 1_201_070, "chr3": 1_000_000, "chrM": 16_000})


@dataclass(frozen=True)
class FakeWeight:
    name: str
    values: np.ndarray
    origin: str


@dataclass(frozen=True)
class FakeContacts:
    """Dense symmetric matrices by (chromosome, resolution); weights by (name, chromosome, resolution)."""

    maps: Mapping[tuple[str, int], np.ndarray]
    weights: Mapping[tuple[str, str, int], np.ndarray] = field(default_factory=dict)
    assembly: Assembly = SMALL
    path: str = "fake.mcool"

    @property
    def resolutions(self):
        return tuple(sorted({resolution for _, resolution in self.maps}))

    @property
    def chromosomes(self):
        return tuple(self.assembly.chromosomes)

    @property
    def with_contacts(self):
        return tuple(
            c for c in self.chromosomes if any(c == key[0] and m.any() for key, m in self.maps.items())
        )

    def weight_names(self, resolution):
        return tuple(dict.fromkeys(name for name, _, r in self.weights if r == resolution))

    def counts(self, chrom, resolution, max_distance=None):
        matrix = self.maps[chrom, resolution]
        bin1, bin2 = np.nonzero(np.triu(matrix))
        return Pixels(
            bin1.astype(np.int32), bin2.astype(np.int32), matrix[bin1, bin2], len(matrix), resolution
        )

    def weight(self, chrom, resolution, name, weight_type="auto", pixels=None):
        if (name, chrom, resolution) not in self.weights:
            raise WeightError(
                f"{self.path}: has no weights {name!r}; it has {self.weight_names(resolution)}."
            )
        return FakeWeight(name, self.weights[name, chrom, resolution], "multiplicative")


@dataclass(frozen=True)
class FakeSignal:
    mean: np.ndarray
    coverage: np.ndarray


@dataclass(frozen=True)
class FakeTrack:
    """Mean per 100 bp by chromosome; NaN is not covered, everything else wholly."""

    name: str
    values: Mapping[str, np.ndarray]
    path: str = "fake.bw"

    @property
    def chromosomes(self):
        return tuple(self.values)

    def bins(self, chrom, width=100):
        if chrom not in self.values:
            raise ChromosomeError(f"{self.path}: has no {chrom}.")
        mean = self.values[chrom].astype(np.float32)
        return FakeSignal(mean, np.isfinite(mean).astype(np.float32))


def random_map(n_bins, rng, depth=40.0, reach=0.7, freak=70_000):
    """A symmetric map whose contacts fall with distance, with a freak pixel far off and an empty bin."""
    distance = np.abs(np.subtract.outer(np.arange(n_bins), np.arange(n_bins)))
    counts = np.triu(rng.poisson(depth * (1.0 + distance) ** -reach))
    counts[0, n_bins // 3] = freak
    counts[n_bins // 2] = counts[:, n_bins // 2] = 0
    return counts + np.triu(counts, 1).T


def random_contacts(
    seed=0, resolutions=(10_000,), chroms=("chr1", "chr2"), assembly=SMALL, names=("weight",), freak=70_000
):
    """A fake map with weights that mask the empty bin and a few others."""
    rng = np.random.default_rng(seed)
    maps, weights = {}, {}
    for resolution in resolutions:
        for chrom in chroms:
            n_bins = -(-assembly.length(chrom) // resolution)
            maps[chrom, resolution] = random_map(n_bins, rng, freak=freak)
            for name in names:
                vector = rng.uniform(0.01, 0.03, n_bins)
                vector[[n_bins // 2, n_bins // 5, n_bins - 1]] = np.nan
                weights[name, chrom, resolution] = vector
    return FakeContacts(maps, weights, assembly)


def random_track(name="ATAC", seed=0, chroms=("chr1", "chr2"), assembly=SMALL, largest=50.0):
    """A fake track, one bin in five without data."""
    rng = np.random.default_rng([seed, len(name)])
    values = {}
    for chrom in chroms:
        signal = rng.uniform(0, largest, -(-assembly.length(chrom) // 100)).astype(np.float32)
        values[chrom] = np.where(rng.random(len(signal)) < 0.2, np.nan, signal)
    return FakeTrack(name, values)


def build_fake(
    monkeypatch, out, contacts=None, tracks=(), resolutions=None, assembly=SMALL, **options
) -> RegionStore:
    """`data.build.build` reading from fakes."""
    install(monkeypatch.setattr, contacts, tracks)
    if resolutions is None:
        resolutions = contacts.resolutions if contacts is not None else ()
    return building.build(
        out,
        contacts=None if contacts is None else contacts.path,
        tracks={track.name: track.path for track in tracks},
        resolutions=resolutions,
        assembly=assembly,
        **options,
    )


def install(setattr_, contacts=None, tracks=()):
    """Make `data.build` read fakes whatever path it is given."""
    by_name = {track.name: track for track in tracks}
    setattr_(building, "_open_contacts", lambda path, assembly: contacts)
    setattr_(building, "_open_tracks", lambda paths, assembly: [by_name[name] for name in paths])
