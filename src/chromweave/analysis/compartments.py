"""A/B compartments: eigenvectors of observed over expected, by cooltools, with a sign that a track decides.

Lieberman-Aiden et al. (2009); the computation on each region is cooltools' own ``cis_eig``, with the settings
of its ``eigs_cis`` (Open2C et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ConfigError, DataError
from ..genome import Assembly, Interval
from ..progress import notify, track
from ..schemas import COMPARTMENTS
from .confidence import decomposed_matrix, sign_confidence
from .reference import cooltools_module

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompartmentSource", "Eigenvectors", "compartments", "eigenvectors", "region_bins"]

_IGNORED_DIAGONALS = 2
_CLIP_PERCENTILE = 99.9
_FEWEST_BINS = 8  # cooltools needs six; fewer than eight say nothing about a sign
_WEAK = 0.1  # rank correlation with the track below which a sign is hardly more than a guess


class CompartmentSource(Protocol):
    """What is asked of a store."""

    @property
    def name(self) -> str:
        """What the store is called."""
        ...

    @property
    def assembly(self) -> Assembly:
        """Its assembly."""
        ...

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """Chromosomes of the store."""
        ...

    @property
    def track_names(self) -> tuple[str, ...]:
        """Tracks of the store."""
        ...

    def default_weight(self, resolution: int) -> str:
        """Balancing vector in use."""
        ...

    def layer(self, chrom: str, resolution: int) -> Any:
        """Contacts of a chromosome."""
        ...

    def track(self, name: str, chrom: str) -> Any:
        """Signal of a chromosome."""
        ...


@dataclass(frozen=True)
class Eigenvectors:
    """Leading eigenvectors of one region.

    Attributes
    ----------
    values
        float64 (n_eigs,), in order of magnitude.
    vectors
        float64 (n_eigs, bins), each scaled by the root of its eigenvalue; NaN where masked.
    confidence
        float64 (bins,): probability of the first one's sign, 0.5 to 1
        (:func:`chromweave.analysis.confidence.sign_confidence`); NaN where masked.
    """

    values: np.ndarray
    vectors: np.ndarray
    confidence: np.ndarray


def eigenvectors(balanced: np.ndarray, n_eigs: int = 3) -> Eigenvectors:
    """Leading eigenvectors of observed over expected less one, without a decided sign.

    Parameters
    ----------
    balanced
        float (bins, bins), symmetric; NaN rows and columns where masked.
    n_eigs
        How many.

    Raises
    ------
    DataError
        Too few bins have contacts.
    """
    valid = int((np.nansum(balanced, axis=0) > 0).sum())
    fewest = max(_FEWEST_BINS, n_eigs + 2)
    if valid < fewest:
        raise DataError(
            f"{valid} bins with contacts are too few for {n_eigs} eigenvectors; {fewest} are needed."
        )
    values, vectors = cooltools_module("api.eigdecomp").cis_eig(
        balanced, n_eigs=n_eigs, ignore_diags=_IGNORED_DIAGONALS, clip_percentile=_CLIP_PERCENTILE
    )
    found = np.asarray(vectors)
    known = np.isfinite(found[0])
    confidence = np.full(len(known), np.nan)
    matrix = decomposed_matrix(balanced, _IGNORED_DIAGONALS, _CLIP_PERCENTILE)
    confidence[known] = sign_confidence(matrix, found[0][known])
    return Eigenvectors(np.asarray(values), found, confidence)


def compartments(
    store: CompartmentSource,
    *,
    resolution: int,
    phase_by: str | Mapping[str, np.ndarray],
    chroms: Sequence[str] | None = None,
    regions: Sequence[Interval] | None = None,
    weight: str | None = None,
    n_eigs: int = 3,
) -> pd.DataFrame:
    """Call A and B for every bin: E1 > 0 is A once E1 correlates positively with the phasing track.

    Parameters
    ----------
    store
        Region store whose layer at `resolution` holds every distance.
    resolution
        Bin size in bp.
    phase_by
        A track of the store that is high in A (CTCF, H3K27ac, gene density), or chromosome -> values per bin.
    chroms
        Chromosomes; all by default.
    regions
        Stretches to decompose apart from one another (chromosome arms); whole chromosomes by default. Bins in
        none of them are N, and so are those of a region with too few bins, of which one is told.
    weight
        Balancing vector; the store's default without it.
    n_eigs
        Eigenvectors to keep, as columns E1, E2, ...

    Returns
    -------
    pandas.DataFrame
        :data:`chromweave.schemas.COMPARTMENTS` with `confidence`, E2, ... and `eigenvalue1` (of the bin's
        region).

    Raises
    ------
    ConfigError
        The layer is a band that does not hold every distance, the track is not in the store, or no
        eigenvector is asked for.
    DataError
        No region has enough bins, regions overlap, or the track cannot decide a sign.
    """
    import pandas as pd

    names = [store.assembly.require(chrom) for chrom in (chroms or store.chromosomes)]
    if n_eigs < 1:
        raise ConfigError(f"{n_eigs} eigenvectors leave nothing to call compartments by; give 1 or more.")
    if isinstance(phase_by, str) and phase_by not in store.track_names:
        raise ConfigError(
            f"{store.name}: has no track {phase_by!r} to phase by; "
            f"it has {', '.join(store.track_names) or 'none'}."
        )
    tables = [
        _chromosome(store, chrom, resolution, phase_by, regions, weight, n_eigs)
        for chrom in track(names, "compartments", unit="chromosome")
    ]
    table = pd.concat(tables, ignore_index=True)
    if table["E1"].isna().all():
        raise DataError(
            f"{store.name}: no bin of {', '.join(names)} has compartments at {resolution:,} bp: too few bins "
            "have contacts and a balancing weight there. Choose other chromosomes or another resolution."
        )
    return COMPARTMENTS.check(COMPARTMENTS.order(table), f"compartments of {store.name}")


def _chromosome(
    store: CompartmentSource,
    chrom: str,
    resolution: int,
    phase_by: str | Mapping[str, np.ndarray],
    regions: Sequence[Interval] | None,
    weight: str | None,
    n_eigs: int,
) -> pd.DataFrame:
    layer = store.layer(chrom, resolution)
    if layer.n_diagonals is not None and layer.n_diagonals < layer.n_bins:
        raise ConfigError(
            f"{store.name}: its {resolution:,} bp layer holds contacts up to "
            f"{layer.n_diagonals * resolution:,} bp only; compartments need every distance. "
            "Build the store with a coarser resolution (25 kb or more) too."
        )
    phase = _phase(store, chrom, resolution, phase_by, layer.n_bins)
    by = phase_by if isinstance(phase_by, str) else "the values given"
    found = np.full((n_eigs, layer.n_bins), np.nan)
    confidence, eigenvalue = (np.full(layer.n_bins, np.nan) for _ in range(2))
    for name, bins in region_bins(chrom, layer.n_bins, resolution, regions):
        balanced = layer.dense(bins.start, bins.stop, weight=weight or store.default_weight(resolution))
        try:
            piece = eigenvectors(balanced, n_eigs)
        except DataError as error:
            notify(f"{store.name}: {name}: {error} Its bins are N.")
            continue
        agreement = [_correlation(vector, phase[bins]) for vector in piece.vectors]
        _require_sign(agreement[0], f"{store.name}: {name}: {by}")
        found[:, bins] = piece.vectors * np.array([np.sign(one) or 1 for one in agreement])[:, None]
        confidence[bins], eigenvalue[bins] = piece.confidence, piece.values[0]
    return _table(store.assembly, chrom, resolution, found, confidence, eigenvalue)


def _require_sign(agreement: float, what: str) -> None:
    """Refuse a track that says nothing about the sign, and tell of one that says little."""
    if agreement == 0:
        raise DataError(
            f"{what} cannot decide which sign of the first eigenvector is A "
            "(no correlation, or no data where the map has some); phase by another track."
        )
    if abs(agreement) < _WEAK:
        notify(
            f"{what} correlates with E1 at {abs(agreement):.2f} only: which side is A is hardly more than a "
            "guess here, or E1 is not compartments (look at E2)."
        )


def _phase(
    store: CompartmentSource,
    chrom: str,
    resolution: int,
    phase_by: str | Mapping[str, np.ndarray],
    n_bins: int,
) -> np.ndarray:
    if isinstance(phase_by, str):
        signal = store.track(phase_by, chrom).binned(resolution)
        mean = np.asarray(signal.mean, dtype=np.float64)
        # A peak track has no value between its peaks: there it is low, not unknown.
        return np.where(np.isfinite(mean), mean, 0.0) * np.asarray(signal.coverage, dtype=np.float64)
    values = np.asarray(phase_by.get(chrom, np.empty(0)), dtype=np.float64)
    if values.shape != (n_bins,):
        raise DataError(
            f"{store.name}: {chrom} has {n_bins:,} bins of {resolution:,} bp; "
            f"{len(values):,} phasing values were given for it."
        )
    return values


def region_bins(
    chrom: str, n_bins: int, resolution: int, regions: Sequence[Interval] | None
) -> Iterator[tuple[str, slice]]:
    """Name and bins of each region of a chromosome; the whole of it where no regions are given.

    A bin belongs to the region its start lies in, so that arms that meet share none.

    Raises
    ------
    DataError
        Two regions share a bin.
    """
    if regions is None:
        yield chrom, slice(0, n_bins)
        return
    end, before = 0, ""
    for region in sorted(one for one in regions if one.chrom == chrom):
        bins = slice(-(-region.start // resolution), min(-(-region.end // resolution), n_bins))
        if bins.start < end:
            raise DataError(f"regions {before} and {region} overlap; a bin can be in one of them only.")
        if bins.start < bins.stop:
            end, before = bins.stop, str(region)
            yield str(region), bins


def _correlation(vector: np.ndarray, phase: np.ndarray) -> float:
    """Rank correlation with the track, by whose sign cooltools phases; 0 where there is none."""
    from scipy.stats import rankdata

    both = np.isfinite(vector) & np.isfinite(phase)
    if both.sum() < _FEWEST_BINS:
        return 0.0
    ranks = rankdata(vector[both]), rankdata(phase[both])
    spread = [np.ptp(rank) for rank in ranks]
    if min(spread) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _table(
    assembly: Assembly,
    chrom: str,
    resolution: int,
    vectors: np.ndarray,
    confidence: np.ndarray,
    eigenvalue: np.ndarray,
) -> pd.DataFrame:
    import pandas as pd

    start = np.arange(vectors.shape[1], dtype=np.int64) * resolution
    first = vectors[0]
    return pd.DataFrame(
        {
            "chrom": chrom,
            "start": start,
            "end": np.minimum(start + resolution, assembly.length(chrom)),
            **{f"E{index + 1}": vector for index, vector in enumerate(vectors)},
            "compartment": np.where(np.isnan(first), "N", np.where(first > 0, "A", "B")).astype(object),
            "confidence": confidence,
            "eigenvalue1": eigenvalue,
        }
    )
