"""Encoders and decoder: shapes stage by stage, independence of the batch, who sees whom."""

import pytest
import torch

from chromweave.models.encoders import (
    Halving,
    MapEncoder,
    StemBatchNorm,
    TrackDecoder,
    TrackEncoder,
    track_token_counts,
)

POOLS = (2, 5, 5)


def seeded(cls, *arguments, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(*arguments, **options).double().eval()


def draw(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    ("positions", "counts"), [(5000, (100, 50, 25, 12)), (1000, (20, 10, 5, 2)), (10000, (200, 100, 50, 25))]
)
def test_track_token_counts(positions, counts):
    assert track_token_counts(positions, POOLS) == counts


@pytest.mark.parametrize("channels", [16, 128])
def test_shapes(channels):
    with torch.device("meta"):
        maps = MapEncoder(channels, 4, 2)(torch.empty(3, 1, 50, 50))
        encoder = TrackEncoder(2, channels, 4, 2).eval()
        encoded = encoder(torch.empty(3, 5000, 2))
        decoded = TrackDecoder(channels, 4, 2, (100, 50, 25, 12))(encoded.tokens, encoded.skips)
    assert maps.shape == (3, 9, 8 * channels)
    assert encoded.tokens.shape == (3, 12, 8 * channels)
    shapes = [tuple(skip.shape) for skip in encoded.skips]
    assert shapes == [(3, 100, channels), (3, 50, 2 * channels), (3, 25, 4 * channels)]
    assert decoded.shape == (3, 100, 2 * channels)


@pytest.mark.parametrize("n_tracks", [1, 5])
def test_any_number_of_tracks(n_tracks):
    encoded = seeded(TrackEncoder, n_tracks, 16, 4, 1)(draw(2, 1000, n_tracks))
    assert encoded.tokens.shape == (2, 2, 128)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_windows_of_a_batch_do_not_meet_in_evaluation(norm):
    encoder = seeded(TrackEncoder, 2, 16, 4, 2, norm=norm)
    decoder = seeded(TrackDecoder, 16, 4, 2, (20, 10, 5, 2))
    x = draw(4, 1000, 2)
    encoded = encoder(x)
    alone = encoder(x[:1])
    torch.testing.assert_close(encoded.tokens[:1], alone.tokens, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        decoder(encoded.tokens, encoded.skips)[:1],
        decoder(alone.tokens, alone.skips),
        rtol=1e-10,
        atol=1e-12,
    )
    maps = seeded(MapEncoder, 16, 4, 2)
    contacts = draw(4, 1, 50, 50)
    torch.testing.assert_close(maps(contacts)[:1], maps(contacts[:1]), rtol=1e-10, atol=1e-12)


def test_group_norm_keeps_windows_apart_in_training_too_and_batch_norm_does_not():
    x = draw(4, 1000, 2)
    group, batch = (seeded(TrackEncoder, 2, 16, 4, 1, norm=norm).train() for norm in ("group", "batch"))
    torch.testing.assert_close(group(x).tokens[:2], group(x[:2]).tokens, rtol=1e-10, atol=1e-12)
    assert not torch.allclose(batch(x).tokens[:2], batch(x[:2]).tokens, rtol=1e-6)


def test_running_statistics_do_not_remember_where_they_started():
    """After one batch, evaluation normalises as training did on that batch, however small its variance."""
    encoder = seeded(TrackEncoder, 2, 16, 4, 1)
    x = 1e-3 * draw(8, 1000, 2)
    trained = encoder.train()(x).tokens
    torch.testing.assert_close(encoder.eval()(x).tokens, trained, rtol=0.05, atol=0.05)
    norm = encoder.stem.norms[0].train()
    before = norm.running_mean.clone(), norm.running_var.clone()
    constant = draw(16, 1, 1).expand(2, 16, 1, 10)
    norm(constant)
    torch.testing.assert_close(norm.running_var, before[1] / 2)
    torch.testing.assert_close(norm.running_mean, (before[0] + constant[0, :, 0, 0]) / 2)
    norm.num_batches_tracked.fill_(500)
    before = norm.running_var.clone()
    norm(constant)
    torch.testing.assert_close(norm.running_var, 0.9 * before)


def test_attention_reaches_the_whole_sequence():
    """In the published code a token met the other windows of the batch instead of the rest of its own."""
    encoder = seeded(TrackEncoder, 2, 16, 4, 2)
    x = draw(1, 5000, 2).requires_grad_()
    encoder(x).tokens[0, 0].square().sum().backward()
    assert (x.grad[0, 4900:].abs().sum() > 0).all()


def test_patches_are_read_by_row():
    encoder = seeded(MapEncoder, 16, 4, 1)
    with torch.no_grad():
        encoder.embed.weight.copy_(torch.eye(16, 4))
    seen = []
    encoder.stages[0].register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    contacts = torch.arange(2500, dtype=torch.float64).reshape(1, 1, 50, 50)
    encoder(contacts)
    assert seen[0].shape == (1, 625, 16)
    assert seen[0][0, 0, :4].tolist() == [0, 1, 50, 51]
    assert seen[0][0, 1, :4].tolist() == [2, 3, 52, 53]
    assert seen[0][0, 25, :4].tolist() == [100, 101, 150, 151]


@pytest.mark.parametrize("side", [2, 5, 6, 8, 9, 12])
def test_a_grid_is_halved_by_a_strided_convolution_whatever_its_size(side):
    down, grid = seeded(Halving, 3), draw(2, 3, side, side)
    expected = torch.nn.functional.conv2d(grid, down.weight, down.bias, stride=2, padding=1)
    assert expected.shape == (2, 6, side // 2, side // 2)
    torch.testing.assert_close(down(grid), expected)


def test_decoder_puts_upsampled_channels_before_the_skip():
    decoder = seeded(TrackDecoder, 16, 4, 1, (20, 10, 5, 2))
    seen = []
    decoder.stages[0].register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    skips = (draw(1, 20, 16), draw(1, 10, 32), draw(1, 5, 64))
    decoder(draw(1, 2, 128), skips)
    torch.testing.assert_close(seen[0][..., 64:], skips[2])


def norm_steps(x):
    """Two training passes of a batch norm over `x`, and what one process has at the end."""
    norm = StemBatchNorm(3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    x = x.clone().requires_grad_()
    y = norm(norm(x))
    (y.sin() * torch.arange(x.shape[-1])).sum().backward()
    return {
        "output": y.detach(),
        "input gradient": x.grad,
        "weight gradient": norm.weight.grad,
        "mean": norm.running_mean,
        "variance": norm.running_var,
    }


def one_of_two(rank, folder):
    """A process of the next test: takes its half, and writes what it found."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    x = torch.load(f"{folder}/x.pt")
    torch.save(norm_steps(x[:4] if rank == 0 else x[4:]), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_normalise_as_one(tmp_path):
    """Halves of 4 and 2 windows, with different means."""
    x = 1e-2 * draw(6, 3, 1, 50) + torch.arange(6).reshape(6, 1, 1, 1)
    torch.save(x, tmp_path / "x.pt")
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    alone, half = norm_steps(x), norm_steps(x[:4])
    for name in ("output", "input gradient"):
        torch.testing.assert_close(torch.cat([first[name], second[name]]), alone[name], rtol=1e-9, atol=1e-9)
    # each process has its own part of a weight's gradient; the trainer adds them up
    torch.testing.assert_close(first["weight gradient"] + second["weight gradient"], alone["weight gradient"])
    for name in ("mean", "variance"):
        torch.testing.assert_close(first[name], alone[name])
        torch.testing.assert_close(second[name], alone[name])
    assert not torch.allclose(half["output"], alone["output"][:4], atol=1e-2)
