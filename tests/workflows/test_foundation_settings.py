"""Presets, and settings to TOML and back."""

import pytest

from chromweave import config as configs
from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError
from chromweave.models.mixhic import PRESETS, MixHicConfig
from chromweave.workflows.foundation_settings import (
    FINETUNE_FITS,
    PRETRAIN_FITS,
    FinetuneConfig,
    LoadingConfig,
    LoopCallConfig,
    PretrainConfig,
)
from chromweave.workflows.networks import TASKS


def test_every_network_preset_has_settings():
    assert set(PRESETS) == set(PRETRAIN_FITS)
    assert {task: set(fits) for task, fits in FINETUNE_FITS.items()} == {task: set(PRESETS) for task in TASKS}


def test_the_papers_presets_are_the_papers():
    pretraining, loops = PRETRAIN_FITS["paper-128"], FINETUNE_FITS["loops"]["paper-128"]
    assert (pretraining.epochs, pretraining.batch_size, pretraining.learning_rate) == (500, 256, 1e-5)
    assert (loops.epochs, loops.batch_size, loops.learning_rate, loops.patience) == (200, 64, 1e-5, 20)
    assert FINETUNE_FITS["contacts"]["paper-128"] == loops
    expression = FINETUNE_FITS["expression"]["paper-256"]
    assert (expression.learning_rate, expression.weight_decay, expression.epochs) == (1e-4, 1e-6, 200)


def test_a_task_has_the_mode_and_the_target_that_fit_it():
    """The paper: contacts clipped at 255 and unknown entries as 0; ours: known ones over expected."""
    modes = {task: FinetuneConfig.preset("tiny", task).mode for task in TASKS}
    assert modes == {"loops": "bimodal", "contacts": "infer_map", "expression": "bimodal"}
    assert FinetuneConfig.preset("tiny", "contacts", "tracks").mode == "tracks"
    paper, ours = (FinetuneConfig.preset(name, "contacts") for name in ("paper-128", "tiny"))
    assert (paper.transform.contacts, paper.transform.clip, paper.masked) == ("clip", 255, False)
    assert (ours.transform.contacts, ours.masked) == ("observed_expected", True)
    mixing = {name: FinetuneConfig.preset(name, "expression").network.contact_mixing for name in PRESETS}
    assert mixing == {"tiny": True, "small": True, "paper-128": False, "paper-256": False}
    with pytest.raises(ConfigError, match="no task 'genes'; there are loops, contacts, expression"):
        FinetuneConfig.preset("tiny", "genes")


def test_only_the_papers_presets_let_the_mapping_loss_reach_the_encoders():
    teaches = {name: PretrainConfig.preset(name).loss.mapping_teaches for name in PRESETS}
    assert teaches == {"tiny": "inference", "small": "inference", "paper-128": "all", "paper-256": "all"}


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_papers_input_is_the_papers_and_the_smaller_presets_is_not(name):
    assert PretrainConfig.preset("paper-256").transform == WindowTransform()
    assert PretrainConfig.preset("paper-256").network == PRESETS["paper-256"]
    ours = PretrainConfig.preset(name)
    assert (ours.transform.contacts, ours.network.position_encoding) == ("observed_expected", "sinusoidal")
    assert "jitter" in ours.transform.augmentations
    assert "jitter" not in FinetuneConfig.preset(name).transform.augmentations  # anchors have labels


@pytest.mark.parametrize(
    ("values", "message"),
    [({"workers": -1}, "must not be negative"), ({"workers": 2, "resident": True}, "leave workers at 0")],
)
def test_loading_that_cannot_be(values, message):
    with pytest.raises(ConfigError, match=message):
        LoadingConfig(**values)


@pytest.mark.parametrize("part", [0.0, 1.5])
def test_a_part_of_a_bin_lies_between_none_and_all(part):
    with pytest.raises(ConfigError, match=f"least_known must lie above 0 and be at most 1, not {part}"):
        FinetuneConfig(least_known=part)
    assert FinetuneConfig(least_known=1.0).least_known == 1


@pytest.mark.parametrize("kind", [PretrainConfig, FinetuneConfig])
def test_linear_contacts_are_no_input_of_a_model(kind):
    with pytest.raises(ConfigError, match="linear is for holding predictions against, not for models"):
        kind(transform=WindowTransform(contacts="linear"))


@pytest.mark.parametrize(("task", "scale"), [("loops", "log1p"), ("contacts", "clip")])
def test_what_follows_a_pre_training_keeps_its_own_head_and_augmentations(task, scale):
    """Sizes, tracks and scale come from before; where contacts are predicted, their scale does not."""
    network = MixHicConfig(channels=8, head_dropout=0.3, contact_mixing=True, fusion="residual", n_tracks=3)
    before = WindowTransform(contacts="log1p", tracks=("A",), augmentations=("jitter",), jitter_bins=2)
    own = FinetuneConfig(
        network=MixHicConfig(channels=16, head_dropout=0.1),
        transform=WindowTransform(contacts="clip", augmentations=("flip",), jitter_bins=9, thin_least=0.5),
    )
    found = own.after(network, before, task)
    assert found.network == MixHicConfig(channels=8, head_dropout=0.1, n_tracks=3)
    assert found.transform == WindowTransform(
        contacts=scale, tracks=("A",), augmentations=("flip",), jitter_bins=9, thin_least=0.5
    )
    assert found.fit == own.fit


def test_changes_are_to_the_optimisation():
    config = PretrainConfig.preset("small", epochs=3)
    assert (config.network.channels, config.fit.epochs) == (64, 3)
    loops = FinetuneConfig.preset("tiny", mode="tracks", batch_size=5)
    assert FinetuneConfig.preset("tiny", "expression", epochs=3).fit.epochs == 3
    assert (loops.mode, loops.fit.batch_size, loops.network.channels) == ("tracks", 5, 16)
    with pytest.raises(ConfigError, match="no preset 'huge'; there are tiny"):
        PretrainConfig.preset("huge")


@pytest.mark.parametrize(
    "config",
    [
        *(kind.preset(name) for kind in (PretrainConfig, FinetuneConfig) for name in PRESETS),
        FinetuneConfig(mode="map"),
        FinetuneConfig(mode="infer_tracks", tune="probe", signal="PRO-cap", masked=False),
        LoopCallConfig(),
        LoopCallConfig.with_model(model_weight=2.0),
    ],
)
def test_settings_survive_toml(tmp_path, config):
    configs.save(config, tmp_path / "config.toml")
    assert configs.load(type(config), tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scores": "peaks"}, "not 'peaks'"),
        ({"model_weight": 0.0}, "above 0"),
        ({"fdr": 1.0}, "between 0 and 1"),
    ],
)
def test_loop_calling_refuses(wrong, words):
    with pytest.raises(ConfigError, match=words):
        LoopCallConfig.with_model(**wrong)
