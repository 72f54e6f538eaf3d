"""Epiphany restated: its size, what each bin reads, orientation, and that it learns."""

from dataclasses import replace

import pytest
import torch

from chromweave.baselines.epiphany import PRESETS, Epiphany, EpiphanyConfig
from chromweave.errors import ConfigError
from tests.fakes_baselines import (
    SMALL,
    assert_every_weight_learns,
    assert_learns_contacts,
    assert_reads_only,
    assert_windows_apart,
    draw,
    seeded,
    weights,
    with_same_segments,
)

TINY = replace(PRESETS["tiny"], **SMALL, shrink=2)


def test_the_papers_size():
    """4.54 M: convolutions, two recurrent layers both ways (4 gates, 2 biases each), two dense layers."""
    convs = (2 * 17 + 1) * 70 + (70 * 7 + 1) * 90 + (90 * 5 + 1) * 70 + (70 * 5 + 1) * 20
    recurrent = sum(2 * 4 * 256 * (before + 256 + 2) for before in (900, 512))
    dense = (512 + 1) * 900 + (900 + 1) * 50
    assert weights(Epiphany(PRESETS["paper"])) == convs + recurrent + dense == 4_540_524


def test_windows_stay_apart():
    model, (_, tracks) = seeded(Epiphany, TINY), draw(3)
    assert_windows_apart(lambda t: model(None, t), tracks)


def test_every_weight_gets_a_gradient():
    assert_every_weight_learns(seeded(Epiphany, TINY), *draw(2))


def test_it_reads_the_tracks_alone():
    assert_reads_only(seeded(Epiphany, TINY), *draw(2), contact_map=False)


def test_it_learns_rows_and_columns():
    assert_learns_contacts(Epiphany, TINY, steps=60, rate=5e-3)


def test_each_bin_reads_its_surroundings():
    """Five bins of ten positions, the bin itself in the middle, nothing from the other segment."""
    model, tracks = seeded(Epiphany, TINY), torch.arange(1.0, 641).reshape(1, 320, 2).double()
    seen = []
    model.reader.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(None, tracks)
    assert seen[0].shape == (32, 2, 50)
    of_track = tracks[0, :, 0]
    assert torch.equal(seen[0][5, 0], of_track[30:80])
    assert torch.equal(seen[0][0, 0], torch.cat([torch.zeros(20), of_track[:30]]))
    assert torch.equal(seen[0][15, 0], torch.cat([of_track[130:160], torch.zeros(20)]))
    assert torch.equal(seen[0][16, 0], torch.cat([torch.zeros(20), of_track[160:190]]))


def test_of_one_segment_with_itself_the_map_is_symmetric():
    model, (_, tracks) = seeded(Epiphany, TINY), draw(2)
    logit = model(None, with_same_segments(tracks)).logit
    torch.testing.assert_close(logit, logit.transpose(2, 3))
    assert not torch.allclose(model(None, tracks).logit, model(None, tracks).logit.transpose(2, 3))


def test_outputs_and_shapes():
    _, tracks = draw(2)
    bounded, any_value = (
        seeded(Epiphany, replace(TINY, output=o))(None, tracks) for o in ("sigmoid", "linear")
    )
    assert bounded.value.shape == (2, 1, 16, 16)
    assert torch.equal(bounded.value, torch.sigmoid(any_value.value))
    assert torch.equal(any_value.value, any_value.logit)


def test_sizes_that_do_not_fit():
    with pytest.raises(
        ConfigError, match=r"reach_bins \(1\) of 50 positions are too few for 3 max-pools of 4"
    ):
        EpiphanyConfig(reach_bins=1, shrink=4)
    with pytest.raises(ConfigError, match="no output 'exp'"):
        EpiphanyConfig(output="exp")
