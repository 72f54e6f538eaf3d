"""Batches as Lightning goes through them; the real loaders start in the middle of an epoch."""

import pytest
import torch

from chromweave.data.dataset import WindowDataset, loader
from chromweave.data.resident import resident_loader
from chromweave.data.transforms import WindowTransform
from chromweave.data.windows import grid_windows
from chromweave.errors import ConfigError
from chromweave.genome import ChromSplit
from chromweave.training import passes
from chromweave.training.engine import FitConfig, fit, seeded
from chromweave.training.objectives import PairedPretraining
from chromweave.training.passes import Passes
from tests.fakes import build_fake, random_contacts, random_track
from tests.fakes_windows import Batches, synthetic_batch
from tests.training.toys import Shuffled, TinyPair

CPU = torch.device("cpu")


def test_nothing_is_read_before_the_first_batch_is_asked_for():
    source = Shuffled(synthetic_batch(32), 8)
    again = Passes(source, CPU)
    iterator = iter(again)
    again.sampler.set_epoch(3)  # as Lightning does, after it has made the iterator
    assert source.read == []
    next(iterator)
    assert source.read == [(3, 0)]


@pytest.mark.parametrize("source", [Shuffled(synthetic_batch(32), 8), Batches(synthetic_batch(32), 8)])
def test_only_the_first_pass_begins_in_the_middle(source):
    again = Passes(source, CPU, first=3)
    whole = [batch.x.tolist() for batch in source]
    assert len(again) == 4
    assert [batch.x.tolist() for batch in again] == whole[3:]
    assert [batch.x.tolist() for batch in again] == whole


def test_a_source_without_length_has_none():
    with pytest.raises(TypeError, match="generator has no length"):
        len(Passes((batch for batch in Batches(synthetic_batch(8), 4)), CPU))


def test_several_processes_need_a_source_that_can_be_dealt_out(monkeypatch):
    monkeypatch.setattr(passes, "world", lambda: 2)
    monkeypatch.setattr(passes, "rank", lambda: 1)
    with pytest.raises(ConfigError, match=r"\(Batches\) cannot be dealt out to 2 processes"):
        Passes(Batches(synthetic_batch(8), 4), CPU)
    source = Shuffled(synthetic_batch(32), 8)
    Passes(source, CPU)
    assert (source.rank, source.world) == (1, 2)


def test_processes_in_step_have_as_many_batches(monkeypatch):
    source = Shuffled(synthetic_batch(24), 8, shuffle=False)
    monkeypatch.setattr(passes, "largest", lambda value: 4)
    again = Passes(source, CPU, in_step=True)
    assert (again.own, len(again)) == (3, 4)
    assert [batch.x[0].item() for batch in again] == [100, 108, 116, 100]
    for in_step in (True, False):
        with pytest.raises(ConfigError, match="fewer batches than the 1 processes"):
            Passes([], CPU, in_step=in_step)


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Windows of a made-up store, mirrored at random, new in every epoch."""
    folder, chroms = tmp_path_factory.mktemp("passes"), ("chr1", "chr2", "chr3")
    tracks = [random_track(name, 0, chroms) for name in ("CTCF", "ATAC")]
    with pytest.MonkeyPatch.context() as patch:
        store = build_fake(patch, folder / "a.store", random_contacts(0, chroms=chroms), tracks)
    split = ChromSplit(("chr1",), ("chr2",), ("chr3",))
    table = grid_windows(store, split, step=40_000, resolution=10_000, window_bins=10).table
    transform = WindowTransform(("ATAC", "CTCF"), augmentations=("swap",))
    return WindowDataset([store], [table], transform, seed=2)


@pytest.mark.parametrize("make", [loader, resident_loader])
def test_the_real_loaders_go_on_in_the_middle_of_an_epoch(tmp_path, windows, make):
    config = FitConfig(epochs=2, log_every=1, checkpoint_every=1, accelerator="cpu")

    class Crash(PairedPretraining):
        seen = 0

        def for_epoch(self, epoch, epochs):
            return self

        def step(self, model, batch):
            self.seen += 1
            if self.seen == steps * 3 // 2:
                raise RuntimeError("a power cut")
            return super().step(model, batch)

    def learn(run, objective, **options):
        with seeded(0):
            network = TinyPair(bins=10)
        train = make(windows, 4, shuffle=True, seed=7, drop_last=True)
        fit(network, objective, tmp_path / run, train, None, config, seed=1, **options)
        return (tmp_path / run / "metrics.csv").read_text()

    steps = len(make(windows, 4, shuffle=True, drop_last=True))
    assert steps > 4
    whole = learn("whole", PairedPretraining())
    with pytest.raises(RuntimeError, match="power cut"):
        learn("halved", Crash())
    assert learn("halved", PairedPretraining(), resume=True) == whole
