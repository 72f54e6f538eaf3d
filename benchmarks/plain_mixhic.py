"""MIX-HIC written down plainly: the reference that ours is timed against, and the oracle of its numbers.

Every operation as the paper (arXiv 2504.09060) and the published code have it, none arranged for speed:
attention multiplies and materialises its matrices, queries, keys and values are separate, the stem runs at
full width on all 5,000 positions. Modules carry the published code's names, so that a state dict of these
classes looks like one of its checkpoints. Written from a description; nothing is copied.

`across_batch` makes the track layers attend along the batch, as the published code does; `as_shipped` also
builds the weights that it never uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chromweave.models.legacy import official_names

__all__ = ["PlainContacts", "PlainLoops", "PlainLosses", "PlainMixHic", "ours_from_plain", "plain_from_ours"]

HEADS = 4
DEPTH = 2


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention of (batch, tokens, width) with four heads."""
    batch, tokens, width = q.shape
    size = width // HEADS
    q, k, v = (x.reshape(batch, -1, HEADS, size).permute(0, 2, 1, 3) for x in (q, k, v))
    scores = torch.matmul(q * size**-0.5, k.transpose(-2, -1))
    mixed = torch.matmul(torch.softmax(scores, dim=-1), v)
    return mixed.transpose(1, 2).reshape(batch, tokens, width)


class InProjected(nn.Module):
    """Self-attention whose three projections lie in one matrix, as in PyTorch's own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (nn.functional.linear(x, w, b) for w, b in zip(weights, biases, strict=True))
        return self.out_proj(attend(q, k, v))


class EncoderLayer(nn.Module):
    """Norms after the residuals, ReLU."""

    def __init__(self, width: int, across_batch: bool) -> None:
        super().__init__()
        self.across_batch = across_batch
        self.self_attn = InProjected(width)
        self.linear1 = nn.Linear(width, 2 * width)
        self.linear2 = nn.Linear(2 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        if self.across_batch:
            x = x.transpose(0, 1)
        x = self.norm1(x + self.self_attn(x))
        x = self.norm2(x + self.linear2(torch.relu(self.linear1(x))))
        return x.transpose(0, 1) if self.across_batch else x


class EncoderStack(nn.Module):
    """Layers one after another."""

    def __init__(self, width: int, across_batch: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, across_batch) for _ in range(DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Projections(nn.Module):
    """Queries by one dense layer, keys and values by another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, width)
        self.to_kv = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k, v = self.to_kv(context).chunk(2, dim=-1)
        return self.to_q(x), k, v


