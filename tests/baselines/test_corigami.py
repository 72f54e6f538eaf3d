"""C.Origami restated: its size, orientation, and that it learns."""

from dataclasses import replace

import pytest
import torch

from chromweave.baselines.corigami import PRESETS, COrigami, COrigamiConfig
from chromweave.errors import ConfigError
from tests.fakes_baselines import (
    SMALL,
    assert_every_weight_learns,
    assert_learns_contacts,
    assert_reads_only,
    assert_windows_apart,
    draw,
    seeded,
    weights,
    with_same_segments,
)

TINY = replace(PRESETS["tiny"], **SMALL)


def test_the_papers_size():
    """12.72 M, of which the transformer (4.22 M) and the decoder (7.09 M) are the paper's."""

    def block(before, after):
        return before * after * 5 + 3 * after + 2 * (after * after * 5 + 3 * after)

    widths = (16, 32, 32, 64, 128, 128, 256)
    encoder = 2 * 16 * 3 + 3 * 16 + sum(map(block, widths, widths[1:])) + 256 * 256 + 256
    transformer = 8 * (4 * (256 * 256 + 256) + 2 * 256 * 512 + 512 + 256 + 4 * 256)
    decoder = 512 * 256 * 9 + 3 * 256 + 5 * 2 * (256 * 256 * 9 + 3 * 256) + 256 + 1
    assert (transformer, decoder) == (4_216_832, 7_086_593)
    assert weights(COrigami(PRESETS["paper"])) == encoder + transformer + decoder == 12_724_241


def test_windows_stay_apart():
    model, (_, tracks) = seeded(COrigami, TINY), draw(3)
    assert_windows_apart(lambda t: model(None, t), tracks)


def test_every_weight_gets_a_gradient():
    assert_every_weight_learns(seeded(COrigami, TINY), *draw(2))


def test_it_reads_the_tracks_alone():
    assert_reads_only(seeded(COrigami, TINY), *draw(2), contact_map=False)


def test_it_learns_rows_and_columns():
    assert_learns_contacts(COrigami, TINY, steps=40, rate=5e-3)


def test_of_one_segment_with_itself_the_map_is_symmetric():
    model, (_, tracks) = seeded(COrigami, TINY), draw(2)
    logit = model(None, with_same_segments(tracks)).logit
    torch.testing.assert_close(logit, logit.transpose(2, 3))
    assert not torch.allclose(model(None, tracks).logit, model(None, tracks).logit.transpose(2, 3))


def test_the_first_half_of_the_channels_is_the_row():
    model, seen = seeded(COrigami, TINY), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(None, draw(1)[1])
    rows, columns = seen[0].chunk(2, dim=1)
    assert torch.equal(rows, rows[..., :1].expand_as(rows))  # the same in every column
    assert torch.equal(columns, columns[..., :1, :].expand_as(columns))


@pytest.mark.parametrize("positions", [32, 320, 3200, 6400, 8000])
def test_every_number_of_positions_ends_in_bins(positions):
    sizes = {"window_bins": 16, "positions": positions}
    model = seeded(COrigami, replace(TINY, **sizes))
    tracks = draw(1, {**SMALL, **sizes})[1]
    base = model(None, tracks).logit
    assert base.shape == (1, 1, 16, 16)
    for p in (0, positions // 4 + 3, positions - 1):  # and none of them is skipped
        changed = tracks.clone()
        changed[:, p] += 10
        assert not torch.equal(model(None, changed).logit, base)


def test_outputs():
    _, tracks = draw(2)
    bounded, any_value = (
        seeded(COrigami, replace(TINY, output=o))(None, tracks) for o in ("sigmoid", "linear")
    )
    assert torch.equal(bounded.value, torch.sigmoid(any_value.value))


def test_sizes_that_do_not_fit():
    with pytest.raises(ConfigError, match="11 steps a bin, which are not three factors"):
        COrigamiConfig(positions=1100)
    with pytest.raises(ConfigError, match=r"a stem and at least 3 blocks, not \(8, 8, 8\)"):
        COrigamiConfig(channels=(8, 8, 8))
    with pytest.raises(ConfigError, match="no output 'exp'"):
        COrigamiConfig(output="exp")
