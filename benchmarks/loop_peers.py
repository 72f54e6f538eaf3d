"""Other callers' programs at several settings each, on one map.

They come from virtual environments of their own (see :mod:`chromweave.baselines.external`); what a program
has found is kept in the folder, with what that cost, and is not done again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from chromweave.baselines.external import ExternalRequest, call_external
from chromweave.baselines.programs import Cost, measured

__all__ = ["Cost", "chromosight", "dots", "measured"]

PEARSON = (0.2, 0.3, 0.4, 0.5, 0.6)
DOTS = (0.02, 0.1, 0.2)


def chromosight(request: ExternalRequest) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """chromosight's loops at each threshold: name, list with its `score`, cost."""
    for threshold in PEARSON:
        found = call_external("chromosight", request, {"pearson": threshold})
        yield f"chromosight, Pearson {threshold:g}", found.table, found.cost


def dots(request: ExternalRequest) -> Iterator[tuple[str, pd.DataFrame, Cost]]:
    """cooltools' at each rate, with its own expected values, likewise."""
    for rate in DOTS:
        found = call_external("cooltools dots", request, {"fdr": rate})
        yield f"cooltools dots, FDR {rate:g}", found.table, found.cost
