"""Reading contacts and tracks into the arrays of a store, one chromosome at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ChromosomeError, ConfigError, ResolutionError, WeightError
from ..genome import Assembly, summarise
from ..progress import notify, track
from .draft import Draft
from .layers import TRACK_WIDTH
from .layouts import Layout, pack_band, pack_every_distance, parts

if TYPE_CHECKING:
    from ..io.pixels import Pixels
    from ..io.tracks import BinnedSignal, TrackSource
    from ..io.weights import Weight, WeightType

__all__ = ["BAND_UP_TO", "MAX_DISTANCE", "ContactOptions", "Counts", "write_contacts", "write_tracks"]

BAND_UP_TO = 10_000
"""Layers of this bin size (bp) and finer are bands; coarser ones hold every distance."""
MAX_DISTANCE = 2_250_000
"""Width of the bands in bp: loops of 2 Mb and the 250 kb window around them."""

_PREFERRED = ("weight", "KR", "SCALE", "ICE", "VC_SQRT", "VC")


@dataclass(frozen=True)
class ContactOptions:
    """How contacts are to be stored; the parameters of :func:`build` that concern them."""

    resolutions: tuple[int, ...]
    max_distance: int = MAX_DISTANCE
    weights: tuple[str, ...] | None = None
    weight_type: WeightType = "auto"


class Counts(Protocol):
    """Where contacts come from: an open map (:class:`io.contacts.ContactSource`), or what is like one."""

    @property
    def path(self) -> str:
        """For messages."""
        ...

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Bin sizes, bp."""
        ...

    def counts(self, chrom: str, resolution: int) -> Pixels:
        """Raw contacts within a chromosome."""
        ...

    def weight_names(self, resolution: int) -> tuple[str, ...]:
        """Balancing vectors it has."""
        ...

    def weight(
        self,
        chrom: str,
        resolution: int,
        name: str,
        weight_type: WeightType = "auto",
        pixels: Pixels | None = None,
    ) -> Weight:
        """One of them."""
        ...


# -- contacts -------------------------------------------------------------------------------------------


def write_contacts(
    draft: Draft, source: Counts, chroms: Sequence[str], options: ContactOptions
) -> dict[str, Any]:
    """Write every layer asked for, and return what the manifest says of them."""
    missing = [r for r in options.resolutions if r not in source.resolutions]
    if missing:
        raise ResolutionError(
            f"{source.path}: has no resolution of {missing[0]:,} bp; it has "
            f"{summarise([f'{r:,}' for r in source.resolutions], 20)}."
        )
    return {str(r): _write_layer(draft, source, r, chroms, options) for r in options.resolutions}


def _write_layer(
    draft: Draft, source: Counts, resolution: int, chroms: Sequence[str], options: ContactOptions
) -> dict[str, Any]:
    names = _weight_names(source, resolution, chroms, options)
    computed = {} if names else _balance(source, resolution, chroms)
    band = options.max_distance // resolution if resolution <= BAND_UP_TO else None
    if band == 0:
        raise ConfigError(
            f"max_distance ({options.max_distance:,} bp) is less than one bin of {resolution:,} bp."
        )
    entries = {}
    for chrom in track(chroms, f"contacts at {resolution:,} bp", unit="chromosome"):
        pixels = source.counts(chrom, resolution)
        weights = [computed[chrom]] if computed else []
        weights += [
            source.weight(chrom, resolution, name, options.weight_type, pixels=pixels)
            for name in names.get(chrom, ())
        ]
        entries[chrom] = _write_chrom(draft, f"contacts/{resolution}/{chrom}", pixels, weights, band)
    common = [name for name in next(iter(entries.values()))["weights"] if _everywhere(name, entries)]
    entry: dict[str, Any] = {"layout": "every distance" if band is None else "band"}
    if band is not None:
        entry["max_distance"] = band * resolution
    return {**entry, "default_weight": common[0], "chromosomes": entries}


def _everywhere(name: str, entries: Mapping[str, Any]) -> bool:
    return all(name in entry["weights"] for entry in entries.values())


def _weight_names(
    source: Counts, resolution: int, chroms: Sequence[str], options: ContactOptions
) -> dict[str, tuple[str, ...]]:
    """Vectors to store for each chromosome, preferred ones first; nothing where ICE is to be computed."""
    if options.weights is not None and not options.weights:
        return {}
    asked = options.weights or source.weight_names(resolution)
    names = sorted(
        dict.fromkeys(asked), key=lambda n: _PREFERRED.index(n) if n in _PREFERRED else len(_PREFERRED)
    )
    if options.weights is not None:
        for name in names:  # the reader's error, before anything is written
            for chrom in chroms:
                source.weight(chrom, resolution, name, "multiplicative")
        return dict.fromkeys(chroms, tuple(names))
    present = {
        chrom: tuple(name for name in names if _has_weight(source, chrom, resolution, name))
        for chrom in chroms
    }
    for name in names:
        lacking = [chrom for chrom in chroms if name not in present[chrom]]
        if lacking:
            notify(
                f"weights {name!r} at {resolution:,} bp: left out for {summarise(lacking)}, not in the file"
            )
    if not any(all(name in present[chrom] for chrom in chroms) for name in names):
        notify(f"no balancing vector at {resolution:,} bp for every chromosome: computing ICE")
        return {}
    return present


def _has_weight(source: Counts, chrom: str, resolution: int, name: str) -> bool:
    try:  # with the direction given, only a missing vector is an error
        source.weight(chrom, resolution, name, "multiplicative")
    except WeightError:
        return False
    return True


