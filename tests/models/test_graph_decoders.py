import math

import numpy as np
import pytest
import torch

from chromweave.batch import GraphBatch
from chromweave.models.graph_decoders import (
    DistanceAwareDecoder,
    DistanceCurve,
    InnerProductDecoder,
    inner_products,
)


def graph(bins, **known):
    n = len(bins)
    return GraphBatch(
        torch.zeros(n, 1),
        torch.eye(n).to_sparse_coo(),
        torch.tensor(bins, dtype=torch.int32),
        torch.zeros(n, dtype=torch.int32),
        **known,
    )


Z = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
PAIRS = torch.tensor([[0, 0, 1], [1, 2, 2]])


def test_inner_product_by_hand():
    assert InnerProductDecoder()(Z, graph([0, 1, 2]), PAIRS).tolist() == [1.0, 1.5, 1.0]


def test_inner_products_and_gradients_are_torchs_own():
    z = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pairs = torch.randint(50, (2, 9000), generator=torch.Generator().manual_seed(1))  # more than two chunks
    ours, plain = z.clone().requires_grad_(), z.clone().requires_grad_()
    found, expected = inner_products(ours, pairs), (plain[pairs[0]] * plain[pairs[1]]).sum(1)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, plain.grad)
    assert inner_products(z, pairs[:, :0]).shape == (0,)


def test_distance_aware_by_hand():
    decoder = DistanceAwareDecoder(8)
    with torch.no_grad():
        decoder.decay.level.fill_(0.25)
        decoder.gain.fill_(2.0)
    seen, offset, own = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([0.5, 0, 0]), torch.tensor([0, 0, 4.0])
    found = decoder(Z, graph([0, 3, 4], visibility=seen, offset=offset), PAIRS, own)
    # z.z: 1, 1.5, 1; level 0.25; bins: 2 x 1 + 0.5 = 2.5, 0, -2 + 4 = 2
    assert found.tolist() == pytest.approx([1 + 0.25 + 2.5 + 0, 1.5 + 0.25 + 2.5 + 2, 1 + 0.25 + 0 + 2])


def test_a_bump_by_hand():
    curve = DistanceCurve(100)
    with torch.no_grad():
        curve.height[0] = 3.0
        curve.level.fill_(1.0)
    width = math.log(100) / 15
    found = curve(torch.tensor([1, 2, 100]))
    expected = [1 + 3, 1 + 3 * math.exp(-0.5 * (math.log(2) / width) ** 2), 1.0]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_curve_starts_at_a_power_law_through_gaps():
    curve, distance = DistanceCurve(125), np.arange(126.0)
    with np.errstate(divide="ignore"):
        wanted = torch.from_numpy(4 - 1.1 * np.log(distance))
    wanted[7] = math.nan
    curve.start_at(wanted)
    known = torch.isfinite(wanted)
    torch.testing.assert_close(curve.table()[known].double(), wanted[known], atol=0.1, rtol=0)
    assert curve.table()[7].item() == pytest.approx(4 - 1.1 * math.log(7), abs=0.1)


def test_nothing_known_leaves_a_curve_as_it_is():
    curve = DistanceCurve(5)
    curve.start_at(torch.full((6,), math.nan))
    assert curve.table().tolist() == [0] * 6


def test_beyond_the_range_everything_is_below_everything_within():
    decoder = DistanceAwareDecoder(3)
    found = decoder(Z, graph([0, 3, 4]), PAIRS)
    assert found[1] < found[[0, 2]].min() - 10


@pytest.mark.parametrize("max_bins", [1, 2, 200])
def test_gradients_of_the_shortest_ranges_are_finite(max_bins):
    decoder, z = DistanceAwareDecoder(max_bins), Z.clone().requires_grad_()
    seen = torch.tensor([0.1, 0.2, 0.3])
    decoder(z, graph([0, 1, 2], visibility=seen), PAIRS[:, [0, 2]]).square().sum().backward()
    assert torch.isfinite(z.grad).all()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in decoder.parameters())
