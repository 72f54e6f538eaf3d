"""The one table of an experiment: a row for each arm and metric, then means and paired differences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..evaluation.means import mean_interval
from ..files import atomic_path, write_json
from ..plot.style import image_bytes
from ..progress import notify
from ..provenance import describe_inputs, describe_process
from ..schemas import RESULTS, Column, Schema
from .experiments import Outcome

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "arm_rows",
    "difference_rows",
    "experiment_schema",
    "mean_rows",
    "shown_metrics",
    "units",
    "with_intervals",
    "write_experiment",
]

_KIND = "chromweave experiment"
_VERSION = 1
_MODEL = "model"
NO_DIFFERENCE = "no difference seen"


def experiment_schema(name: str, *conditions: Column) -> Schema:
    """Columns of an experiment's table: what sets arms apart, what a row is, and those of `RESULTS`."""
    return Schema(
        f"{name} result",
        (
            *conditions,
            Column("row", "text", "arm; mean over an arm's draws and seeds; or difference of paired arms"),
            *RESULTS.columns,
            Column("runs", "integer", "trainings behind the value"),
            Column("note", "text", "why a value is missing, or what an interval says", nullable=True),
        ),
    )


def arm_rows(outcomes: Sequence[Outcome], schema: Schema) -> pd.DataFrame:
    """A row for each arm, method and metric; one that could not be run has rows without values.

    Trivial rows that arms share are listed once. Their intervals, and those of the arms, are over blocks of
    the test windows and say nothing of other seeds.
    """
    import pandas as pd

    done = [(arm, scores) for arm, scores in outcomes if scores is not None]
    wanted = done[0][1]
    wanted = wanted[(wanted["method"] == _MODEL) & (wanted["stratum"] == "all")]
    parts, seen = [], set()
    for arm, scores in outcomes:
        table = _missing(wanted) if scores is None else scores
        own = table["method"].astype(str).str.split(" - ").str[0] == _MODEL
        runs = 0 if arm.missing else 1
        parts.append(table[own].assign(**arm.conditions, seed=arm.seed, runs=runs, note=arm.missing or None))
        if scores is not None and (key := json.dumps(arm.trivial, default=str)) not in seen:
            seen.add(key)
            parts.append(table[~own].assign(**arm.trivial, runs=0, note=None))
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True).assign(row="arm")
    return _typed(rows, schema)


def _missing(wanted: pd.DataFrame) -> pd.DataFrame:
    return wanted.assign(value=np.nan, low=np.nan, high=np.nan, n=0)


