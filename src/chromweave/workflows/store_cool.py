"""The contacts of a store as a plain cooler, for programs that read nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data.layers import ContactLayer
from ..data.store import RegionStore
from ..files import atomic_path
from ..genome import Assembly
from ..io.contact_export import ComputedMap, write_cool

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["store_cool"]


def store_cool(
    path: str | Path,
    store: RegionStore,
    resolution: int,
    chroms: Sequence[str],
    *,
    applied: bool = False,
) -> Path:
    """Write chromosomes of a store as a ``.cool`` of one resolution, unless it is there.

    Its bin table has these chromosomes only, and its pixels reach as far out as the store's: programs then
    take time and memory for what is asked for.

    Parameters
    ----------
    path
        File to write.
    store, resolution, chroms
        Which maps.
    applied
        Write balanced values on the scale of counts, with a weight of 1, instead of counts with the store's
        default weight: for programs that take small values for no contacts.
    """
    import cooler
    import pandas as pd

    path = Path(path)
    if path.exists():
        return path
    names = [store.require(chrom) for chrom in chroms]
    lengths = {name: store.assembly.length(name) for name in store.chromosomes if name in names}
    layers = {name: store.layer(name, resolution) for name in lengths}
    weight = store.default_weight(resolution)
    if applied:
        maps = ((name, _balanced(layer, weight)) for name, layer in layers.items())
        write_cool(path, maps, Assembly(store.assembly.name, lengths), resolution)
        return path
    bins = cooler.binnify(pd.Series(lengths, dtype="int64", name="length"), resolution)
    bins["weight"] = np.concatenate([layer.weight(weight) for layer in layers.values()])
    pixels = _counts(list(layers.values()))
    with atomic_path(path) as temporary:
        cooler.create_cooler(
            str(temporary), bins, pixels, ordered=True, assembly=store.assembly.name,
            dtypes={"count": pixels["count"].dtype},
        )  # fmt: skip
    return path


def _counts(layers: Sequence[ContactLayer]) -> pd.DataFrame:
    """Pixels of all chromosomes, bins counted through; whole counts as integers."""
    import pandas as pd

    parts, offset = [], 0
    for layer in layers:
        found = layer.pixels()
        columns = {"bin1_id": found.bin1 + offset, "bin2_id": found.bin2 + offset, "count": found.count}
        parts.append(pd.DataFrame(columns))
        offset += layer.n_bins
    table = pd.concat(parts, ignore_index=True)
    whole = table["count"].dtype.kind in "iu" and table["count"].max() < np.iinfo(np.int32).max
    return table.astype({"count": np.int32 if whole else np.float64})


def _balanced(layer: ContactLayer, name: str) -> ComputedMap:
    """Balanced values on the scale of counts; bins that are masked have none."""
    pixels, weight, valid = layer.pixels(), layer.weight(name), layer.valid(name)
    seen = valid[pixels.bin1] & valid[pixels.bin2]
    bin1, bin2, count = pixels.bin1[seen], pixels.bin2[seen], pixels.count[seen]
    value = count * weight[bin1] * weight[bin2] * layer.scale(name)
    return ComputedMap(bin1, bin2, value, valid)
