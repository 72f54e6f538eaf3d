"""Window sizes: which there are, how positions are pooled to bins, what an input must look like."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chromweave.baselines.epiphany import EpiphanyConfig
from chromweave.baselines.sizes import WindowSizes, given_map, given_tracks
from chromweave.errors import ConfigError, ModelError


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_tracks": 0}, "n_tracks must be at least 1, not 0"),
        ({"window_bins": 49}, "window_bins must be an even number of at least 2, not 49"),
        ({"window_bins": 0}, "window_bins must be an even number of at least 2, not 0"),
        ({"positions": 5050}, r"positions must be a multiple of 100 \(two segments .*\), not 5050"),
        ({"positions": 0}, "positions must be a multiple of 100"),
    ],
)
def test_sizes_that_no_window_has(sizes, message):
    with pytest.raises(ConfigError, match=message):
        WindowSizes(**sizes)


@pytest.mark.parametrize(
    ("steps", "pools"),
    [
        (50, (2, 5, 5)),  # 5 kb
        (100, (4, 5, 5)),  # 10 kb
        (250, (5, 5, 10)),  # 25 kb
        (20, (2, 2, 5)),
        (10, (1, 2, 5)),
        (16, (2, 2, 4)),
        (1, (1, 1, 1)),
        (7, (1, 1, 7)),
        (1000, (10, 10, 10)),
    ],
)
def test_positions_are_pooled_to_bins_in_three(steps, pools):
    sizes = WindowSizes(positions=100 * steps)
    assert (sizes.steps, sizes.pools) == (steps, pools)


@pytest.mark.parametrize("steps", [11, 22, 1001, 2000])
def test_positions_that_three_pools_cannot_bring_to_bins(steps):
    with pytest.raises(ConfigError, match=f"make {steps} steps a bin, which are not three factors"):
        _ = WindowSizes(positions=100 * steps).pools


@given(st.tuples(*[st.integers(1, 10)] * 3))
def test_pools_multiply_to_the_steps_of_a_bin(factors):
    steps = math.prod(factors)
    pools = WindowSizes(positions=100 * steps).pools
    assert math.prod(pools) == steps
    assert list(pools) == sorted(pools)
    assert pools[-1] <= max(factors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1, not 0"),
        ({"channels": (70, 0, 70, 20)}, r"channels must be at least 1, not \(70, 0, 70, 20\)"),
        ({"channels": (), "kernels": ()}, r"channels must be at least 1, not \(\)"),
        ({"kernels": (17, 7)}, r"channels \(70, 90, 70, 20\) and kernels \(17, 7\) must be as many"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, not 1\.0"),
    ],
)
def test_a_configuration_says_what_is_wrong_with_it(change, message):
    with pytest.raises(ConfigError, match=message):
        EpiphanyConfig(**change)


def test_inputs_of_the_right_sizes_pass():
    sizes = WindowSizes(n_tracks=3, window_bins=4, positions=40)
    tracks, contacts = torch.zeros(2, 40, 3), torch.zeros(2, 1, 4, 4)
    assert given_tracks(tracks, sizes) is tracks
    assert given_map(contacts, sizes) is contacts


def test_inputs_of_other_sizes_do_not():
    sizes = WindowSizes(n_tracks=3, window_bins=4, positions=40)
    with pytest.raises(ModelError, match=r"built for 40 positions of 3 tracks; it was given 40 of 2\."):
        given_tracks(torch.zeros(2, 40, 2), sizes)
    with pytest.raises(ModelError, match=r"built for maps of 4 bins; it was given one of 6\."):
        given_map(torch.zeros(2, 1, 6, 6), sizes)
