"""Segments, places and answers that the restated networks share."""

import pytest
import torch
import torch.nn.functional as F

from chromweave.baselines.layers import (
    PreNormLayers,
    SameConv1d,
    answered,
    central,
    check_output,
    in_a_row,
    same_segments,
    segments,
    symmetrised,
)
from chromweave.errors import ConfigError
from tests.fakes_baselines import draw


def test_segments_come_apart_and_together():
    tracks = torch.arange(2 * 6 * 2.0).reshape(2, 6, 2)
    apart = segments(tracks)
    assert apart.shape == (4, 2, 3)
    assert torch.equal(apart[0, 0], torch.tensor([0.0, 2, 4]))  # window 0, x, first track
    assert torch.equal(apart[1, 1], torch.tensor([7.0, 9, 11]))  # window 0, y, second track
    assert torch.equal(apart[2, 0], torch.tensor([12.0, 14, 16]))  # window 1, x
    assert torch.equal(in_a_row(apart), tracks)


def test_same_segments_are_seen_window_by_window():
    tracks = torch.tensor([[[1.0], [2.0], [1.0], [2.0]], [[1.0], [2.0], [2.0], [1.0]]])
    assert same_segments(tracks).tolist() == [True, False]


def test_only_maps_of_same_segments_are_made_symmetric():
    maps = torch.tensor([[[[1.0, 2], [4, 3]]], [[[1.0, 2], [4, 3]]]])
    made = symmetrised(maps, torch.tensor([True, False]))
    assert made[0, 0].tolist() == [[1, 3], [3, 3]]
    assert torch.equal(made[1], maps[1])


@pytest.mark.parametrize(("side", "rows"), [(3, [2, 3, 4]), (2, [2, 3]), (6, list(range(6))), (1, [3])])
def test_the_central_square_is_about_the_anchor(side, rows):
    """Of a window of 6 bins the anchor has index 3."""
    maps = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert torch.equal(central(maps, side), maps[..., rows, :][..., rows])


@pytest.mark.parametrize("side", [0, 8])
def test_a_square_that_a_window_does_not_have(side):
    with pytest.raises(ConfigError, match=f"window of 6 bins has no square of {side} about its anchor"):
        central(torch.zeros(1, 1, 6, 6), side)


def test_outputs():
    logit = torch.tensor([[[[0.0]]], [[[2.0]]]])
    assert torch.equal(answered(logit, "linear").value, logit)
    assert torch.equal(answered(logit, "sigmoid").value, torch.sigmoid(logit))
    assert torch.equal(answered(logit, "sigmoid").logit, logit)
    with pytest.raises(ConfigError, match="no output 'softmax'; there are sigmoid, linear"):
        check_output("softmax")


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("kernel", [4, 5, 8])
def test_a_strided_convolution_looks_about_the_positions_of_a_place(kernel, stride):
    """It sees all of them, and as much before as after, or one less."""
    conv = SameConv1d(1, 1, kernel, stride, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        seen = torch.stack(
            [conv(F.one_hot(torch.tensor(p), 24).float()[None, None])[0, 0] for p in range(24)]
        )
    assert seen.shape == (24, 24 // stride)
    first, last = 2 * stride, 3 * stride - 1  # the positions of place 2
    before = (kernel - stride) // 2
    after = kernel - stride - before
    assert seen[:, 2].nonzero().flatten().tolist() == list(range(first - before, last + after + 1))


@pytest.mark.parametrize("kernel", [1, 2, 5, 8])
@pytest.mark.parametrize("dilation", [1, 3])
def test_a_same_convolution_keeps_the_length(kernel, dilation):
    """Place p is the sum over taps k of weight k times x at p - reach // 2 + k * dilation."""
    conv = SameConv1d(1, 1, kernel, dilation=dilation, bias=False)
    x = torch.rand(1, 1, 12)
    first = dilation * (kernel - 1) // 2
    with torch.no_grad():
        got = conv(x)[0, 0]
    for p in range(12):
        places = [p - first + k * dilation for k in range(kernel)]
        expected = sum(
            conv.weight[0, 0, k].item() * x[0, 0, q].item() for k, q in enumerate(places) if 0 <= q < 12
        )
        assert got[p].item() == pytest.approx(expected, abs=1e-5)


def layers(**changes):
    sizes = {"tokens": 8, "width": 8, "layers": 2, "heads": 2, "feed_forward": 16}
    sizes |= {"dropout": 0.1, "window_bins": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PreNormLayers(**(sizes | changes)).double().eval()


def test_a_transformer_knows_where_tokens_stand():
    """Alike tokens, which attention cannot tell apart, come out different."""
    out = layers()(torch.ones(1, 8, 8, dtype=torch.float64))
    assert len({tuple(row) for row in out[0].tolist()}) == 8


def test_a_layer_is_attention_then_feed_forward_each_behind_a_norm():
    model = layers(layers=1)
    layer, x = model.layers[0], draw(1)[1].reshape(-1)[:64].reshape(1, 8, 8)
    at = x + model.codes
    normal = F.layer_norm(at, (8,), layer.norm1.weight, layer.norm1.bias)
    q, k, v = (
        part.reshape(8, 2, 4).transpose(0, 1)
        for part in F.linear(normal[0], layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(
            3, dim=1
        )
    )
    heard = (torch.softmax(q @ k.transpose(1, 2) / 2, dim=-1) @ v).transpose(0, 1).reshape(1, 8, 8)
    at = at + layer.self_attn.out_proj(heard)
    normal = F.layer_norm(at, (8,), layer.norm2.weight, layer.norm2.bias)
    expected = at + layer.linear2(torch.relu(layer.linear1(normal)))
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(("width", "heads"), [(6, 2), (8, 3)])
def test_widths_that_a_transformer_cannot_have(width, heads):
    with pytest.raises(ConfigError, match=rf"width \({width}\) must be a multiple of 4 and of heads"):
        layers(width=width, heads=heads)
