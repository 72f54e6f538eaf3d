"""The registry: every network by its name, for windows of any fitting size, and what is said of each."""

import pytest
import torch

from chromweave.baselines.descriptions import describe
from chromweave.baselines.networks import NETWORKS, build, configure
from chromweave.config import from_mapping, to_mapping
from chromweave.errors import ConfigError

CASES = [(task, name) for task, names in NETWORKS.items() for name in names]
every_case = pytest.mark.parametrize(("task", "name"), CASES)
SHAPES = {"contacts": (2, 1, 16, 16), "expression": (2, 32), "loops": (2,)}


def answer(model, task, n_tracks, window_bins, positions):
    if model.needs_references:
        side = model.config.side
        return model(torch.rand(2, 2, side, side), torch.rand(2, 3, 2, side, side))
    contacts = torch.rand(2, 1, window_bins, window_bins) if model.needs_map else None
    return model(contacts, torch.rand(2, positions, n_tracks) if model.needs_tracks else None)


@every_case
@pytest.mark.parametrize("steps", [50, 100])
def test_every_network_answers_for_windows_of_its_size(task, name, steps):
    """Three tracks, 16 bins of 5 or of 10 kb."""
    sizes = {"n_tracks": 3, "window_bins": 16, "positions": 2 * 16 * steps}
    model = build(name, task, **sizes, preset="tiny").eval()
    said = answer(model, task, **sizes)
    assert said.value.shape == SHAPES[task]
    assert said.value.isfinite().all()
    assert (said.logit is None) == (task == "expression")


@every_case
def test_presets_are_for_the_default_window_and_a_configuration_is_kept_by_its_fields(task, name):
    """What is written beside a model is enough to build it again."""
    network = NETWORKS[task][name]
    assert {"paper", "tiny"} <= set(network.presets)
    for preset, config in network.presets.items():
        assert configure(name, task, 2, 50, 5000, preset) == config
        assert from_mapping(type(config), to_mapping(config)) == config
    assert build(name, task, 2, 50, 5000, "tiny").config == network.presets["tiny"]


def test_names_are_those_of_the_papers():
    assert {task: set(names) for task, names in NETWORKS.items()} == {
        "contacts": {"epiphany", "corigami", "epcot-lstm", "epcot-transformer"},
        "expression": {"epcot-lstm", "epcot-transformer", "epi-cnn", "epi-graph"},
        "loops": {"dloopcaller", "refhic"},
    }


def test_the_trunk_is_that_of_the_name():
    for task in ("contacts", "expression"):
        for trunk in ("lstm", "transformer"):
            for preset in ("paper", "tiny"):
                assert configure(f"epcot-{trunk}", task, 2, 50, 5000, preset).trunk == trunk


def test_changes_reach_the_configuration():
    config = configure("epiphany", "contacts", 5, 40, 8000, "tiny", output="linear", hidden=8)
    assert (config.n_tracks, config.window_bins, config.positions) == (5, 40, 8000)
    assert (config.output, config.hidden) == ("linear", 8)
    assert configure("dloopcaller", "loops", 3, 50, 5000, track=2).track == 2


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("epiphany", "insulation"), {}, "no baselines for 'insulation'; there are some for contacts"),
        (("epiphany", "loops"), {}, "no baseline 'epiphany' for loops; there are dloopcaller, refhic"),
        (("epiphany", "contacts"), {"preset": "huge"}, "no preset 'huge' of epiphany; there are paper, tiny"),
        (("epiphany", "contacts"), {"depth": 3}, "baseline epiphany: unknown key 'depth'"),
        (("epiphany", "contacts"), {"output": "exp"}, "no output 'exp'; there are sigmoid, linear"),
        (("epi-cnn", "expression"), {"dropout": 2.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_what_there_is_not(arguments, changes, message):
    with pytest.raises(ConfigError, match=message):
        build(*arguments, 2, 50, 5000, **changes)


@every_case
def test_windows_that_do_not_fit(task, name):
    with pytest.raises(ConfigError, match="window_bins must be an even number"):
        build(name, task, 2, 49, 4900)
    with pytest.raises(ConfigError, match="positions must be a multiple of 100"):
        build(name, task, 2, 50, 5001)


@every_case
def test_each_says_what_is_kept_and_what_is_adapted(task, name):
    said = describe(name)
    for text in (said.kept, said.adapted):
        assert 40 < len(text) < 400
        assert "{" not in text
        assert not text.endswith(".")


def test_nothing_is_said_of_what_there_is_not():
    with pytest.raises(ConfigError, match="no baseline 'peakachu-net'"):
        describe("peakachu-net")
