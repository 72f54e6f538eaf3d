"""Objectives: what they weigh, and scores worked out by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from chromweave.batch import LossParts, PairedTokens, Prediction
from chromweave.errors import ConfigError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.training.losses import contrastive, mapping, orthogonal
from chromweave.training.objectives import (
    LoopClassification,
    PairedPretraining,
    PairLossConfig,
    Tally,
    overlaps,
    partner_ranks,
    score,
)
from tests.fakes_windows import Batches, synthetic_batch


def unit(*shape, seed):
    tokens = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return nn.functional.normalize(tokens, dim=-1)


@pytest.fixture
def pair():
    return PairedTokens(
        track_invariant=unit(6, 12, 8, seed=1),
        track_specific=unit(6, 12, 8, seed=2),
        map_invariant=unit(6, 9, 8, seed=3),
        map_specific=unit(6, 9, 8, seed=4),
        map_from_tracks=unit(6, 9, 16, seed=5).requires_grad_(),
        tracks_from_map=unit(6, 12, 16, seed=6),
        temperature=torch.tensor(0.07),
    )


def step(pair, **config):
    batch = SimpleNamespace(contact_map=None, tracks=None)
    return PairedPretraining(PairLossConfig(**config)).step(lambda *inputs, **options: pair, batch)


def test_pretraining_is_the_weighted_sum_of_its_terms(pair):
    ti, ts, mi, ms = (
        t.mean(1) for t in (pair.track_invariant, pair.track_specific, pair.map_invariant, pair.map_specific)
    )
    tracks = torch.cat([pair.track_invariant, pair.track_specific], -1)
    maps = torch.cat([pair.map_invariant, pair.map_specific], -1)
    expected = {
        "contrastive": contrastive(ti, mi, 0.07),
        "orthogonal": orthogonal(ti, ts, mi, ms, "inner"),
        "mapping": (
            mapping(pair.map_from_tracks, maps, "unit") + mapping(pair.tracks_from_map, tracks, "unit")
        )
        / 2,
    }
    parts = step(
        pair, contrastive=2.0, orthogonal=3.0, mapping=0.5, orthogonal_form="inner", mapping_form="unit"
    )
    for name, value in expected.items():
        assert parts.terms[name].item() == pytest.approx(value.item(), rel=1e-5)
    total = 2 * expected["contrastive"] + 3 * expected["orthogonal"] + 0.5 * expected["mapping"]
    assert parts.total.item() == pytest.approx(total.item(), rel=1e-5)
    assert {name: len(rows) for name, rows in parts.outputs.items()} == {"tracks": 6, "maps": 6, "cosine": 6}
    plain = step(pair)
    assert plain.total.item() == pytest.approx(sum(plain.terms[name].item() for name in expected), rel=1e-5)


@pytest.mark.parametrize(
    ("teaches", "source", "target"),
    [("inference", False, False), ("source", True, False), ("all", True, True)],
)
def test_what_the_mapping_loss_teaches(teaches, source, target):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MixHicPretrain(MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=400))
    for layer in model.to_tracks.parameters():  # leaves the direction from tracks to map
        layer.requires_grad_(False).zero_()
    weights = {"contrastive": 0.0, "orthogonal": 0.0}
    parts = PairedPretraining(PairLossConfig(**weights, mapping_teaches=teaches)).step(
        model, synthetic_batch(4)
    )
    parts.total.backward()

    def taught(module):
        return any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())

    assert taught(model.to_map)
    assert taught(model.track_encoder) is source
    assert taught(model.map_encoder) is target


def test_loss_weights_are_checked():
    with pytest.raises(ConfigError, match="must not be negative"):
        PairLossConfig(mapping=-1.0)
    with pytest.raises(ConfigError, match="nor all 0"):
        PairLossConfig(contrastive=0.0, orthogonal=0.0, mapping=0.0)


def test_the_mapping_loss_sits_out_at_first():
    objective = PairedPretraining(PairLossConfig(contrastive=2.0, mapping_after=0.3))
    stages = [objective.for_epoch(epoch, 10).config for epoch in range(10)]
    assert [(c.contrastive, c.orthogonal, c.mapping) for c in stages] == [(2, 1, 0)] * 3 + [(2, 1, 1)] * 7
    alone = PairedPretraining(PairLossConfig(contrastive=0.0, orthogonal=0.0))
    assert alone.for_epoch(0, 10) is alone
    with pytest.raises(ConfigError, match="mapping_after"):
        PairLossConfig(mapping_after=1.5)


def test_partner_ranks_by_hand():
    queries = torch.eye(3)
    partners = torch.tensor([[0.9, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.5, 0.5]])
    # query 0 likes partner 1 better than its own; query 1 likes 2 just as much; query 2 its own only
    assert partner_ranks(queries, partners).tolist() == [1, 1, 0]


def test_partner_ranks_do_not_depend_on_the_chunk():
    tracks, maps = unit(1100, 16, seed=1), unit(1100, 16, seed=2)
    similar = tracks @ maps.T
    brute = (similar >= similar.diagonal()[:, None]).sum(1) - 1
    assert torch.equal(partner_ranks(tracks, maps), brute)


def test_scores_of_a_perfect_pairing_and_of_chance():
    perfect = torch.eye(8)
    scores = PairedPretraining().summarise({"tracks": perfect, "maps": perfect, "cosine": torch.ones(8)})
    assert (scores["retrieval_top1"], scores["retrieval_top5"], scores["alignment"]) == (1, 1, 0)
    assert scores["uniformity"] == pytest.approx(-4)  # every squared distance is 2, exp(-2 * 2)
    assert scores["retrieval_chance"] == 1 / 8
    assert scores["mapping_cosine"] == 1
    collapsed = torch.ones(8, 4)
    scores = PairedPretraining().summarise({"tracks": collapsed, "maps": collapsed, "cosine": torch.ones(8)})
    assert (scores["retrieval_top1"], scores["retrieval_top5"], scores["uniformity"]) == (0, 0, 0)
    random = {name: unit(2000, 32, seed=seed) for name, seed in (("tracks", 1), ("maps", 2))}
    scores = PairedPretraining().summarise({**random, "cosine": torch.zeros(2000)})
    assert scores["retrieval_top5"] < 0.01
    assert scores["alignment"] == pytest.approx(2, abs=0.05)


def test_uniformity_of_one_window_is_unknown():
    one = torch.ones(1, 4)
    scores = PairedPretraining().summarise({"tracks": one, "maps": one, "cosine": torch.ones(1)})
    assert math.isnan(scores["uniformity"])


class Constant(nn.Module):
    """Gives the mean of each map as logit."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, contact_map, tracks):
        logit = self.scale * contact_map.mean((1, 2, 3))
        return Prediction(torch.sigmoid(logit), logit)


