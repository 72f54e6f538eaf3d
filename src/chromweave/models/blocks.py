"""The layers MIX-HIC is made of: attention along the tokens of one window, and the blocks around it.

Every tensor is (batch, tokens, channels); nothing here mixes windows of a batch, unless
:class:`TrackLayer` is told to.
Query, key and value projections are one dense layer, which has as many weights as separate ones.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError

__all__ = [
    "ContactMixing",
    "CrossAttention",
    "FusionBlock",
    "LocallyEnhancedFeedForward",
    "MapBlock",
    "ResidualFusionBlock",
    "SelfAttention",
    "TrackLayer",
    "initialise_dense",
]


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, heads * size) to (batch, heads, tokens, size)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def _join_heads(x: Tensor) -> Tensor:
    """(batch, heads, tokens, size) to (batch, tokens, heads * size)."""
    return x.transpose(1, 2).flatten(-2)


def initialise_dense(module: nn.Module) -> None:
    """Draw the weights of every dense layer inside `module` from a truncated normal of sigma 0.02; biases 0.

    Convolutions keep PyTorch's initialisation (MIX-HIC, as its code has it).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


class SelfAttention(nn.Module):
    """Multi-head attention of a window's tokens to one another (Vaswani et al. 2017).

    Parameters
    ----------
    width
        Channels of a token.
    heads
        Attention heads; `width` is a multiple of it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Attend along `tokens`."""
        q, k, v = (_split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out(_join_heads(F.scaled_dot_product_attention(q, k, v)))


class CrossAttention(nn.Module):
    """Multi-head attention of one set of tokens to another of the same window."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], context: Float[Tensor, "batch others width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Query by `x`, keys and values from `context`."""
        q = _split_heads(self.q(x), self.heads)
        k, v = (_split_heads(part, self.heads) for part in self.kv(context).chunk(2, dim=-1))
        return self.out(_join_heads(F.scaled_dot_product_attention(q, k, v)))


class TrackLayer(nn.Module):
    """Transformer encoder layer of the track encoder and the decoder: norms after the residuals, ReLU.

    The in-projection starts Xavier-uniform, as in PyTorch's own multi-head attention, the rest as
    :func:`initialise_dense`.

    Parameters
    ----------
    width, heads
        As in :class:`SelfAttention`.
    across_batch
        Attend along the windows of the batch instead of the tokens of a window, as MIX-HIC's published code
        does unawares; what a window gives then depends on its company.
    """

    def __init__(self, width: int, heads: int, across_batch: bool = False) -> None:
        super().__init__()
        self.across_batch = across_batch
        self.attention = SelfAttention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        self.norm2 = nn.LayerNorm(width)
        initialise_dense(self)
        nn.init.xavier_uniform_(self.attention.qkv.weight)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """Self-attention, then a feed-forward of twice the width."""
        if self.across_batch:
            attended = self.attention(x.transpose(0, 1)).transpose(0, 1)
        else:
            attended = self.attention(x)
        x = self.norm1(x + attended)
        return self.norm2(x + self.contract(F.relu(self.expand(x))))


class LocallyEnhancedFeedForward(nn.Module):
    """Feed-forward with a depth-wise 3x3 convolution over the square grid of tokens (LeFF, Uformer 2022)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1, groups=2 * width)
        self.contract = nn.Linear(2 * width, width)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """`tokens` is a square number, row-major."""
        side = math.isqrt(x.shape[1])
        grid = F.gelu(self.expand(x)).reshape(x.shape[0], side, side, -1).permute(0, 3, 1, 2)
        mixed = F.gelu(self.depthwise(grid))
        return self.contract(mixed.permute(0, 2, 3, 1).flatten(1, 2))


class MapBlock(nn.Module):
    """Pre-norm block of the map encoder: global self-attention, then LeFF."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = LocallyEnhancedFeedForward(width)
        initialise_dense(self)

    def forward(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        """`tokens` is a square number, row-major."""
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class FusionBlock(nn.Module):
    """Pre-norm block that lets track tokens look at map tokens.

    As in the published code there is one residual over self- and cross-attention together, and no norm
    on the context.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.cross_attention = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        initialise_dense(self)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], context: Float[Tensor, "batch others width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Self-attention of `x`, cross-attention to `context`, feed-forward."""
        x = x + self.cross_attention(self.attention(self.norm1(x)), context)
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


MIXED_SQUARES = (1, 3, 7)  # sides, bins, of the means of contacts that open a gate


class ResidualFusionBlock(nn.Module):
    """Pre-norm block that lets track tokens look at map tokens, with a residual of its own for each part.

    What :class:`FusionBlock` lacks: cross-attention asks with the tokens themselves and not with what
    self-attention made of them, and the context is normalised, so that unit-length and inferred tokens weigh
    alike.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_query = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(width)
        self.cross_attention = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        initialise_dense(self)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], context: Float[Tensor, "batch others width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Self-attention of `x`, cross-attention to `context`, feed-forward."""
        x = x + self.attention(self.norm1(x))
        x = x + self.cross_attention(self.norm_query(x), self.norm_context(context))
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))


