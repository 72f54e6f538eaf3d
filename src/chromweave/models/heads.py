"""What turns tokens into the answer to a task."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .blocks import initialise_dense

__all__ = ["ContactHead", "LoopHead", "TrackHead"]

HIDDEN = 32


class LoopHead(nn.Module):
    """Is there a loop at the window's centre? Mean over tokens, one hidden layer; returns the logit.

    Parameters
    ----------
    width
        Channels of a token.
    dropout
        Before the last layer, while training.
    """

    def __init__(self, width: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(HIDDEN, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, " batch"]:
        """Logit per window."""
        return self.out(self.dropout(torch.relu(self.hidden(tokens.mean(dim=1))))).squeeze(-1)


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
    """

    def __init__(self, width: int, dropout: float = 0.5, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        self.hidden = nn.Linear(width, HIDDEN)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(HIDDEN, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch two_bins width"]) -> Float[Tensor, "batch 1 bins bins"]:
        """The first half of the tokens is the x segment, the second the y segment."""
        x, y = tokens.chunk(2, dim=1)
        if self.transposed:
            x, y = y, x
        rows, columns = x.unsqueeze(2), y.unsqueeze(1)
        pairs = (rows + columns) / 2 + rows * columns
        return self.out(self.dropout(torch.relu(self.hidden(pairs)))).squeeze(-1).unsqueeze(1)


class TrackHead(nn.Module):
    """A signal (such as CAGE, in log2) per token, from one hidden layer; no activation on the output."""

    def __init__(self, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, 1)
        initialise_dense(self)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens"]:
        """One value per token."""
        return self.out(torch.relu(self.hidden(tokens))).squeeze(-1)
