"""RefHiC is trained on a store's windows beside other stores, stops in time, and finds planted loops."""

import numpy as np
import pytest
import torch

from chromweave.data.windows import loop_windows
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.classification import auroc
from chromweave.training.engine import FitConfig
from chromweave.workflows.refhic_training import RefHicConfig, Squares, train_refhic
from tests.fakes_loops import RESOLUTION, SPLIT, WINDOW_BINS, loop_store, planted

QUICK = RefHicConfig(
    "tiny", FitConfig(epochs=6, batch_size=24, learning_rate=3e-3, accelerator="cpu", patience=3)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A line, a second one with the same loops, and the first one's windows."""
    folder = tmp_path_factory.mktemp("refhic")
    with pytest.MonkeyPatch.context() as patch:
        stores = [loop_store(patch, folder / f"{k}.store", tracks=(), seed=k) for k in (0, 1)]
    table = loop_windows(stores[0], planted(), SPLIT, window_bins=WINDOW_BINS, resolution=RESOLUTION).table
    return *stores, table


@pytest.fixture(scope="module")
def trained(place, tmp_path_factory):
    study, other, table = place
    run = tmp_path_factory.mktemp("run")
    return train_refhic(run, study=study, panel=[other], table=table, config=QUICK, seed=1)


def test_planted_loops_of_an_unseen_chromosome_are_told_apart(place, trained):
    study, other, table = place
    unseen = table[table["split"] == "test"]
    said = trained.predict(study, [other], unseen)
    assert np.isfinite(said).all()
    assert ((said >= 0) & (said <= 1)).all()
    assert auroc(unseen["label"].to_numpy(), said) > 0.9
    assert trained.result.best_metrics["auroc"] > 0.9
    # A panel may have another size, and the order of the rows is that of the answers.
    turned = trained.predict(study, [other], unseen[::-1])
    np.testing.assert_allclose(turned[::-1], said, atol=1e-6)
    assert trained.predict(study, [other, study], unseen).shape == said.shape


def test_the_same_seed_trains_the_same(place, trained, tmp_path):
    study, other, table = place
    again = train_refhic(tmp_path, study=study, panel=[other], table=table, config=QUICK, seed=1)
    for name, value in trained.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)


def test_a_masked_pixel_has_no_probability(place, trained):
    study, other, table = place
    outside = table[:2].copy()
    outside.loc[outside.index[0], "y"] = outside["x"].iloc[0] + 700_000  # beyond what is stored
    assert np.isfinite(trained.predict(study, [other], outside)).tolist() == [False, True]


def test_epochs_are_shuffled_and_every_window_comes_once(place):
    study, other, table = place
    squares = Squares(study, [other], table[:50], RESOLUTION, 2, 16, seed=0)
    first = torch.cat([batch.study for batch in squares])
    squares.set_epoch(1)
    second = torch.cat([batch.study for batch in squares])
    assert (len(squares), len(first)) == (3, 48)  # the last two are left out
    assert not torch.equal(first, second)
    plain = Squares(study, [other], table[:50], RESOLUTION, 2, 16)
    whole = torch.cat([batch.study for batch in plain])
    assert (len(plain), len(whole)) == (4, 50)
    assert {tuple(row.flatten().tolist()) for row in first} <= {
        tuple(row.flatten().tolist()) for row in whole
    }


def test_references_are_cut_at_the_same_places(place):
    study, other, table = place
    (batch,) = Squares(study, [other, study], table[:8], RESOLUTION, 2, 8)
    assert batch.references.shape == (8, 2, 2, 5, 5)
    assert torch.equal(batch.references[:, 1], batch.study)
    assert not torch.equal(batch.references[:, 0], batch.study)


def test_what_cannot_be_trained_is_refused(place, tmp_path, trained):
    study, other, table = place
    with pytest.raises(ConfigError, match="at least one store"):
        train_refhic(tmp_path, study=study, panel=[], table=table, config=QUICK)
    with pytest.raises(ConfigError, match="at least one store"):
        trained.predict(study, [], table)
    with pytest.raises(DataError, match="split valid"):
        train_refhic(
            tmp_path, study=study, panel=[other], table=table[table["split"] == "train"], config=QUICK
        )
    with pytest.raises(ConfigError, match="presets are"):
        RefHicConfig("huge")