class ContactMixing(nn.Module):
    """Bins hear one another, the louder the more they touch: what an enhancer does to a promoter.

    Bin i of one segment adds up what the bins j of the other say, each through a gate between 0 and 1,
    sigmoid(contact_weight * contact(i, j) - distance_weight * log(1 + |i - j|) + bias), one for each head.
    It is a sum, and not the mean that attention takes: two enhancers are more than one, as in the
    activity-by-contact model (Fulco et al. 2019, Nat Genet 51, 1664). At the start nothing is said.
    Contacts are seen as they are and as means of squares around (i, j), since a pixel of a real map is mostly
    noise. |i - j| is the distance of places in their segments, which is one of the genome on the diagonal.

    Parameters
    ----------
    width
        Channels of a token.
    heads
        Gates, each of `width` / `heads` channels. Fewer than 4 become 4, for reaches that differ, where the
        width is a multiple of 4.
    by_contact
        Whether gates open by contact as well as by distance.

    Raises
    ------
    ConfigError
        The width is no multiple of the gates.
    """

    def __init__(self, width: int, heads: int, *, by_contact: bool = True) -> None:
        super().__init__()
        if heads < 4 and width % 4 == 0:
            heads = 4
        if width % heads:
            raise ConfigError(
                f"contact mixing: the width ({width}) must be a multiple of its gates ({heads}); change "
                "channels or heads."
            )
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        initialise_dense(self)
        nn.init.zeros_(self.out.weight)
        # Gates of different reach from the start: open to 1 or 2 bins, or to the whole window.
        self.distance_weight = nn.Parameter(torch.linspace(0.5, 2.0, heads))
        self.bias = nn.Parameter(torch.ones(heads))
        scales = len(MIXED_SQUARES)
        self.contact_weight = nn.Parameter(torch.full((heads, scales), 1 / scales)) if by_contact else None

    def forward(
        self,
        x: Float[Tensor, "batch two_bins width"],
        contact_map: Float[Tensor, "batch 1 bins bins"] | None,
    ) -> Float[Tensor, "batch two_bins width"]:
        """The first half of the tokens is the x segment, the map's rows, the second the y segment."""
        gate = self._gates(x.shape[1] // 2, contact_map)
        rows, columns = (_split_heads(part, self.heads) for part in self.value(self.norm(x)).chunk(2, dim=1))
        heard = torch.cat([gate @ columns, gate.transpose(-1, -2) @ rows], dim=2)
        return x + self.out(_join_heads(heard))

    def _gates(self, bins: int, contact_map: Tensor | None) -> Tensor:
        place = torch.arange(bins, device=self.bias.device)
        apart = (place[:, None] - place).abs().to(self.bias.dtype).log1p()
        logit = self.bias[:, None, None] - self.distance_weight[:, None, None] * apart
        if self.contact_weight is not None and contact_map is not None:
            means = [
                F.avg_pool2d(contact_map, side, 1, side // 2, count_include_pad=False)
                for side in MIXED_SQUARES
            ]
            logit = logit + torch.einsum("hs,bsij->bhij", self.contact_weight, torch.cat(means, dim=1))
        return torch.sigmoid(logit).expand(1 if contact_map is None else len(contact_map), -1, -1, -1)
