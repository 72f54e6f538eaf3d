"""EPCOT restated: both tasks and both trunks, their sizes, orientation, and that they learn."""

from dataclasses import replace

import pytest
import torch

from chromweave.baselines.epcot import (
    CONTACT_PRESETS,
    EXPRESSION_PRESETS,
    EpcotConfig,
    EpcotContactConfig,
    EpcotContacts,
    EpcotExpression,
)
from chromweave.errors import ConfigError
from tests.fakes_baselines import (
    SMALL,
    assert_every_weight_learns,
    assert_learns_contacts,
    assert_learns_signal,
    assert_reads_only,
    assert_windows_apart,
    draw,
    seeded,
    weights,
    with_same_segments,
)

TRUNKS = ("lstm", "transformer")
every_trunk = pytest.mark.parametrize("trunk", TRUNKS)
CASES = [
    (cls, replace(presets[trunk]["tiny"], **SMALL))
    for cls, presets in ((EpcotContacts, CONTACT_PRESETS), (EpcotExpression, EXPRESSION_PRESETS))
    for trunk in TRUNKS
]
every_case = pytest.mark.parametrize(
    ("cls", "config"), CASES, ids=lambda value: getattr(value, "trunk", "") or value.__name__
)


STEM = (
    (2 * 10 + 1) * 256 + (256 * 10 + 1) * 256 + 2 * 256
    + (256 * 8 + 1) * 360 + (360 * 8 + 1) * 360 + 2 * 360
    + (360 * 8 + 1) * 512 + 2 * 512
)  # fmt: skip


def lstm(width, layers):
    half = width // 2
    return layers * 2 * 4 * half * (width + half + 2)


def transformer(width, hidden, layers):
    return layers * (4 * (width + 1) * width + (width + 1) * hidden + (hidden + 1) * width + 4 * width)


def narrowing(kernel, width):
    return 512 * (kernel + 1) + 2 * 512 + (512 + 1) * width


@every_trunk
def test_the_papers_size_for_contacts(trunk):
    """8.30 M, within 1 % of the 8.37 M of the survey, which does not list every layer."""
    tokens = STEM + narrowing(15, 256) + (256 * 15 + 1) * 256 + 2 * 256
    head = 11 * 256 + (256 + 1) * 64 + 5 * (64 * 81 + 1) * 64 + 64 + 1
    middle = lstm(256, 4) if trunk == "lstm" else transformer(256, 512, 3)
    found = weights(EpcotContacts(CONTACT_PRESETS[trunk]["paper"]))
    assert found == tokens + middle + head
    assert found == pytest.approx(8.37e6, rel=0.01)


@pytest.mark.parametrize(("trunk", "millions"), [("lstm", 6.45), ("transformer", 8.27)])
def test_the_papers_size_for_expression(trunk, millions):
    middle = lstm(360, 3) if trunk == "lstm" else transformer(360, 720, 4)
    found = weights(EpcotExpression(EXPRESSION_PRESETS[trunk]["paper"]))
    assert found == STEM + narrowing(9, 360) + middle + 360 + 1
    assert round(found / 1e6, 2) == millions


@every_case
def test_windows_stay_apart(cls, config):
    model, (_, tracks) = seeded(cls, config), draw(3)
    assert_windows_apart(lambda t: model(None, t), tracks)


@every_case
def test_every_weight_gets_a_gradient(cls, config):
    assert_every_weight_learns(seeded(cls, config), *draw(2))


@every_case
def test_it_reads_the_tracks_alone(cls, config):
    assert_reads_only(seeded(cls, config), *draw(2), contact_map=False)


@every_trunk
def test_contacts_learn_rows_and_columns(trunk):
    config = replace(CONTACT_PRESETS[trunk]["tiny"], **SMALL)
    assert_learns_contacts(EpcotContacts, config, steps=40, rate=5e-3)


@every_trunk
def test_expression_learns_levels(trunk):
    config = replace(EXPRESSION_PRESETS[trunk]["tiny"], **SMALL)
    assert_learns_signal(EpcotExpression, config, steps=40, rate=1e-2)


@every_trunk
def test_of_one_segment_with_itself_the_map_is_symmetric(trunk):
    model = seeded(EpcotContacts, replace(CONTACT_PRESETS[trunk]["tiny"], **SMALL))
    _, tracks = draw(2)
    logit = model(None, with_same_segments(tracks)).logit
    torch.testing.assert_close(logit, logit.transpose(2, 3))
    assert not torch.allclose(model(None, tracks).logit, model(None, tracks).logit.transpose(2, 3))


def test_a_pair_is_mean_product_and_distance():
    model, seen = seeded(EpcotContacts, replace(CONTACT_PRESETS["lstm"]["tiny"], **SMALL)), {}
    model.trunk.register_forward_hook(lambda *parts: seen.update(tokens=parts[2]))
    model.narrow.register_forward_pre_hook(lambda _, inputs: seen.update(pairs=inputs[0]))
    model(None, draw(1)[1])
    tokens, pairs = seen["tokens"][0], seen["pairs"][0]
    for i, j, apart in ((0, 0, 0), (3, 1, 2), (1, 3, 2), (0, 15, 10)):
        x, y = tokens[i], tokens[16 + j]
        torch.testing.assert_close(pairs[:, i, j], (x + y) / 2 + x * y + model.distance.weight[apart])


def test_shapes_and_outputs():
    _, tracks = draw(2)
    config = replace(CONTACT_PRESETS["lstm"]["tiny"], **SMALL)
    bounded, any_value = (
        seeded(EpcotContacts, replace(config, output=o))(None, tracks) for o in ("sigmoid", "linear")
    )
    assert bounded.value.shape == (2, 1, 16, 16)
    assert torch.equal(bounded.value, torch.sigmoid(any_value.value))
    expression = seeded(EpcotExpression, replace(EXPRESSION_PRESETS["lstm"]["tiny"], **SMALL))
    assert expression(None, tracks).value.shape == (2, 32)


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (EpcotConfig, {"trunk": "mamba"}, "no trunk 'mamba'; there are lstm, transformer"),
        (EpcotConfig, {"width": 361}, "width must be even, not 361"),
        (EpcotConfig, {"channels": (8, 8), "kernels": (3, 3)}, "those of 5 convolutions, not of 2"),
        (EpcotConfig, {"positions": 1100}, "11 steps a bin"),
        (EpcotContactConfig, {"pair_kernel": 4}, "pair_kernel must be odd, not 4"),
        (EpcotContactConfig, {"output": "exp"}, "no output 'exp'"),
    ],
)
def test_sizes_that_do_not_fit(cls, changes, message):
    with pytest.raises(ConfigError, match=message):
        cls(**changes)
