"""One perturbation as it is worked on: model, edits, region, and what all tasks write of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data.edits import SignalEdit
from ..files import atomic_path
from ..genome import Interval
from ..plot.style import image_bytes
from ..plot.tracks import SignalTrack
from .edited_windows import EditableModel
from .region_signals import named_signals
from .stitching import Tiling, step_bins

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["EditTask", "Outcome", "band_bins", "reach_bins", "save_figure"]


class Outcome(NamedTuple):
    """The table of a perturbation, and how large the change is, as plain values."""

    table: pd.DataFrame
    summary: dict[str, Any]


@dataclass(frozen=True)
class EditTask:
    """One perturbation.

    Parameters
    ----------
    model
        What predicts.
    edits
        All on the region's chromosome.
    region
        What is predicted.
    batch_size
        Windows at a time.
    loops
        BEDPE file, for a loop model.
    """

    model: EditableModel
    edits: tuple[SignalEdit, ...]
    region: Interval
    batch_size: int
    loops: str | Path | None = None

    @property
    def chrom(self) -> str:
        """The chromosome."""
        return self.region.chrom

    @property
    def bins(self) -> tuple[int, int]:
        """First bin of the region, and the first one behind it."""
        resolution = self.model.resolution
        n_bins = self.model.model.n_bins(self.model.store, self.chrom)
        return self.region.start // resolution, min(-(-self.region.end // resolution), n_bins)

    @property
    def whole_bins(self) -> Interval:
        """The region, widened to whole bins."""
        (first, last), resolution = self.bins, self.model.resolution
        length = self.model.store.assembly.length(self.chrom)
        return Interval(self.chrom, first * resolution, min(last * resolution, length))

    def signals(self, region: Interval) -> tuple[list[SignalTrack], list[SignalTrack]]:
        """The model's tracks along a region, before and after the edits."""
        editor = self.model.editor([self.chrom])
        before, after = editor.along(region, self.edits)
        return named_signals(editor.tracks, before, region), named_signals(editor.tracks, after, region)

    def described(self) -> dict[str, Any]:
        """Region and edits as plain values."""
        return {
            "region": str(self.region),
            "edits": [
                {"interval": str(edit.interval), "tracks": list(edit.tracks), "factor": edit.factor}
                for edit in self.edits
            ],
        }


def reach_bins(model: EditableModel) -> int:
    """How far from an edit the model's predictions can change, bins.

    As far as two bins of one window lie apart: an edit at the end of a window's one segment changes what is
    said of the start of its other one.
    """
    return (model.farthest_bins if model.task == "contacts" else 0) + model.window_bins - 1


def band_bins(model: EditableModel) -> int:
    """How far from the diagonal a contact model's predicted map reaches, bins."""
    side = model.window_bins
    return Tiling(side, step_bins(None, model.resolution, side), model.farthest_bins).reach


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(image_bytes(figure))
