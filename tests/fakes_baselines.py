"""Small windows with something planted in them, and what every restated network must do with any."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from chromweave.errors import ModelError

SMALL = {"n_tracks": 2, "window_bins": 16, "positions": 320}
STEPS = 10  # positions of a bin


def seeded(cls, config):
    """A network in double precision, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(config).double().eval()


def draw(windows, sizes=SMALL, seed=1):
    """Contacts and tracks of no meaning."""
    generator = torch.Generator().manual_seed(seed)
    side = sizes["window_bins"]
    contacts = torch.rand(windows, 1, side, side, generator=generator, dtype=torch.float64)
    shape = windows, sizes["positions"], sizes["n_tracks"]
    return contacts, torch.rand(shape, generator=generator, dtype=torch.float64)


def weights(model):
    return sum(parameter.numel() for parameter in model.parameters())


def swapped(contacts, tracks):
    """The same windows with x and y exchanged."""
    x, y = tracks.chunk(2, dim=1)
    return contacts.transpose(2, 3), torch.cat([y, x], dim=1)


def with_same_segments(tracks):
    """The x segment of every window twice."""
    x, _ = tracks.chunk(2, dim=1)
    return torch.cat([x, x], dim=1)


# --- what every network must do


def assert_windows_apart(model, *inputs):
    """A prediction does not depend on the other windows of its batch, nor on their order."""
    together = model(*inputs).value
    for i in range(len(together)):
        alone = model(*(part[i : i + 1] for part in inputs)).value
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-9, atol=1e-12)
    backwards = model(*(part.flip(0) for part in inputs)).value
    torch.testing.assert_close(backwards, together.flip(0), rtol=1e-9, atol=1e-12)
    assert not torch.allclose(together[0], together[1], rtol=1e-6, atol=1e-9)


def assert_every_weight_learns(model, *inputs):
    model(*inputs).value.square().sum().backward()
    named = model.named_parameters()
    assert [name for name, p in named if p.grad is None or not p.grad.any()] == []


def assert_reads_only(model, contacts, tracks, *, contact_map):
    """Tracks matter; the map does if and only if `contact_map`."""
    base = model(contacts, tracks).value
    assert not torch.equal(model(contacts, tracks.flip(1)).value, base)
    if not contact_map:
        assert torch.equal(model(None, tracks).value, base)
        assert torch.equal(model(1 - contacts, tracks).value, base)
    else:
        assert not torch.equal(model(contacts.square(), tracks).value, base) or not torch.equal(
            model(contacts.flip(3), tracks).value, base
        )
        with pytest.raises(ModelError, match="reads the contact map, and none was given"):
            model(None, tracks)
        with pytest.raises(ModelError, match=r"built for maps of 16 bins; it was given one of 14\."):
            model(contacts[..., :14, :14], tracks)
    with pytest.raises(ModelError, match="reads the tracks, and none were given"):
        model(contacts, None)
    with pytest.raises(ModelError, match=r"built for 320 positions of 2 tracks; it was given 300 of 2\."):
        model(contacts, tracks[:, :300])
    with pytest.raises(ModelError, match=r"built for 320 positions of 2 tracks; it was given 320 of 1\."):
        model(contacts, tracks[..., :1])


# --- planted signal


def levels(windows, generator, sizes=SMALL):
    """(tracks, level): each bin's first track is at 0 or 1, (windows, 2 bins), beneath a little noise."""
    bins, steps = 2 * sizes["window_bins"], sizes["positions"] // (2 * sizes["window_bins"])
    level = torch.randint(0, 2, (windows, bins), generator=generator).float()
    tracks = 0.2 * torch.rand(windows, bins * steps, sizes["n_tracks"], generator=generator)
    tracks[..., 0] += level.repeat_interleave(steps, dim=1)
    return tracks, level


def planted_contacts(windows, generator):
    """Contacts (i, j) that row x_i and column y_j add to, unlike their transpose."""
    tracks, level = levels(windows, generator)
    x, y = level.chunk(2, dim=1)
    target = 0.1 + 0.2 * x[:, None, :, None] + 0.6 * y[:, None, None, :]
    return (None, tracks), target


def planted_signal(windows, generator):
    """Each bin's own level."""
    tracks, level = levels(windows, generator)
    return (None, tracks), 2 * level


def planted_loops(windows, generator, channels=1, side=16):
    """Maps of noise, with a bright centre in every second: (maps, label)."""
    maps = 0.3 * torch.rand(windows, channels, side, side, generator=generator)
    label = torch.randint(0, 2, (windows,), generator=generator).float()
    middle = slice(side // 2 - 1, side // 2 + 2)
    maps[:, :, middle, middle] += 0.7 * label[:, None, None, None]
    return maps, label


def trained(cls, config, planted, *, steps, rate, windows=8, classes=False):
    """(prediction, target) of new windows, after some steps over others."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(2)
        model = cls(config).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        for _ in range(steps):
            inputs, target = planted(windows, generator)
            said = model(*inputs)
            loss = (
                F.binary_cross_entropy_with_logits(said.logit, target)
                if classes
                else F.mse_loss(said.value, target)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        inputs, target = planted(32, generator)
        with torch.no_grad():
            return model.eval()(*inputs), target


def assert_learns_contacts(cls, config, *, steps, rate):
    """Far better than the mean, and not the transposed map."""
    said, target = trained(cls, config, planted_contacts, steps=steps, rate=rate)
    error = F.mse_loss(said.value, target)
    assert error < 0.25 * target.var()
    assert F.mse_loss(said.value.transpose(2, 3), target) > 2 * error


def assert_learns_signal(cls, config, *, steps, rate):
    said, target = trained(cls, config, planted_signal, steps=steps, rate=rate)
    assert F.mse_loss(said.value, target) < 0.25 * target.var()


def assert_learns_loops(cls, config, planted, *, steps, rate):
    said, label = trained(cls, config, planted, steps=steps, rate=rate, windows=16, classes=True)
    loss = F.binary_cross_entropy_with_logits(said.logit, label)
    assert loss < 0.3  # of ln 2 = 0.69
    torch.testing.assert_close(said.value, torch.sigmoid(said.logit))
