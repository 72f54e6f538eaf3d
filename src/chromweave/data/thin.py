"""A store as a shallower experiment would have filled it: each contact stays with one chance.

A contact is one and the same at every bin size. So a coarser layer is what is left of a finer one, summed up,
and of those contacts that the finer one does not hold (beyond its band) each stays with the same chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, WeightError
from ..files import atomic_directory
from ..io.pixels import Pixels
from ..io.weights import Weight
from ..progress import notify
from .draft import Draft
from .fill import MAX_DISTANCE, ContactOptions, write_contacts
from .store import MANIFEST, RegionStore

__all__ = ["thin_store"]


def thin_store(
    out: str | Path,
    store: str | Path | RegionStore,
    fraction: float,
    *,
    seed: int,
    name: str | None = None,
) -> RegionStore:
    """Write a store whose counts are binomially thinned from another's raw counts.

    Layers are balanced anew by ICE over the contacts they hold: for a band without those beyond it, so that
    bins near a chromosome's ends are weighted up more than in a store built from a file. What is compared
    with a thinned store is therefore best thinned, too, if only with the fraction 1.

    Parameters
    ----------
    out
        Folder to write; a store that is there is replaced once the new one is complete.
    store
        Where the counts come from. Its tracks are shared (hard links), and so is its name.
    fraction
        Chance of each contact to stay; above 0, at most 1.
    seed
        Of the draw. The same seed gives the same counts.
    name
        Of the cell line, if it is to be another.

    Returns
    -------
    RegionStore
        Its manifest says under ``"thinned"`` which store it was thinned from, and how.

    Raises
    ------
    ConfigError
        The fraction is out of range, or the store would replace the one it is thinned from.
    DataError
        The store has no contacts, or some that are no counts.
    BalancingError
        ICE does not converge on so few contacts.
    OutputError
        The store cannot be written, or the folder holds something else.
    """
    out = Path(out)
    before = store if isinstance(store, RegionStore) else RegionStore.open(store)
    _check_request(out, before, fraction)
    source = _ThinnedContacts(before, fraction, seed)
    with atomic_directory(out, marker=MANIFEST) as folder:
        draft = Draft(folder)
        draft.link(before, "tracks/")
        layers: dict[str, Any] = {}
        for resolution in before.resolutions:
            width = before.manifest["contacts"][str(resolution)].get("max_distance", MAX_DISTANCE)
            options = ContactOptions((resolution,), width, weights=())
            layers |= write_contacts(draft, source, before.chromosomes, options)
            _say_masked(before, resolution, layers[str(resolution)])
        made_from = {
            "store": str(before.path),
            "manifest_sha256": before.manifest_sha256,
            "fraction": fraction,
            "seed": seed,
        }
        draft.finish(
            {
                "name": name or before.name,
                "assembly": before.manifest["assembly"],
                "chromosomes": before.manifest["chromosomes"],
                "contacts": layers,
                "tracks": before.manifest["tracks"],
                "sources": before.manifest["sources"],
                "history": [*before.manifest.get("history", ()), before.manifest["provenance"]],
                "thinned": [*before.manifest.get("thinned", ()), made_from],
            }
        )
    return RegionStore.open(out)


def _check_request(out: Path, before: RegionStore, fraction: float) -> None:
    if not 0 < fraction <= 1:
        raise ConfigError(f"the fraction of contacts to keep lies above 0 and is at most 1, not {fraction}.")
    if not before.resolutions:
        raise DataError(f"{before.path}: has no contacts, only tracks; there is nothing to thin.")
    if out.exists() and out.resolve() == Path(before.path).resolve():
        raise ConfigError(
            f"{out}: a thinned store does not replace the one it comes from; give another name."
        )


def _say_masked(before: RegionStore, resolution: int, layer: Mapping[str, Any]) -> None:
    """Say so where balancing has lost most of the bins that the store had."""
    had, left = (
        sum(one["weights"][entry["default_weight"]]["valid_bins"] for one in entry["chromosomes"].values())
        for entry in (before.manifest["contacts"][str(resolution)], layer)
    )
    if left < had / 2:
        notify(
            f"at {resolution:,} bp balancing masks most bins of so few contacts: {left:,} are left of the "
            f"{had:,} that {before.path} has"
        )


class _ThinnedContacts:
    """What is left of a store's contacts, as :func:`write_contacts` asks for it.

    A chromosome is drawn whenever it is asked for, always alike: the draw depends on seed, chromosome and
    resolution alone.
    """

    def __init__(self, store: RegionStore, fraction: float, seed: int) -> None:
        self._store, self._fraction, self._seed = store, fraction, seed
        self._alone: set[int] = set()

    @property
    def path(self) -> str:
        return str(self._store.path)

    @property
    def resolutions(self) -> tuple[int, ...]:
        return self._store.resolutions

    def weight_names(self, resolution: int) -> tuple[str, ...]:
        return ()

    def weight(
        self, chrom: str, resolution: int, name: str, weight_type: object = "auto", pixels: object = None
    ) -> Weight:
        raise WeightError(f"{self.path}: thinned contacts have no weights {name!r}; they are balanced anew.")

    def counts(self, chrom: str, resolution: int) -> Pixels:
        """The contacts left, without pixels that have none; each from the next finer layer it is a sum of."""
        whole = self._counts(chrom, resolution)
        finer = [r for r in self.resolutions if r < resolution and resolution % r == 0]
        width = self._store.layer(chrom, resolution).n_diagonals or whole.n_bins
        held = _summed(self._counts(chrom, finer[-1]), whole, width) if finer else None
        if finer and held is None and resolution not in self._alone:
            self._alone.add(resolution)
            notify(
                f"{self.path}: the layer of {resolution:,} bp is no sum of that of {finer[-1]:,} bp "
                f"({chrom}); its contacts are drawn by themselves"
            )
        if held is None:
            return _kept(whole, self._drawn(whole.count, chrom, resolution))
        left = _summed(self.counts(chrom, finer[-1]), whole, width)
        assert left is not None
        return _kept(whole, left + self._drawn(whole.count - held, chrom, resolution))

    def _drawn(self, count: np.ndarray, chrom: str, resolution: int) -> np.ndarray:
        index = list(self._store.assembly.chromosomes).index(chrom)
        rng = np.random.default_rng([self._seed, resolution, index])
        drawn: np.ndarray = rng.binomial(count, self._fraction)
        return drawn

    def _counts(self, chrom: str, resolution: int) -> Pixels:
        pixels = self._store.layer(chrom, resolution).pixels()
        if pixels.count.dtype.kind == "f":
            raise DataError(
                f"{self.path}: the contacts of {chrom} at {resolution:,} bp are no integers, and only counts "
                "can be thinned; build the store from counts."
            )
        return pixels


def _summed(fine: Pixels, coarse: Pixels, n_diagonals: int) -> np.ndarray | None:
    """Contacts of `fine` in each pixel of `coarse`; None where that is not a part of those `coarse` has.

    Fine pixels beyond the diagonals that the coarse layer holds are passed over.
    """
    ratio = coarse.resolution // fine.resolution
    bin1, bin2 = fine.bin1.astype(np.int64) // ratio, fine.bin2.astype(np.int64) // ratio
    known = coarse.bin1.astype(np.int64) * coarse.n_bins + coarse.bin2
    wanted = bin1 * coarse.n_bins + bin2
    at = np.searchsorted(known, wanted)
    found = np.append(known, -1)[at] == wanted
    if (~found & (bin2 - bin1 < n_diagonals)).any():
        return None
    held = np.bincount(at[found], weights=fine.count[found], minlength=len(known)).astype(np.int64)
    return None if (held > coarse.count).any() else held


def _kept(pixels: Pixels, count: np.ndarray) -> Pixels:
    """The same pixels with other counts, those without any left out."""
    some = count > 0
    return Pixels(pixels.bin1[some], pixels.bin2[some], count[some], pixels.n_bins, pixels.resolution)
