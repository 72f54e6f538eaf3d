"""The saddle: contacts between bins grouped by E1, and how strongly like keeps to like.

cooltools' ``saddle`` (Open2C et al. 2024): observed over the mean of its distance, averaged over pairs of
bins by quantiles of E1; and its ``saddle_strength``, the outermost groups with their own kind over the
outermost groups with the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError
from ..genome import Interval
from ..progress import track
from .compartments import CompartmentSource, region_bins

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EVERYWHERE", "Saddle", "saddle_table", "saddles", "strength_table"]

EVERYWHERE = "all"
"""Name of the saddle over all chromosomes."""

_NEAREST = 3  # diagonals; nearer pairs say more about polymers than about compartments
_BINS_EACH = 5  # a group of fewer is no mean
_FEWEST_GROUPS = 5


@dataclass(frozen=True)
class Saddle:
    """Observed over expected between groups of bins, B to A.

    Attributes
    ----------
    name
        Chromosome, or :data:`EVERYWHERE`.
    edges
        float64 (groups + 1,): quantiles of E1.
    total
        float64 (groups, groups): sum of observed over expected.
    pairs
        int64 (groups, groups): pairs of bins, each counted from both sides.
    bins
        Bins with an E1.
    """

    name: str
    edges: np.ndarray
    total: np.ndarray
    pairs: np.ndarray
    bins: int

    @property
    def mean(self) -> np.ndarray:
        """float64 (groups, groups): mean observed over expected; NaN where there is no pair."""
        return _ratio(self.total, self.pairs)

    def corner(self, pair: str, share: float = 0.2) -> float:
        """Mean observed over expected between the outermost `share` of groups: ``AA``, ``BB`` or ``AB``."""
        return float(_ratio(*self._sums(pair, share)))

    def strength(self, share: float = 0.2) -> float:
        """AA and BB together over AB, each of the outermost `share` of groups; NaN without pairs."""
        like = [sum(sums) for sums in zip(self._sums("AA", share), self._sums("BB", share), strict=True)]
        return float(_ratio(_ratio(*like), self.corner("AB", share)))

    def _sums(self, pair: str, share: float) -> tuple[float, float]:
        """Total and pairs of a corner."""
        n = len(self.total)
        width = max(1, round(share * n))
        sides = {"B": slice(0, width), "A": slice(n - width, n)}
        here = sides[pair[0]], sides[pair[1]]
        return float(self.total[here].sum()), float(self.pairs[here].sum())


def _ratio(above: np.ndarray | float, below: np.ndarray | float) -> np.ndarray:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def saddles(
    store: CompartmentSource,
    table: pd.DataFrame,
    *,
    resolution: int,
    groups: int = 50,
    weight: str | None = None,
    regions: Sequence[Interval] | None = None,
) -> list[Saddle]:
    """A saddle over all chromosomes of a table of compartments, then one for each.

    That over all has quantiles of all bins' E1, a chromosome's those of its own; expectations are of each
    region. Where a group would hold fewer than 5 bins there are fewer groups, and below 5 groups no saddle.

    Parameters
    ----------
    store
        Region store the table was made of.
    table
        :data:`chromweave.schemas.COMPARTMENTS`, every bin of its chromosomes.
    resolution
        Bin size of the table, bp.
    groups
        Quantiles of E1.
    weight, regions
        As for :func:`chromweave.analysis.compartments.compartments`.

    Raises
    ------
    ConfigError
        Fewer than 5 groups are asked for.
    """
    if groups < _FEWEST_GROUPS:
        raise ConfigError(f"a saddle of {groups} groups shows nothing; give {_FEWEST_GROUPS} or more.")
    values = {str(name): rows["E1"].to_numpy() for name, rows in table.groupby("chrom", sort=False)}
    edges = {EVERYWHERE: _edges(np.concatenate(list(values.values())), groups)}
    edges |= {name: _edges(first, groups) for name, first in values.items()}
    found = {name: _empty(name, of) for name, of in edges.items() if of is not None}
    for chrom in track(list(values), "saddle", unit="chromosome"):
        layer = store.layer(chrom, resolution)
        vector = weight or store.default_weight(resolution)
        for _, bins in region_bins(chrom, layer.n_bins, resolution, regions):
            ratio = layer.dense(bins.start, bins.stop, weight=vector)
            _divide_by_distance(ratio)
            for name in (EVERYWHERE, chrom):
                if name in found:
                    found[name] = _added(found[name], ratio, values[chrom][bins])
    return list(found.values())


def _edges(first: np.ndarray, groups: int) -> np.ndarray | None:
    """Quantiles of E1; None where there are too few bins for any."""
    known = first[np.isfinite(first)]
    groups = min(groups, len(known) // _BINS_EACH)
    return None if groups < _FEWEST_GROUPS else np.quantile(known, np.linspace(0, 1, groups + 1))


def _empty(name: str, edges: np.ndarray) -> Saddle:
    shape = (len(edges) - 1,) * 2
    return Saddle(name, edges, np.zeros(shape), np.zeros(shape, np.int64), 0)


def _divide_by_distance(contacts: np.ndarray) -> None:
    """Divide each diagonal by its mean over valid pairs, in place; NaN on the nearest ones."""
    n = len(contacts)
    flat = contacts.reshape(-1)
    for distance in range(n):
        above = flat[distance : n * (n - distance) : n + 1]
        below = flat[n * distance :: n + 1]
        known = np.isfinite(above)
        mean = above[known].mean() if known.any() else np.nan
        above[:] = above / mean if distance >= _NEAREST and mean > 0 else np.nan
        below[:] = above


def _added(saddle: Saddle, ratio: np.ndarray, first: np.ndarray) -> Saddle:
    """The saddle with one more region: its observed over expected (n, n), and E1 (n,)."""
    n = len(saddle.total)
    group = np.clip(np.searchsorted(saddle.edges, first, side="right") - 1, 0, n - 1)
    known = np.isfinite(first)
    total, pairs = saddle.total.copy(), saddle.pairs.copy()
    for row in range(n):
        block = ratio[known & (group == row)][:, known]
        there = np.isfinite(block)
        total[row] += np.bincount(group[known], np.where(there, block, 0.0).sum(axis=0), n)
        pairs[row] += np.bincount(group[known], there.sum(axis=0), n).astype(np.int64)
    return Saddle(saddle.name, saddle.edges, total, pairs, saddle.bins + int(known.sum()))


def saddle_table(found: Sequence[Saddle]) -> pd.DataFrame:
    """Columns saddle, group1, group2 (1 is the most B), E1_1, E1_2 (middles), pairs, oe: a row per cell."""
    import pandas as pd

    return pd.concat([_cells(one) for one in found], ignore_index=True)


def _cells(saddle: Saddle) -> pd.DataFrame:
    import pandas as pd

    n = len(saddle.total)
    row, column = (index.ravel() for index in np.indices((n, n)))
    middle = (saddle.edges[1:] + saddle.edges[:-1]) / 2
    return pd.DataFrame(
        {
            "saddle": saddle.name,
            "group1": row + 1,
            "group2": column + 1,
            "E1_1": middle[row],
            "E1_2": middle[column],
            "pairs": saddle.pairs.ravel(),
            "oe": saddle.mean.ravel(),
        }
    )


def strength_table(found: Sequence[Saddle], share: float = 0.2) -> pd.DataFrame:
    """Columns saddle, bins, groups, AA, BB, AB (mean observed over expected of the corners), strength."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "saddle": one.name,
                "bins": one.bins,
                "groups": len(one.total),
                **{pair: one.corner(pair, share) for pair in ("AA", "BB", "AB")},
                "strength": one.strength(share),
            }
            for one in found
        ],
        columns=["saddle", "bins", "groups", "AA", "BB", "AB", "strength"],
    )
