from dataclasses import replace

import pytest

from chromweave.data.graph import GraphConfig
from chromweave.errors import ConfigError
from chromweave.models.vgae import VGAEConfig
from chromweave.workflows.graph_settings import PRESETS, GraphTrainConfig, preset_settings

GRAPH = GraphConfig(10_000, ("chr1",), ("CTCF",))
ORIGINAL = GraphTrainConfig(GRAPH, VGAEConfig(1))
COUNTS = replace(ORIGINAL, model=VGAEConfig(1, likelihood="poisson"))


def test_presets_have_the_same_settings():
    first, second = PRESETS.values()
    assert set(first) == set(second)


def test_the_original_is_the_papers():
    settings = preset_settings("vgae-original", {})
    assert (settings["hidden"], settings["latent"], settings["dropout"]) == (64, 32, 0.2)
    assert (settings["epochs"], settings["patience"], settings["learning_rate"]) == (300, 20, 0.01)
    assert ORIGINAL.model.original
    assert not settings["own"]


def test_what_is_given_takes_the_place_of_the_presets():
    settings = preset_settings("distance-aware", {"latent": 8, "hidden": None, "own": False})
    assert settings["latent"] == 8
    assert settings["hidden"] == 64
    assert settings["own"] is False


@pytest.mark.parametrize(
    ("preset", "chosen", "message"),
    [
        ("vgae", {}, "no preset 'vgae'; there are vgae-original, distance-aware"),
        ("vgae-original", {"depth": 3}, "no depth; it has encoder"),
        ("vgae-original", {"encoder": "gin"}, "encoder must be gcn or sage or gat, not 'gin'"),
        ("vgae-original", {"decoder": "mlp"}, "decoder must be inner-product or distance-aware"),
        ("vgae-original", {"likelihood": "zip"}, "likelihood must be bernoulli"),
    ],
)
def test_unknown_names(preset, chosen, message):
    with pytest.raises(ConfigError, match=message):
        preset_settings(preset, chosen)


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        (ORIGINAL, {"repeats": 0}, "repeats must be at least 1"),
        (COUNTS, {"smoothness": -1.0}, "must not be negative"),
        (ORIGINAL, {"smoothness": 5.0}, "trained as the original was"),
        (ORIGINAL, {"noise": False}, "trained as the original was"),
        (COUNTS, {"balance": True}, "offsets of --decoder distance-aware alone"),
    ],
)
def test_settings_that_do_not_go_together(settings, changes, message):
    with pytest.raises(ConfigError, match=message):
        replace(settings, **changes)
