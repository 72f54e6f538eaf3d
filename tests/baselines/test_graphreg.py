"""GraphReg restated: sizes, which pixels are edges, attention held against a loop, and that both learn."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from chromweave.baselines.graphreg import (
    CNN_PRESETS,
    GRAPH_PRESETS,
    EpiCnn,
    EpiCnnConfig,
    EpiGraph,
    EpiGraphConfig,
    edges,
)
from chromweave.errors import ConfigError
from tests.fakes_baselines import (
    SMALL,
    assert_every_weight_learns,
    assert_learns_signal,
    assert_reads_only,
    assert_windows_apart,
    draw,
    levels,
    seeded,
    swapped,
    trained,
    weights,
    with_same_segments,
)

CNN = replace(CNN_PRESETS["tiny"], **SMALL)
GRAPH = replace(GRAPH_PRESETS["tiny"], **SMALL)
every_network = pytest.mark.parametrize(("cls", "config"), [(EpiCnn, CNN), (EpiGraph, GRAPH)])
STEM = (2 * 25 + 1) * 128 + 2 * (128 * 3 + 1) * 128 + 3 * 2 * 128


def test_the_papers_size_of_epi_cnn():
    """230.5 k: a dilated layer is a convolution of 64 channels and its norm."""
    rest = (128 * 3 + 1) * 64 + 2 * 64 + 8 * ((64 * 3 + 1) * 64 + 2 * 64) + 64 + 1
    assert weights(EpiCnn(CNN_PRESETS["paper"])) == STEM + rest == 230_529


def test_the_papers_size_of_epi_graph():
    """180.9 k: a layer has two projections, two vectors of scores, and its norm."""
    rest = 2 * (2 * 128 * 128 + 2 * 128 + 2 * 128) + (128 + 1) * 64 + 2 * 64 + 64 + 1
    assert weights(EpiGraph(GRAPH_PRESETS["paper"])) == STEM + rest == 180_865


@pytest.mark.parametrize(
    ("window_bins", "dilations"),
    [
        (50, (2, 4, 8, 16, 32, 2, 4, 8)),
        (16, (2, 4, 8, 2, 4, 8, 2, 4)),
        (1200, (2, 4, 8, 16, 32, 64, 128, 256)),
    ],
)
def test_dilations_stay_inside_a_segment(window_bins, dilations):
    """In the paper's window of 1,200 bins they are the paper's."""
    assert EpiCnnConfig(window_bins=window_bins, positions=100 * window_bins).dilations == dilations


@every_network
def test_windows_stay_apart(cls, config):
    assert_windows_apart(seeded(cls, config), *draw(3))


@every_network
def test_every_weight_gets_a_gradient(cls, config):
    assert_every_weight_learns(seeded(cls, config), *draw(2))


def test_epi_cnn_reads_the_tracks_alone():
    assert_reads_only(seeded(EpiCnn, CNN), *draw(2), contact_map=False)


def test_epi_graph_reads_both():
    assert_reads_only(seeded(EpiGraph, GRAPH), *draw(2), contact_map=True)


@every_network
def test_exchanged_segments_give_exchanged_answers(cls, config):
    model, windows = seeded(cls, config), draw(2)
    value = model(*windows).value
    assert value.shape == (2, 32)
    torch.testing.assert_close(model(*swapped(*windows)).value, value.roll(16, dims=1))
    assert not torch.allclose(value, value.roll(16, dims=1))


def test_an_answer_is_the_log_of_one_more_than_a_rate():
    model, (_, tracks) = seeded(EpiCnn, CNN), draw(1)
    with torch.no_grad():
        model.out.weight.zero_()
        model.out.bias.fill_(math.log(7.0))
    torch.testing.assert_close(model(None, tracks).value, torch.full((1, 32), 3.0, dtype=torch.float64))


# --- edges


def test_an_edge_stands_out_from_its_diagonal():
    """Main diagonal 1, 1, 1, 5: mean 2, deviation 1.73. Above it 1, 2, 3: mean 2, deviation 0.82."""
    contacts = torch.zeros(4, 4)
    contacts[range(4), range(4)] = torch.tensor([1.0, 1, 1, 5])
    contacts[[0, 1, 2], [1, 2, 3]] = torch.tensor([1.0, 2, 3])
    contacts[0, 3] = 9.0  # alone on its diagonal
    contacts[[1, 2, 3], [0, 1, 2]] = 4.0  # all alike
    found = edges(contacts[None, None], torch.tensor([False]), 1.0)
    assert found[0].nonzero().tolist() == [[2, 3], [3, 3]]
    stricter = edges(contacts[None, None], torch.tensor([False]), 1.5)
    assert stricter[0].nonzero().tolist() == [[3, 3]]
    of_one_segment = edges(contacts[None, None], torch.tensor([True]), 1.0)
    assert of_one_segment[0].nonzero().tolist() == [[2, 3]]


def test_edges_of_a_transposed_map_are_transposed_and_a_scale_changes_none():
    contacts, _ = draw(3)
    apart = torch.zeros(3, dtype=torch.bool)
    found = edges(contacts, apart, 1.0)
    assert 0.05 < found.double().mean() < 0.25  # 16 % of a normal distribution
    assert torch.equal(edges(contacts.transpose(2, 3), apart, 1.0), found.transpose(1, 2))
    assert torch.equal(edges(5 * contacts + 2, apart, 1.0), found)


# --- attention


def heard_in_one_segment(layer, nodes, touches):
    """Node by node and head by head, in a graph of one segment."""
    size = nodes.shape[1] // layer.heads
    out = torch.zeros_like(nodes)
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        own, other = nodes @ layer.own.weight[part].T, nodes @ layer.other.weight[part].T
        for i in range(len(nodes)):
            total, sum_of_weights = own[i], 1.0
            for j in touches[i].nonzero().flatten().tolist():
                score = layer.score_own[head] @ own[i] + layer.score_other[head] @ other[j]
                weight = torch.sigmoid(score if score > 0 else 0.2 * score)
                total, sum_of_weights = total + weight * other[j], sum_of_weights + weight
            out[i, part] = total / sum_of_weights
    return out


def test_of_one_segment_with_itself_the_graph_is_that_of_the_segment():
    model, (contacts, tracks) = seeded(EpiGraph, GRAPH), draw(1)
    contacts, tracks = contacts + contacts.transpose(2, 3), with_same_segments(tracks)
    touches = edges(contacts, torch.tensor([True]), 1.0)[0]
    assert 10 < touches.sum() < 80
    with torch.no_grad():
        x = model.stem(tracks[:, :160].transpose(1, 2))
        for layer, norm in zip(model.attention, model.norms, strict=True):
            nodes = heard_in_one_segment(layer, x[0].T, touches)
            x = norm(F.elu(nodes).T[None])
        log_rate = model.out(model.narrow(x))[0, 0]
        expected = torch.log2(1 + log_rate.exp())
        torch.testing.assert_close(model(contacts, tracks).value[0], expected.repeat(2))


def test_a_bin_hears_only_those_it_touches():
    """A signal in bin 2 of y, which touches bin 9 of x alone, reaches nothing else of x."""
    model, (_, tracks) = seeded(EpiGraph, replace(GRAPH, layers=1)), draw(1)
    contacts = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    contacts[0, 0, 9, 2] = 1.0
    changed = tracks.clone()
    changed[:, 160 + 20 : 160 + 30] += 3  # bin 2 of y; what the stem smears reaches bins 1 and 3
    differs = (model(contacts, changed).value != model(contacts, tracks).value)[0]
    assert differs[:16].nonzero().flatten().tolist() == [9]
    assert differs[18]


# --- learning


def test_epi_cnn_learns_levels():
    assert_learns_signal(EpiCnn, CNN, steps=30, rate=1e-2)


def partners(windows, generator):
    """Every bin touches one of the other segment, and its signal is its own level and its partner's."""
    tracks, level = levels(windows, generator)
    x, y = level.chunk(2, dim=1)
    order = torch.stack([torch.randperm(16, generator=generator) for _ in range(windows)])
    contacts = torch.full((windows, 1, 16, 16), 0.1)
    contacts.scatter_(3, order[:, None, :, None], 0.9)
    back = torch.argsort(order, dim=1)
    target = torch.cat([x + y.gather(1, order), y + x.gather(1, back)], dim=1)
    return (contacts, tracks), target


def test_epi_graph_learns_what_contacts_bring():
    """A bin's own level leaves a variance of 1/4, the mean leaves 1/2."""
    said, target = trained(EpiGraph, GRAPH, partners, steps=50, rate=1e-2)
    assert F.mse_loss(said.value, target) < 0.125


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (EpiCnnConfig, {"kernel": 24}, "kernel must be odd, not 24"),
        (EpiCnnConfig, {"depth": 0}, "depth must be at least 1, not 0"),
        (EpiCnnConfig, {"positions": 1100}, "11 steps a bin"),
        (EpiGraphConfig, {"heads": 3}, r"channels \(128\) must be a multiple of heads \(3\)"),
        (EpiGraphConfig, {"layers": 0}, "layers must be at least 1, not 0"),
    ],
)
def test_sizes_that_do_not_fit(cls, changes, message):
    with pytest.raises(ConfigError, match=message):
        cls(**changes)
