"""Heads: orientation, symmetry and independence."""

import pytest
import torch

from chromweave.models.heads import ContactHead, LoopHead, TrackHead


def seeded(cls, *arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*arguments).double().eval()


def draw(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_contact_head_rows_are_the_x_segment():
    head = seeded(ContactHead, 8)
    x = draw(2, 100, 8)
    changed = x.clone()
    changed[:, 7] += 1  # bin 7 of the x segment
    rows = ((head(changed) - head(x)).abs() > 1e-12).any(dim=3)[0, 0]
    assert rows.nonzero().flatten().tolist() == [7]
    changed = x.clone()
    changed[:, 50 + 9] += 1  # bin 9 of the y segment
    columns = ((head(changed) - head(x)).abs() > 1e-12).any(dim=2)[0, 0]
    assert columns.nonzero().flatten().tolist() == [9]


def test_legacy_contact_head_has_rows_and_columns_exchanged():
    head, x = seeded(ContactHead, 8), draw(2, 100, 8)
    legacy = seeded(ContactHead, 8, 0.5, True)
    torch.testing.assert_close(legacy(x), head(x).transpose(2, 3))


def test_contact_head_is_its_formula_and_transposes_when_segments_change_places():
    head, x = seeded(ContactHead, 8), draw(1, 6, 8)
    pair = (x[0, 1] + x[0, 5]) / 2 + x[0, 1] * x[0, 5]
    expected = head.out(torch.relu(head.hidden(pair)))
    torch.testing.assert_close(head(x)[0, 0, 1, 2], expected[0])
    swapped = head(torch.cat([x[:, 3:], x[:, :3]], dim=1))
    torch.testing.assert_close(swapped, head(x).transpose(2, 3))


def test_loop_head_averages_tokens():
    head, x = seeded(LoopHead, 8), draw(3, 5, 8)
    assert head(x).shape == (3,)
    torch.testing.assert_close(head(x), head(x.flip(1)))
    torch.testing.assert_close(head(x)[:1], head(x[:1]))


@pytest.mark.parametrize(("cls", "count"), [(LoopHead, 8 * 32 + 32 + 33), (ContactHead, 8 * 32 + 32 + 33)])
def test_numbers_of_weights(cls, count):
    assert sum(p.numel() for p in cls(8).parameters()) == count


def test_track_head_gives_one_value_per_token():
    head = seeded(TrackHead, 8)
    x = draw(3, 5, 8)
    assert head(x).shape == (3, 5)
    torch.testing.assert_close(head(x)[:1, 2:3], head(x[:1, 2:3]))
