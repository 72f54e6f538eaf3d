"""Layers: attention against its formula, along tokens and never across windows; exact numbers of weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from chromweave.errors import ConfigError
from chromweave.models.blocks import (
    ContactMixing,
    CrossAttention,
    FusionBlock,
    LocallyEnhancedFeedForward,
    MapBlock,
    ResidualFusionBlock,
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


LOG3 = math.log(3)
THIRD = math.log(3, 2)  # what makes a step of one bin a factor of 3


def open_mixing(by_contact=True, width=4):
    """A mixing that passes on what it hears: no norm, identities for weights."""
    module = ContactMixing(width, 4, by_contact=by_contact).double()
    module.norm = torch.nn.Identity()
    with torch.no_grad():
        for layer in (module.value, module.out):
            layer.weight.copy_(torch.eye(width))
            layer.bias.zero_()
    return module


def set_gates(module, contact=(LOG3, 0, 0), distance=THIRD, bias=LOG3):
    """All heads alike; `contact` weighs the contact itself, its 3 x 3 and its 7 x 7 neighbours' mean."""
    with torch.no_grad():
        module.distance_weight.fill_(distance)
        module.bias.fill_(bias)
        if module.contact_weight is not None:
            module.contact_weight.copy_(torch.tensor(contact, dtype=torch.float64).expand(4, 3))
    return module


def channels(*values, scale=(1, 2, 3, 4)):
    """One window of tokens; channel k of each is k times its value."""
    tokens = torch.tensor(values, dtype=torch.float64)[None, :, None]
    return tokens * torch.tensor(scale, dtype=torch.float64)


def test_contact_mixing_by_hand():
    """A gate at distance d is sigmoid(log 3 (contact + 1 - log2(1 + d))), here 3/4, 3/4, 1/4, 1/2."""
    module = set_gates(open_mixing())
    contacts = torch.tensor([[[[0, 1], [-1, -1]]]], dtype=torch.float64)
    # rows 4, 8 and columns 12, 16:  4 + 3/4 12 + 3/4 16, 8 + 1/4 12 + 1/2 16, 12 + 3/4 4 + 1/4 8, 16 + ...
    expected = channels(25, 19, 17, 23)
    torch.testing.assert_close(module(channels(4, 8, 12, 16), contacts), expected)


@pytest.mark.parametrize("contact", [(0, LOG3, 0), (0, 0, LOG3), (0, LOG3 / 2, LOG3 / 2)])
def test_contact_mixing_sees_means_of_squares(contact):
    """Of two bins each square is the whole window, with a mean of 1: gates of 9/10, and 3/4 a bin away."""
    module = set_gates(open_mixing(), contact)
    contacts = torch.tensor([[[[2, 0], [1, 1]]]], dtype=torch.float64)
    expected = channels(4 + 10.8 + 12, 8 + 9 + 14.4, 12 + 3.6 + 6, 16 + 3 + 7.2)
    torch.testing.assert_close(module(channels(4, 8, 12, 16), contacts), expected)


@pytest.mark.parametrize(("place", "reach"), [(0, 0), (1, 1), (2, 3)])
def test_a_contact_is_heard_as_far_as_its_square(place, reach):
    """A pixel at (5, 2) of ten bins: rows within reach of 5 hear another sum, columns within that of 2."""
    weights = [0, 0, 0]
    weights[place] = 1
    module = set_gates(open_mixing(), weights)
    contacts = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    one = contacts.clone()
    one[0, 0, 5, 2] = 9
    x = torch.ones(1, 20, 4, dtype=torch.float64)
    changed = (module(x, one) - module(x, contacts)).abs().amax(-1)[0] > 1e-9
    rows, columns = (half.nonzero().flatten().tolist() for half in changed.chunk(2))
    assert rows == list(range(5 - reach, 6 + reach))
    assert columns == list(range(max(2 - reach, 0), 3 + reach))


@pytest.mark.parametrize("by_contact", [False, True])
def test_without_a_map_distance_alone_opens_gates(by_contact):
    """3/4 on the diagonal, 1/2 a bin away."""
    module = set_gates(open_mixing(by_contact))
    expected = channels(4 + 9 + 8, 8 + 6 + 12, 12 + 3 + 4, 16 + 2 + 6)
    torch.testing.assert_close(module(channels(4, 8, 12, 16), None), expected)


