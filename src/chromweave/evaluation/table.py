"""Results as one tidy table: a row for each task, method, metric and stratum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileFormatError
from ..files import atomic_path, read_json, write_json
from ..provenance import describe_inputs, describe_process
from ..schemas import RESULTS

if TYPE_CHECKING:
    import pandas as pd

    from .bootstrap import Estimate

__all__ = ["Result", "read_results", "results_table", "write_results"]

_KIND = "chromweave results"
_VERSION = 1


@dataclass(frozen=True)
class Result:
    """One measured value.

    Parameters
    ----------
    task
        What was to be predicted ("loops").
    method
        What predicted it: a model, a baseline, or a trivial row ("distance alone").
    metric
        Name of the metric ("auroc").
    value
        Its value; NaN where it is not defined.
    stratum
        Which samples ("all", "20kb-50kb").
    low, high
        Interval; NaN where there is none.
    n
        Samples.
    seed
        Of the run; None for a method without one.
    """

    task: str
    method: str
    metric: str
    value: float
    stratum: str = "all"
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    seed: int | None = None

    @classmethod
    def of(
        cls,
        task: str,
        method: str,
        metric: str,
        estimate: Estimate,
        *,
        stratum: str = "all",
        seed: int | None = None,
    ) -> Result:
        """A row from a bootstrap estimate."""
        return cls(
            task, method, metric, estimate.value, stratum, estimate.low, estimate.high, estimate.n, seed
        )


def results_table(results: Iterable[Result]) -> pd.DataFrame:
    """Rows as a DataFrame with the columns of `schemas.RESULTS`; `seed` is a nullable integer."""
    import pandas as pd

    columns = [field.name for field in fields(Result)]
    table = pd.DataFrame([asdict(result) for result in results], columns=columns)
    types = {"value": float, "low": float, "high": float, "n": "int64", "seed": "Int64"}
    return RESULTS.order(table.astype(types))


def write_results(
    path: str | Path,
    results: Sequence[Result],
    *,
    inputs: Iterable[str | Path] = (),
    extra: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Write rows as `path`.tsv, and as `path`.json with what they come from.

    Parameters
    ----------
    path
        Name of both files; a suffix .tsv or .json is replaced.
    results
        Rows.
    inputs
        Files and stores read; kept with size and SHA-256.
    extra
        More plain values to keep (config, seconds taken, device).

    Returns
    -------
    pandas.DataFrame
        The table written.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    table = RESULTS.check(results_table(results), str(path))
    stem = Path(path)
    stem = stem.with_suffix("") if stem.suffix in (".tsv", ".json") else stem
    with atomic_path(stem.with_name(stem.name + ".tsv")) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")
    write_json(
        stem.with_name(stem.name + ".json"),
        {
            "kind": _KIND,
            "version": _VERSION,
            **describe_process(),
            "inputs": describe_inputs(inputs),
            **(extra or {}),
            "results": [_plain(asdict(result)) for result in results],
        },
    )
    return table


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: both are null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None and k in ("value", "low", "high") else v for k, v in row.items()}


def read_results(path: str | Path) -> pd.DataFrame:
    """Read the table of a results .json.

    Raises
    ------
    FileFormatError
        The file is no results file, or of a later version.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("kind") != _KIND:
        raise FileFormatError(f"{path}: is no results file of chromweave; give the .json `evaluate` wrote.")
    if record.get("version") != _VERSION:
        raise FileFormatError(
            f"{path}: results of version {record.get('version')}, but this chromweave reads {_VERSION}; "
            "update it."
        )
    return results_table(Result(**_with_nan(row)) for row in record["results"])
