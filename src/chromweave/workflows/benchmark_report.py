"""A benchmark's tables in the layout of the paper's, as Markdown, and their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..baselines.descriptions import describe
from .architectures import MIX_HIC
from .benchmark_settings import label

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BETTER",
    "COLUMNS",
    "LEGEND",
    "UNSEEN",
    "WORSE",
    "annotation_markdown",
    "cost_lines",
    "kept_and_adapted",
    "markdown",
    "verdict",
]

BETTER, WORSE, UNSEEN = "▲", "▼", "≈"
LEGEND = (
    f"Beside a row: {BETTER} better than {{first}} and {WORSE} worse, on the same test windows, with a 95 % "
    f"interval of the paired difference over blocks of {{block:g}} Mb that leaves 0 out (in every training); "
    f"{UNSEEN} no difference seen. Where several trainings were made, the mean and each; else the interval."
)
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "contacts": {
        "r2": "R²",
        "pearson": "PCC",
        "scc": "SCC",
        "log_oe_pearson": "log O/E",
        "insulation": "insulation",
    },
    "loops": {
        "precision_at_0.5": "Precision",
        "recall_at_0.5": "Recall",
        "f1_at_0.5": "F1",
        "auroc": "AUROC",
        "auroc_distance_matched": "AUROC at equal distance",
    },
    "expression": {
        "pearson": "PCC",
        "r2": "R²",
        "r2_swapped_flat": "R² exchanged",
        "pearson_genes": "PCC of genes",
    },
}
"""Metrics of a task, in the paper's order and then ours, and what heads their columns."""
_ROLES = ("ours", "baseline", "trivial")


def verdict(differences: pd.DataFrame) -> str:
    """What is seen of a row against the first one.

    Parameters
    ----------
    differences
        Rows of the first method less this one, in one metric: one for each training, low and high of its
        interval.

    Returns
    -------
    str
        :data:`BETTER`, :data:`WORSE` or :data:`UNSEEN`; empty where nothing is known.
    """
    known = differences[np.isfinite(differences["low"]) & np.isfinite(differences["high"])]
    if not len(known):
        return ""
    if (known["low"] > 0).all():
        return WORSE
    return BETTER if (known["high"] < 0).all() else UNSEEN


def markdown(
    task: str, scores: pd.DataFrame, costs: pd.DataFrame | None, *, title: str, block: float = 5.0
) -> str:
    """A table with methods down, and for each cell line the metrics across.

    Parameters
    ----------
    task
        Its columns are :data:`COLUMNS`.
    scores
        Schema :data:`chromweave.workflows.task_benchmark.BENCHMARK`.
    costs
        Schema :data:`chromweave.workflows.benchmark_cells.COSTS`; None shows none.
    title
        Heading.
    block
        Of the resampling, Mb.
    """
    whole = scores[scores["stratum"] == "all"]
    pairs = list(dict.fromkeys(zip(whole["train_line"], whole["test_line"], strict=True)))
    columns = COLUMNS[task]
    first = _first(whole)
    heads = [
        f"{head}, {test if train == test else f'{train} → {test}'}"
        for train, test in pairs
        for head in columns.values()
    ]
    lines = [f"## {title}", "", LEGEND.format(first=first, block=block), ""]
    lines += [f"| method | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for method in _methods(whole):
        cells = [
            _cell(whole[(whole["train_line"] == train) & (whole["test_line"] == test)], method, first, metric)
            for train, test in pairs
            for metric in columns
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += _reasons(whole)
    if costs is not None:
        lines += ["", *cost_lines(costs)]
    return "\n".join(lines) + "\n"


def annotation_markdown(title: str, table: pd.DataFrame) -> str:
    """Callers down; what they called, how much of it is known, and what it took.

    Parameters
    ----------
    title
        Heading.
    table
        Of :func:`~chromweave.workflows.annotation_benchmark.benchmark_annotation`.
    """
    lines = [f"## {title}", "", "Validated: calls with a published loop within the tolerance, one to one."]
    lines += ["The control are the same calls, moved along the chromosome.", ""]
    heads = (
        "method", "version", "tolerance, bins", "predicted", "validated", "proportion", "recall", "F1",
        "control", "processor seconds", "memory, MB",
    )  # fmt: skip
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in table.to_dict("records"):
        if row["reason"]:
            cells = [f"none: {row['reason']}", *[""] * 6, *_plain(row, "seconds", "megabytes")]
        else:
            cells = [
                *_plain(row, "called", "matched"),
                *(_with_interval(row, name) for name in ("precision", "recall", "f1")),
                f"{row['shifted_control']:.3f}",
                *_plain(row, "seconds", "megabytes"),
            ]
        lines.append(
            f"| {row['method']} | {row['version']} | {row['tolerance_bins']} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def _plain(row: Mapping[str, Any], *names: str) -> list[str]:
    return [f"{row[name]:,.0f}" if np.isfinite(row[name]) else "–" for name in names]


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _first(rows: pd.DataFrame) -> str:
    differences = rows.loc[rows["role"] == "difference", "method"]
    return str(differences.str.split(" - ").str[0].mode().iloc[0]) if len(differences) else label(MIX_HIC)


def _methods(rows: pd.DataFrame) -> Sequence[str]:
    return [
        str(method) for role in _ROLES for method in dict.fromkeys(rows.loc[rows["role"] == role, "method"])
    ]


def _cell(rows: pd.DataFrame, method: str, first: str, metric: str) -> str:
    of = rows[rows["metric"] == metric]
    own = of[of["method"] == method]
    known = own[np.isfinite(own["value"])]
    if not len(known):
        return "failed" if own["note"].notna().any() else "–"
    if known["seed"].nunique() > 1:
        each = " ".join(f"{value:.3f}" for value in known["value"])
        text = f"{known['value'].mean():.3f} ({each})"
    else:
        row = known.iloc[0]
        interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if np.isfinite(row["low"]) else ""
        text = f"{row['value']:.3f}{interval}"
    sign = verdict(of[of["method"] == f"{first} - {method}"])
    return f"{text} {sign}".rstrip()


def _reasons(rows: pd.DataFrame) -> list[str]:
    """Why methods failed, each once."""
    failed = rows[rows["note"].notna()].drop_duplicates(["method", "train_line", "test_line", "seed", "note"])
    found = [
        f"- {row['method']}, trained on {row['train_line']}, seed {row['seed']}: {row['note']}"
        for row in failed.to_dict("records")
    ]
    return ["", "Failed:", "", *dict.fromkeys(found)] if found else []


def cost_lines(costs: pd.DataFrame) -> list[str]:
    """A table of what a training of each method took, on the mean; `costs` as :func:`markdown` takes them."""
    lines = [
        "| method | parameters | processor seconds a training | peak memory, MB |",
        "|---|---|---|---|",
    ]
    for method, of in costs.groupby("method", sort=False):
        size = of["parameters"].dropna()
        shown = [
            f"{size.iloc[0]:,.0f}" if len(size) else "–",
            *(
                f"{of[name].mean():,.0f}" if of[name].notna().any() else "–"
                for name in ("cpu_seconds", "peak_mb")
            ),
        ]
        lines.append(f"| {method} | {' | '.join(shown)} |")
    return lines


def kept_and_adapted(methods: Sequence[str]) -> str:
    """What each restated method has of its paper's; `methods` are names as settings have them."""
    lines = ["", "What is restated, and how it differs from its paper:", ""]
    for method in methods:
        of = describe(method)
        lines.append(f"- {label(method)}. Kept: {of.kept}. Adapted: {of.adapted}.")
    return "\n".join(lines) + "\n"
