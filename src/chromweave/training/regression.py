"""Objectives of tasks whose answer is a number in many places: contacts of a window, a signal along it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..batch import LossParts, MapTrackBatch
from ..errors import DataError

__all__ = ["ContactRegression", "SignalRegression", "masked_moments", "pearson_of_moments"]


def masked_moments(truth: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
    """What correlation and error of each sample are made of.

    Parameters
    ----------
    truth, prediction, mask
        (batch, ...); entries where `mask` is False take no part.

    Returns
    -------
    Tensor
        float64 (batch, 6): number of entries, sums of truth and prediction, of their squares, of products.
    """
    known = mask.flatten(1).double()
    t, p = truth.detach().flatten(1).double() * known, prediction.detach().flatten(1).double() * known
    parts = (known, t, p, t * t, p * p, t * p)
    return torch.stack([part.sum(1) for part in parts], dim=1)


def pearson_of_moments(moments: Tensor) -> float:
    """Pearson correlation over all entries of all samples, from :func:`masked_moments`; NaN if undefined."""
    n, t, p, tt, pp, tp = moments.double().sum(0).tolist()
    if n < 2:
        return float("nan")
    spread_t, spread_p = tt - t * t / n, pp - p * p / n
    if spread_t <= 1e-12 * tt or spread_p <= 1e-12 * pp:
        return float("nan")
    return float((tp - t * p / n) / (spread_t * spread_p) ** 0.5)


def _squared_error(truth: Tensor, prediction: Tensor, mask: Tensor) -> Tensor:
    """Mean over the entries in `mask`; 0 where there is none."""
    known = mask.to(prediction.dtype)
    return ((prediction - truth).square() * known).sum() / known.sum().clamp(min=1)


class _Regression:
    monitor: ClassVar[str] = "pearson"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def summarise(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Pearson correlation over all entries of a split that count."""
        return {"pearson": pearson_of_moments(outputs["moments"])}

    def _parts(self, truth: Tensor, prediction: Tensor, mask: Tensor, counted: Tensor) -> LossParts:
        loss = _squared_error(truth, prediction, counted)
        return LossParts(loss, {}, {"moments": masked_moments(truth, prediction, mask)})


class ContactRegression(_Regression):
    """The window's contacts, as its transform has them, by mean squared error.

    Parameters
    ----------
    masked
        Leave out entries of masked bins; False counts them as no contacts, as the paper does. The score
        never counts them.
    """

    def __init__(self, masked: bool = True) -> None:
        self.masked = masked

    def step(self, model: nn.Module, batch: MapTrackBatch) -> LossParts:
        """Error of the batch."""
        prediction = model(None, batch.tracks).value
        mask = batch.contact_mask
        counted = mask if self.masked else torch.ones_like(mask)
        return self._parts(batch.contact_map, prediction, mask, counted)


class SignalRegression(_Regression):
    """A signal of each bin of both segments, by mean squared error over the bins that have data.

    Parameters
    ----------
    masked
        Leave out bins without data; False counts them as no signal, as the paper does. The score never
        counts them.
    """

    def __init__(self, masked: bool = True) -> None:
        self.masked = masked

    def step(self, model: nn.Module, batch: MapTrackBatch) -> LossParts:
        """Error of the batch.

        Raises
        ------
        DataError
            The windows were cut without a target.
        """
        if batch.target is None or batch.target_mask is None:
            raise DataError("the windows have no target signal; name the track that is to be predicted.")
        prediction = model(batch.contact_map, batch.tracks).value
        mask = batch.target_mask
        counted = mask if self.masked else torch.ones_like(mask)
        return self._parts(batch.target, prediction, mask, counted)
