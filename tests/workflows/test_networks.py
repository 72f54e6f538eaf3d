"""Every kind of model folder is built from what it says, and from nothing else."""

import pytest

from chromweave import config as configs
from chromweave.errors import ConfigError, ModelError
from chromweave.models.mixhic import LoopModel, MixHicConfig, MixHicPretrain
from chromweave.training.checkpoint import ModelDescription, save_model
from chromweave.workflows.networks import LOOPS, PRETRAIN, load, load_loops

CONFIG = MixHicConfig(channels=8, heads=1, depth=1, window_bins=16, positions=400, n_tracks=3)


def save(path, network, kind, **model):
    described = {"network": configs.to_mapping(CONFIG), **model}
    save_model(path, network, ModelDescription(kind, described, {}, {}))


def test_both_kinds_come_back(tmp_path):
    save(tmp_path / "p", MixHicPretrain(CONFIG), PRETRAIN)
    save(tmp_path / "l", LoopModel(CONFIG, "infer_map"), LOOPS, mode="infer_map")
    assert load(tmp_path / "p").network.config == CONFIG
    loops = load_loops(tmp_path / "l").network
    assert (loops.config, loops.mode) == (CONFIG, "infer_map")
    with pytest.raises(ModelError, match="needed is one of: mixhic-loops"):
        load_loops(tmp_path / "p")


def test_another_mode_leaves_tensors_over(tmp_path):
    save(tmp_path / "l", LoopModel(CONFIG, "bimodal"), LOOPS, mode="tracks")
    with pytest.raises(ModelError, match=r"left over: fusion\.blocks"):
        load(tmp_path / "l")


def test_a_setting_of_a_later_version_is_refused(tmp_path):
    described = {"network": {**configs.to_mapping(CONFIG), "rotary": True}}
    save_model(tmp_path, MixHicPretrain(CONFIG), ModelDescription(PRETRAIN, described, {}, {}))
    with pytest.raises(ConfigError, match="unknown key 'rotary'"):
        load(tmp_path)
