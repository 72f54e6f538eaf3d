"""Layers: attention against its formula, along tokens and never across windows; exact numbers of weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from chromweave.models.blocks import (
    CrossAttention,
    FusionBlock,
    LocallyEnhancedFeedForward,
    MapBlock,
    SelfAttention,
    TrackLayer,
)

WIDTH, HEADS = 16, 4


def weights(module):
    return sum(parameter.numel() for parameter in module.parameters())


def build(cls, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = cls(WIDTH) if cls is LocallyEnhancedFeedForward else cls(WIDTH, HEADS)
    return module.double().eval()


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def call(module, x, context):
    two = isinstance(module, CrossAttention | FusionBlock)
    return module(x, context) if two else module(x)


BLOCKS = [SelfAttention, CrossAttention, TrackLayer, LocallyEnhancedFeedForward, MapBlock, FusionBlock]


@pytest.mark.parametrize("cls", BLOCKS)
def test_windows_of_a_batch_do_not_meet(cls):
    module, x, context = build(cls), draw(5, 9, WIDTH), draw(5, 7, WIDTH, seed=2)
    together = call(module, x, context)
    for i in range(5):
        alone = call(module, x[i : i + 1], context[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-11, atol=1e-12)
    assert together.shape == x.shape


@pytest.mark.parametrize("cls", [SelfAttention, TrackLayer, MapBlock])
def test_every_token_sees_every_other(cls):
    module, x = build(cls), draw(1, 25, WIDTH).requires_grad_()
    module(x)[0, 0].square().sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).all()


def test_self_attention_is_its_formula():
    module, x = build(SelfAttention), draw(2, 6, WIDTH)
    q, k, v = (x @ module.qkv.weight.T + module.qkv.bias).split(WIDTH, dim=-1)
    size = WIDTH // HEADS
    heads = []
    for h in range(HEADS):
        part = slice(h * size, (h + 1) * size)
        score = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(size)
        heads.append(score.softmax(-1) @ v[..., part])
    torch.testing.assert_close(module(x), torch.cat(heads, -1) @ module.out.weight.T + module.out.bias)


@pytest.mark.parametrize("across_batch", [False, True])
def test_track_layer_is_pytorchs_post_norm_encoder_layer(across_batch):
    """PyTorch's layer attends along the batch of (batch, tokens, channels) unless it is told batch_first."""
    ours = build(TrackLayer)
    ours.across_batch = across_batch
    theirs = torch.nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        dim_feedforward=2 * WIDTH,
        dropout=0.0,
        activation="relu",
        batch_first=not across_batch,
    ).double()
    pairs = {
        "self_attn.in_proj_": ours.attention.qkv,
        "self_attn.out_proj.": ours.attention.out,
        "linear1.": ours.expand,
        "linear2.": ours.contract,
        "norm1.": ours.norm1,
        "norm2.": ours.norm2,
    }
    state = {
        prefix + kind: getattr(layer, kind) for prefix, layer in pairs.items() for kind in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    x = draw(3, 10, WIDTH)
    torch.testing.assert_close(ours(x), theirs.train()(x))


def test_feed_forward_lays_tokens_out_by_row():
    module = build(LocallyEnhancedFeedForward)
    with torch.no_grad():
        module.depthwise.weight.zero_()
        module.depthwise.weight[:, 0, 1, 2] = 1  # every position reads its right neighbour
        module.depthwise.bias.zero_()
    x = draw(1, 9, WIDTH)
    hidden = F.gelu(module.expand(x)).reshape(1, 3, 3, -1)
    shifted = torch.zeros_like(hidden)
    shifted[:, :, :2] = hidden[:, :, 1:]
    torch.testing.assert_close(module(x), module.contract(F.gelu(shifted).reshape(1, 9, -1)))


def test_fusion_block_has_one_residual_over_both_attentions():
    module, x, context = build(FusionBlock), draw(2, 12, WIDTH), draw(2, 9, WIDTH, seed=3)
    after = x + module.cross_attention(module.attention(module.norm1(x)), context)
    expected = after + module.contract(F.gelu(module.expand(module.norm2(after))))
    torch.testing.assert_close(module(x, context), expected)


@pytest.mark.parametrize(
    ("cls", "count"),
    [
        (SelfAttention, lambda d: 4 * d**2 + 4 * d),
        (CrossAttention, lambda d: 4 * d**2 + 4 * d),
        (TrackLayer, lambda d: 8 * d**2 + 11 * d),
        (MapBlock, lambda d: 8 * d**2 + 31 * d),
        (FusionBlock, lambda d: 12 * d**2 + 15 * d),
    ],
)
def test_numbers_of_weights(cls, count):
    assert weights(build(cls)) == count(WIDTH)


def test_initialisation():
    layer = build(TrackLayer, seed=4)
    bound = math.sqrt(6 / (4 * WIDTH))  # Xavier-uniform on (3 d, d)
    assert 0.9 * bound < layer.attention.qkv.weight.abs().max() <= bound
    assert 0.015 < layer.expand.weight.std() < 0.025
    assert not layer.attention.qkv.bias.any()
    block = build(MapBlock, seed=4)
    assert 0.015 < block.attention.qkv.weight.std() < 0.025
    assert not block.feed_forward.contract.bias.any()
