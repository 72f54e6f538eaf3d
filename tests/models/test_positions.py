"""Position codes: wavelengths, one code per place for both modalities, and nothing to learn."""

import math

import pytest
import torch

from chromweave.errors import ConfigError
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.positions import MAP_AMPLITUDE, TRACK_AMPLITUDE, map_codes, place_code, track_codes


def test_wavelengths_run_from_twice_the_window_to_four_bins():
    code = place_code(torch.tensor([0.0, 1.0, 12.5]), 6, 50)  # waves of 100, 20 and 4 bins
    assert code[0].tolist() == [0, 0, 0, 1, 1, 1]
    angles = [2 * math.pi / wave for wave in (100, 20, 4)]
    assert code[1].tolist() == pytest.approx([*map(math.sin, angles), *map(math.cos, angles)])
    assert code[2, 0].item() == pytest.approx(math.sin(math.pi / 4))


def test_a_patch_has_the_codes_of_the_track_tokens_that_meet_in_it():
    """100 bins at one token per two bins: token and patch centres coincide."""
    tracks = track_codes(tokens=100, channels=16, window_bins=100) / TRACK_AMPLITUDE
    patches = map_codes(channels=16, window_bins=100) / MAP_AMPLITUDE
    assert tracks.shape == (100, 16)
    assert patches.shape == (2500, 16)
    for row, column in ((0, 0), (3, 41), (49, 7)):
        torch.testing.assert_close(patches[50 * row + column], tracks[row] + tracks[50 + column])
    assert not tracks[:50, 8:].any()
    assert not tracks[50:, :8].any()


def test_every_place_of_a_window_has_a_code_of_its_own():
    for codes in (track_codes(100, 16, 50), map_codes(16, 50)):
        closest = torch.pdist(codes.double()).min().item()
        assert closest > 0.05 * codes.abs().max().item()


def draw(windows):
    generator = torch.Generator().manual_seed(1)
    contacts = torch.rand(windows, 1, 50, 50, generator=generator)
    return contacts, torch.rand(windows, 5000, 2, generator=generator)


def test_positions_change_the_output_and_neither_weights_nor_state():
    models = []
    for kind in ("none", "sinusoidal"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            models.append(MixHicPretrain(MixHicConfig(position_encoding=kind)).eval())
    plain, placed = models
    assert list(plain.state_dict()) == list(placed.state_dict())
    placed.load_state_dict(plain.state_dict())
    windows = draw(2)
    with torch.no_grad():
        before, after = plain(*windows), placed(*windows)
    assert not torch.allclose(before.track_invariant, after.track_invariant, atol=1e-3)
    assert not torch.allclose(before.map_invariant, after.map_invariant, atol=1e-3)


def test_sines_need_channels_in_fours():
    with pytest.raises(ConfigError, match="multiple of 4"):
        MixHicConfig(channels=6, heads=2, position_encoding="sinusoidal")
