"""Task models: what each mode builds and reads, exact parameter counts, linear probes, what is frozen."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from chromweave.errors import ConfigError, ModelError
from chromweave.models.mixhic import PRESETS, MixHicConfig, MixHicPretrain, preset
from chromweave.models.tasks import ContactModel, ExpressionModel, LoopModel, Mode, reads_map, reads_tracks
from chromweave.training.checkpoint import transfer

TINY = PRESETS["tiny"]
SMALL = MixHicConfig(heads=1, depth=1, window_bins=16, positions=320, pools=(2, 5))
RESIDUAL = MixHicConfig(heads=1, depth=1, window_bins=16, positions=320, pools=(2, 5), fusion="residual")
MIXED = MixHicConfig(heads=1, depth=1, window_bins=16, positions=320, pools=(2, 5), contact_mixing=True)

CASES = [
    (cls, mode)
    for cls in (LoopModel, ContactModel, ExpressionModel)
    for mode in get_args(Mode)
    if cls is not ContactModel or mode in ("tracks", "infer_map")
]


def name_of(value):
    return getattr(value, "__name__", str(value))


every_case = pytest.mark.parametrize(("cls", "mode"), CASES, ids=name_of)
probe_or_not = pytest.mark.parametrize("probe", [False, True], ids=["whole", "probe"])


def weights(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def seeded(cls, *arguments, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*arguments, **options).double().eval()


def draw(windows, config=SMALL):
    generator = torch.Generator().manual_seed(1)
    side = config.window_bins
    contacts = torch.rand(windows, 1, side, side, generator=generator, dtype=torch.float64)
    shape = windows, config.positions, config.n_tracks
    return contacts, torch.rand(shape, generator=generator, dtype=torch.float64)


def shape_of_answer(cls, windows, bins):
    return {
        LoopModel: (windows,),
        ContactModel: (windows, 1, bins, bins),
        ExpressionModel: (windows, 2 * bins),
    }[cls]


# --- what goes in and out


@probe_or_not
@every_case
def test_shapes(cls, mode, probe):
    assert seeded(cls, SMALL, mode, probe)(*draw(3)).value.shape == shape_of_answer(cls, 3, 16)


@every_case
def test_shapes_of_the_papers_window(cls, mode):
    """50 bins and 5,000 positions, as a linear probe and as the paper's model."""
    windows = draw(1, TINY)
    for probe in (False, True):
        assert seeded(cls, TINY, mode, probe)(*windows).value.shape == shape_of_answer(cls, 1, 50)


@probe_or_not
@every_case
def test_a_prediction_does_not_depend_on_the_batch(cls, mode, probe):
    model, (contacts, tracks) = seeded(cls, MIXED, mode, probe), draw(3)
    together = model(contacts, tracks).value
    for i in range(3):
        alone = model(contacts[i : i + 1], tracks[i : i + 1]).value
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-12)
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        model(contacts[order], tracks[order]).value, together[order], rtol=1e-9, atol=1e-12
    )


LEGACY = preset("tiny", legacy=True)


@pytest.mark.parametrize(
    ("cls", "mode", "depends"),
    [(LoopModel, "bimodal", True), (LoopModel, "map", False), (ContactModel, "infer_map", True)],
)
def test_a_legacy_prediction_depends_on_the_batch_where_tracks_are_read(cls, mode, depends):
    model, (contacts, tracks) = seeded(cls, LEGACY, mode), draw(3, TINY)
    together, alone = model(contacts, tracks).logit[:1], model(contacts[:1], tracks[:1]).logit
    assert torch.allclose(together, alone, rtol=1e-9, atol=1e-12) is not depends