class _Contacts(Mapping[str, "Pixels"]):
    """The chromosomes' contacts, each read when it is asked for."""

    def __init__(self, source: Counts, resolution: int, chroms: Sequence[str]) -> None:
        self._source, self._resolution, self._chroms = source, resolution, chroms

    def __getitem__(self, chrom: str) -> Pixels:
        return self._source.counts(chrom, self._resolution)

    def __iter__(self) -> Iterator[str]:
        return iter(self._chroms)

    def __len__(self) -> int:
        return len(self._chroms)


# A band, such as a store's that is thinned, needs several times the rounds of a whole map.
_ROUNDS = 2000


def _balance(source: Counts, resolution: int, chroms: Sequence[str]) -> dict[str, Weight]:
    """ICE over all contacts of the chromosomes, whatever band is stored afterwards."""
    from ..io.balancing import ice_cis

    return ice_cis(_Contacts(source, resolution, chroms), max_iters=_ROUNDS)


def _write_chrom(
    draft: Draft, folder: str, pixels: Pixels, weights: Sequence[Weight], band: int | None
) -> dict[str, Any]:
    layout: Layout = (
        pack_every_distance(pixels) if band is None else pack_band(pixels, min(band, pixels.n_bins))
    )
    for part in parts(layout.name):
        draft.save(f"{folder}/{part}", getattr(layout, part))
    for weight in weights:
        draft.save(f"{folder}/weight.{weight.name}", weight.values.astype(np.float64))
    return {
        "layout": layout.name,
        "n_bins": pixels.n_bins,
        **_tally(pixels, layout.n_diagonals),
        "weights": {
            weight.name: {
                "origin": weight.origin,
                "scale": _scale(pixels, weight.values),
                "valid_bins": int(np.isfinite(weight.values).sum()),
            }
            for weight in weights
        },
    }


def _tally(pixels: Pixels, n_diagonals: int | None) -> dict[str, Any]:
    """Pixels and contacts stored, and those beyond the band."""
    if n_diagonals is None:
        return {"pixels": len(pixels), "contacts": _number(pixels.count.sum())}
    inside = pixels.bin2 - pixels.bin1 < n_diagonals
    return {
        "n_diagonals": n_diagonals,
        "pixels": int(inside.sum()),
        "contacts": _number(pixels.count.sum(where=inside)),
        "pixels_beyond_band": int((~inside).sum()),
        "contacts_beyond_band": _number(pixels.count.sum(where=~inside)),
    }


def _number(value: Any) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _scale(pixels: Pixels, weight: np.ndarray) -> float | None:
    """Raw contacts over balanced ones, over pixels whose bins are both valid; None where there are none."""
    filled = np.nan_to_num(weight)
    valid = np.isfinite(weight)
    raw = balanced = 0.0
    for piece in np.array_split(np.arange(len(pixels)), len(pixels) // 1_000_000 + 1):
        part = slice(piece[0], piece[-1] + 1)
        bin1, bin2, count = pixels.bin1[part], pixels.bin2[part], pixels.count[part]
        raw += float(count.sum(where=valid[bin1] & valid[bin2], dtype=np.float64))
        balanced += float((count * filled[bin1] * filled[bin2]).sum())
    return raw / balanced if balanced > 0 else None


# -- tracks ---------------------------------------------------------------------------------------------


def write_tracks(
    draft: Draft, sources: Sequence[TrackSource], chroms: Sequence[str], assembly: Assembly
) -> dict[str, Any]:
    """Write every track, and return what the manifest says of them."""
    entries = {}
    for source in sources:
        absent = [chrom for chrom in chroms if chrom not in source.chromosomes]
        if len(absent) == len(chroms):
            raise ChromosomeError(
                f"{source.path}: has no data on {summarise(chroms)}; it has {summarise(source.chromosomes)}."
            )
        if absent:
            notify(f"{source.name}: no data on {summarise(absent)}")
        dtypes = {}
        for chrom in track(chroms, f"track {source.name}", unit="chromosome"):
            length = assembly.length(chrom)
            if chrom in absent:
                n_bins = -(-length // TRACK_WIDTH)
                mean, coverage = np.full(n_bins, np.nan, np.float16), np.zeros(n_bins, np.uint8)
            else:
                signal = source.bins(chrom, TRACK_WIDTH)
                mean, coverage = _narrow(signal.mean), _covered_bases(signal, length)
            draft.save(f"tracks/{source.name}/{chrom}.mean", mean)
            draft.save(f"tracks/{source.name}/{chrom}.coverage", coverage)
            dtypes[chrom] = mean.dtype.name
        entries[source.name] = {"width": TRACK_WIDTH, "without_data": absent, "dtypes": dtypes}
    return entries


def _covered_bases(signal: BinnedSignal, length: int) -> np.ndarray:
    size = np.full(len(signal.coverage), TRACK_WIDTH)
    size[-1] = length - (len(size) - 1) * TRACK_WIDTH
    return np.rint(signal.coverage * size).astype(np.uint8)


def _narrow(mean: np.ndarray) -> np.ndarray:
    """`mean` as float16 if no value changes by more than a thousandth, seen at the scale of the track."""
    finite = mean[np.isfinite(mean)]
    if len(finite) == 0:
        return mean.astype(np.float16)
    size = np.abs(finite)
    if size.max() > np.finfo(np.float16).max:
        return mean.astype(np.float32)
    change = np.abs(finite.astype(np.float16).astype(np.float32) - finite)
    tolerated = 1e-3 * np.maximum(size, 1e-3 * size.mean())
    return mean.astype(np.float16 if (change <= tolerated).all() else np.float32)
