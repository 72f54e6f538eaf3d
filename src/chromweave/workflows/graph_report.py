"""A graph benchmark's tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .benchmark_report import BETTER, UNSEEN, WORSE, cost_lines, verdict
from .graph_benchmark import GraphBenchmark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GRAPH_COLUMNS", "graph_markdown", "shown_means"]

GRAPH_COLUMNS: Mapping[tuple[str, str], str] = {
    ("uniform", "auc"): "AUC, uniform",
    ("in-range", "auc"): "AUC, in range",
    ("matched", "auc"): "AUC, equal distances",
    ("counts", "negative binomial"): "log-likelihood of a count",
    ("counts", "log O/E pearson"): "log O/E",
}
"""Sampling and metric of held-out contacts, and what heads their columns."""
_SIGNS = (
    f"{BETTER} better than {{first}} and {WORSE} worse: the interval of the difference leaves 0 out; "
    f"{UNSEEN} no difference seen."
)


def shown_means(found: GraphBenchmark, line: str) -> pd.DataFrame:
    """A line's means of the columns that are shown: role, method, metric (its heading), value, low, high.

    Rows of differences have the role ``"difference"``.
    """
    means = found.summary[found.summary["line"] == line]
    heads = [GRAPH_COLUMNS.get(key) for key in zip(means["sampling"], means["metric"], strict=True)]
    roles = dict(zip(found.contacts["method"], found.contacts["role"], strict=True))
    table = means.assign(
        metric=heads,
        value=means["mean"],
        role=[roles.get(method, "difference") for method in means["method"]],
    )
    return table[table["metric"].notna()]


def graph_markdown(found: GraphBenchmark, line: str, first: str) -> str:
    """Methods down; how well held-out contacts are told, then what embeddings know of A and B, then costs.

    Parameters
    ----------
    found
        Of the benchmark.
    line
        Cell line to show.
    first
        Method that the others are compared with.
    """
    means, scores = shown_means(found, line), found.contacts[found.contacts["line"] == line]
    heads = [head for head in GRAPH_COLUMNS.values() if head in set(means["metric"])]
    said = (
        f"Held-out contacts, {scores['seed'].nunique()} trainings with contacts of their own: means and "
        f"Student's 95 % intervals. {_SIGNS.format(first=first)} It is taken seed by seed."
    )
    lines = [f"## {line}", "", said]
    lines += ["", f"| method | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    failed = scores[scores["note"].notna()].drop_duplicates(["method", "seed", "note"])
    for method in _by_role(scores):
        missing = "failed" if method in set(failed["method"]) else "–"
        cells = [_mean(means[means["metric"] == head], method, first, missing) for head in heads]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    if len(failed):
        lines += ["", "Failed:", ""]
        lines += [
            f"- {row['method']}, seed {row['seed']}: {row['note']}" for row in failed.to_dict("records")
        ]
    probed = found.compartments[found.compartments["line"] == line]
    if len(probed):
        lines += _compartments(probed, first)
    return "\n".join([*lines, "", *cost_lines(found.costs[found.costs["train_line"] == line])]) + "\n"


def _by_role(scores: pd.DataFrame) -> list[str]:
    """Methods: ours, others, trivial rows."""
    order = ["ours", "baseline", "trivial"]
    known = scores.sort_values("role", key=lambda roles: roles.map(order.index), kind="stable")
    return [str(method) for method in dict.fromkeys(known["method"])]


def _mean(rows: pd.DataFrame, method: str, first: str, missing: str) -> str:
    own = rows[rows["method"] == method]
    if not len(own):
        return missing
    row = own.iloc[0]
    if not np.isfinite(row["value"]):
        return "undefined"
    sign = verdict(rows[rows["method"] == f"{first} - {method}"])
    return f"{row['value']:.3f}{_interval(row['low'], row['high'])} {sign}".rstrip()


def _interval(low: float, high: float) -> str:
    return f" [{low:.3f}, {high:.3f}]" if np.isfinite(low) else ""


def _compartments(rows: pd.DataFrame, first: str) -> Iterator[str]:
    import pandas as pd

    yield from (
        "",
        f"A linear probe for published A and B, {rows['bins'].iloc[0]:,} bins; AUC of held-out blocks, mean "
        f"over trainings, intervals over blocks. {_SIGNS.format(first=first)}",
        "",
        "| description | contacts | dimensions | AUC |",
        "|---|---|---|---|",
    )
    for row in rows.to_dict("records"):
        reach = row["reach"]
        far = "all" if np.isnan(reach) else f"within {reach / 1e6:g} Mb" if reach else "none"
        sign = verdict(pd.DataFrame({"low": [row["difference_low"]], "high": [row["difference_high"]]}))
        found = f"{row['auc']:.3f}{_interval(row['low'], row['high'])} {sign}".rstrip()
        yield f"| {row['method']} | {far} | {row['dimensions']} | {found} |"
