"""What turns tokens into the answer to a task."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .blocks import initialise_dense

__all__ = ["ContactHead", "LoopHead", "TrackHead", "WindowHead"]

HIDDEN = 32


class LoopHead(nn.Module):
    """Is there a loop at the window's centre? Mean over tokens, one hidden layer; returns the logit.

    Parameters
    ----------
    width
        Channels of a token.
    dropout
        Before the last layer, while training.
    linear
        No hidden layer: for a linear probe.
    """

    def __init__(self, width: int, dropout: float = 0.5, *, linear: bool = False) -> None:
        super().__init__()
        self.hidden = None if linear else nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width if linear else HIDDEN, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, " batch"]:
        """Logit per window."""
        pooled = tokens.mean(dim=1)
        if self.hidden is not None:
            pooled = self.dropout(torch.relu(self.hidden(pooled)))
        return self.out(pooled).squeeze(-1)


class ContactHead(nn.Module):
    """The contact window from one token per bin of each segment; returns logits of values in [0, 1].

    Element (i, j) is read from the mean and the product of row bin x_i and column bin y_j: rows are the
    x segment, as in the input.

    Parameters
    ----------
    width
        Channels of a token.
    dropout
        Before the last layer, while training.
    transposed
        Rows are the y segment, as in the published code, which shows only off the diagonal.
    linear
        No hidden layer: for a linear probe.
    """

    def __init__(
        self, width: int, dropout: float = 0.5, transposed: bool = False, *, linear: bool = False
    ) -> None:
        super().__init__()
        self.transposed = transposed
        self.hidden = None if linear else nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width if linear else HIDDEN, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch two_bins width"]) -> Float[Tensor, "batch 1 bins bins"]:
        """The first half of the tokens is the x segment, the second the y segment."""
        x, y = tokens.chunk(2, dim=1)
        if self.transposed:
            x, y = y, x
        if self.hidden is None:  # the same sums, without a tensor of all pairs
            alone = F.linear(x, self.out.weight) + F.linear(y, self.out.weight).transpose(1, 2)
            together = (x * self.out.weight[0]) @ y.transpose(1, 2)
            return (alone / 2 + together + self.out.bias).unsqueeze(1)
        rows, columns = x.unsqueeze(2), y.unsqueeze(1)
        pairs = (rows + columns) / 2 + rows * columns
        return self.out(self.dropout(torch.relu(self.hidden(pairs)))).squeeze(-1).unsqueeze(1)


class TrackHead(nn.Module):
    """A signal (such as CAGE, in log2) per token, from one hidden layer; no activation on the output.

    Parameters
    ----------
    width
        Channels of a token.
    hidden
        Width of the hidden layer.
    linear
        No hidden layer: for a linear probe.
    """

    def __init__(self, width: int, hidden: int = 128, *, linear: bool = False) -> None:
        super().__init__()
        self.hidden = None if linear else nn.Linear(width, hidden)
        self.out = nn.Linear(width if linear else hidden, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens"]:
        """One value per token."""
        if self.hidden is not None:
            tokens = torch.relu(self.hidden(tokens))
        return self.out(tokens).squeeze(-1)


class WindowHead(nn.Module):
    """A value for each place of a window from all its tokens together, where no token has a place of its own.

    Parameters
    ----------
    width
        Channels of a token, and of the hidden layer.
    tokens
        Tokens of a window.
    places
        Values wanted.
    dropout
        Before the last layer, while training.
    linear
        No hidden layer: for a linear probe.
    """

    def __init__(
        self, width: int, tokens: int, places: int, dropout: float = 0.5, *, linear: bool = False
    ) -> None:
        super().__init__()
        self.hidden = None if linear else nn.Linear(tokens * width, width)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(tokens * width if linear else width, places)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch places"]:
        """One value per place."""
        flat = tokens.flatten(1)
        if self.hidden is not None:
            flat = self.dropout(torch.relu(self.hidden(flat)))
        return self.out(flat)
