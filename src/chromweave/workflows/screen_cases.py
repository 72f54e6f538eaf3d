"""What a screen looks at: which stretches are edited together, and in which window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..data.edits import SignalEdit
from ..errors import ConfigError
from ..genome import Interval
from .loop_places import LoopPlace
from .pair_scoring import ELSEWHERE, STICKS_OUT

if TYPE_CHECKING:
    import pandas as pd

    from .edited_windows import EditableModel

__all__ = ["ScreenCase", "anchor_cases", "interval_cases", "pair_cases"]

TOO_LONG = "longer than a window"
TOO_SHORT = "shorter than half a step of 100 bp"
NO_LOOP = "no loop has an anchor in it"
NO_LOOP_NEAR = "in no loop's window"


@dataclass(frozen=True)
class ScreenCase:
    """One edit and the window that it is looked at in.

    Attributes
    ----------
    name
        Of the interval, or of the loop whose anchors are edited.
    edited
        What is edited, in order along the chromosome.
    x, y
        Anchor bins of the window.
    loop
        The loop in it, where it is about one.
    with_loops
        Whether loops are given at all.
    reason
        Why it cannot be scored; empty if it can.
    """

    name: str
    edited: tuple[Interval, ...]
    x: int = 0
    y: int = 0
    loop: LoopPlace | None = None
    with_loops: bool = False
    reason: str = ""

    @property
    def chrom(self) -> str:
        """The chromosome."""
        return self.edited[0].chrom


def interval_cases(intervals: pd.DataFrame, model: EditableModel) -> list[ScreenCase]:
    """Each interval by itself, in a window on the diagonal around its middle.

    Parameters
    ----------
    intervals
        :data:`schemas.BED`.
    model
        Decides the windows.
    """
    found = []
    for name, interval in _named(intervals):
        case = ScreenCase(name, (interval,), reason=_why_not(interval, model))
        if not case.reason:
            middle = (interval.start + interval.end) // 2 // model.resolution
            half = model.window_bins // 2
            inside = half <= middle <= model.model.n_bins(model.store, interval.chrom) - half
            case = replace(case, x=middle, y=middle, reason="" if inside else STICKS_OUT)
        found.append(case)
    return found


def pair_cases(
    intervals: pd.DataFrame, places: Sequence[LoopPlace], model: EditableModel, all_loops: bool
) -> list[ScreenCase]:
    """Each interval with every loop that has an anchor in it, or with all that have it in their windows.

    One without any loop is a case with a reason.
    """
    found = []
    for name, interval in _named(intervals):
        why = _why_not(interval, model)
        paired = [
            _with_loop(ScreenCase(name, (interval,), reason=why), place)
            for place in places
            if (
                _in_window(interval, place, model)
                if all_loops
                else any(anchor.overlaps(interval) for anchor in place.anchors)
            )
        ]
        alone = ScreenCase(
            name, (interval,), with_loops=True, reason=why or (NO_LOOP_NEAR if all_loops else NO_LOOP)
        )
        found += paired or [alone]
    return found


def anchor_cases(places: Sequence[LoopPlace]) -> list[ScreenCase]:
    """Each loop with both its anchors edited together; anchors that overlap are one stretch."""
    found = []
    for place in places:
        first, second = place.anchors
        edited: tuple[Interval, ...] = place.anchors
        if first.end > second.start:
            edited = (Interval(first.chrom, first.start, max(first.end, second.end)),)
        why = next((TOO_SHORT for interval in edited if not _steps(interval)), "")
        found.append(_with_loop(ScreenCase(place.name, edited, reason=why), place))
    return found


def _named(intervals: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    names = intervals["name"] if "name" in intervals.columns else [""] * len(intervals)
    columns = [intervals[name] for name in ("chrom", "start", "end")]
    for name, chrom, start, end in zip(names, *columns, strict=True):
        interval = Interval(str(chrom), int(start), int(end))
        yield (name if isinstance(name, str) and name not in ("", ".") else str(interval)), interval


def _why_not(interval: Interval, model: EditableModel) -> str:
    if interval.chrom not in model.store.chromosomes:
        return ELSEWHERE
    if len(interval) > model.window_bins * model.resolution:
        return TOO_LONG
    return "" if _steps(interval) else TOO_SHORT


def _steps(interval: Interval) -> bool:
    """Whether there is anything for an edit to take hold of."""
    try:
        SignalEdit(interval)
    except ConfigError:
        return False
    return True


def _with_loop(case: ScreenCase, place: LoopPlace) -> ScreenCase:
    return replace(
        case, x=place.x, y=place.y, loop=place, with_loops=True, reason=case.reason or place.reason
    )


def _in_window(interval: Interval, place: LoopPlace, model: EditableModel) -> bool:
    """Whether an interval touches one of the segments of a loop's window."""
    if place.reason:
        return False
    half = model.window_bins // 2
    return any(
        interval.overlaps(
            Interval(
                place.anchors[0].chrom,
                (anchor - half) * model.resolution,
                (anchor + half) * model.resolution,
            )
        )
        for anchor in (place.x, place.y)
    )
