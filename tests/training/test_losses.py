"""Losses against values worked out in double precision, and against arithmetic done by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from chromweave.training.losses import Candidates, contrastive, mapping, orthogonal


def waves(length, a, b, c, s):
    """Four windows of `length` unit tokens, sin(a i + b l + c k + s) over 64 channels."""
    i, position, k = (torch.arange(n, dtype=torch.float64) for n in (4, length, 64))
    return F.normalize(torch.sin(a * i[:, None, None] + b * position[:, None] + c * k + s), dim=-1)


@pytest.fixture
def golden():
    return {
        "track_invariant": waves(12, 0.9, 0.31, 0.17, 0.0),
        "map_invariant": waves(9, 0.8, 0.23, 0.19, 0.5),
        "track_specific": waves(12, 0.4, 0.41, 0.29, 1.0),
        "map_specific": waves(9, 0.3, 0.37, 0.11, 2.0),
    }


def both_directions(golden, form):
    """The mapping loss with identity layers, pooled to the other modality's number of tokens."""
    tracks = torch.cat([golden["track_invariant"], golden["track_specific"]], dim=-1)
    maps = torch.cat([golden["map_invariant"], golden["map_specific"]], dim=-1)
    to_map = F.adaptive_avg_pool1d(tracks.transpose(1, 2), 9).transpose(1, 2)
    to_tracks = F.adaptive_avg_pool1d(maps.transpose(1, 2), 12).transpose(1, 2)
    return (mapping(to_map, maps, form) + mapping(to_tracks, tracks, form)).item() / 2


def test_contrastive_golden(golden):
    loss = contrastive(golden["track_invariant"].mean(1), golden["map_invariant"].mean(1), 0.07)
    assert loss.item() == pytest.approx(0.2740088306, abs=1e-8)


def test_orthogonal_golden(golden):
    pooled = {name: tokens.mean(1) for name, tokens in golden.items()}
    assert orthogonal(**pooled).item() == pytest.approx(0.0034290108, abs=1e-8)


@pytest.mark.parametrize(("form", "value"), [("unit", 1.1138956488), ("squared", 2.4584680192)])
def test_mapping_golden(golden, form, value):
    assert both_directions(golden, form) == pytest.approx(value, abs=1e-8)


def test_contrastive_by_hand():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    # each row: own product 1, the other 0, at temperature 0.5
    assert contrastive(first, first, 0.5).item() == pytest.approx(math.log(1 + math.exp(-2)))
    exchanged = contrastive(first, first.flip(0), 0.5).item()
    assert exchanged == pytest.approx(math.log(1 + math.exp(2)))


def test_contrastive_of_indistinguishable_windows_is_log_n():
    same = torch.ones(8, 3)
    assert contrastive(same, same, 0.07).item() == pytest.approx(math.log(8), abs=1e-6)


def test_contrastive_is_symmetric():
    first, second = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    assert contrastive(first, second, 0.1).item() == pytest.approx(contrastive(second, first, 0.1).item())


def test_rows_are_compared_with_all_candidates():
    """Rows 2 and 3 of four windows, of which 0 and 2 look alike: by hand, at temperature 1."""
    tracks = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    maps = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    loss = contrastive(tracks[2:], maps[2:], 1.0, candidates=Candidates(tracks, maps, 2))
    e = math.e
    forward = math.log((2 * e + 2) / e), math.log((2 * e**2 + 2) / e**2)
    backward = math.log((2 * e + 2) / e), math.log((2 + e + e**2) / e**2)
    assert loss.item() == pytest.approx((sum(forward) + sum(backward)) / 4, abs=1e-12)


def test_the_parts_of_a_batch_make_up_the_whole():
    first, second = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    everyone = [Candidates(first, second, own) for own in (0, 2, 4)]
    parts = [contrastive(first[c.own : c.own + 2], second[c.own : c.own + 2], 0.1, candidates=c)
             for c in everyone]  # fmt: skip
    assert (sum(parts) / 3).item() == pytest.approx(contrastive(first, second, 0.1).item(), abs=1e-12)


def test_excluded_pairs_are_no_negatives_but_a_windows_own_stays():
    unit = torch.eye(3, dtype=torch.float64)
    excluded = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    loss = contrastive(unit, unit, 1.0, excluded=excluded)
    e = math.e  # rows 0 and 1 have one negative left, row 2 both
    assert loss.item() == pytest.approx((2 * math.log(1 + 1 / e) + math.log(1 + 2 / e)) / 3, abs=1e-12)
    assert excluded[0, 0]  # the caller's mask is left as it was
    beside = Candidates(unit, unit, 1)
    one = contrastive(unit[1:2], unit[1:2], 1.0, candidates=beside, excluded=torch.tensor([[True] * 3]))
    assert one.item() == 0


def test_half_precision_is_not_used_for_the_contrast():
    first, second = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive(first, second, 0.1)
    assert loss.item() == contrastive(first, second, 0.1).item()


def test_orthogonal_forms_disagree_on_anti_parallel_vectors():
    x = torch.tensor([[1.0, 0.0]])
    assert orthogonal(x, -x, x, -x, "inner").item() == -1  # the paper's form calls this the best
    assert orthogonal(x, -x, x, -x, "squared").item() == 2
    assert orthogonal(x, x.flip(1), x, x.flip(1), "squared").item() == 0


def test_mapping_by_hand():
    inferred = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
    target = torch.tensor([[[0.0, 4.0], [0.0, 1.0]]])
    assert mapping(inferred, target, "squared").item() == pytest.approx((25 + 0) / 2)
    assert mapping(inferred, target, "unit").item() == pytest.approx(math.sqrt(2) / 2)
