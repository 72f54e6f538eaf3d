"""A stretch of a predicted map as a picture: below the measured one where there is one, over the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import ConfigError, WeightError
from ..evaluation.metrics import observed_over_expected
from ..files import atomic_path
from ..genome import Interval
from ..io.contacts import ContactSource, open_contacts
from ..io.pixels import Pixels
from ..plot.predicted import prediction_figure
from ..plot.style import image_bytes
from ..progress import notify
from .model_input import StoreLike, open_stores
from .region_signals import region_signals

__all__ = ["picture_of_prediction"]

_WEIGHT = "weight"


def picture_of_prediction(
    out: str | Path,
    *,
    predicted: str | Path,
    store: StoreLike,
    region: str | Interval,
    tracks: Sequence[str] = (),
    kind: Literal["contacts", "oe"] = "contacts",
) -> None:
    """Draw a predicted map, the measured one above it if the store has contacts, and the tracks.

    Parameters
    ----------
    out
        PNG to write.
    predicted
        ``.mcool`` that ``predict contacts`` wrote; its finest resolution is shown, as far from the diagonal
        as it has values.
    store
        Of the cell line.
    region
        What is shown, widened to whole bins.
    tracks
        Which of the store's; all if not given.
    kind
        ``"contacts"``, or ``"oe"``: each map over its own mean at each distance within the region.

    Raises
    ------
    ConfigError
        The region is too short to show anything.
    WeightError
        The map has no balancing weights, which those of ``predict contacts`` have.
    ChromosomeError, DataError, FileFormatError
        The region, a track or the file are not there.
    """
    (opened,) = open_stores(store)
    source = open_contacts(predicted, opened.assembly)
    resolution = min(source.resolutions)
    place = region if isinstance(region, Interval) else Interval.parse(region, opened.assembly)
    first, last = place.start // resolution, -(-place.end // resolution)
    if last - first < 3:
        raise ConfigError(f"{place}: is shorter than three bins of {resolution:,} bp; show a longer stretch.")
    _require_weights(source, resolution)
    pixels = source.counts(place.chrom, resolution)
    farthest = int((pixels.bin2 - pixels.bin1).max(initial=0)) + 1
    weight = source.weight(place.chrom, resolution, _WEIGHT, "multiplicative").values
    maps = [_square(pixels, first, last, farthest, weight)]
    if resolution in opened.resolutions:
        layer = opened.layer(place.chrom, resolution)
        maps.append(layer.dense(first, min(last, layer.n_bins), weight="default", scaled=True))
    if kind == "oe":
        maps = [_over_expected(one) for one in maps]
    length = opened.assembly.length(place.chrom)
    shown = Interval(place.chrom, first * resolution, min(last * resolution, length))
    names = tuple(tracks) or opened.track_names
    figure = prediction_figure(
        maps[1] if len(maps) > 1 else None,
        maps[0],
        shown,
        resolution,
        tracks=region_signals(opened, names, shown),
        kind=kind,
        unit="contacts" if kind == "contacts" else "observed / expected",
        max_distance=farthest * resolution,
    )
    with atomic_path(out) as temporary:
        temporary.write_bytes(image_bytes(figure))
    notify(f"picture: {out}")


def _require_weights(source: ContactSource, resolution: int) -> None:
    """Refuse a map that was measured and never balanced."""
    if _WEIGHT in source.weight_names(resolution):
        return
    remedy = (
        f"build a store with it (chromweave build --contacts {source.path}), which is then drawn as measured"
    )
    if source.container != "hic":
        uri = f"{source.path}::resolutions/{resolution}" if source.container == "mcool" else source.path
        remedy = f"balance it first (cooler balance {uri}), or {remedy}"
    raise WeightError(
        f"{source.path}: has no balancing weights {_WEIGHT!r} at {resolution:,} bp, as every map of predict "
        f"contacts has; give such a one. If this one was measured, {remedy}."
    )


def _square(pixels: Pixels, first: int, last: int, farthest: int, weight: np.ndarray) -> np.ndarray:
    """Bins `first` to `last` - 1 as a symmetric matrix; NaN at masked bins and from `farthest` bins on."""
    side = last - first
    matrix = np.zeros((side, side))
    inside = (pixels.bin1 >= first) & (pixels.bin2 < last)
    i, j = pixels.bin1[inside] - first, pixels.bin2[inside] - first
    matrix[i, j] = matrix[j, i] = pixels.count[inside]
    place = np.arange(side)
    matrix[np.abs(place[:, None] - place) >= farthest] = np.nan
    factor = weight[first:last]
    return np.asarray(matrix * factor[:, None] * factor)


def _over_expected(matrix: np.ndarray) -> np.ndarray:
    place = np.arange(len(matrix))
    return observed_over_expected(matrix, np.abs(place[:, None] - place))
