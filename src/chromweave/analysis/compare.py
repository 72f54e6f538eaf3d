"""Two embeddings in one frame, bin by bin, and compartments that switch between two conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError
from ..io.export import Embedding
from ..schemas import SWITCHES
from .alignment import one_encoder, require_same_bins
from .readings import against_shifts
from .shifts import circular_shift, empirical_pvalue

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DISTANCES",
    "bin_distances",
    "distances_by_compartment",
    "require_one_model",
    "summarise_distances",
    "switch_table",
]

DISTANCES = ("cosine", "l2", "l1")

STABLE, SHIFTED = 0.1, 0.5
"""Cosine distances below which a bin counts as stable, above which as shifted (the original page's cuts)."""


def require_one_model(first: Embedding, second: Embedding, names: tuple[str, str]) -> None:
    """Nothing, if one model made both; vectors of different trainings are not in one frame.

    Raises
    ------
    ConfigError
        The checksums of the models' weights differ.
    """
    if not one_encoder(first, second):
        raise ConfigError(
            f"{names[0]} and {names[1]} were encoded by different models; their vectors are not in one "
            "frame. Encode both with one model."
        )


def bin_distances(first: Embedding, second: Embedding) -> pd.DataFrame:
    """Distance between the two vectors of every bin.

    Both embeddings must be in one frame: of one encoder, or brought there by
    :func:`chromweave.analysis.alignment.align`.

    Returns
    -------
    pandas.DataFrame
        chrom, start, end, masked (in either), cosine, l2, l1 (missing where masked), and compartment_first,
        compartment_second, E1_first, E1_second where both have them.

    Raises
    ------
    DataError
        The bins or dimensions differ.
    """
    require_same_bins(first, second)
    table = first.bins[["chrom", "start", "end"]].reset_index(drop=True)
    table["masked"] = (first.bins["masked"].to_numpy() | second.bins["masked"].to_numpy()).astype(bool)
    a, b = first.full().astype(np.float64), second.full().astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    product = np.divide((a * b).sum(axis=1), norms, out=np.zeros(len(a)), where=norms > 0)
    table["cosine"] = np.where(np.isfinite(norms), 1 - np.clip(product, -1, 1), np.nan)
    table["l2"] = np.linalg.norm(a - b, axis=1)
    table["l1"] = np.abs(a - b).sum(axis=1)
    for name in ("compartment", "E1"):
        if name in first.bins.columns and name in second.bins.columns:
            table[f"{name}_first"] = first.bins[name].to_numpy()
            table[f"{name}_second"] = second.bins[name].to_numpy()
    return table


def distances_by_compartment(
    distances: pd.DataFrame, *, permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean and median of each distance by the first condition's compartment, against shifted compartments.

    Parameters
    ----------
    distances
        Of :func:`bin_distances`, with compartments.
    permutations, seed
        Circular shifts of the compartments along their chromosomes.

    Returns
    -------
    pandas.DataFrame
        compartment, distance, bins (with a distance), mean, median, expected (mean of the means under the
        shifts), pvalue (of a mean as large).
    """
    import pandas as pd

    known = distances.dropna(subset=list(DISTANCES))
    labels = known["compartment_first"].to_numpy(dtype=object)
    values = known[list(DISTANCES)].to_numpy(dtype=np.float64)
    names = sorted(set(labels))

    def means(shifted: np.ndarray) -> dict[tuple[str, str], float]:
        of = {compartment: values[shifted == compartment].mean(axis=0) for compartment in names}
        return {
            (compartment, name): of[compartment][k]
            for compartment in names
            for k, name in enumerate(DISTANCES)
        }

    found = against_shifts(means, labels, known["chrom"].to_numpy(), permutations=permutations, seed=seed)
    rows = []
    for (compartment, name), reading in found.items():
        own = known.loc[labels == compartment, name]
        rows.append(
            (compartment, name, len(own), reading.value, own.median(), reading.expected, reading.pvalue)
        )
    return pd.DataFrame(
        rows, columns=["compartment", "distance", "bins", "mean", "median", "expected", "pvalue"]
    )


def summarise_distances(distances: pd.DataFrame, distance: str = "cosine") -> dict[str, float]:
    """Bins, mean and median of a distance, and the shares of bins with a cosine below 0.1 and above 0.5.

    Raises
    ------
    DataError
        No bin is valid in both.
    """
    values = distances["cosine"].dropna().to_numpy()
    if not len(values):
        raise DataError("no bin is valid in both embeddings.")
    return {
        "bins": float(len(values)),
        "mean": float(distances[distance].mean()),
        "median": float(distances[distance].median()),
        "cosine_below_0.1": float((values < STABLE).mean()),
        "cosine_above_0.5": float((values > SHIFTED).mean()),
    }


def switch_table(
    first: np.ndarray, second: np.ndarray, chrom: np.ndarray, *, permutations: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How many bins keep or change compartment, against circular shifts of the second condition's calls.

    Parameters
    ----------
    first, second
        (bins,): A, B or N of each bin; bins that are N in either are left out.
    chrom
        (bins,): chromosome of each bin, sorted.
    permutations
        Number of shifts.
    seed
        Of the shifts.

    Returns
    -------
    pandas.DataFrame
        :data:`chromweave.schemas.SWITCHES`: AA, AB, BA, BB in this order. Two cell lines that agree have more
        AA and BB, and fewer AB and BA, than expected.

    Raises
    ------
    DataError
        No bin is called in both.
    """
    import pandas as pd

    both = np.flatnonzero(np.isin(first, ("A", "B")) & np.isin(second, ("A", "B")))
    if not len(both):
        raise DataError("no bin is called A or B in both conditions.")
    a, b, where = (np.asarray(values)[both] for values in (first, second, chrom))
    rng = np.random.default_rng(seed)
    observed = _count(a, b)
    null = np.stack([_count(a, b[circular_shift(where, rng)]) for _ in range(permutations)])
    table = pd.DataFrame(
        [
            (*pair, int(observed[k]), float(null[:, k].mean()), empirical_pvalue(observed[k], null[:, k]))
            for k, pair in enumerate(("AA", "AB", "BA", "BB"))
        ],
        columns=["first", "second", "bins", "expected", "pvalue"],
    )
    return SWITCHES.check(table, "compartment switches")


def _count(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    code = 2 * (first == "B").astype(np.int64) + (second == "B")
    return np.bincount(code, minlength=4)
