"""Two lists of loops: what both have, and what only one of them has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.store import RegionStore
from ..errors import ConfigError
from ..evaluation.loop_lists import Ranking, bin_size, ranking
from ..evaluation.matching import Matching, match_loops
from ..evaluation.metrics import spearman
from ..files import write_json
from ..genome import Assembly
from ..io.pairs import read_bedpe, write_bedpe
from ..progress import notify
from ..provenance import describe_inputs, describe_process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoopComparison", "compare_loops"]

BOTH = "both"


@dataclass(frozen=True)
class LoopComparison:
    """What :func:`compare_loops` found.

    Attributes
    ----------
    names
        What the lists are called: their files' stems.
    table
        All loops, what both lists have once: columns of `schemas.BEDPE` as the first list that has a loop has
        them, found_in ("both", or the name of the only list), and for each ranked list its score or q-value
        in a column ``score_NAME`` or ``qvalue_NAME``.
    resolution
        Bin size of the comparison, bp.
    loops, only_in
        Loops of each list, and of those the ones that the other does not have, by name.
    both
        Loops that both have.
    ranked_by
        Column by which each list is ranked, by name; lists without one are left out.
    spearman
        Rank correlation of the scores of what both have, 1 where they agree on which loops are better; None
        where it is not defined, as without scores.
    """

    names: tuple[str, str]
    table: pd.DataFrame
    resolution: int
    loops: dict[str, int]
    both: int
    only_in: dict[str, int]
    ranked_by: dict[str, str]
    spearman: float | None

    @property
    def jaccard(self) -> float:
        """Loops that both have, over all loops."""
        return self.both / len(self.table)


def compare_loops(
    first: str | Path,
    second: str | Path,
    *,
    store: str | Path | RegionStore | None = None,
    assembly: Assembly | str | Path | None = None,
    resolution: int | None = None,
    tolerance_bins: int = 2,
    out: str | Path | None = None,
) -> LoopComparison:
    """Match two lists of loops one to one.

    Parameters
    ----------
    first, second
        BEDPE files (any dialect).
    store, assembly
        Whose chromosomes these are: a store, or an assembly by name or chrom.sizes file. One of the two.
    resolution
        Bin size, bp. If not given, that of the lists' own bins; of two sizes, the larger.
    tolerance_bins
        Bins by which both anchors may differ.
    out
        BEDPE file for all loops and where they were found; settings and provenance go beside it as
        ``OUT.json``.

    Raises
    ------
    ConfigError
        Neither a store nor an assembly is given, or both; or neither list is made of bins of one size, and no
        resolution is given.
    """
    place = _assembly(store, assembly)
    one, two = lists = [read_bedpe(path, place) for path in (first, second)]
    names = _names(first, second)
    if resolution is None:
        resolution = _own_bin_size(lists, (first, second), place)
    matching = match_loops(one, two, tolerance_bins, resolution)
    ranked = [ranking(one) for one in lists]
    both, counts = len(matching), dict(zip(names, map(len, lists), strict=True))
    comparison = LoopComparison(
        names=names,
        table=_table(lists, matching, names, ranked),
        resolution=resolution,
        loops=counts,
        both=both,
        only_in={name: n - both for name, n in counts.items()},
        ranked_by={name: by.column for name, by in zip(names, ranked, strict=True) if by is not None},
        spearman=_agreement(matching, *ranked),
    )
    if out is not None:
        _write(out, comparison, (first, second), place, tolerance_bins)
    return comparison


def _assembly(store: str | Path | RegionStore | None, assembly: Assembly | str | Path | None) -> Assembly:
    if (store is None) == (assembly is None):
        raise ConfigError(
            "loops are on the chromosomes of an assembly: give a store of theirs (--store), or the assembly "
            "by name or chrom.sizes file (--assembly hg38), and not both."
        )
    if store is not None:
        return (store if isinstance(store, RegionStore) else RegionStore.open(store)).assembly
    assert assembly is not None
    return assembly if isinstance(assembly, Assembly) else Assembly.resolve(assembly)


def _names(first: str | Path, second: str | Path) -> tuple[str, str]:
    """The files' stems; numbered where they do not tell the lists apart."""
    one, two = (Path(str(path).removesuffix(".gz")).stem for path in (first, second))
    if one == two or BOTH in (one, two):
        return f"1:{one}", f"2:{two}"
    return one, two


def _own_bin_size(lists: list[pd.DataFrame], paths: tuple[str | Path, ...], assembly: Assembly) -> int:
    sizes = [size for one in lists if (size := bin_size(one, assembly)) is not None]
    if not sizes:
        raise ConfigError(
            f"{paths[0]}, {paths[1]}: the anchors of neither are bins of one size, which leaves open in "
            "which bins to compare; give --resolution, e.g. --resolution 5000."
        )
    return max(sizes)


def _agreement(matching: Matching, first: Ranking | None, second: Ranking | None) -> float | None:
    """Spearman's correlation over the pairs of which both loops have a score."""
    if first is None or second is None:
        return None
    one, two = first.score[matching.call], second.score[matching.truth]
    known = np.isfinite(one) & np.isfinite(two)
    found = spearman(one[known], two[known])
    return found if np.isfinite(found) else None


def _table(
    lists: list[pd.DataFrame], matching: Matching, names: tuple[str, str], ranked: list[Ranking | None]
) -> pd.DataFrame:
    import pandas as pd

    alone = ~matching.truth_matched
    shown = [_bedpe_columns(lists[0]), _bedpe_columns(lists[1])[alone]]
    table = pd.concat([one for one in shown if len(one)], ignore_index=True)
    table["found_in"] = [
        *np.where(matching.call_matched, BOTH, names[0]).astype(object),
        *[names[1]] * int(alone.sum()),
    ]
    rows = _rows_of(matching)
    for name, one, row in zip(names, ranked, rows, strict=True):
        if one is not None:
            table[f"{one.column}_{name}"] = np.where(row >= 0, one.values[row], np.nan)
    return table


def _bedpe_columns(loops: pd.DataFrame) -> pd.DataFrame:
    """Coordinates, name and score, which every list gets."""
    loops = loops.assign(name=loops.get("name", "."), score=loops.get("score", np.nan)).astype(
        {"score": float}
    )
    return loops[["chrom1", "start1", "end1", "chrom2", "start2", "end2", "name", "score"]]


def _rows_of(matching: Matching) -> tuple[np.ndarray, np.ndarray]:
    """Row of each list that a row of the table comes from, -1 where it has none; int64 (rows,) each."""
    alone = np.flatnonzero(~matching.truth_matched)
    first = np.concatenate([np.arange(matching.n_calls), np.full(len(alone), -1)])
    second = np.full(matching.n_calls, -1)
    second[matching.call] = matching.truth
    return first, np.concatenate([second, alone])


def _write(
    out: str | Path,
    comparison: LoopComparison,
    inputs: tuple[str | Path, ...],
    assembly: Assembly,
    tolerance_bins: int,
) -> None:
    write_bedpe(out, comparison.table)
    record: dict[str, Any] = {
        "kind": "compared loops",
        **describe_process(),
        "assembly": assembly.name,
        "resolution": comparison.resolution,
        "tolerance_bins": tolerance_bins,
        "loops": comparison.loops,
        "both": comparison.both,
        "only_in": comparison.only_in,
        "jaccard": comparison.jaccard,
        "ranked_by": comparison.ranked_by,
        "spearman": comparison.spearman,
        "inputs": describe_inputs(inputs),
    }
    write_json(f"{out}.json", record)
    notify(f"{len(comparison.table):,} loops: {out}")
