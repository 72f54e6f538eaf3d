"""What the annotations of a map leave on the disk: a table, what it was made of, and scores as tracks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..files import write_json
from ..genome import Assembly
from ..io.export import write_bedgraph, write_bigwig
from ..provenance import describe_inputs, describe_process

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["table_path", "write_origin", "write_score"]

_BESIDE = (".bw", ".bedgraph", ".bed", ".png", ".json")


def table_path(out: str | Path) -> Path:
    """The table to write, whose name the files beside it share.

    Raises
    ------
    ConfigError
        The name is that of a file beside it.
    """
    path = Path(out)
    if path.suffix in _BESIDE:
        raise ConfigError(
            f"{path}: the table gets this name, and the {path.suffix} is written beside it; "
            f"give {path.with_suffix('.tsv').name}."
        )
    return path


def write_score(out: Path, table: pd.DataFrame, column: str, resolution: int, assembly: Assembly) -> None:
    """Write one column of a table of bins as ``OUT.bw`` and ``OUT.bedgraph``, `out` without its suffix."""
    values = {str(chrom): rows[column].to_numpy() for chrom, rows in table.groupby("chrom", sort=False)}
    write_bigwig(out.with_name(f"{out.name}.bw"), values, resolution, assembly)
    write_bedgraph(out.with_name(f"{out.name}.bedgraph"), values, resolution, assembly)


def write_origin(out: Path, kind: str, settings: Mapping[str, Any], inputs: Iterable[str | Path]) -> None:
    """Write ``OUT.json``: what the table is, how it was made, and of which files."""
    record = {"kind": kind, **describe_process(), **settings, "inputs": describe_inputs(inputs)}
    write_json(out.with_suffix(".json"), record)
