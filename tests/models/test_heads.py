"""Heads: orientation, symmetry and independence."""

import pytest
import torch

from chromweave.models.heads import ContactHead, LoopHead, TrackHead, WindowHead


def seeded(cls, *arguments, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*arguments, **options).double().eval()


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


def test_window_head_reads_all_tokens_for_each_place():
    head, x = seeded(WindowHead, 8, 3, 10), draw(2, 3, 8)
    hidden = torch.relu(head.hidden(x.reshape(2, 24)))
    assert head(x).shape == (2, 10)
    torch.testing.assert_close(head(x), head.out(hidden))
    assert not torch.allclose(head(x), head(x.flip(1)))  # a token's place counts


def test_dropout_stands_before_the_last_layer_while_training():
    head, x = seeded(WindowHead, 8, 3, 10), draw(2, 3, 8)
    assert torch.equal(head(x), head(x))
    head.train()
    assert not torch.equal(head(x), head(x))


LINEAR = [
    (LoopHead, (8,), 8 + 1),
    (ContactHead, (8,), 8 + 1),
    (TrackHead, (8,), 8 + 1),
    (WindowHead, (8, 6, 10), 6 * 8 * 10 + 10),
]


@pytest.mark.parametrize(("cls", "arguments", "count"), LINEAR)
def test_a_linear_head_has_one_layer_and_no_dropout(cls, arguments, count):
    head, x = seeded(cls, *arguments, linear=True), draw(2, 6, 8)
    assert head.hidden is None
    assert sum(p.numel() for p in head.parameters()) == count
    assert torch.equal(head.train()(x), head.eval()(x))


@pytest.mark.parametrize(("cls", "arguments"), [case[:2] for case in LINEAR if case[0] is not ContactHead])
def test_a_linear_head_is_linear_in_its_tokens(cls, arguments):
    head, x, z = seeded(cls, *arguments, linear=True), draw(2, 6, 8), draw(4, 6, 8)[2:]
    origin = head(torch.zeros_like(x))
    torch.testing.assert_close(head(2 * x + 3 * z) - origin, 2 * (head(x) - origin) + 3 * (head(z) - origin))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_linear_contact_head_is_linear_in_mean_and_product(transposed):
    head, tokens = seeded(ContactHead, 8, 0.5, transposed, linear=True), draw(2, 6, 8)
    torch.nn.init.constant_(head.out.bias, 0.7)
    found = head(tokens)
    assert found.shape == (2, 1, 3, 3)
    for i in range(3):
        for j in range(3):
            x, y = tokens[:, i], tokens[:, 3 + j]
            expected = ((x + y) / 2 + x * y) @ head.out.weight[0] + 0.7
            entry = found[:, 0, j, i] if transposed else found[:, 0, i, j]
            torch.testing.assert_close(entry, expected)
