"""A task's model beside the trivial rows, on windows nothing was trained on.

Scores are taken on the test split by `evaluate` alone, which the experiments call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..training.checkpoint import read_description
from .evaluate_contacts import SAME_PLACE, TRIVIAL_CONTACT_ROWS, evaluate_contacts
from .evaluate_expression import TRIVIAL_EXPRESSION_ROWS, evaluate_expression
from .evaluate_loops import TRIVIAL_LOOP_ROWS, evaluate_loops
from .evaluation_rows import EvaluateConfig, EvaluationRequest
from .model_input import StoreLike
from .networks import TASKS, wrong_kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EvaluateConfig", "evaluate"]

_EVALUATIONS = {"loops": evaluate_loops, "contacts": evaluate_contacts, "expression": evaluate_expression}

_ROWS = {
    "model",
    SAME_PLACE,
    *TRIVIAL_LOOP_ROWS,
    *TRIVIAL_CONTACT_ROWS,
    *TRIVIAL_EXPRESSION_ROWS,
}


def evaluate(
    out: str | Path,
    *,
    model: str | Path,
    store: StoreLike,
    windows: str | Path,
    trivial_store: StoreLike | None = None,
    trivial_windows: str | Path | None = None,
    beside: Mapping[str, str | Path] | None = None,
    scores: Mapping[str, str | Path] | None = None,
    seed: int = 0,
    config: EvaluateConfig | None = None,
) -> pd.DataFrame:
    """Score a model and the trivial rows on held-out windows; write table and figures.

    Parameters
    ----------
    out
        Folder for the table (``TASK.tsv``, ``TASK.json``) and the figures (``TASK*.png``).
    model
        A run of ``finetune``; it says for which task.
    store, windows
        The store, and its window table, labelled where the task is loops.
    trivial_store, trivial_windows
        Where the trivial rows learn, on the rows ``train``, what they need to; the store and table that are
        evaluated, if not given. For a model of another cell line: that line's, so that they know no more
        than it does.
    beside
        Other models of the task by the names of their rows, judged on the same windows.
    scores
        For loops: tables of scores (schema `WINDOW_SCORES`) that other programs gave the judged windows, by
        the names of their rows.
    seed
        Of the bootstrap and of the boosting.
    config
        Split, blocks and batches.

    Returns
    -------
    pandas.DataFrame
        Schema `RESULTS`, every value with its interval; methods called ``"model - ROW"`` are paired
        differences over the same resampled blocks, of the model and a trivial row or a model beside it.

    Raises
    ------
    ModelError
        The folder holds no task's model, or the store does not fit it.
    DataError
        The split has no windows that can be judged, or there are none to learn the trivial rows from.
    ConfigError
        Trivial rows have a store without a table, two rows one name, or scores are given for another task.
    """
    kind = read_description(model).kind
    tasks = {of: task for task, of in TASKS.items()}
    if kind not in tasks:
        raise wrong_kind(model, kind, "finetune")
    if scores and tasks[kind] != "loops":
        raise ConfigError(f"tables of scores are for loops; {model} is of the task {tasks[kind]}.")
    named = [*(beside or ()), *(scores or ())]
    if taken := sorted(name for name in set(named) if name in _ROWS or named.count(name) > 1):
        raise ConfigError(f"a row is called {taken[0]!r} already; name the model beside it otherwise.")
    request = EvaluationRequest(
        model,
        store,
        windows,
        trivial_store,
        trivial_windows,
        beside=dict(beside or {}),
        scores=dict(scores or {}),
        seed=seed,
        config=config or EvaluateConfig(),
    )
    return _EVALUATIONS[tasks[kind]](out, request)
