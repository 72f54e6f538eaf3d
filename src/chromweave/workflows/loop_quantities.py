"""Given loops measured in other maps: contacts, what is expected, and how far each stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.enrichment import EnrichmentConfig, peak_enrichment
from ..data.layers import ContactLayer
from ..data.store import RegionStore
from ..errors import AssemblyError, ConfigError, ResolutionError
from ..evaluation.loop_lists import bin_size
from ..evaluation.patches import patches
from ..files import write_json
from ..progress import notify, track
from ..provenance import describe_inputs, describe_process
from .loop_band import NEAREST, read_band
from .pair_lists import PairList, write_pairs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoopQuantities", "quantify_loops"]

QUANTITIES = ("observed", "expected", "oe", "enrichment", "background")

BETWEEN = "between two chromosomes"
ELSEWHERE = "chromosome not in the store's map"
BEYOND = "anchor beyond the chromosome"
TOO_FAR = "farther apart than the stored contacts"
TOO_NEAR = "anchors closer than two bins"
MASKED = "anchor masked in the map"
NOTHING = "nothing expected at this distance"

_REACH = 2_000_000  # bp; how far an expectation goes at least, so that it hangs on no other loop of the list


@dataclass(frozen=True)
class LoopQuantities:
    """What :func:`quantify_loops` found.

    Attributes
    ----------
    resolution
        Bin size, bp.
    table
        The list's lines in their order, as text, and for each store's name N the columns observed_N (raw
        contacts of the centre pixel), expected_N (contacts expected by distance and visibility), oe_N (their
        ratio), enrichment_N and background_N (score of the peak, and contacts that its surroundings tell:
        :func:`~chromweave.analysis.enrichment.peak_enrichment`), float64, NaN where a loop cannot be scored;
        and reason_N, which says why ("" where it can).
    scored
        How many could be scored, by store.
    reasons
        How many could not, by store and reason.
    """

    resolution: int
    table: pd.DataFrame
    scored: dict[str, int]
    reasons: dict[str, dict[str, int]]

    def summary(self, name: str) -> dict[str, float | int | dict[str, int] | None]:
        """Of one store: loops scored and not, all their contacts over those expected, median enrichment."""
        known = self.table[self.table[f"reason_{name}"] == ""]
        total = known[f"expected_{name}"].sum()
        return {
            "scored": self.scored[name],
            "not_scored": self.reasons[name] or None,
            "oe": float(known[f"observed_{name}"].sum() / total) if total else None,
            "median_enrichment": float(known[f"enrichment_{name}"].median()) if len(known) else None,
        }


def quantify_loops(
    loops: str | Path,
    *,
    stores: Sequence[str | Path | RegionStore],
    resolution: int | None = None,
    out: str | Path | None = None,
) -> LoopQuantities:
    """Measure each loop of a list in the maps of one or several stores.

    Expected is E_d / (w_i w_j), with E_d the mean balanced value at distance d over positions of valid bins,
    from two bins on, made non-increasing by isotonic regression.

    Parameters
    ----------
    loops
        BEDPE, or Juicebox' and HiCCUPS' lists, plain or gzipped. The bin of an anchor is that of its
        midpoint.
    stores
        Of one assembly, with contacts.
    resolution
        Bin size, bp. If not given, that of the list's own bins where all stores have it, else the finest that
        all have.
    out
        BEDPE file for the table, with a header; settings and provenance go beside it as ``OUT.json``.

    Raises
    ------
    ConfigError
        No store, or two of one name.
    AssemblyError
        Stores of two assemblies.
    ResolutionError
        A store has no layer of this resolution, or the stores have none in common.
    SchemaError
        A line has too few columns, or no coordinates.
    FileFormatError
        `loops` cannot be read.
    """
    opened = [one if isinstance(one, RegionStore) else RegionStore.open(one) for one in stores]
    names = _names(opened)
    pairs = PairList.read(loops, opened[0].assembly)
    if resolution is None:
        resolution = _shared_resolution(pairs, opened)
    weights = {name: store.default_weight(resolution) for name, store in zip(names, opened, strict=True)}
    measured = {
        name: _measured(pairs, store, resolution, name) for name, store in zip(names, opened, strict=True)
    }
    table = _table(pairs, measured)
    done = LoopQuantities(
        resolution,
        table,
        {name: int((one.reason == "").sum()) for name, one in measured.items()},
        {name: one.reasons() for name, one in measured.items()},
    )
    if out is not None:
        _write(out, done, weights, [loops, *(store.path for store in opened)])
    return done


def _names(stores: Sequence[RegionStore]) -> list[str]:
    """What columns are called after: the stores' names or, where two share one, their folders."""
    if not stores:
        raise ConfigError("loops are measured in the map of a store: give one (--store), or several.")
    for other in stores[1:]:
        if other.assembly.name != stores[0].assembly.name:
            raise AssemblyError(
                f"{other.path}: is of {other.assembly.name}, and {stores[0].path} of "
                f"{stores[0].assembly.name}; loops have places in one assembly only."
            )
    names = [store.name for store in stores]
    if len(set(names)) < len(names):
        names = [store.path.name.removesuffix(".store") for store in stores]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"two of the stores are called {max(names, key=names.count)}, and so would their columns be; "
            "rename a store's folder, or measure in one after the other."
        )
    return names


