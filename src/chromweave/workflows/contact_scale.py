"""Back from what a contact model gives to contacts on the scale of the maps it learned from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.cutter import WindowCutter
from ..data.expected import expected_of_band
from ..data.store import RegionStore
from ..data.transforms import WindowTransform, refuse_linear
from ..errors import ConfigError, DataError, ModelError
from ..evaluation.trivial import distance_grid
from .seen_places import covered_stretches

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ContactScale", "mean_expected"]


@dataclass(frozen=True)
class ContactScale:
    """How transformed contacts become contacts again.

    Parameters
    ----------
    transform
        Of the windows the model learned.
    expected
        Mean contacts at each distance in bins, float64 (diagonals,), of training windows' bins; needed by
        ``"observed_expected"`` alone. A map that is predicted without any contacts has no other.
    """

    transform: WindowTransform
    expected: np.ndarray

    def __post_init__(self) -> None:
        refuse_linear(self.transform)
        if self.transform.contacts == "standard":
            raise ConfigError(
                "contacts that each window was standardised by cannot be turned back; train for "
                "observed_expected, clip or log1p."
            )

    @classmethod
    def of(cls, model: Mapping[str, Any], transform: WindowTransform, source: str) -> ContactScale:
        """From a contact model's `config.json`; an imported one has no expectation and needs none.

        Raises
        ------
        ModelError
            It lacks the expected contacts that it needs.
        """
        expected = np.asarray(model.get("expected", []), dtype=np.float64)
        if transform.contacts == "observed_expected" and not len(expected):
            raise ModelError(f"{source}: lacks the expected contacts; it is damaged.")
        return cls(transform, expected)

    def contacts(self, value: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Contacts, balanced and on the scale of counts, not below 0.

        Parameters
        ----------
        value
            What the model gives, float (..., bins, bins).
        distance
            Of each entry from the diagonal, bins, integer of the same shape; one beyond the expected
            distances takes the expectation of the longest.

        Returns
        -------
        numpy.ndarray
            float64 of the same shape.
        """
        value = np.asarray(value, dtype=np.float64)
        if self.transform.contacts == "clip":
            return np.maximum(value * self.transform.clip, 0)
        if self.transform.contacts == "log1p":
            return np.maximum(np.expm1(value * math.log1p(self.transform.clip)), 0)
        expected = self.expected[np.minimum(distance, len(self.expected) - 1)]
        return np.maximum(np.exp(value) * (expected + 1) - 1, 0)

    def windows(self, value: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Contacts of windows; one on the diagonal is the mean of its contacts and their mirror image.

        Parameters
        ----------
        value
            What the model gives, float (windows, bins, bins).
        x, y
            Anchor bins, integer (windows,).

        Returns
        -------
        numpy.ndarray
            float64 (windows, bins, bins).
        """
        found = self.contacts(value, distance_grid(x, y, value.shape[-1]))
        on_diagonal = np.asarray(x) == np.asarray(y)
        found[on_diagonal] = (found[on_diagonal] + found[on_diagonal].transpose(0, 2, 1)) / 2
        return found


def mean_expected(
    stores: Sequence[RegionStore], tables: Sequence[pd.DataFrame], transform: WindowTransform, resolution: int
) -> np.ndarray:
    """Mean contacts at each distance between bins that training windows cover.

    A bin counts if either side of a training window covers it; what lies elsewhere, such as blocks of
    validation and test or excluded regions, takes no part.

    Parameters
    ----------
    stores, tables
        A window table for each store.
    transform
        Says how contacts are balanced and scaled.
    resolution
        Bin size, bp.

    Returns
    -------
    numpy.ndarray
        float64 (diagonals,), mean over the chromosomes and stores that have a valid pixel there, each alike;
        as many diagonals as all have, up to the last with a valid pixel. One without takes the value of the
        nearest shorter distance (the first ones, that of the first with any).

    Raises
    ------
    DataError
        No two valid bins are covered.
    """
    found = []
    for store, table in zip(stores, tables, strict=True):
        cutter = WindowCutter(store, resolution, weight=transform.weight, scaled=transform.scaled)
        for chrom, covered in covered_stretches(table[table["split"] == "train"]).items():
            contacts = cutter.chromosome(chrom).contacts
            assert contacts is not None
            weight = np.full(len(contacts.weight), np.nan)
            for first, end in covered // resolution:
                weight[first:end] = contacts.weight[first:end]
            found.append(expected_of_band(contacts.band, weight))
    shared = min(len(one) for one in found)
    return _without_gaps(np.stack([one[:shared] for one in found]))


def _without_gaps(found: np.ndarray) -> np.ndarray:
    """The mean of rows where they are known; where none is, that of the nearest distance before."""
    known = np.isfinite(found)
    n = known.sum(axis=0)
    told = np.flatnonzero(n)
    if not len(told):
        raise DataError(
            "training windows cover no two valid bins of any chromosome, so that no contacts can be "
            "expected; make windows where the map has data."
        )
    mean = np.where(known, found, 0.0).sum(axis=0) / np.maximum(n, 1)
    before = np.searchsorted(told, np.arange(told[-1] + 1), side="right") - 1
    return np.asarray(mean[told[np.maximum(before, 0)]])
