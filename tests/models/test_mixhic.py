"""The pre-training model: exact parameter counts, presets, independence of the batch."""

import subprocess
import sys

import pytest
import torch

from chromweave.errors import ConfigError
from chromweave.models.mixhic import PRESETS, MixHicConfig, MixHicPretrain, preset

# Of a part or model with every weight in use: d = 64, 128, 256.
COUNTS = {
    "track encoder": (6_330_624, 25_276_928, 101_016_576),
    "map encoder": (8_383_488, 33_413_120, 133_410_816),
    "halves and inference": (1_050_624, 4_198_400, 16_785_408),
    "pretrain": (15_765_249, 62_889_473, 251_214_849),
}


def weights(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def seeded(cls, *arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*arguments).double().eval()


def draw(windows):
    generator = torch.Generator().manual_seed(1)
    contacts = torch.rand(windows, 1, 50, 50, generator=generator, dtype=torch.float64)
    return contacts, torch.rand(windows, 5000, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("column", "channels"), [(0, 64), (1, 128), (2, 256)])
def test_parameter_counts(column, channels):
    config = MixHicConfig(channels=channels)
    with torch.device("meta"):
        pretrained = MixHicPretrain(config)
    found = {
        # the table counts the encoders without the dense layers in front of them
        "track encoder": weights(pretrained.track_encoder) - weights(pretrained.track_encoder.stem.embed),
        "map encoder": weights(pretrained.map_encoder) - weights(pretrained.map_encoder.embed),
        "halves and inference": weights(
            pretrained.track_halves, pretrained.map_halves, pretrained.to_map, pretrained.to_tracks
        ),
        "pretrain": weights(pretrained),
    }
    assert found == {name: counts[column] for name, counts in COUNTS.items()}


def test_presets():
    assert {name: config.channels for name, config in PRESETS.items()} == {
        "tiny": 16,
        "small": 64,
        "paper-128": 128,
        "paper-256": 256,
    }
    assert preset("small", n_tracks=3) == MixHicConfig(channels=64, n_tracks=3)
    for name in ("paper-128", "paper-256"):  # the paper's choices, all of them
        config = PRESETS[name]
        assert (config.heads, config.depth, config.window_bins, config.positions) == (4, 2, 50, 5000)
        assert (config.temperature, config.initial_temperature) == ("fixed", 0.07)
        assert (config.stem_norm, config.position_encoding, config.legacy) == ("batch", "none", False)
    with pytest.raises(ConfigError, match=r"no model preset 'huge'; there are tiny, small"):
        preset("huge")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 18}, "multiple of heads"),
        ({"n_tracks": 0}, "n_tracks must be at least 1"),
        ({"window_bins": 51}, "even number"),
        ({"window_bins": 12}, "at least 16"),
        ({"positions": 5010}, "multiple of 50"),
        ({"positions": 350}, "at least 400"),
        ({"initial_temperature": 0.0}, "between 0.001 and 0.5"),
        ({"head_dropout": 1.0}, "below 1"),
    ],
)
def test_impossible_configs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        MixHicConfig(**changes)


TINY = PRESETS["tiny"]


def test_pretraining_embeddings_do_not_depend_on_the_batch():
    model, (contacts, tracks) = seeded(MixHicPretrain, TINY), draw(3)
    together, alone = model(contacts, tracks), model(contacts[:1], tracks[:1])
    for name in ("track_invariant", "track_specific", "map_invariant", "map_from_tracks", "tracks_from_map"):
        torch.testing.assert_close(getattr(together, name)[:1], getattr(alone, name), rtol=1e-9, atol=1e-12)


LEGACY = preset("tiny", legacy=True)


def test_legacy_has_the_same_weights_and_other_values():
    sound, legacy = seeded(MixHicPretrain, TINY), seeded(MixHicPretrain, LEGACY)
    assert list(sound.state_dict()) == list(legacy.state_dict())
    windows = draw(2)
    a, b = sound(*windows), legacy(*windows)
    torch.testing.assert_close(a.map_invariant, b.map_invariant)
    assert not torch.allclose(a.track_invariant, b.track_invariant, atol=1e-4)


@pytest.mark.parametrize("channels", [16, 128])
def test_pretraining_shapes_and_unit_tokens(channels):
    model, (contacts, tracks) = seeded(MixHicPretrain, MixHicConfig(channels=channels)), draw(2)
    pair = model(contacts, tracks)
    assert pair.track_invariant.shape == (2, 12, 4 * channels)
    assert pair.map_specific.shape == (2, 9, 4 * channels)
    assert pair.map_from_tracks.shape == (2, 9, 8 * channels)
    assert pair.tracks_from_map.shape == (2, 12, 8 * channels)
    for tokens in (pair.track_invariant, pair.track_specific, pair.map_invariant, pair.map_specific):
        torch.testing.assert_close(tokens.norm(dim=-1), torch.ones_like(tokens[..., 0]))


def test_temperature():
    learned = MixHicPretrain(TINY)
    assert learned.temperature.item() == pytest.approx(0.07)
    with torch.no_grad():
        learned.log_temperature.fill_(5.0)
    assert learned.temperature.item() == 0.5
    fixed = MixHicPretrain(preset("tiny", temperature="fixed", initial_temperature=0.1))
    assert fixed.temperature.item() == pytest.approx(0.1)
    assert weights(fixed) == weights(learned) - 1
    assert not [name for name in fixed.state_dict() if "temperature" in name]


def without_gradient(model):
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("alone", [False, True])
def test_every_weight_of_pretraining_gets_a_gradient(alone):
    model = seeded(MixHicPretrain, TINY)
    pair = model(*draw(2), alone)
    generator = torch.Generator().manual_seed(2)
    tokens = [
        pair.track_invariant, pair.track_specific, pair.map_invariant, pair.map_specific,
        pair.map_from_tracks, pair.tracks_from_map,
    ]  # fmt: skip
    directions = (torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in tokens)
    loss = sum((t * direction).sum() for t, direction in zip(tokens, directions, strict=True))
    (loss + pair.temperature).backward()
    assert without_gradient(model) == []


def test_half_precision_gives_nearly_the_same_tokens_and_gradients():
    model, (contacts, tracks) = seeded(MixHicPretrain, TINY).float().train(), draw(3)
    found = []
    for half in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            pair = model(contacts.float(), tracks.float())
            loss = (pair.track_invariant.float() * pair.track_specific.float()).sum()
        loss.backward()
        gradient = model.track_encoder.stages[0][0].attention.qkv.weight.grad.clone()
        found.append((pair.track_invariant.float(), pair.map_invariant.float(), gradient))
    for exact, half in zip(*found, strict=True):
        assert not torch.equal(exact, half)
        assert torch.cosine_similarity(exact.flatten(), half.flatten(), dim=0) > 0.98


COMPILED = """
import torch
from chromweave.models.mixhic import MixHicPretrain, preset
model = MixHicPretrain(preset("tiny", depth=1, position_encoding="sinusoidal")).train()
compiled = torch.compile(model, backend="eager", fullgraph=True)
with torch._dynamo.config.patch(error_on_recompile=True):
    for _ in range(12):
        pair = compiled(torch.rand(2, 1, 50, 50), torch.rand(2, 5000, 2))
assert model.track_encoder.stem.norms[0].num_batches_tracked == 12
assert pair.track_invariant.shape == (2, 12, 64)
"""


@pytest.mark.slow
def test_a_training_forward_is_one_graph_for_a_compiler():
    """In later batches, too, when the stem's running statistics have settled.

    In a process of its own: the checks of dimensions, on in tests, cannot be compiled.
    """
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
