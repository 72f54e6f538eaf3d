"""DLoopCaller restated: its sizes, its two pictures, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.baselines.dloopcaller import PRESETS, DLoopCaller, DLoopCallerConfig
from chromweave.errors import ConfigError
from tests.fakes_baselines import (
    SMALL,
    assert_every_weight_learns,
    assert_learns_loops,
    assert_reads_only,
    assert_windows_apart,
    draw,
    planted_loops,
    seeded,
    weights,
)

TINY = replace(PRESETS["tiny"], **SMALL)


@pytest.mark.parametrize(("preset", "places", "total"), [("paper", 4, 23_089), ("whole", 36, 88_625)])
def test_the_papers_size(preset, places, total):
    """23 bins are halved to 2 x 2 places, 50 bins to 6 x 6."""
    convs = (2 * 25 + 1) * 16 + (16 * 9 + 1) * 32 + (32 * 9 + 1) * 32 + 2 * 32
    dense = (32 * places + 1) * 64 + 64 + 1
    assert weights(DLoopCaller(PRESETS[preset])) == convs + dense == total


def test_windows_stay_apart():
    assert_windows_apart(seeded(DLoopCaller, TINY), *draw(3))


def test_every_weight_gets_a_gradient():
    assert_every_weight_learns(seeded(DLoopCaller, TINY), *draw(2))


def test_it_reads_both():
    assert_reads_only(seeded(DLoopCaller, TINY), *draw(2), contact_map=True)


def loops(windows, generator):
    maps, label = planted_loops(windows, generator)
    return (maps, torch.rand(windows, 320, 2, generator=generator)), label


def open_anchors(windows, generator):
    """Loops that only the accessibility of both anchors shows."""
    label = torch.randint(0, 2, (windows,), generator=generator).float()
    tracks = 0.2 * torch.rand(windows, 320, 2, generator=generator)
    for first in (70, 230):  # three bins about bin 8 of either segment
        tracks[:, first : first + 30, 0] += label[:, None]
    return (torch.rand(windows, 1, 16, 16, generator=generator), tracks), label


@pytest.mark.parametrize("planted", [loops, open_anchors])
def test_it_learns_loops_from_either_picture(planted):
    assert_learns_loops(DLoopCaller, TINY, planted, steps=120, rate=1e-2)


def scaled(picture):
    stretched = np.sign(picture) * np.log10(1 + 10 * np.abs(picture))
    return stretched / (1 + np.abs(stretched).max())


def test_the_pictures_are_contacts_and_the_product_of_accessibility():
    """The second track, rows = x segment, 9 bins about the anchor, which has index 8."""
    model, (contacts, tracks), seen = seeded(DLoopCaller, replace(TINY, side=9, track=1)), draw(2), []
    contacts = contacts - 0.5
    model.pictures.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    model(contacts, tracks)
    for i in range(2):
        means = tracks[i, :, 1].numpy().reshape(32, 10).mean(1)
        product = np.outer(means[:16], means[16:])
        np.testing.assert_allclose(seen[0][i, 0], scaled(contacts[i, 0, 4:13, 4:13].numpy()))
        np.testing.assert_allclose(seen[0][i, 1], scaled(product[4:13, 4:13]))


def test_only_the_track_named_is_read():
    model, (contacts, tracks) = seeded(DLoopCaller, replace(TINY, track=1)), draw(2)
    base = model(contacts, tracks).value
    assert base.shape == (2,)
    other, named = tracks.clone(), tracks.clone()
    other[..., 0] += 1
    named[..., 1] *= torch.linspace(0, 1, 320)
    assert torch.equal(model(contacts, other).value, base)
    assert not torch.equal(model(contacts, named).value, base)


def test_an_empty_window_has_an_answer():
    contacts, tracks = draw(1)
    assert seeded(DLoopCaller, TINY)(0 * contacts, 0 * tracks).value.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"side": 51},
            r"side \(51\) must be 0 for the whole window, or lie between 8 and window_bins \(50\)",
        ),
        ({"side": 7}, r"side \(7\) must be 0"),
        ({"side": 0, "window_bins": 4, "positions": 400}, "which itself must be at least 8"),
        ({"track": 2}, "index of the accessibility track, from 0 to 1, not 2"),
        ({"track": -1}, "from 0 to 1, not -1"),
        ({"kernels": (5, 3, 4)}, r"kernels must be odd, not \(5, 3, 4\)"),
        ({"kernels": (5, 3)}, "must be as many"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(ConfigError, match=message):
        DLoopCallerConfig(**changes)