@pytest.mark.parametrize(
    ("mode", "map_too", "tracks_too"),
    [
        ("bimodal", True, True),
        ("map", True, False),
        ("tracks", False, True),
        ("infer_map", False, True),
        ("infer_tracks", True, False),
    ],
)
@pytest.mark.parametrize("cls", [LoopModel, ExpressionModel])
@probe_or_not
def test_a_mode_reads_only_its_inputs(cls, mode, map_too, tracks_too, probe):
    assert (reads_map(mode), reads_tracks(mode)) == (map_too, tracks_too)
    model, (contacts, tracks) = seeded(cls, SMALL, mode, probe), draw(1)
    assert (model.needs_map, model.needs_tracks) == (map_too, tracks_too)
    base = model(contacts, tracks).value
    assert (not torch.equal(model(1 - contacts, tracks).value, base)) is map_too
    assert (not torch.equal(model(contacts, 1 - tracks).value, base)) is tracks_too
    if map_too:
        with pytest.raises(ModelError, match=f"mode '{mode}' reads the contact map, and none was given"):
            model(None, tracks)
    else:
        assert torch.equal(model(None, tracks).value, base)
    if tracks_too:
        with pytest.raises(ModelError, match=f"mode '{mode}' reads the tracks, and none were given"):
            model(contacts, None)
    else:
        assert torch.equal(model(contacts, None).value, base)


@pytest.mark.parametrize("mode", ["tracks", "infer_map"])
@probe_or_not
def test_a_contact_model_never_looks_at_the_map(mode, probe):
    model, (contacts, tracks) = seeded(ContactModel, SMALL, mode, probe), draw(2)
    base = model(None, tracks).value
    assert torch.equal(model(contacts, tracks).value, base)
    assert not torch.equal(model(None, 1 - tracks).value, base)
    with pytest.raises(ModelError, match="reads the tracks"):
        model(contacts, None)


@pytest.mark.parametrize("mode", ["bimodal", "map", "infer_tracks", "maps"])
def test_contacts_are_not_predicted_from_contacts(mode):
    with pytest.raises(ConfigError, match=f"the mode is tracks or infer_map, not '{mode}'"):
        ContactModel(SMALL, mode)


@pytest.mark.parametrize("cls", [LoopModel, ExpressionModel])
def test_there_is_no_other_mode(cls):
    with pytest.raises(ConfigError, match=r"no mode 'maps'; there are bimodal, map, tracks, infer_map, inf"):
        cls(SMALL, "maps")


def test_there_is_no_other_output():
    with pytest.raises(ConfigError, match="no output 'softplus'; there are sigmoid, linear"):
        ContactModel(SMALL, output="softplus")


@probe_or_not
def test_a_linear_output_is_the_logit_and_a_sigmoid_lies_between_0_and_1(probe):
    windows = draw(2)
    linear, bounded = (
        seeded(ContactModel, SMALL, probe=probe, output=output)(*windows) for output in ("linear", "sigmoid")
    )
    assert torch.equal(linear.value, linear.logit)
    assert torch.equal(bounded.logit, linear.logit)  # the same weights
    torch.testing.assert_close(bounded.value, 1 / (1 + torch.exp(-linear.logit)))
    assert not torch.equal(bounded.value, linear.value)


@pytest.mark.parametrize("cls", [ContactModel, ExpressionModel])
def test_a_task_along_the_bins_needs_one_token_per_bin(cls):
    with pytest.raises(ConfigError, match=r"give 200 tokens; .* needs one per bin, 100. Choose other pools"):
        cls(preset("tiny", positions=10_000), "tracks")
    assert cls(preset("tiny", positions=10_000, pools=(4, 5, 5)), "tracks").config.track_tokens == 12


def test_expression_from_the_map_alone_has_no_tokens_along_the_bins():
    model = seeded(ExpressionModel, preset("tiny", positions=10_000), "map")
    assert model(draw(1, TINY)[0], None).value.shape == (1, 100)


# --- what is built

# d = 128. In front of the encoders stand dense layers (2 -> d, 4 -> d); a pair of halves and an inference
# layer have (8 d) (8 d) + 8 d weights each.
TRACKS, MAP = 25_276_928 + 3 * 128, 33_413_120 + 5 * 128
SQUARE = 1024 * 1024 + 1024
FUSION, DECODER = 25_196_544, 25_468_288
LOOP_HEAD = 1024 * 32 + 32 + 32 + 1
CONTACT_HEAD = 256 * 32 + 32 + 32 + 1
TRACK_HEAD = 256 * 128 + 128 + 128 + 1
BODIES = {
    "bimodal": TRACKS + MAP + 2 * SQUARE + FUSION,
    "infer_map": TRACKS + 2 * SQUARE + FUSION,
    "infer_tracks": MAP + 2 * SQUARE + FUSION,
    "tracks": TRACKS,
    "map": MAP,
}


