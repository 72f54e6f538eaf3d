"""Scores that some other method gave to windows: a table on disk, and its values for the windows judged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, FileFormatError
from ..files import atomic_path
from ..schemas import WINDOW_SCORES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_scores", "scores_of", "write_scores"]

_KEYS = ["chrom", "x", "y"]


def write_scores(path: str | Path, windows: pd.DataFrame, score: np.ndarray) -> None:
    """Write one score per window as tab-separated text, schema `WINDOW_SCORES`.

    Parameters
    ----------
    path
        ``.tsv`` to write.
    windows
        Schema `WINDOWS`.
    score
        float64 (windows,): a probability where the method gives one; NaN where it gives none.
    """
    table = windows[_KEYS].assign(score=np.asarray(score, dtype=np.float64))
    WINDOW_SCORES.check(table, str(path))
    with atomic_path(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA", float_format="%.6g")


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read what :func:`write_scores`, or any other program, wrote.

    Raises
    ------
    FileFormatError
        It is no such table.
    SchemaError
        A column is missing or of another kind.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", dtype={"chrom": str})
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{path}: cannot be read as a table of scores ({error}); give tab-separated text with the "
            f"columns {', '.join(WINDOW_SCORES.required)}."
        ) from error
    return WINDOW_SCORES.check(table, str(path))


def scores_of(path: str | Path, windows: pd.DataFrame) -> np.ndarray:
    """The scores of a table for windows, in their order.

    Returns
    -------
    numpy.ndarray
        float64 (windows,); NaN where the table says that there is none.

    Raises
    ------
    DataError
        A window is missing from the table, or twice in it.
    """
    table = read_scores(path)
    if twice := int(table.duplicated(_KEYS).sum()):
        raise DataError(f"{path}: {twice:,} windows are there twice; give each one score.")
    wanted = windows[_KEYS].assign(chrom=windows["chrom"].astype(str))
    found = wanted.merge(table, on=_KEYS, how="left", indicator=True)
    missing = (found["_merge"] == "left_only").to_numpy()
    if missing.any():
        first = found[missing].iloc[0]
        raise DataError(
            f"{path}: has no score for {missing.sum():,} of {len(windows):,} windows, the first at "
            f"{first['chrom']}:{first['x']:,}/{first['y']:,}; score every window of the split (NA for none)."
        )
    return found["score"].to_numpy(dtype=np.float64)
