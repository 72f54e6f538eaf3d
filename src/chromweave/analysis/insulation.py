"""Diamond insulation and boundaries, by cooltools (Crane et al. 2015; Open2C et al. 2024)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError
from ..genome import Assembly
from ..progress import track
from ..schemas import INSULATION
from .compartments import CompartmentSource
from .reference import cooltools_module

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["insulation", "require_window"]

_IGNORED_DIAGONALS = 2
_MIN_VALID_FRACTION = 0.66


@dataclass(frozen=True)
class _Query:
    """Pixels of one chromosome, read in one piece, as cooltools' insulation asks for them."""

    pixels: Any

    def read_chunked(self) -> Iterator[dict[str, np.ndarray]]:
        yield {
            "bin1_id": self.pixels.bin1.astype(np.int64),
            "bin2_id": self.pixels.bin2.astype(np.int64),
            "count": np.asarray(self.pixels.count, dtype=np.float64),
        }


def insulation(
    store: CompartmentSource,
    *,
    resolution: int,
    window: int,
    chroms: Sequence[str] | None = None,
    weight: str | None = None,
    strength: float | None = None,
) -> pd.DataFrame:
    """Insulation score, boundary strength and boundaries of every bin.

    Parameters
    ----------
    store
        Region store.
    resolution
        Bin size in bp.
    window
        Side of the diamond in bp, a multiple of the resolution.
    chroms
        Chromosomes; all by default.
    weight
        Balancing vector; the store's default without it.
    strength
        Least strength (prominence of the minimum, log2) of a boundary; Li's threshold over all minima without
        it, as cooltools has it.

    Returns
    -------
    pandas.DataFrame
        :data:`chromweave.schemas.INSULATION` with `window`, and `n_valid_pixels`.

    Raises
    ------
    ConfigError
        The window is no multiple of the resolution, or wider than the layer.
    DataError
        No bin has a score.
    """
    import pandas as pd

    require_window(window, resolution)
    names = [store.assembly.require(chrom) for chrom in (chroms or store.chromosomes)]
    tables = [
        _chromosome(store, chrom, resolution, window, weight)
        for chrom in track(names, "insulation", unit="chromosome")
    ]
    table = _with_boundaries(pd.concat(tables, ignore_index=True), strength, store.name)
    table["window"] = window
    return INSULATION.check(INSULATION.order(table), f"insulation of {store.name}")


def require_window(window: int, resolution: int) -> None:
    """Refuse a window that is not several whole bins.

    Raises
    ------
    ConfigError
        It is no multiple of the resolution, or not larger.
    """
    if window <= resolution or window % resolution:
        raise ConfigError(
            f"the insulation window ({window:,} bp) must be a multiple of the resolution "
            f"({resolution:,} bp), and larger."
        )


def _chromosome(
    store: CompartmentSource, chrom: str, resolution: int, window: int, weight: str | None
) -> pd.DataFrame:
    layer = store.layer(chrom, resolution)
    width = window // resolution
    if layer.n_diagonals is not None and layer.n_diagonals < 2 * width - 1:
        raise ConfigError(
            f"{store.name}: its {resolution:,} bp layer holds contacts up to "
            f"{layer.n_diagonals * resolution:,} bp; a window of {window:,} bp reaches twice its side."
        )
    values = np.asarray(layer.weight(weight or store.default_weight(resolution)))
    bins = _bins(store.assembly, chrom, resolution, values)
    pixels = layer.pixels(2 * window)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas' and numpy's, inside cooltools
        score, n_valid, *_ = cooltools_module("api.insulation").insul_diamond(
            _Query(pixels), bins, window=width, ignore_diags=_IGNORED_DIAGONALS
        )
        score = np.log2(np.where(score > 0, score, np.nan))
    table = bins[["chrom", "start", "end"]].copy()
    table["region"] = chrom
    table["is_bad_bin"] = np.isnan(values)
    table["log2_insulation_score"] = np.where(np.isfinite(score), score, np.nan)
    table["n_valid_pixels"] = n_valid
    return table


def _bins(assembly: Assembly, chrom: str, resolution: int, weight: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    start = np.arange(len(weight), dtype=np.int64) * resolution
    end = np.minimum(start + resolution, assembly.length(chrom))
    return pd.DataFrame({"chrom": chrom, "start": start, "end": end, "weight": weight})


def _with_boundaries(table: pd.DataFrame, strength: float | None, name: str) -> pd.DataFrame:
    if table["log2_insulation_score"].isna().all():
        raise DataError(f"{name}: no bin has an insulation score; the map is too shallow for this window.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = cooltools_module("api.insulation").find_boundaries(
            table,
            min_frac_valid_pixels=_MIN_VALID_FRACTION,
            log2_ins_key="log2_insulation_score",
            n_valid_pixels_key="n_valid_pixels",
        )
    found = table["boundary_strength"].to_numpy()
    least = _li_threshold(found[np.isfinite(found)]) if strength is None else strength
    table["is_boundary"] = np.nan_to_num(found, nan=-np.inf) >= least
    return table.drop(columns="region").reset_index(drop=True)


def _li_threshold(strengths: np.ndarray) -> float:
    """Li's minimum cross-entropy threshold, as scikit-image (a requirement of cooltools) has it."""
    from skimage.filters import threshold_li

    if len(np.unique(strengths)) < 2:
        return float(strengths.min(initial=np.inf))
    return float(threshold_li(strengths))  # type: ignore[no-untyped-call]