def window_head(tokens):
    """All tokens flattened -> 8 d -> 100 bins."""
    return tokens * 1024 * 1024 + 1024 + 1024 * 100 + 100


@pytest.mark.parametrize(
    ("cls", "mode", "head"),
    [
        *((LoopModel, mode, LOOP_HEAD) for mode in BODIES),
        *((ContactModel, mode, DECODER + CONTACT_HEAD) for mode in ("infer_map", "tracks")),
        *((ExpressionModel, mode, DECODER + TRACK_HEAD) for mode in ("bimodal", "infer_map", "tracks")),
        (ExpressionModel, "map", window_head(9)),
        (ExpressionModel, "infer_tracks", window_head(12)),
    ],
    ids=name_of,
)
def test_parameter_counts_of_the_papers_model(cls, mode, head):
    with torch.device("meta"):
        assert weights(cls(PRESETS["paper-128"], mode)) == BODIES[mode] + head


@pytest.mark.parametrize(
    ("cls", "mode", "count"),
    [
        (LoopModel, "bimodal", 86_019_649),
        (LoopModel, "infer_map", 52_605_889),
        (LoopModel, "infer_tracks", 60_742_337),
        (LoopModel, "map", 33_446_593),
        (LoopModel, "tracks", 25_310_145),
        (ContactModel, "infer_map", 78_049_601),
        (ContactModel, "tracks", 50_753_857),
        (ExpressionModel, "map", 42_954_468),
    ],
    ids=name_of,
)
def test_sums_of_the_parts_are_the_measured_sizes(cls, mode, count):
    with torch.device("meta"):
        assert weights(cls(PRESETS["paper-128"], mode)) == count


@pytest.mark.parametrize(("channels", "count"), [(64, 21_563_201), (256, 343_612_481)])
def test_parameter_counts_of_other_widths(channels, count):
    with torch.device("meta"):
        assert weights(LoopModel(MixHicConfig(channels=channels))) == count


@pytest.mark.parametrize(
    ("channels", "fusion", "decoder"),
    [
        (64, 6_306_816, 6_377_152),
        (128, 25_196_544, 25_468_288),
        (256, 100_724_736, 101_792_512),
    ],
)
def test_parameter_counts_of_fusion_and_decoder(channels, fusion, decoder):
    with torch.device("meta"):
        model = ContactModel(MixHicConfig(channels=channels))
        assert (weights(model.fusion), weights(model.decoder)) == (fusion, decoder)


PARTS = {
    "bimodal": {"track_encoder", "map_encoder", "track_halves", "map_halves", "fusion"},
    "infer_map": {"track_encoder", "track_halves", "to_map", "fusion"},
    "infer_tracks": {"map_encoder", "map_halves", "to_tracks", "fusion"},
    "tracks": {"track_encoder"},
    "map": {"map_encoder"},
}


@probe_or_not
@every_case
def test_a_mode_builds_only_what_it_uses(cls, mode, probe):
    expected = {"head"} | PARTS[mode] - ({"fusion"} if probe else set())
    if cls is not LoopModel and not probe and reads_tracks(mode):
        expected |= {"decoder"}
    if cls is ExpressionModel and not probe and reads_tracks(mode):
        expected |= {"mixing"}
    with torch.device("meta"):
        assert {name for name, _ in cls(MIXED, mode, probe).named_children()} == expected


def test_bins_hear_one_another_only_where_they_are_asked_to():
    with torch.device("meta"):
        assert not hasattr(ExpressionModel(SMALL, "tracks"), "mixing")
        assert ExpressionModel(MIXED, "bimodal").mixing.contact_weight is not None
        for mode in ("tracks", "infer_map"):  # no map to hear through
            assert ExpressionModel(MIXED, mode).mixing.contact_weight is None


