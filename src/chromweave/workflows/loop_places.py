"""Which window of a model shows a known loop, and where in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..genome import Interval
from .pair_scoring import ELSEWHERE, STICKS_OUT

if TYPE_CHECKING:
    import pandas as pd

    from .edited_windows import EditableModel

__all__ = ["LoopPlace", "loop_places"]

_MARGIN = 3  # bins from a loop's pixel to the window's border, so that its surroundings are in the window


@dataclass(frozen=True)
class LoopPlace:
    """A loop in a window.

    Attributes
    ----------
    name
        The loop's, or where its anchors start.
    anchors
        Its two anchors, the first one first.
    x, y
        Anchor bins of the window.
    row, column
        The loop's entry in the window.
    reason
        Why no window shows it; empty if one does.
    """

    name: str
    anchors: tuple[Interval, Interval]
    x: int = 0
    y: int = 0
    row: int = 0
    column: int = 0
    reason: str = ""


def loop_places(loops: pd.DataFrame, model: EditableModel) -> list[LoopPlace]:
    """A place for each loop, in their order.

    A loop model has its window around the pixel of the bins in which the anchors start, as it was trained. A
    contact model sees a loop, the pixel of the anchors' middles, in a window on the diagonal around the
    loop's middle where that is wide enough; a longer loop in a window around the loop's pixel, if the model
    was trained on windows as far from the diagonal.

    Parameters
    ----------
    loops
        :data:`schemas.BEDPE`.
    model
        Of loops or contacts.

    Raises
    ------
    ConfigError
        The model predicts neither.
    """
    if model.task not in ("loops", "contacts"):
        raise ConfigError(
            f"the model {model.model.name} predicts {model.task}, which says nothing of loops; leave out "
            "--loops."
        )
    names = loops["name"] if "name" in loops.columns else [""] * len(loops)
    columns = [loops[name] for name in ("chrom1", "start1", "end1", "start2", "end2")]
    found = []
    for name, chrom, start1, end1, start2, end2 in zip(names, *columns, strict=True):
        anchors = (Interval(chrom, int(start1), int(end1)), Interval(chrom, int(start2), int(end2)))
        known = isinstance(name, str) and name not in ("", ".")
        found.append(_place(name if known else f"{chrom}:{start1:,}/{start2:,}", anchors, model))
    return found


def _place(name: str, anchors: tuple[Interval, Interval], model: EditableModel) -> LoopPlace:
    store, resolution = model.store, model.resolution
    chrom = anchors[0].chrom
    if chrom not in store.chromosomes:
        return LoopPlace(name, anchors, reason=ELSEWHERE)
    half, n_bins = model.window_bins // 2, model.model.n_bins(store, chrom)
    if model.task == "loops":
        i, j = (anchor.start // resolution for anchor in anchors)
        x, y = i, j
    else:
        i, j = ((anchor.start + anchor.end) // 2 // resolution for anchor in anchors)
        if j - i < _MARGIN:
            return LoopPlace(name, anchors, reason=f"the anchors are less than {_MARGIN} bins apart")
        x = y = (i + j) // 2
        if i - (x - half) < _MARGIN or j > x + half - 1 - _MARGIN:
            x, y = i, j
            if j - i > model.farthest_bins:
                return LoopPlace(name, anchors, reason="longer than the windows the model was trained on")
    if x < half or y + half > n_bins:
        return LoopPlace(name, anchors, reason=STICKS_OUT)
    return LoopPlace(name, anchors, x, y, i - (x - half), j - (y - half))
