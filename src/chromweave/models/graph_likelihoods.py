"""How likely a number of contacts is where a decoder expects so many: three families.

Each says how likely a count is, and how likely none is, for that is what is known of a pair that is no
message edge: it has no contact, or one that was held out.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .graph_decoders import DistanceCurve

__all__ = ["LIKELIHOODS", "Bernoulli", "Likelihood", "NegativeBinomial", "Poisson"]

_START_SIZE = 1.0  # log size: a variance of mu + mu^2 / e


class Likelihood(Protocol):
    """What is asked of a family. `rate` is the decoder's number, `distance` in bins, each (pairs,)."""

    def log_prob(
        self, counts: Float[Tensor, " pairs"], rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Log probability of the counts."""
        ...

    def log_none(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Log probability of no contact."""
        ...

    def evidence(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Grows with the probability of a contact, and never saturates."""
        ...


class Bernoulli(nn.Module):
    """Contact or none: the decoder's number is a logit, and a count is as good as one.

    Parameters
    ----------
    max_bins
        Not asked.
    """

    def __init__(self, max_bins: int) -> None:
        super().__init__()

    def log_prob(
        self, counts: Float[Tensor, " pairs"], rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Log probability that there is a contact where `counts` is positive, and none elsewhere."""
        return torch.where(counts > 0, F.logsigmoid(rate), F.logsigmoid(-rate))

    def log_none(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """log(1 - p)."""
        return F.logsigmoid(-rate)

    def evidence(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """The logit."""
        return rate


class Poisson(nn.Module):
    """Counts whose variance is their mean; the decoder's number is the log of it.

    Parameters
    ----------
    max_bins
        Not asked.
    """

    def __init__(self, max_bins: int) -> None:
        super().__init__()

    def log_prob(
        self, counts: Float[Tensor, " pairs"], rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """k log(mu) - mu - log(k!)."""
        return counts * rate - rate.exp() - torch.lgamma(counts + 1)

    def log_none(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """-mu."""
        return -rate.exp()

    def evidence(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """log(mu): of two means the greater has more contacts."""
        return rate


class NegativeBinomial(nn.Module):
    """Counts with the variance mu + mu^2 / r; the size r is a smooth function of distance.

    Parameters
    ----------
    max_bins
        Longest distance of an edge, in bins.
    """

    def __init__(self, max_bins: int) -> None:
        super().__init__()
        self.log_size = DistanceCurve(max_bins)
        with torch.no_grad():
            self.log_size.level.fill_(_START_SIZE)

    def log_prob(
        self, counts: Float[Tensor, " pairs"], rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """log NB(k; mu, r), with r / (r + mu) the chance of a failure."""
        log_size = self.log_size(distance)
        size = log_size.exp()
        choices = torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1)
        excess = rate - log_size  # log(mu / r)
        return choices - size * F.softplus(excess) + counts * F.logsigmoid(excess)

    def log_none(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """-r log(1 + mu / r)."""
        log_size = self.log_size(distance)
        return -log_size.exp() * F.softplus(rate - log_size)

    def evidence(
        self, rate: Float[Tensor, " pairs"], distance: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """log of -log P(none), the complementary log-log of the probability of a contact."""
        log_size = self.log_size(distance)
        excess = rate - log_size
        # log(softplus(x)) is x itself where exp(x) is lost beside 1
        rare = excess < -10
        return log_size + torch.where(rare, excess, F.softplus(excess.clamp(min=-10)).log())


LIKELIHOODS: dict[str, type[Bernoulli] | type[Poisson] | type[NegativeBinomial]] = {
    "bernoulli": Bernoulli,
    "poisson": Poisson,
    "negative-binomial": NegativeBinomial,
}
"""Families by name."""
