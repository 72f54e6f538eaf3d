"""Published weights under our names, and ours against a plain transcription: outputs, losses, gradients."""

from dataclasses import replace

import pytest
import torch

from benchmarks.plain_mixhic import PlainContacts, PlainLoops, PlainMixHic, ours_from_plain, plain_from_ours
from chromweave.errors import ConfigError, ModelError
from chromweave.models.legacy import import_weights, legacy_model, official_names
from chromweave.models.mixhic import MixHicConfig, MixHicPretrain
from chromweave.models.tasks import ContactModel, LoopModel
from chromweave.training.losses import contrastive, mapping, orthogonal

SMALL = MixHicConfig(channels=16, heads=4)


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def draw(windows, dtype):
    generator = torch.Generator().manual_seed(1)
    contacts = torch.rand(windows, 1, 50, 50, generator=generator, dtype=torch.float64)
    tracks = torch.rand(windows, 5000, 2, generator=generator, dtype=torch.float64)
    return contacts.to(dtype), tracks.to(dtype)


def official(model):
    """A checkpoint as the published training writes it, from several processes."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    return {"epoch": 41, "model_state_dict": state}


# The figures are those of the published classes themselves (see mixhic.md 2.7 in the design notes).
@pytest.mark.parametrize(("d", "count"), [(64, 18_559_105), (128, 74_047_745), (256, 295_813_633)])
def test_the_transcription_has_the_published_number_of_weights(d, count):
    with torch.device("meta"):
        plain = PlainMixHic(d, as_shipped=True)
    assert sum(p.numel() for p in plain.parameters()) == count


@pytest.mark.parametrize(("build", "count"), [(PlainLoops, 99_275_330), (PlainContacts, 124_719_042)])
def test_the_transcribed_tasks_have_the_published_number_of_weights(build, count):
    with torch.device("meta"):
        plain = build(128, as_shipped=True)
    dead_norms = 1792  # which only the pre-training class owns
    assert sum(p.numel() for p in plain.parameters()) - dead_norms == count


def our_losses(model, contacts, tracks):
    pair = model(contacts, tracks)
    pooled = [
        tokens.mean(1)
        for tokens in (pair.track_invariant, pair.track_specific, pair.map_invariant, pair.map_specific)
    ]
    joined_tracks = torch.cat([pair.track_invariant, pair.track_specific], -1)
    joined_maps = torch.cat([pair.map_invariant, pair.map_specific], -1)
    directions = (
        mapping(pair.map_from_tracks, joined_maps, "unit")
        + mapping(pair.tracks_from_map, joined_tracks, "unit")
    )  # fmt: skip
    return {
        "contrastive": contrastive(pooled[0], pooled[2], pair.temperature),
        "orthogonal": orthogonal(*pooled),
        "mapping": directions / 2,
        "tracks": joined_tracks,
        "maps": joined_maps,
    }


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance", "legacy"),
    [(torch.float32, 1e-5, False), (torch.float64, 1e-10, False), (torch.float64, 1e-10, True)],
)
def test_equal_weights_give_equal_outputs_losses_and_gradients(dtype, tolerance, legacy, training):
    ours = seeded(lambda: MixHicPretrain(replace(SMALL, legacy=legacy))).to(dtype).train(training)
    plain = PlainMixHic(16, across_batch=legacy).to(dtype).train(training)
    plain.load_state_dict(plain_from_ours(ours.state_dict()))
    contacts, tracks = draw(4, dtype)
    found, expected = our_losses(ours, contacts, tracks), plain(contacts, tracks)
    for name, value in found.items():
        torch.testing.assert_close(value, getattr(expected, name), rtol=tolerance, atol=tolerance)

    sum(found[name] for name in ("contrastive", "orthogonal", "mapping")).backward()
    (expected.contrastive + expected.orthogonal + expected.mapping).backward()
    wanted = ours_from_plain(
        {name: p.grad for name, p in plain.named_parameters()}, dict(ours.named_parameters())
    )
    wanted["log_temperature"] = wanted["log_temperature"] * plain.temp.detach()  # d log t = dt / t
    for name, parameter in ours.named_parameters():
        # Against the whole layer: a bias before a batch norm has gradient 0, and nothing but rounding errors.
        layer = name.rpartition(".")[0]
        scale = max(wanted[n].abs().max() for n in wanted if n.rpartition(".")[0] == layer).clamp(min=1e-2)
        assert (parameter.grad - wanted[name]).abs().max() <= 10 * tolerance * scale, name
    if training:
        norms = (ours.track_encoder.stem.norms[0], plain.seq_downsampleTrans.pooling_encoder.bn1)
        torch.testing.assert_close(
            norms[0].running_mean, 10 * norms[1].running_mean, rtol=1e-3, atol=tolerance
        )


def test_names_go_there_and_back():
    for model in (MixHicPretrain(SMALL), LoopModel(SMALL), ContactModel(SMALL)):
        state = model.state_dict()
        theirs = [name for ours in state for name in official_names(ours)]
        assert len(theirs) == len(set(theirs))
        back = ours_from_plain(plain_from_ours(state), state)
        for name, tensor in state.items():
            torch.testing.assert_close(back[name].log() if name == "log_temperature" else back[name], tensor)
    with pytest.raises(ModelError, match=r"no tensor for track_encoder\.codes"):
        official_names("track_encoder.codes")


def test_pretraining_checkpoint():
    plain = seeded(lambda: PlainMixHic(16, n_tracks=3, across_batch=True, as_shipped=True)).double().eval()
    imported = import_weights(official(plain), "pretrain")
    assert imported.config == MixHicConfig(channels=16, n_tracks=3, heads=4, legacy=True)
    # 4 stages of 2 blocks, each with 3 layers nobody calls; 3 norms; weight and bias of all
    assert len(imported.dropped) == 2 * (4 * 2 * 3 + 3)
    assert "map_downsampleTrans.encoderlayer_0.blocks.1.cross_attn.proj.bias" in imported.dropped
    assert "seq_downsampleTrans.layer_norm2.weight" in imported.dropped
    ours = legacy_model(imported.config, "pretrain").double().eval()
    ours.load_state_dict(imported.weights)
    contacts, _ = draw(3, torch.float64)
    tracks = torch.rand(3, 5000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found, expected = our_losses(ours, contacts, tracks), plain(contacts, tracks)
    for name, value in found.items():
        torch.testing.assert_close(value, getattr(expected, name), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "kind", "mode"),
    [
        (PlainLoops, "loops", "bimodal"),
        (PlainLoops, "loops", "map"),
        (PlainLoops, "loops", "tracks"),
        (PlainLoops, "loops", "infer_map"),
        (PlainContacts, "contacts", "infer_map"),
        (PlainContacts, "contacts", "tracks"),
    ],
)
def test_fine_tuned_checkpoint_predicts_what_it_did(build, kind, mode):
    plain = seeded(lambda: build(16, across_batch=True)).double().eval()
    imported = import_weights(plain.state_dict(), kind, mode)
    ours = legacy_model(imported.config, kind, mode).double().eval()
    ours.load_state_dict(imported.weights)
    contacts, tracks = draw(3, torch.float64)
    found, expected = ours(contacts, tracks).value, plain.predict(contacts, tracks, mode)
    torch.testing.assert_close(found.reshape(expected.shape), expected, rtol=1e-10, atol=1e-12)
    moved = {theirs for name in imported.weights for theirs in official_names(name)}
    assert moved | set(imported.dropped) == set(plain.state_dict())
    assert not moved & set(imported.dropped)


def test_a_temperature_out_of_bounds_is_clamped_as_the_published_code_does():
    plain = seeded(lambda: PlainMixHic(16)).state_dict()
    plain["temp"] = torch.tensor([2.0])
    assert import_weights(plain, "pretrain").weights["log_temperature"].exp().item() == pytest.approx(0.5)


def test_every_fault_is_named():
    state = seeded(lambda: PlainMixHic(16)).state_dict()
    state["seq_downsampleTrans.rope.table"] = torch.zeros(2)
    state["mlp_e2m.weight"] = torch.zeros(128, 127)
    del state["patch_embedding.bias"], state["map_downsampleTrans.encoderlayer_0.blocks.0.attn.qkv.to_q.bias"]
    with pytest.raises(ModelError) as caught:
        import_weights(state, "pretrain", source="epoch41.pth")
    message = str(caught.value)
    assert message.startswith("epoch41.pth: does not fit a published model of kind 'pretrain'")
    assert (
        "missing: map_downsampleTrans.encoderlayer_0.blocks.0.attn.qkv.to_q.bias, patch_embedding.bias"
        in message
    )
    assert "left over: seq_downsampleTrans.rope.table" in message
    assert "mlp_e2m.weight (128, 127) for (128, 128)" in message


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"model_state_dict": "weights"}, "no state dict"),
        ({"epoch": 3}, "no state dict"),
        ([1, 2], "no state dict"),
        ({}, "no state dict"),
        ({"conv.weight": torch.zeros(2)}, "no checkpoint of the published MIX-HIC"),
        ({"seq_input_projection.0.weight": torch.zeros(16, 2)}, "tell the depth"),
        (
            {
                "seq_input_projection.0.weight": torch.zeros(18, 2),
                "seq_downsampleTrans.bottleneck.layers.0.norm1.weight": torch.zeros(144),
            },
            "of a size that MIX-HIC cannot have: channels",
        ),
    ],
)
def test_what_is_no_checkpoint_is_refused(checkpoint, message):
    with pytest.raises(ModelError, match=message):
        import_weights(checkpoint, "pretrain")


def test_a_checkpoint_of_another_kind_is_refused():
    pretrained, loops = (seeded(lambda cls=cls: cls(16)).state_dict() for cls in (PlainMixHic, PlainLoops))
    with pytest.raises(ModelError, match=r"missing: classifier\.0\.bias.*another kind"):
        import_weights(pretrained, "loops")
    with pytest.raises(ModelError, match=r"left over: classifier\.0\.bias.*fusion_block"):
        import_weights(loops, "pretrain")
    with pytest.raises(ConfigError, match="kind 'cage'"):
        import_weights(loops, "cage")
    with pytest.raises(ConfigError, match="mode 'map'"):
        import_weights(loops, "contacts", "map")