def test_bins_hear_one_another_through_the_map():
    """A contact of x's bin 2 and y's bin 13 changes these two and, by its mean over squares, bins beside."""
    model, (contacts, tracks) = seeded(ExpressionModel, MIXED, "bimodal"), draw(1)
    with torch.no_grad():
        model.mixing.out.weight.copy_(torch.eye(model.bin_width))
        model.mixing.value.weight.copy_(torch.eye(model.bin_width))
    tokens = model.per_bin(model.encode(contacts, tracks))
    touched = contacts.clone()
    touched[0, 0, 2, 13] += 5
    changed = (model.mixing(tokens, touched) - model.mixing(tokens, contacts)).abs().amax(-1)[0]
    assert changed.argsort().flip(0)[:2].sort().values.tolist() == [2, 16 + 13]
    assert (changed > 1e-12).nonzero().flatten().tolist() == [*range(6), *range(16 + 10, 32)]


def test_expression_without_tracks_is_read_off_all_tokens_at_once():
    """The paper's map-only model: 9 tokens flattened, 72 d, -> 8 d -> ReLU -> 100."""
    model, (contacts, _) = seeded(ExpressionModel, TINY, "map"), draw(2, TINY)
    assert model.head.hidden.weight.shape == (8 * 16, 72 * 16)
    assert model.head.out.weight.shape == (100, 8 * 16)
    flat = model.map_encoder(contacts).reshape(2, 72 * 16)
    by_hand = torch.relu(flat @ model.head.hidden.weight.T + model.head.hidden.bias)
    by_hand = by_hand @ model.head.out.weight.T + model.head.out.bias
    torch.testing.assert_close(model(contacts, None).value, by_hand)


def test_inferred_tracks_are_the_query_and_the_map_is_the_context():
    model, (contacts, _) = seeded(LoopModel, SMALL, "infer_tracks"), draw(2)
    context = model.map_halves.joined(model.map_encoder(contacts))
    tokens = model.fusion(model.to_tracks(context), context)
    torch.testing.assert_close(model(contacts, None).logit, model.head(tokens))
    assert tokens.shape[1] == SMALL.track_tokens != SMALL.map_tokens == context.shape[1]


BOTH_HEADS = MixHicConfig(
    heads=1, depth=1, window_bins=16, positions=320, pools=(2, 5), fusion="residual", unimodal_heads=True
)


def test_a_loop_models_logit_is_the_sum_of_the_fused_and_each_modalitys_own():
    model, (contacts, tracks) = seeded(LoopModel, BOTH_HEADS, "bimodal"), draw(3, BOTH_HEADS)
    said = model(contacts, tracks)
    of_tracks = model.track_head(model.track_encoder(tracks).tokens)
    of_map = model.map_head(model.map_encoder(contacts))
    torch.testing.assert_close(said.alone, (of_tracks, of_map))
    fused = model.head(model._read(model.encode(contacts, tracks)))
    torch.testing.assert_close(said.logit, fused + of_tracks + of_map)
    torch.testing.assert_close(said.value, torch.sigmoid(said.logit))


def test_a_modalitys_own_logit_depends_on_nothing_else():
    model, (contacts, tracks) = seeded(LoopModel, BOTH_HEADS, "bimodal"), draw(2, BOTH_HEADS)
    base = model(contacts, tracks).alone
    assert torch.equal(model(1 - contacts, tracks).alone[0], base[0])
    assert torch.equal(model(contacts, 1 - tracks).alone[1], base[1])
    assert not torch.equal(model(contacts, 1 - tracks).alone[0], base[0])
    assert not torch.equal(model(1 - contacts, tracks).alone[1], base[1])


@pytest.mark.parametrize(
    ("mode", "probe"), [("map", False), ("tracks", False), ("infer_map", False), ("bimodal", True)]
)
def test_one_modality_and_a_probe_have_one_head(mode, probe):
    model = seeded(LoopModel, BOTH_HEADS, mode, probe)
    assert not hasattr(model, "track_head")
    assert model(*draw(1, BOTH_HEADS)).alone == ()


# --- probes


