"""What a window model reads: saved with it, and held against every store it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import config as configs
from ..data.dataset import WindowDataset
from ..data.store import RegionStore
from ..data.targets import LEAST_KNOWN
from ..data.transforms import WindowTransform
from ..errors import DataError, ModelError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ModelInput", "Split", "StoreLike", "open_stores", "shared_tracks"]

StoreLike = str | Path | RegionStore
Split = Literal["train", "valid", "test", "predict"]


def open_stores(stores: StoreLike | Sequence[StoreLike]) -> tuple[RegionStore, ...]:
    """Stores by path, or as they are."""
    several = [stores] if isinstance(stores, str | Path | RegionStore) else list(stores)
    return tuple(s if isinstance(s, RegionStore) else RegionStore.open(s) for s in several)


def shared_tracks(stores: Sequence[RegionStore]) -> tuple[str, ...]:
    """Tracks that every store has, in the first one's order.

    Raises
    ------
    DataError
        There is none.
    """
    names = tuple(n for n in stores[0].track_names if all(n in store.track_names for store in stores))
    if not names:
        each = "; ".join(f"{s.path}: {', '.join(s.track_names) or 'none'}" for s in stores)
        raise DataError(f"the stores have no track in common ({each}); add one with build --add-track.")
    return names


@dataclass(frozen=True)
class ModelInput:
    """Where a model's windows come from and what is done to them.

    Parameters
    ----------
    assembly
        Name of the assembly.
    resolution
        Bin size, bp.
    window_bins
        Bins of a window's side.
    transform
        Balancing, scaling, clipping, and the tracks in order.
    """

    assembly: str
    resolution: int
    window_bins: int
    transform: WindowTransform

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str) -> ModelInput:
        """From a model's `config.json`.

        Raises
        ------
        ConfigError
            It does not fit.
        """
        return configs.from_mapping(cls, values, where=source)

    @property
    def positions(self) -> int:
        """100 bp steps of both segments of a window."""
        return 2 * self.window_bins * self.resolution // 100

    def check(self, store: RegionStore, model: str | Path, *, contacts: bool = True) -> None:
        """Refuse a store that the model cannot read; without `contacts` it may have no map.

        Raises
        ------
        ModelError
            Assembly, resolution or tracks differ; what the store has is listed.
        """
        if store.assembly.name != self.assembly:
            raise ModelError(
                f"{store.path}: is of {store.assembly.name}, and the model {model} reads {self.assembly}; "
                f"give it a store of that assembly."
            )
        if contacts and self.resolution not in store.resolutions:
            has = ", ".join(f"{r:,}" for r in store.resolutions) or "none"
            raise ModelError(
                f"{store.path}: has no layer of {self.resolution:,} bp, which the model {model} needs here "
                f"(it has {has}); build it with --contacts and --resolution {self.resolution}, or add them "
                f"with --add-contacts."
            )
        missing = [name for name in self.transform.tracks if name not in store.track_names]
        if missing:
            raise ModelError(
                f"{store.path}: lacks the track {', '.join(missing)}; the model {model} reads "
                f"{', '.join(self.transform.tracks)}, the store has "
                f"{', '.join(store.track_names) or 'none'}. Add it with build --add-track."
            )

    def check_windows(self, table: pd.DataFrame, model: str | Path) -> None:
        """Refuse windows of another size.

        Raises
        ------
        ModelError
            Resolution or number of bins differ.
        """
        found = (int(table.attrs["resolution"]), int(table.attrs["window_bins"]))
        if found != (self.resolution, self.window_bins):
            raise ModelError(
                f"the windows have {found[1]} bins of {found[0]:,} bp, and the model {model} reads "
                f"{self.window_bins} bins of {self.resolution:,} bp; make windows for it."
            )

    def dataset(
        self,
        stores: Sequence[RegionStore],
        tables: Sequence[pd.DataFrame],
        split: Split,
        seed: int = 0,
        *,
        contacts: bool = True,
        target: str | None = None,
        least_known: float = LEAST_KNOWN,
    ) -> WindowDataset:
        """Windows of a split of `tables`, each cut from the store in its place; ``"predict"`` takes all.

        `contacts`, `target` and `least_known` as in :class:`~chromweave.data.dataset.WindowDataset`.
        """
        augmented = self.transform.augmentations if split == "train" else ()
        return WindowDataset(
            stores,
            tables,
            replace(self.transform, augmentations=augmented),
            split=split,
            seed=seed,
            resolution=self.resolution,
            window_bins=self.window_bins,
            contacts=contacts,
            target=target,
            least_known=least_known,
        )
