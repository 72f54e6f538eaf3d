"""Edits of the input signal: stretches of the genome where tracks are scaled, or brought to their background.

They are made on signal as it is stored, before any transform, so that a factor is one of the measured signal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..batch import MapTrackBatch
from ..errors import ConfigError, DataError
from ..genome import Interval
from .layers import TRACK_WIDTH
from .store import RegionStore

__all__ = ["MOST_FACTOR", "EditedTracks", "SignalEdit", "SignalEditor"]

MOST_FACTOR = 1e6
"""Largest factor; no signal that is stored becomes infinite by it."""


@dataclass(frozen=True)
class SignalEdit:
    """What is done to the signal of a stretch.

    An edit takes hold of the 100 bp steps of which the interval covers at least half. Steps without data stay
    without data.

    Parameters
    ----------
    interval
        Where.
    tracks
        Names of tracks; all that the model reads where empty.
    factor
        The signal is multiplied by it. None takes the signal away: each track gets its background, the median
        over the chromosome's steps with data. It is not set to 0, which hardly any step of the mappable
        genome has in such assays: what the model then answered would be about a value it has not seen there.

    Raises
    ------
    ConfigError
        The factor is negative, above :data:`MOST_FACTOR` or no number; or the interval covers half of no
        step.
    """

    interval: Interval
    tracks: tuple[str, ...] = ()
    factor: float | None = None

    def __post_init__(self) -> None:
        if self.factor is not None and not 0 <= self.factor <= MOST_FACTOR:
            raise ConfigError(
                f"{self.interval}: signal is scaled by a number from 0 to {MOST_FACTOR:,.0f}, not by "
                f"{self.factor:g}."
            )
        if not self.steps:
            raise ConfigError(
                f"{self.interval}: covers half of no {TRACK_WIDTH} bp step, which signal is stored in; "
                "give a longer interval."
            )

    @property
    def steps(self) -> range:
        """Steps of the chromosome, each of 100 bp, that the edit takes hold of."""
        first, last = self.interval.start // TRACK_WIDTH, (self.interval.end - 1) // TRACK_WIDTH + 1
        first += self._covered(first) < TRACK_WIDTH / 2
        last -= self._covered(last - 1) < TRACK_WIDTH / 2
        return range(first, max(first, last))

    def _covered(self, step: int) -> int:
        """Bases of a step that the interval covers."""
        start, end = step * TRACK_WIDTH, (step + 1) * TRACK_WIDTH
        return min(end, self.interval.end) - max(start, self.interval.start)

    def __str__(self) -> str:
        done = "deleted" if self.factor is None else f"times {self.factor:g}"
        return f"{self.interval} {done}" + (f" ({', '.join(self.tracks)})" if self.tracks else "")


class EditedTracks(NamedTuple):
    """Signal of a stretch before and after edits, float32 (steps, tracks), NaN where there is no data."""

    before: np.ndarray
    after: np.ndarray


class _Windows(NamedTuple):
    """Signal of windows, (windows, positions, tracks): where it lies, what it is, and where it has data."""

    step: Int[Tensor, "windows positions"]
    chrom: Int[Tensor, " windows"]
    signal: Float[Tensor, "windows positions tracks"]
    mask: Bool[Tensor, "windows positions tracks"]


class SignalEditor:
    """Edits windows of raw signal that were cut from one store.

    Parameters
    ----------
    store
        Where the backgrounds come from.
    tracks
        Names of tracks, in the windows' order.
    chromosomes
        What the windows' `chrom` indexes.
    resolution
        Bin size of the windows, bp.
    """

    def __init__(
        self, store: RegionStore, tracks: Sequence[str], chromosomes: Sequence[str], resolution: int
    ) -> None:
        self.store, self.tracks = store, tuple(tracks)
        self.chromosomes, self.resolution = tuple(chromosomes), resolution
        self._known: dict[str, np.ndarray] = {}

    def background(self, chrom: str) -> np.ndarray:
        """Median signal of each track over the steps of a chromosome with data, float32 (tracks,).

        NaN for a track without any data there.
        """
        if chrom not in self._known:
            self._known[chrom] = np.array(
                [_median(self.store.track(name, chrom).mean) for name in self.tracks], np.float32
            )
        return self._known[chrom]

    def edited(
        self, batch: MapTrackBatch, edits: Sequence[SignalEdit] | Sequence[Sequence[SignalEdit]]
    ) -> Float[Tensor, "batch positions tracks"]:
        """Signal of a batch after edits, on its device; the batch stays as it is.

        Parameters
        ----------
        batch
            Windows with raw signal (of a dataset whose transform has `signal` ``"raw"``), neither flipped nor
            swapped.
        edits
            One list for all windows, or a list for each window; the edits of a list are made in order. One
            that does not touch a window does nothing there.

        Raises
        ------
        DataError
            There is not one list for each window, or an edit is of a track that the windows do not have.
        """
        return self._apply(self._placed(batch), _lists(edits, len(batch)))

    def take_hold(
        self, batch: MapTrackBatch, edits: Sequence[SignalEdit] | Sequence[Sequence[SignalEdit]]
    ) -> Bool[Tensor, " batch"]:
        """Whether any edit of a window is of a step with data; parameters and errors as :meth:`edited`."""
        windows, lists = self._placed(batch), _lists(edits, len(batch))
        found = torch.zeros(len(batch), dtype=torch.bool, device=batch.tracks.device)
        for now in _by_rank(lists):
            found |= self._touched(windows, now).flatten(1).any(1)
        return found

    def _placed(self, batch: MapTrackBatch) -> _Windows:
        half = batch.contact_map.shape[-1] // 2
        per_bin = self.resolution // TRACK_WIDTH
        starts = (torch.stack([batch.x, batch.y], dim=1).long() - half) * per_bin
        segment = torch.arange(batch.tracks.shape[1] // 2, device=starts.device)
        step = (starts[:, :, None] + segment).flatten(1)
        return _Windows(step, batch.chrom, batch.tracks, batch.track_mask)

    def along(self, region: Interval, edits: Sequence[SignalEdit]) -> EditedTracks:
        """Signal of a region before and after edits; of each step that the region touches."""
        first, last = region.start // TRACK_WIDTH, -(-region.end // TRACK_WIDTH)
        stored = [
            np.asarray(self.store.track(name, region.chrom).mean[first:last], np.float32)
            for name in self.tracks
        ]
        before = np.stack(stored, axis=-1)
        signal = torch.from_numpy(before)[None]
        step = torch.arange(first, first + len(before))[None]
        chrom = torch.tensor([self.chromosomes.index(region.chrom)])
        windows = _Windows(step, chrom, signal, signal.isfinite())
        return EditedTracks(before, self._apply(windows, [edits])[0].numpy())

    def _apply(self, windows: _Windows, lists: Sequence[Sequence[SignalEdit]]) -> Tensor:
        for now in _by_rank(lists):
            windows = windows._replace(signal=self._once(windows, now))
        return windows.signal

    def _once(self, windows: _Windows, edits: Sequence[SignalEdit | None]) -> Tensor:
        """At most one edit in each window."""
        signal = windows.signal
        factor = [np.nan if edit is None or edit.factor is None else edit.factor for edit in edits]
        times = torch.tensor(factor, dtype=signal.dtype, device=signal.device)[:, None, None]
        changed = torch.where(times.isnan(), self._backgrounds(windows, edits), signal * times)
        return torch.where(self._touched(windows, edits), changed, signal)

    def _touched(self, windows: _Windows, edits: Sequence[SignalEdit | None]) -> Tensor:
        """What the edits take hold of, bool (windows, positions, tracks)."""
        steps = []
        for edit, chrom in zip(edits, self._chroms(windows), strict=True):
            here = edit is not None and edit.interval.chrom == chrom
            steps.append((edit.steps.start, edit.steps.stop) if edit is not None and here else (0, 0))
        device = windows.signal.device
        span = torch.tensor(steps, device=device)
        inside = (windows.step >= span[:, :1]) & (windows.step < span[:, 1:])
        which = torch.tensor([self._which(edit) for edit in edits], device=device)
        return inside[..., None] & which[:, None] & windows.mask

    def _chroms(self, windows: _Windows) -> list[str]:
        return [self.chromosomes[index] for index in windows.chrom.tolist()]

    def _which(self, edit: SignalEdit | None) -> list[bool]:
        """Which tracks an edit is of."""
        if edit is None:
            return [False] * len(self.tracks)
        unknown = [name for name in edit.tracks if name not in self.tracks]
        if unknown:
            raise DataError(
                f"the edit of {edit.interval} is of the track {', '.join(unknown)}; the windows have "
                f"{', '.join(self.tracks) or 'none'}."
            )
        return [not edit.tracks or name in edit.tracks for name in self.tracks]

    def _backgrounds(self, windows: _Windows, edits: Sequence[SignalEdit | None]) -> Tensor:
        """Background of each window that an edit takes signal from, (windows, 1, tracks)."""
        unused = np.zeros(len(self.tracks), np.float32)
        found = [
            self.background(chrom) if edit is not None and edit.factor is None else unused
            for edit, chrom in zip(edits, self._chroms(windows), strict=True)
        ]
        return torch.from_numpy(np.stack(found)).to(windows.signal.device)[:, None]


def _by_rank(lists: Sequence[Sequence[SignalEdit]]) -> Iterator[list[SignalEdit | None]]:
    """The first edit of each window, then the second of each, ...; None where there are no more."""
    for rank in range(max(map(len, lists), default=0)):
        yield [edits[rank] if rank < len(edits) else None for edits in lists]


def _median(mean: np.ndarray) -> float:
    known = np.asarray(mean, np.float32)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan


def _lists(
    edits: Sequence[SignalEdit] | Sequence[Sequence[SignalEdit]], windows: int
) -> Sequence[Sequence[SignalEdit]]:
    """A list for each window."""
    if all(isinstance(one, SignalEdit) for one in edits):
        shared = cast("Sequence[SignalEdit]", edits)
        if shared or not windows:
            return [shared] * windows
    lists = cast("Sequence[Sequence[SignalEdit]]", edits)
    if lists and len(lists) != windows:
        raise DataError(f"{len(lists)} lists of edits for {windows} windows; give one for each window.")
    return lists or [()] * windows