def test_a_probe_of_loops_is_linear_in_pooled_tokens():
    """Both kinds of tokens, averaged and laid side by side; one dense layer."""
    model, (contacts, tracks) = seeded(LoopModel, SMALL, "bimodal", True), draw(2)
    query = model.track_halves.joined(model.track_encoder(tracks).tokens).mean(1)
    context = model.map_halves.joined(model.map_encoder(contacts)).mean(1)
    both = torch.cat([query, context], dim=1)
    expected = (both @ model.head.out.weight.T + model.head.out.bias).squeeze(1)
    torch.testing.assert_close(model(contacts, tracks).logit, expected)
    assert weights(model.head) == 16 * SMALL.channels + 1


def levels_of(model, tracks, joined):
    """Each stage's tokens at every bin, by interpolation of each channel on its own."""
    encoded = model.track_encoder(tracks)
    tokens = [*encoded.skips, joined(encoded.tokens)]
    return torch.cat([F.interpolate(one.mT, 32, mode="linear").mT for one in tokens], dim=2)


def test_a_probe_of_contacts_is_linear_in_mean_and_product_of_every_pair_of_bins():
    model, (_, tracks) = seeded(ContactModel, SMALL, "tracks", True, output="linear"), draw(2)
    x, y = levels_of(model, tracks, lambda tokens: tokens).split(16, dim=1)
    pairs = (x[:, :, None] + y[:, None]) / 2 + x[:, :, None] * y[:, None]
    expected = (pairs @ model.head.out.weight[0] + model.head.out.bias).unsqueeze(1)
    torch.testing.assert_close(model(None, tracks).value, expected)
    assert weights(model.head) == (1 + 2 + 4 + 8) * SMALL.channels + 1


def test_a_probe_of_expression_is_linear_in_each_bins_tokens():
    model, (_, tracks) = seeded(ExpressionModel, MIXED, "infer_map", True), draw(2)

    def joined(tokens):
        query = model.track_halves.joined(tokens)
        guess = model.to_map(query).mean(1, keepdim=True)
        return torch.cat([query, guess.expand_as(query)], dim=2)

    features = levels_of(model, tracks, joined)
    expected = features @ model.head.out.weight[0] + model.head.out.bias
    torch.testing.assert_close(model(None, tracks).value, expected)
    assert weights(model.head) == (1 + 2 + 4 + 16) * SMALL.channels + 1


@pytest.mark.parametrize(("mode", "width"), [("map", 8 * 16), ("infer_tracks", 16 * 16)])
def test_a_probe_of_expression_without_tracks_is_linear_in_all_tokens(mode, width):
    model, (contacts, _) = seeded(ExpressionModel, SMALL, mode, True), draw(2)
    tokens = model.encode(contacts, None).tokens
    assert tokens.shape[2] == width
    expected = tokens.flatten(1) @ model.head.out.weight.T + model.head.out.bias
    torch.testing.assert_close(model(contacts, None).value, expected)


# --- gradients and freezing


