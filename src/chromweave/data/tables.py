"""Window tables on disk: coordinates, labels and splits in Parquet, with what they belong to.

A table in memory is a pandas DataFrame of the schema `WINDOWS` whose `attrs` hold the same facts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AssemblyError, ConfigError, DataError, FileFormatError, ResolutionError, SchemaError
from ..files import atomic_path
from ..schemas import WINDOWS
from .store import RegionStore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPLITS", "check_windows", "describe_windows", "read_windows", "select_split", "write_windows"]

SPLITS = ("train", "valid", "test")
_KIND = "chromweave windows"
_SCHEMA_VERSION = 1
_METADATA = b"chromweave"


def describe_windows(
    store: RegionStore, resolution: int, *, window_bins: int, seed: int, protocol: str
) -> dict[str, Any]:
    """What a window table says about itself: geometry, protocol, and the layer it was made for, if any."""
    return {
        "kind": _KIND,
        "schema_version": _SCHEMA_VERSION,
        "resolution": resolution,
        "window_bins": window_bins,
        "assembly": store.assembly.name,
        "store": store.name,
        "manifest_sha256": store.manifest_sha256,
        "layer_sha256": store.layer_sha256(resolution) if store.resolutions else "",
        "seed": seed,
        "protocol": protocol,
    }


def write_windows(path: str | Path, table: pd.DataFrame) -> None:
    """Write a window table as Parquet.

    Raises
    ------
    SchemaError
        The table does not fit `WINDOWS`, or does not say what it belongs to.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    WINDOWS.check(table, str(path))
    if table.attrs.get("kind") != _KIND:
        raise SchemaError(
            f"{path}: the table does not say which store and resolution it belongs to; "
            "make it with loop_windows, tss_windows or grid_windows."
        )
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata(
        {**(arrow.schema.metadata or {}), _METADATA: json.dumps(table.attrs).encode()}
    )
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def read_windows(
    path: str | Path,
    store: RegionStore | None = None,
    *,
    splits: Sequence[str] = ("train", "valid"),
    any_store: bool = False,
    contacts: bool = True,
) -> pd.DataFrame:
    """Read a window table; the test split stays closed unless it is named.

    Parameters
    ----------
    path
        Parquet file written by :func:`write_windows`.
    store
        Store the windows are to be cut from; checked if given.
    splits
        Splits to read.
    any_store
        Allow a table made for another cell line's store of the same assembly and resolution.
    contacts
        False where no contact map is to be read: the store may lack the layer. Windows and store then belong
        together if their contacts are the same, or where one of them has none, their names.

    Returns
    -------
    pandas.DataFrame
        Schema `WINDOWS`; `attrs` holds resolution, window_bins, assembly, store, seed and protocol.

    Raises
    ------
    FileFormatError
        No such file, or no window table.
    AssemblyError, ResolutionError, DataError
        The table was made for another assembly, resolution or store.
    """
    path = Path(path)
    _check_splits(splits)
    table = _read(path)
    if store is not None:
        check_windows(table, store, str(path), any_store=any_store, contacts=contacts)
    return table[table["split"].isin(list(splits))].reset_index(drop=True)


def select_split(table: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split.

    Raises
    ------
    ConfigError
        There is no such split.
    """
    _check_splits([split])
    return table[table["split"] == split].reset_index(drop=True)


def check_windows(
    table: pd.DataFrame,
    store: RegionStore,
    source: str,
    *,
    any_store: bool = False,
    contacts: bool = True,
) -> None:
    """Raise unless `table` was made for `store` (see :func:`read_windows`)."""
    made_for = table.attrs
    if made_for.get("kind") != _KIND:
        raise DataError(f"{source}: does not say which store it belongs to; make it with chromweave windows.")
    if made_for["assembly"] != store.assembly.name:
        raise AssemblyError(
            f"{source}: the windows are of {made_for['assembly']}, and {store.path} is of "
            f"{store.assembly.name}; make windows for this store."
        )
    resolution = made_for["resolution"]
    if contacts and resolution not in store.resolutions:
        raise ResolutionError(
            f"{source}: the windows are of {resolution:,} bp bins, and {store.path} has "
            f"{', '.join(f'{r:,}' for r in store.resolutions) or 'no contacts'}; build that layer, "
            "or make windows for this store."
        )
    if any_store:
        return
    remedy = "make windows for this store."
    if contacts or (resolution in store.resolutions and made_for["layer_sha256"]):
        if made_for["layer_sha256"] != store.layer_sha256(resolution):
            raise DataError(
                f"{source}: the windows were made for other contacts (store {made_for['store']!r}) than "
                f"those of {store.path}; {remedy}"
            )
    elif made_for["store"] != store.name:
        raise DataError(
            f"{source}: the windows were made for another store ({made_for['store']!r}) than {store.path}; "
            f"{remedy}"
        )


def _check_splits(splits: Sequence[str]) -> None:
    wrong = [split for split in splits if split not in SPLITS]
    if wrong:
        raise ConfigError(f"a split is one of {', '.join(SPLITS)}, not {wrong[0]!r}.")


def _read(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        what = "is a directory, where a window table is meant" if path.is_dir() else "no such file"
        raise FileFormatError(f"{path}: {what}; give the Parquet file written by chromweave windows.")
    try:
        arrow = pq.read_table(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise FileFormatError(f"{path}: is no readable window table ({reason}); write it again.") from error
    metadata = (arrow.schema.metadata or {}).get(_METADATA)
    facts = json.loads(metadata) if metadata else {}
    if facts.get("kind") != _KIND or facts.get("schema_version") != _SCHEMA_VERSION:
        raise FileFormatError(
            f"{path}: is no window table of version {_SCHEMA_VERSION}; make one with chromweave windows."
        )
    table = WINDOWS.check(arrow.to_pandas(), str(path))
    table.attrs.clear()
    table.attrs.update(facts)
    return table
