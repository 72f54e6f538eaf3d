"""RefHiC restated: its size, what references do, and that it learns from them."""

from dataclasses import replace

import pytest
import torch

from chromweave.baselines.refhic import PRESETS, RefHiC, RefHiCConfig
from chromweave.errors import ConfigError, ModelError
from tests.fakes_baselines import (
    assert_every_weight_learns,
    assert_learns_loops,
    assert_windows_apart,
    planted_loops,
    seeded,
    weights,
)

TINY = PRESETS["tiny"]


def maps(windows, references, side=11):
    generator = torch.Generator().manual_seed(3)
    study = torch.rand(windows, 2, side, side, generator=generator, dtype=torch.float64)
    shape = windows, references, 2, side, side
    return study, torch.rand(shape, generator=generator, dtype=torch.float64)


def test_the_papers_size():
    """98,163, the paper's own: two norms of 882 values, two dense layers, four norms, a head."""
    encoder = 2 * 882 + 4 + (2 * 9 + 1) * 2 + 2 * 882 + (882 + 1) * 64 + (64 + 1) * 64 + 2 * 2 * 64
    attention = 4 * 2 * 64 + 2 * (64 + 1) * 64
    head = (128 + 1) * 128 + (128 + 1) * 64 + 64 + 1
    assert weights(RefHiC(PRESETS["paper"])) == encoder + attention + head == 98_163


@pytest.mark.parametrize("references", [1, 4])
def test_windows_stay_apart(references):
    assert_windows_apart(seeded(RefHiC, TINY), *maps(3, references))


def test_every_weight_gets_a_gradient():
    assert_every_weight_learns(seeded(RefHiC, TINY), *maps(4, 3))


def test_references_matter_but_not_their_order_nor_how_often_each_is_given():
    model, (study, references) = seeded(RefHiC, TINY), maps(2, 3)
    base = model(study, references).value
    assert base.shape == (2,)
    torch.testing.assert_close(model(study, references[:, [2, 0, 1]]).value, base)
    torch.testing.assert_close(model(study, references.repeat(1, 2, 1, 1, 1)).value, base)
    assert not torch.allclose(model(study, references[:, :1]).value, base)
    assert not torch.allclose(model(study.flip(3), references).value, base)


def test_a_training_step_works_for_one_window_and_one_reference():
    """BatchNorm sees study and references together, so that it never sees a single map."""
    assert seeded(RefHiC, TINY).train()(*maps(1, 1)).value.shape == (1,)


def shown_by_references(windows, generator):
    shown, label = planted_loops(windows, generator, channels=2 * 3, side=11)
    study = 0.3 * torch.rand(windows, 2, 11, 11, generator=generator)
    return (study, shown.reshape(windows, 3, 2, 11, 11)), label


def shown_by_the_study(windows, generator):
    study, label = planted_loops(windows, generator, channels=2, side=11)
    return (study, 0.3 * torch.rand(windows, 3, 2, 11, 11, generator=generator)), label


@pytest.mark.parametrize("planted", [shown_by_references, shown_by_the_study])
def test_it_learns_loops_from_either(planted):
    assert_learns_loops(RefHiC, TINY, planted, steps=60, rate=1e-2)


def test_inputs_of_other_sizes():
    model, (study, references) = seeded(RefHiC, TINY), maps(2, 1)
    with pytest.raises(ModelError, match=r"maps of 11 bins; it was given one of 9 and references of 9\."):
        model(study[..., 1:10, 1:10], references[..., 1:10, 1:10])
    with pytest.raises(ModelError, match="against references, and none was given"):
        model(study, references[:, :0])


@pytest.mark.parametrize("side", [1, 20, 51])
def test_sizes_that_do_not_fit(side):
    with pytest.raises(ConfigError, match=rf"side must be odd, at least 3 and below .* not {side}\."):
        RefHiCConfig(side=side)
    assert replace(TINY, side=49).side == 49
