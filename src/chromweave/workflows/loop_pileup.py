"""The aggregate peak of called loops, as a figure and in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.pileup import Pileup, combine_pileups, pileup
from ..data.store import RegionStore
from ..files import atomic_path
from ..plot.maps import pileup_figure
from ..plot.style import image_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw_pileup", "loop_pileup"]


def loop_pileup(store: RegionStore, loops: pd.DataFrame, resolution: int, *, seed: int = 0) -> Pileup | None:
    """Sum the squares around loops of all chromosomes.

    Parameters
    ----------
    store, resolution
        The map.
    loops
        :data:`schemas.BEDPE`.
    seed
        Of the control's shifts.

    Returns
    -------
    Pileup
        None where no loop's square fits the map.
    """
    weight = store.default_weight(resolution)
    parts = [
        pileup(store.layer(str(chrom), resolution), rows, weight=weight, seed=seed)
        for chrom, rows in loops.groupby("chrom1", sort=False)
    ]
    summed = combine_pileups(parts) if parts else None
    return None if summed is None or summed.n == 0 else summed


def draw_pileup(
    path: str | Path, store: RegionStore, loops: pd.DataFrame, resolution: int, *, seed: int = 0
) -> dict[str, Any] | None:
    """Write the figure of :func:`loop_pileup`, and say its scores.

    Returns
    -------
    dict
        ``loops`` summed, those ``too_near`` the diagonal and ``outside`` of the map; ``enrichment`` (mean O/E
        of the central 3 x 3 pixels), ``control_enrichment`` (around shifted loops), ``peak_to_lower_left``.
        None, and no figure (an older one is removed), where no loop's square fits.
    """
    found = loop_pileup(store, loops, resolution, seed=seed)
    if found is None:
        Path(path).unlink(missing_ok=True)
        return None
    figure = pileup_figure(
        found.mean,
        found.control_mean,
        resolution,
        score=found.enrichment,
        control_score=found.control_enrichment,
        count=found.n,
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(image_bytes(figure))
    return {
        "loops": found.n,
        "too_near": found.n_near,
        "outside": found.n_outside,
        "enrichment": found.enrichment,
        "control_enrichment": found.control_enrichment,
        "peak_to_lower_left": found.peak_to_lower_left,
    }
