"""The table of a screen: its columns, its order, and what it says of loops that are still predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..schemas import Column, Schema
from .screen_cases import ScreenCase

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCREEN", "described", "effect_of", "labelled", "ranked", "recall"]

SCREEN = Schema(
    "screen",
    (
        Column("rank", "integer", "by the size of the effect; missing where there is none", nullable=True),
        Column("name", "text", "interval, or loop whose anchors are edited"),
        Column("chrom", "text", "chromosome"),
        Column("start", "integer", "of what is edited, bp"),
        Column("end", "integer", "of what is edited, bp; with --loops alone, of the second anchor"),
        Column("factor", "number", "of the signal; missing where it is deleted", nullable=True),
        Column(
            "effect",
            "number",
            "what the rank is by: of contacts without loops mean_abs_log2_ratio, with loops strength_change; "
            "of loop models logit_change; of expression mean_abs_log2_ratio",
            nullable=True,
        ),
        Column("loop", "text", "loop the effect is on", optional=True),
        Column("start1", "integer", "of the loop's first anchor, bp", optional=True, nullable=True),
        Column("end1", "integer", "of the loop's first anchor, bp", optional=True, nullable=True),
        Column("start2", "integer", "of the loop's second anchor, bp", optional=True, nullable=True),
        Column("end2", "integer", "of the loop's second anchor, bp", optional=True, nullable=True),
        Column(
            "mean_abs_log2_ratio",
            "number",
            "mean over the window of |log2((after + 1) / (before + 1))|",
            optional=True,
            nullable=True,
        ),
        *(
            Column(f"insulation_{when}", "number", meaning, optional=True, nullable=True)
            for when, meaning in (
                ("before", "score of the bin in the interval's middle, log2, relative to the window's mean"),
                ("after", "the same with the edit"),
                ("change", "after - before"),
            )
        ),
        *(
            Column(f"strength_{when}", "number", meaning, optional=True, nullable=True)
            for when, meaning in (
                (
                    "before",
                    "log2 of the 3 x 3 around the loop's pixel over the window's mean at its distance",
                ),
                ("after", "the same with the edit"),
                ("change", "after - before"),
            )
        ),
        *(
            Column(f"probability_{when}", "number", meaning, optional=True, nullable=True)
            for when, meaning in (
                ("before", "of a loop at the anchors, calibrated"),
                ("after", "the same with the edit"),
            )
        ),
        Column("logit_change", "number", "of the calibrated probability", optional=True, nullable=True),
        Column("x", "integer", "start of the bin of the window's row anchor, bp", nullable=True),
        Column("y", "integer", "start of the bin of the window's column anchor, bp", nullable=True),
        Column("reason", "text", "why there is no effect; empty where there is one"),
    ),
)


def described(case: ScreenCase, factor: float | None, resolution: int) -> dict[str, Any]:
    """What is known of a row before anything is predicted."""
    place, inside = case.loop, not case.reason
    row: dict[str, Any] = {
        "name": case.name,
        "chrom": case.chrom,
        "start": case.edited[0].start,
        "end": case.edited[-1].end,
        "factor": np.nan if factor is None else factor,
        "x": case.x * resolution if inside else None,
        "y": case.y * resolution if inside else None,
        "reason": case.reason,
    }
    if case.with_loops:
        for side in (1, 2):
            anchor = None if place is None else place.anchors[side - 1]
            row[f"start{side}"] = None if anchor is None else anchor.start
            row[f"end{side}"] = None if anchor is None else anchor.end
        row["loop"] = "" if place is None else place.name
    return row


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """Largest effect first, ties in the order given; then what has none."""
    effect = table["effect"].abs().to_numpy(float)
    order = np.argsort(np.where(np.isnan(effect), np.inf, -effect), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    scored = np.isfinite(effect[order])
    table["rank"] = np.where(scored, np.arange(1, len(table) + 1), np.nan)
    for column in SCREEN.columns:
        if column.kind == "integer" and column.name in table:
            table[column.name] = table[column.name].astype("Int64")
    return SCREEN.check(SCREEN.order(table), "the screen")


def recall(table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """For each factor: how many loops there are, and how many are predicted before and after."""
    import pandas as pd

    scored = table[table["rank"].notna()]
    rows = []
    for factor, group in scored.groupby("factor", sort=False, dropna=False):
        called = [int((group[f"probability_{when}"] >= threshold).sum()) for when in ("before", "after")]
        rows.append({"factor": factor, "loops": len(group), "before": called[0], "after": called[1]})
    found = pd.DataFrame(rows, columns=["factor", "loops", "before", "after"])
    return found.sort_values("factor", ascending=False, na_position="last", ignore_index=True)


def effect_of(table: pd.DataFrame) -> str:
    """The column that the effect is."""
    for name in ("logit_change", "strength_change"):
        if name in table:
            return name
    return "mean_abs_log2_ratio"


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with names that tell its rows apart: interval, loop and factor, where there are several."""
    several = table["factor"].nunique(dropna=False) > 1
    return table.assign(name=[_label(row, several) for row in table.to_dict("records")])


def _label(row: dict[str, Any], several: bool) -> str:
    name = str(row["name"])
    if row.get("loop") and row["loop"] != name:
        name += f" on {row['loop']}"
    if not several:
        return name
    factor = row["factor"]
    return name + (" deleted" if factor != factor else f" x {factor:g}")