class Attention(nn.Module):
    """Attention of `x` to `context`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = Projections(width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        return self.proj(attend(*self.qkv(x, context)))


class LocalMlp(nn.Module):
    """Feed-forward with a depth-wise convolution over the grid of tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU())
        conv = nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1, groups=2 * width)
        self.dwconv = nn.Sequential(conv, nn.GELU())
        self.linear2 = nn.Sequential(nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        side = int(tokens**0.5)
        x = self.linear1(x)
        x = x.transpose(1, 2).reshape(batch, -1, side, side)
        x = self.dwconv(x)
        return self.linear2(x.flatten(2).transpose(1, 2))


class MapBlock(nn.Module):
    """Pre-norm block over the tokens of a map."""

    def __init__(self, width: int, as_shipped: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        if as_shipped:
            self.cross_attn = Attention(width)  # never called
        self.norm2 = nn.LayerNorm(width)
        self.mlp = LocalMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y)
        return x + self.mlp(self.norm2(x))


class MapStack(nn.Module):
    """Blocks one after another."""

    def __init__(self, width: int, as_shipped: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MapBlock(width, as_shipped) for _ in range(DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class MapDown(nn.Module):
    """Halves the grid, doubles the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        side = int(tokens**0.5)
        x = self.conv(x.transpose(1, 2).reshape(batch, width, side, side))
        return x.flatten(2).transpose(1, 2)


class MapEncoder(nn.Module):
    """Embedded patches to 3 x 3 tokens."""

    def __init__(self, d: int, as_shipped: bool) -> None:
        super().__init__()
        for stage in range(4):
            setattr(self, f"encoderlayer_{stage}", MapStack(d * 2**stage, as_shipped))
            if stage < 3:
                setattr(self, f"dowsample_{stage}", MapDown(d * 2**stage))

    def forward(self, x: Tensor) -> Tensor:
        for stage in range(3):
            x = getattr(self, f"encoderlayer_{stage}")(x)
            x = getattr(self, f"dowsample_{stage}")(x)
        return self.encoderlayer_3(x)


class TrackDown(nn.Module):
    """Halves the line, doubles the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(width, 2 * width, kernel_size=4, stride=2, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


class Pooling(nn.Module):
    """5,000 positions to 100 tokens."""

    def __init__(self, d: int) -> None:
        super().__init__()
        for number in range(1, 5):
            setattr(self, f"conv{number}", nn.Conv1d(d, d, kernel_size=3, padding="same"))
            setattr(self, f"bn{number}", nn.BatchNorm1d(d))

    def forward(self, x: Tensor) -> Tensor:
        for number, pool in ((1, 2), (2, 5), (3, 5), (4, None)):
            x = torch.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
            if pool is not None:
                x = nn.functional.max_pool1d(x, pool)
        return x


class TrackEncoder(nn.Module):
    """Embedded positions to 12 tokens, with the three finer levels."""

    def __init__(self, d: int, across_batch: bool, as_shipped: bool) -> None:
        super().__init__()
        self.pooling_encoder = Pooling(d)
        for stage in range(3):
            setattr(self, f"seq_encoder_{stage}", EncoderStack(d * 2**stage, across_batch))
            setattr(self, f"dowsample_{stage}", TrackDown(d * 2**stage))
            if as_shipped:
                setattr(self, f"layer_norm{stage}", nn.LayerNorm(d * 2**stage))  # never called
        self.bottleneck = EncoderStack(8 * d, across_batch)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.pooling_encoder(x.transpose(1, 2)).transpose(1, 2)
        finer = []
        for stage in range(3):
            x = getattr(self, f"seq_encoder_{stage}")(x)
            finer.append(x)
            x = getattr(self, f"dowsample_{stage}")(x)
        return self.bottleneck(x), finer


@dataclass(frozen=True)
class PlainLosses:
    """The three losses as the published code computes them, and the joined tokens they come from."""

    contrastive: Tensor
    orthogonal: Tensor
    mapping: Tensor
    tracks: Tensor
    maps: Tensor


def pair_loss(a: Tensor, b: Tensor, temperature: Tensor) -> Tensor:
    """Minus the mean log probability of a row's own partner among all."""
    similar = torch.exp(a @ b.T / temperature)
    return -torch.log(torch.diagonal(similar) / similar.sum(dim=1)).mean()


def unit(x: Tensor) -> Tensor:
    """Vectors of length 1 along the last axis."""
    return x / x.norm(dim=-1, keepdim=True)


def unit_distance(inferred: Tensor, target: Tensor) -> Tensor:
    """Mean distance of tokens brought to length 1."""
    return torch.norm(unit(inferred) - unit(target), dim=-1).mean()


def pooled_to(x: Tensor, tokens: int) -> Tensor:
    """Tokens averaged to another number."""
    return nn.functional.adaptive_avg_pool1d(x.transpose(1, 2), tokens).transpose(1, 2)


class PlainMixHic(nn.Module):
    """The pre-training model.

    Parameters
    ----------
    d
        Base width.
    n_tracks
        Signal tracks.
    across_batch, as_shipped
        See the module.
    """

    def __init__(
        self, d: int, n_tracks: int = 2, *, across_batch: bool = False, as_shipped: bool = False
    ) -> None:
        super().__init__()
        self.seq_input_projection = nn.Sequential(nn.Linear(n_tracks, d), nn.ReLU())
        self.seq_downsampleTrans = TrackEncoder(d, across_batch, as_shipped)
        self.patch_embedding = nn.Linear(4, d)
        self.map_downsampleTrans = MapEncoder(d, as_shipped)
        self.apply(_initialise)
        for name in ("epi_share_proj", "map_share_proj", "epi_independent_proj", "map_independent_proj"):
            setattr(self, name, nn.Linear(8 * d, 4 * d))
        self.mlp_e2m = nn.Linear(8 * d, 8 * d)
        self.mlp_m2e = nn.Linear(8 * d, 8 * d)
        self.temp = nn.Parameter(torch.tensor(0.07))

    def encode_tracks(self, tracks: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Bottleneck tokens, and the finer levels."""
        return self.seq_downsampleTrans(self.seq_input_projection(tracks))

    def encode_map(self, contact_map: Tensor) -> Tensor:
        """Tokens of the map, from 2 x 2 patches."""
        batch, _, bins, _ = contact_map.shape
        patches = contact_map.reshape(batch, bins // 2, 2, bins // 2, 2).permute(0, 1, 3, 2, 4)
        return self.map_downsampleTrans(self.patch_embedding(patches.reshape(batch, -1, 4)))

    def halves(self, tokens: Tensor, modality: str) -> tuple[Tensor, Tensor]:
        """(invariant, specific) unit tokens of ``"epi"`` or ``"map"``."""
        shared, own = getattr(self, f"{modality}_share_proj"), getattr(self, f"{modality}_independent_proj")
        return unit(shared(tokens)), unit(own(tokens))

    def forward(self, contact_map: Tensor, tracks: Tensor) -> PlainLosses:
        with torch.no_grad():
            self.temp.clamp_(0.001, 0.5)
        epi = self.halves(self.encode_tracks(tracks)[0], "epi")
        maps = self.halves(self.encode_map(contact_map), "map")
        epi_shared, epi_own, map_shared, map_own = (x.mean(dim=1) for x in (*epi, *maps))
        joined_epi, joined_map = torch.cat(epi, dim=-1), torch.cat(maps, dim=-1)
        both = pair_loss(epi_shared, map_shared, self.temp) + pair_loss(map_shared, epi_shared, self.temp)
        inner_epi, inner_map = (epi_shared * epi_own).sum(-1), (map_shared * map_own).sum(-1)
        to_map = self.mlp_e2m(pooled_to(joined_epi, joined_map.shape[1]))
        to_epi = self.mlp_m2e(pooled_to(joined_map, joined_epi.shape[1]))
        return PlainLosses(
            contrastive=both / 2,
            orthogonal=(inner_epi**2 + inner_map**2).mean(),
            mapping=(unit_distance(to_map, joined_map) + unit_distance(to_epi, joined_epi)) / 2,
            tracks=joined_epi,
            maps=joined_map,
        )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class FusionMlp(nn.Module):
    """Feed-forward of a fusion block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class FusionBlock(nn.Module):
    """One residual over self- and cross-attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.cross_attn = Attention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = FusionMlp(width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.cross_attn(self.attn(y, y), context)
        return x + self.mlp(self.norm2(x))


class FusionStack(nn.Module):
    """Blocks with one context."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FusionBlock(width) for _ in range(DEPTH))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, context)
        return x


class PlainTask(PlainMixHic):
    """The pre-training model with a fusion block; a mode is a way through it."""

    def __init__(self, d: int, n_tracks: int = 2, **options: bool) -> None:
        super().__init__(d, n_tracks, **options)
        self.fusion_block = FusionStack(8 * d)

    def fused(self, contact_map: Tensor, tracks: Tensor, mode: str) -> tuple[Tensor, list[Tensor]]:
        """Tokens for the head in a mode of :class:`chromweave.models.mixhic.TaskBody`."""
        if mode == "map":
            return self.encode_map(contact_map), []
        tokens, finer = self.encode_tracks(tracks)
        if mode == "tracks":
            return tokens, finer
        query = torch.cat(self.halves(tokens, "epi"), dim=-1)
        if mode == "bimodal":
            context = torch.cat(self.halves(self.encode_map(contact_map), "map"), dim=-1)
        else:
            context = self.mlp_e2m(pooled_to(query, 9))
        return self.fusion_block(query, context), finer


class PlainLoops(PlainTask):
    """Probability of a loop."""

    def __init__(self, d: int, n_tracks: int = 2, **options: bool) -> None:
        super().__init__(d, n_tracks, **options)
        self.classifier = nn.Sequential(
            nn.Linear(8 * d, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 1), nn.Sigmoid()
        )

    def predict(self, contact_map: Tensor, tracks: Tensor, mode: str = "bimodal") -> Tensor:
        """(batch, 1)"""
        return self.classifier(self.fused(contact_map, tracks, mode)[0].mean(dim=1))


class Up(nn.Module):
    """Doubles the line, with one more token where the finer level has an odd number."""

    def __init__(self, before: int, after: int, more: int) -> None:
        super().__init__()
        self.conv_transpose = nn.Sequential(
            nn.ConvTranspose1d(before, after, kernel_size=4, stride=2, padding=1, output_padding=more)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_transpose(x.transpose(1, 2)).transpose(1, 2)


class Decoder(nn.Module):
    """12 tokens to 100, joined with the encoder's at each level."""

    def __init__(self, d: int, across_batch: bool) -> None:
        super().__init__()
        widths = ((8 * d, 4 * d), (8 * d, 2 * d), (4 * d, d))
        for number, (before, after) in enumerate(widths, start=3):
            setattr(self, f"upsample_{number}", Up(before, after, more=int(number == 3)))
            setattr(self, f"seq_decoder_{number}", EncoderStack(2 * after, across_batch))

    def forward(self, x: Tensor, finer: list[Tensor]) -> Tensor:
        for number, level in zip((3, 4, 5), reversed(finer), strict=True):
            x = torch.cat([getattr(self, f"upsample_{number}")(x), level], dim=-1)
            x = getattr(self, f"seq_decoder_{number}")(x)
        return x


class PlainContacts(PlainTask):
    """The contact window; rows are the y segment, as in the published code."""

    def __init__(self, d: int, n_tracks: int = 2, *, across_batch: bool = False, **options: bool) -> None:
        super().__init__(d, n_tracks, across_batch=across_batch, **options)
        self.seq_upsampleTrans = Decoder(d, across_batch)
        self.classifier = nn.Sequential(
            nn.Linear(2 * d, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 1), nn.Sigmoid()
        )

    def predict(self, contact_map: Tensor, tracks: Tensor, mode: str = "infer_map") -> Tensor:
        """(batch, 1, 50, 50)"""
        tokens, finer = self.fused(contact_map, tracks, mode)
        x, y = self.seq_upsampleTrans(tokens, finer).split(50, dim=1)
        added = (x[:, None, :, :] + y[:, :, None, :]) / 2
        multiplied = x[:, None, :, :] * y[:, :, None, :]
        return self.classifier(added + multiplied).permute(0, 3, 1, 2)


def plain_from_ours(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ours under the published names; the logarithm of the temperature is undone."""
    plain = {}
    for name, tensor in ours.items():
        names = official_names(name)
        if names == ("temp",):
            plain["temp"] = tensor.exp()
        elif len(names) == 1:
            plain[names[0]] = tensor
        else:  # a query projection, and one of keys and values
            third = len(tensor) // 3
            plain[names[0]], plain[names[1]] = tensor[:third], tensor[third:]
    return plain


def ours_from_plain(plain: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """Tensors (weights, or their gradients) under our `names`; the temperature stays what it is."""
    parts = {name: [plain[theirs] for theirs in official_names(name)] for name in names}
    return {name: several[0] if len(several) == 1 else torch.cat(several) for name, several in parts.items()}