def test_loop_classification_is_cross_entropy():
    batch = synthetic_batch(4)
    parts = LoopClassification(lambda label, probability: {}).step(Constant(), batch)
    p = parts.outputs["probability"]
    by_hand = -(batch.label * p.log() + (1 - batch.label) * (1 - p).log()).mean()
    assert parts.total.item() == pytest.approx(by_hand.item(), rel=1e-6)


class TwoVoices(nn.Module):
    """Logits 1 and -2 of the modalities, and 0.5 of what is fused."""

    def forward(self, contact_map, tracks):
        ones = torch.ones(len(contact_map))
        logit = -0.5 * ones
        return Prediction(torch.sigmoid(logit), logit, (ones, -2 * ones))


def test_each_modalitys_own_logit_is_taught_beside_the_sum():
    batch = synthetic_batch(4)
    label = batch.label.double()

    def entropy(logit):
        p = 1 / (1 + math.exp(-logit))
        return -(label * math.log(p) + (1 - label) * math.log(1 - p)).mean().item()

    together, alone = entropy(-0.5), entropy(1.0) + entropy(-2.0)
    parts = LoopClassification(lambda label, probability: {}, alone=0.25).step(TwoVoices(), batch)
    assert parts.terms["together"].item() == pytest.approx(together, rel=1e-6)
    assert parts.terms["alone"].item() == pytest.approx(alone, rel=1e-6)
    assert parts.total.item() == pytest.approx(together + 0.25 * alone, rel=1e-6)


def test_loop_scores_get_the_whole_split_in_order():
    seen = {}

    def scores(label, probability):
        seen.update(label=label, probability=probability)
        return {"auroc": 0.75}

    whole, model = synthetic_batch(10), Constant().train()
    result = score(LoopClassification(scores), model, Batches(whole, 4))
    assert result.pop("auroc") == 0.75
    assert set(result) == {"loss"}
    np.testing.assert_array_equal(seen["label"], [0, 1] * 5)
    np.testing.assert_allclose(seen["probability"], model(whole.contact_map, None).value.detach(), rtol=1e-6)
    assert seen["label"].dtype == np.float64
    assert model.training


def test_tally_weighs_batches_by_their_size():
    tally = Tally()
    for value, samples in ((1.0, 3), (5.0, 1)):
        tally.add(LossParts(torch.tensor(value), {"part": torch.tensor(2 * value)}), samples)
    assert tally.means() == {"loss": 2.0, "part": 4.0}


def test_windows_overlap_where_both_anchors_are_near():
    #                     store, chromosome, x, y
    windows = torch.tensor([[0, 0, 100, 110], [0, 0, 115, 125], [0, 0, 116, 110], [0, 1, 100, 110],
                            [1, 0, 100, 110], [0, 0, 100, 126]])  # fmt: skip
    found = overlaps(windows, windows, 16)
    assert found.diagonal().all()
    assert torch.equal(found, found.T)
    pairs = [(i, j) for i, j in found.nonzero().tolist() if i < j]
    assert pairs == [(0, 1), (1, 2), (1, 5)]
    assert torch.equal(overlaps(windows[2:4], windows, 16), found[2:4])


def test_overlapping_windows_need_not_be_negatives():
    batch = synthetic_batch(4)  # anchors one bin apart: all four overlap
    model = MixHicPretrain(MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=400))
    told_apart = PairedPretraining().step(model, batch).terms["contrastive"]
    alone = PairedPretraining(PairLossConfig(overlapping_negatives=False)).step(model, batch)
    assert told_apart.item() > 1
    assert alone.terms["contrastive"].item() == 0  # nothing left to tell a window from
    batch.x[3] += 100
    one_apart = PairedPretraining(PairLossConfig(overlapping_negatives=False)).step(model, batch)
    assert one_apart.terms["contrastive"].item() > 0


def test_a_tally_goes_on_from_its_state():
    whole, first, second = Tally(False), Tally(False), Tally(False)
    parts = [LossParts(torch.tensor(value), {"term": torch.tensor(value / 3)}) for value in (0.1, 0.7, 0.3)]
    for part in parts:
        whole.add(part, 5)
    first.add(parts[0], 5)
    second.load(first.state(), torch.device("cpu"))
    for part in parts[1:]:
        second.add(part, 5)
    assert second.means() == whole.means()
    assert whole.means()["loss"] == pytest.approx(1.1 / 3)
    assert Tally(False).means() == {}