def test_each_head_has_gates_of_its_own():
    module = set_gates(open_mixing())
    with torch.no_grad():
        module.contact_weight.copy_(torch.tensor([0, LOG3, 0, 0])[:, None] * torch.tensor([1, 0, 0]))
    contacts = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    contacts[..., 0, 1] = 1
    change = module(channels(4, 8, 12, 16), contacts) - module(channels(4, 8, 12, 16), 0 * contacts)
    # in the second channel only, and between the first row and the second column: from 1/2 to 3/4
    expected = torch.zeros(1, 4, 4, dtype=torch.float64)
    expected[0, 0, 1], expected[0, 3, 1] = 0.25 * 2 * 16, 0.25 * 2 * 4
    torch.testing.assert_close(change, expected)


def test_contact_mixing_adds_up_and_takes_no_mean():
    """A promoter hears two enhancers twice as loud as one, and ten ten times."""
    module = set_gates(open_mixing(), distance=0.0, bias=100.0)
    contacts = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    for enhancers in (1, 2, 10):
        x = torch.zeros(1, 20, 4, dtype=torch.float64)
        x[:, 10 : 10 + enhancers] = 1
        torch.testing.assert_close(module(x, contacts)[:, :10], torch.full_like(x[:, :10], enhancers))


def test_at_the_start_nothing_is_said():
    module, x = ContactMixing(8, 4).double(), draw(2, 6, 8)
    assert torch.equal(module(x, draw(2, 1, 3, 3)), x)
    assert torch.equal(module(x, None), x)


def spoken(width=8):
    """A mixing as training may leave it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = ContactMixing(width, 4).double()
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
    return module


def test_contact_mixing_changes_places_with_the_segments():
    module, x, contacts = spoken(), draw(2, 10, 8), draw(2, 1, 5, 5, seed=2)
    exchanged = module(torch.cat([x[:, 5:], x[:, :5]], dim=1), contacts.mT)
    expected = module(x, contacts)
    torch.testing.assert_close(exchanged, torch.cat([expected[:, 5:], expected[:, :5]], dim=1))
    assert not torch.allclose(exchanged, module(torch.cat([x[:, 5:], x[:, :5]], dim=1), contacts))


def test_contact_mixing_keeps_windows_apart():
    module, x, contacts = spoken(), draw(3, 10, 8), draw(3, 1, 5, 5, seed=2)
    for given in (contacts, None):
        together = module(x, given)
        alone = module(x[1:2], None if given is None else given[1:2])
        torch.testing.assert_close(together[1:2], alone)


def test_a_single_head_still_has_gates_of_different_reach():
    """At the start the widest gate is open at 10 bins, the narrowest shut."""
    module = ContactMixing(8, 1, by_contact=False)
    assert (module.heads, module.contact_weight) == (4, None)
    x = torch.zeros(1, 22, 8)
    gates = torch.sigmoid(module.bias - module.distance_weight * math.log(11))
    assert gates[0] > 0.4
    assert gates[-1] < 0.03
    assert module(x, None).shape == x.shape


def test_residual_fusion_does_not_mind_the_length_of_the_context():
    block = ResidualFusionBlock(8, 2).double()
    x, context = draw(2, 5, 8), draw(2, 3, 8)
    torch.testing.assert_close(block(x, context), block(x, 100 * context), rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        assert not torch.allclose(block(x, context), block(x, context.flip(-1)))


def test_residual_fusion_adds_each_part_to_what_comes_in():
    """Without attention and feed-forward, tokens pass as they are; the paper's block would pass them as well,
    but with self-attention alone switched off it asks nothing of the context."""
    block = ResidualFusionBlock(8, 2).double()
    for layer in (block.attention.out, block.cross_attention.out, block.contract):
        torch.nn.init.zeros_(layer.weight)
    x, context = draw(1, 4, 8), draw(1, 3, 8)
    torch.testing.assert_close(block(x, context), x)
    torch.nn.init.eye_(block.cross_attention.out.weight)
    assert not torch.allclose(block(x, context), x)


@pytest.mark.parametrize(
    ("width", "heads", "gates"), [(8, 1, 4), (8, 2, 4), (16, 8, 8), (6, 1, 1), (6, 2, 2), (10, 5, 5)]
)
def test_contact_mixing_has_as_many_gates_as_fit(width, heads, gates):
    """Four where there would be fewer, if these share the width."""
    module = ContactMixing(width, heads).double()
    assert module.heads == len(module.bias) == gates
    assert module(draw(2, 6, width), draw(2, 1, 3, 3)).shape == (2, 6, width)


def test_contact_mixing_refuses_gates_that_do_not_share_the_width():
    with pytest.raises(ConfigError, match=r"the width \(10\) must be a multiple of its gates \(3\)"):
        ContactMixing(10, 3)