def _shared_resolution(pairs: PairList, stores: Sequence[RegionStore]) -> int:
    shared = set(stores[0].resolutions).intersection(*(store.resolutions for store in stores[1:]))
    if not shared:
        each = "; ".join(
            f"{s.path}: {', '.join(f'{r:,}' for r in s.resolutions) or 'no contacts'}" for s in stores
        )
        raise ResolutionError(f"the stores have no layer of contacts in common ({each}); build one for all.")
    own = bin_size(pairs.known(stores[0].assembly), stores[0].assembly)
    chosen = own if own in shared else min(shared)
    assert chosen is not None
    notify(f"{pairs.rows.source}: measured in bins of {chosen:,} bp.")
    return chosen


@dataclass(frozen=True)
class _Measured:
    """What a store says of each pair.

    Parameters
    ----------
    values
        By name of the quantity, float64 (n,); NaN where there is a reason.
    reason
        Why a pair cannot be scored, object (n,); "" where it can.
    """

    values: dict[str, np.ndarray]
    reason: np.ndarray

    def reasons(self) -> dict[str, int]:
        """How many pairs could not be scored, by reason."""
        names, counts = np.unique(self.reason[self.reason != ""].astype(str), return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _measured(pairs: PairList, store: RegionStore, resolution: int, name: str) -> _Measured:
    stored = list(store.manifest["contacts"][str(resolution)]["chromosomes"])
    found = _Measured(
        {quantity: np.full(len(pairs), np.nan) for quantity in QUANTITIES}, np.full(len(pairs), "", object)
    )
    found.reason[~np.isin(pairs.chrom1.astype(str), stored)] = ELSEWHERE
    found.reason[pairs.chrom1 != pairs.chrom2] = BETWEEN
    chroms = [c for c in stored if ((pairs.chrom1 == c) & (found.reason == "")).any()]
    for chrom in track(chroms, f"measuring in {name}", unit="chromosomes"):
        rows = np.flatnonzero((pairs.chrom1 == chrom) & (found.reason == ""))
        layer, weight = store.layer(chrom, resolution), store.default_weight(resolution)
        length = store.assembly.length(chrom)
        middles = pairs.middles(rows, length)
        found.reason[rows] = _reasons(middles, layer, layer.valid(weight), length)
        fine = found.reason[rows] == ""
        good, (x, y) = rows[fine], middles[:, fine] // resolution
        if len(good):
            for quantity, values in _quantities(layer, weight, x, y).items():
                found.values[quantity][good] = values
            found.reason[good[np.isnan(found.values["expected"][good])]] = NOTHING
    return found


def _reasons(middles: np.ndarray, layer: ContactLayer, valid: np.ndarray, length: int) -> np.ndarray:
    """Why the pairs of one chromosome cannot be scored; of several reasons the first stands."""
    x, y = np.minimum(middles, length - 1) // layer.resolution
    rules = (
        (BEYOND, middles[1] >= length),
        (TOO_FAR, y - x >= (layer.n_diagonals or layer.n_bins)),
        (MASKED, ~(valid[x] & valid[y])),
        (TOO_NEAR, y - x < NEAREST),
    )
    found = np.full(len(x), "", object)
    for name, holds in reversed(rules):
        found[holds] = name
    return found


def _quantities(layer: ContactLayer, weight: str, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """All quantities of pixels of one chromosome; NaN where nothing is expected."""
    config = EnrichmentConfig.of_resolution(layer.resolution)
    vector, valid = layer.weight(weight), layer.valid(weight)
    band = read_band(layer, weight, max(int((y - x).max()), _REACH // layer.resolution), config)
    observed = patches(band.pixels, x, y, 0)[:, 0, 0]
    expected = band.expected[y - x] / (vector[x] * vector[y])
    expected[~(expected > 0)] = np.nan
    peak = peak_enrichment(band.pixels, x, y, band.expected, weight=vector, valid=valid, config=config)
    known = np.where(np.isnan(expected), np.nan, observed)
    quantities = (known, expected, known / expected, peak.score, peak.background)
    return dict(zip(QUANTITIES, quantities, strict=True))


def _table(pairs: PairList, measured: dict[str, _Measured]) -> pd.DataFrame:
    """The file's columns, but for what was measured earlier under the same names, and ours."""
    ours: dict[str, np.ndarray] = {}
    for name, one in measured.items():
        ours |= {f"{quantity}_{name}": values for quantity, values in one.values.items()}
        ours[f"reason_{name}"] = one.reason
    return pairs.table(without=ours.keys()).assign(**ours)


def _write(
    out: str | Path, done: LoopQuantities, weights: Mapping[str, str], inputs: Sequence[str | Path]
) -> None:
    write_pairs(out, done.table)
    record = {
        "kind": "measured loops",
        **describe_process(),
        "resolution": done.resolution,
        "weights": weights,
        "loops": len(done.table),
        "scored": done.scored,
        "not_scored": done.reasons,
        "inputs": describe_inputs(inputs),
    }
    write_json(f"{out}.json", record)
    notify(f"{len(done.table):,} loops: {out}")