def _typed(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The schema's columns in its order, nullable integers where it has them."""
    rows = rows.reindex(columns=[column.name for column in schema.columns])
    for column in schema.columns:
        if column.kind == "integer" and column.nullable:
            rows[column.name] = rows[column.name].astype("Int64")
        elif column.kind == "number":
            rows[column.name] = rows[column.name].astype(float)
        elif column.kind == "text" and column.nullable:
            rows[column.name] = rows[column.name].astype(object).where(rows[column.name].notna(), None)
    return rows


def units(rows: pd.DataFrame) -> pd.DataFrame:
    """What an interval is taken over: draws, each the mean over its seeds; seeds, where there are no draws.

    Parameters
    ----------
    rows
        Arm rows of one arm and metric; a column draw is optional.

    Returns
    -------
    pandas.DataFrame
        Indexed by draw or seed: value, and runs, the trainings that have one.
    """
    several = "draw" in rows and rows["draw"].nunique() > 1
    grouped = rows.groupby("draw" if several else "seed", dropna=False)["value"]
    return grouped.agg(value="mean", runs="count")


def mean_rows(arms: pd.DataFrame, schema: Schema, by: Sequence[str]) -> pd.DataFrame:
    """A mean of each arm's own values over draws and seeds, with Student's 95 % interval.

    Parameters
    ----------
    arms
        As from :func:`arm_rows`.
    schema
        The experiment's.
    by
        Condition columns that tell arms apart; draws and seeds are what is averaged over.
    """
    import pandas as pd

    own = arms[arms["method"] == _MODEL]
    keys = [*by, "task", "method", "metric", "stratum"]
    found = []
    for values, rows in own.groupby(keys, sort=False, dropna=False):
        of = units(rows)
        mean = mean_interval(of["value"].to_numpy(float))
        found.append(
            {
                **dict(zip(keys, values, strict=True)),
                **mean._asdict(),
                "n": int(rows["n"].max()),
                "runs": int(of["runs"].sum()),
                "note": _absent(rows),
            }
        )
    return _typed(pd.DataFrame(found).assign(row="mean"), schema)


def _absent(rows: pd.DataFrame) -> str | None:
    """How many of the arms averaged have no value, and why the first has none."""
    absent = rows[rows["value"].isna()]
    if not len(absent):
        return None
    notes = [note for note in absent["note"] if isinstance(note, str)]
    why = f": {notes[0]}" if notes else ""
    return f"{len(absent)} of {len(rows)} without a value{why}"


def difference_rows(
    arms: pd.DataFrame, schema: Schema, column: str, first: str, second: str, by: Sequence[str] = ()
) -> pd.DataFrame:
    """Paired differences of two arms, first minus second, of the same draw and seed.

    Parameters
    ----------
    arms
        As from :func:`arm_rows`.
    schema
        The experiment's.
    column, first, second
        Condition that tells the two apart, and its values.
    by
        Other conditions that both share: a row for each.

    Returns
    -------
    pandas.DataFrame
        `column` says ``"FIRST - SECOND"``; the note, whether the interval over draws (or seeds) holds 0. It
        says nothing of other test windows.
    """
    import pandas as pd

    own = arms[arms["method"] == _MODEL]
    keys = [*by, "task", "method", "metric", "stratum"]
    paired = [*keys, *(name for name in ("draw",) if name in own), "seed"]
    sides = [own[own[column] == name][[*paired, "value", "n"]] for name in (first, second)]
    both = sides[0].merge(sides[1], on=paired, suffixes=("", "_second"))
    both["value"] = both["value"] - both["value_second"]
    found = []
    for values, rows in both.groupby(keys, sort=False, dropna=False):
        of = units(rows)
        mean = mean_interval(of["value"].to_numpy(float))
        found.append(
            {
                **dict(zip(keys, values, strict=True)),
                **mean._asdict(),
                column: f"{first} - {second}",
                "n": int(rows["n"].max()),
                "runs": int(of["runs"].sum()),
                "note": _verdict(mean.value, mean.low, mean.high, str(of.index.name)),
            }
        )
    return _typed(pd.DataFrame(found).assign(row="difference"), schema)


def _verdict(value: float, low: float, high: float, over: str) -> str:
    """What an interval over draws or seeds says, all of which are judged on the same test windows."""
    if np.isnan(value):
        return "no pair has both values"
    if np.isnan(low):
        return "one pair has no interval: nothing can be said"
    return NO_DIFFERENCE if low <= 0 <= high else f"differs from 0 over {over}s, on these test windows"


def with_intervals(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The rows of means, for a figure: a mean of one run has that run's interval over blocks."""
    keys = [*by, "metric", "stratum"]
    means = rows[rows["row"] == "mean"].reset_index(drop=True)
    own = rows[(rows["row"] == "arm") & (rows["method"] == _MODEL) & rows["value"].notna()]
    single = own.drop_duplicates(keys)[[*keys, "low", "high"]]
    found = means[keys].merge(single, on=keys, how="left")
    alone = means["runs"] == 1
    for end in ("low", "high"):
        means[end] = means[end].where(~alone, found[end])
    return means


def shown_metrics(table: pd.DataFrame, metric: str | None, most: int) -> list[str]:
    """Metrics that a figure shows: the one named, or the first of the table.

    Raises
    ------
    ConfigError
        The one named is not in the table.
    """
    own = table[(table["method"] == _MODEL) & (table["stratum"] == "all")]
    names = list(dict.fromkeys(own["metric"].astype(str)))
    if metric is None:
        return names[:most]
    if metric not in names:
        raise ConfigError(f"no metric {metric!r} was measured; there are {', '.join(names)}.")
    return [metric]


def write_experiment(
    out: str | Path,
    experiment: str,
    rows: pd.DataFrame,
    schema: Schema,
    figure: Figure,
    *,
    inputs: Sequence[str | Path],
    extra: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Write ``EXPERIMENT.tsv``, ``.json`` (with what it comes from) and ``.png``; returns the table."""
    stem = Path(out) / experiment
    table = schema.order(schema.check(rows, f"{stem}.tsv"))
    with atomic_path(f"{stem}.tsv") as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="NA")
    known = table.astype(object)
    write_json(
        f"{stem}.json",
        {
            "kind": _KIND,
            "version": _VERSION,
            "experiment": experiment,
            **describe_process(),
            "inputs": describe_inputs(inputs),
            **(extra or {}),
            "results": known.where(known.notna() & ~known.isin([np.inf, -np.inf]), None).to_dict("records"),
        },
    )
    with atomic_path(f"{stem}.png") as temporary:
        temporary.write_bytes(image_bytes(figure))
    notify(f"table: {stem}.tsv, figure: {stem}.png")
    return table