def without_gradient(model):
    return [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@probe_or_not
@every_case
def test_every_weight_of_a_task_gets_a_gradient(cls, mode, probe):
    model = seeded(cls, MIXED, mode, probe)
    if hasattr(model, "mixing"):  # what says nothing at the start teaches nothing either
        torch.nn.init.eye_(model.mixing.out.weight)
    model(*draw(2)).value.square().sum().backward()
    assert without_gradient(model) == []


@every_case
def test_every_weight_of_residual_fusion_gets_a_gradient(cls, mode):
    model = looking(seeded(cls, RESIDUAL, mode))
    model(*draw(2)).value.square().sum().backward()
    assert without_gradient(model) == []


def looking(model):
    """What tokens have seen is not added at the start; here it is."""
    if hasattr(model, "seen"):
        torch.nn.init.eye_(model.seen.weight)
    return model


@pytest.mark.parametrize("cls", [ContactModel, ExpressionModel])
def test_at_the_start_residual_fusion_changes_nothing_that_the_tracks_say(cls):
    """The same weights without fusion say the same, and amplitudes, which the halves drop, arrive."""
    fused, plain = seeded(cls, RESIDUAL, "infer_map"), seeded(cls, RESIDUAL, "tracks")
    plain.load_state_dict(
        {name: value for name, value in fused.state_dict().items() if name in plain.state_dict()}
    )
    _, tracks = draw(2)
    torch.testing.assert_close(fused(None, tracks).value, plain(None, tracks).value)
    assert not torch.allclose(looking(fused)(None, tracks).value, plain(None, tracks).value)


@every_case
def test_residual_fusion_keeps_windows_apart(cls, mode):
    model = looking(seeded(cls, RESIDUAL, mode))
    several = draw(3)
    one = tuple(part[:1] for part in several)
    torch.testing.assert_close(model(*several).value[:1], model(*one).value)


@pytest.mark.parametrize(
    ("mode", "twice"), [("bimodal", 2), ("infer_map", 2), ("infer_tracks", 2), ("map", 1)]
)
def test_a_loop_head_reads_the_context_beside_the_fused_tokens(mode, twice):
    model = seeded(LoopModel, RESIDUAL, mode)
    assert model.head.hidden.in_features == twice * RESIDUAL.width
    assert seeded(LoopModel, SMALL, mode).head.hidden.in_features == SMALL.width


PRETRAINED = {"track_encoder", "map_encoder", "track_halves", "map_halves", "to_map", "to_tracks"}


@probe_or_not
@every_case
def test_what_is_pretrained_moves_by_name(cls, mode, probe):
    """transfer() moves every tensor of every part that both have, and no others are new."""
    task, before = seeded(cls, MIXED, mode, probe), seeded(MixHicPretrain, SMALL)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.add_(0.125)
    moved = transfer(task, before.state_dict(), "before")
    shared = {name for name, _ in task.named_children()} & PRETRAINED
    assert shared == PARTS[mode] - {"fusion"}
    assert set(moved.moved) == {name for name in task.state_dict() if name.split(".")[0] in shared}
    assert set(moved.new) == set(task.state_dict()) - set(moved.moved)
    for name in moved.moved:
        assert torch.equal(task.state_dict()[name], before.state_dict()[name]), name


@pytest.mark.parametrize(("cls", "mode"), [(ContactModel, "infer_map"), (ExpressionModel, "bimodal")])
def test_what_is_frozen_stays_as_it_is(cls, mode):
    model, windows = seeded(cls, MIXED, mode).float(), [one.float() for one in draw(4)]
    kept = PARTS[mode] - {"fusion"}
    model.freeze([*kept, "of another model"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    assert model.head.training
    assert model.decoder.training
    assert not any(module.training for name in kept for module in model.get_submodule(name).modules())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(*windows).value.square().sum().backward()
        optimizer.step()
    for name in kept:
        assert all(parameter.grad is None for parameter in model.get_submodule(name).parameters())
    changed = {
        name.split(".")[0] for name, tensor in model.state_dict().items() if (tensor != before[name]).any()
    }
    assert changed == {name for name, _ in model.named_children()} - kept
    assert "track_encoder.stem.norms.0.running_mean" in before  # statistics, too, were looked at


def test_unfrozen_statistics_do_change():
    """So that the test above would see it if freezing did nothing."""
    model, windows = seeded(ContactModel, SMALL).float().train(), [one.float() for one in draw(4)]
    before = model.track_encoder.stem.norms[0].running_mean.clone()
    model(*windows)
    assert not torch.equal(model.track_encoder.stem.norms[0].running_mean, before)


def test_frozen_parts_stay_in_evaluation_mode_whenever_they_were_frozen():
    model = LoopModel(SMALL, "tracks").train()
    model.freeze(["track_encoder"])
    assert (model.training, model.head.training, model.track_encoder.training) == (True, True, False)
    assert not model.eval().head.training
    model.train()
    assert (model.head.training, model.track_encoder.stem.training) == (True, False)


def test_something_must_be_left_to_learn():
    with pytest.raises(ModelError, match="every part of the model is frozen"):
        LoopModel(SMALL, "tracks").freeze(["track_encoder", "head"])
