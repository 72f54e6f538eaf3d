"""Edits as they are written, and windows as they are and edited."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.data.edits import SignalEdit
from chromweave.data.transforms import WindowTransform
from chromweave.errors import AssemblyError, ChromosomeError, ConfigError
from chromweave.genome import Interval
from chromweave.progress import reporting
from chromweave.workflows.edited_windows import EditableModel, parse_edits
from chromweave.workflows.inference import window_table
from tests.fakes_tasks import (
    PLACES,
    RESOLUTION,
    CentreOfBins,
    Counting,
    PairsOfBins,
    fake_model,
    stored_means,
    track_store,
)


def test_edits_as_they_are_written():
    found = parse_edits(
        PLACES,
        delete=["chr1:1,000-2,000", "2:0-500"],
        scale=["chr1:3000-4000=0.5", "chr2=2e-1"],
        tracks=["ATAC", "ATAC"],
    )
    assert found == (
        SignalEdit(Interval("chr1", 1000, 2000), ("ATAC",)),
        SignalEdit(Interval("chr2", 0, 500), ("ATAC",)),
        SignalEdit(Interval("chr1", 3000, 4000), ("ATAC",), 0.5),
        SignalEdit(Interval("chr2", 0, 20_000), ("ATAC",), 0.2),
    )


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ConfigError, "nothing to edit"),
        ({"scale": ["chr1:0-1000"]}, ConfigError, "write REGION=FACTOR"),
        ({"scale": ["chr1:0-1000=much"]}, ConfigError, "'much' is no number"),
        ({"scale": ["chr1:0-1000=-1"]}, ConfigError, "from 0 to 1,000,000, not by -1"),
        ({"scale": ["chr1:0-1000=nan"]}, ConfigError, "not by nan"),
        ({"delete": ["chr1:1000"]}, ConfigError, "is no region"),
        ({"delete": ["chr1:40,000-41,000"]}, AssemblyError, "ends beyond chr1"),
        ({"delete": ["chr9:0-1000"]}, ChromosomeError, "chr9"),
        ({"delete": ["chr1:130-160"]}, ConfigError, "covers half of no 100 bp step"),
    ],
)
def test_edits_that_are_not_understood_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        parse_edits(PLACES, **given)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("edited") / "a.store")


def test_signal_is_edited_before_the_models_transform(store):
    """Twice the signal is not twice its logarithm."""
    transform = WindowTransform(tracks=("ATAC",), clip=1.0)
    opened = EditableModel.open(fake_model("loops", CentreOfBins(), transform=transform), store)
    table = window_table("chr1", np.array([15, 17]), np.array([22, 17]), RESOLUTION)
    here = SignalEdit(Interval("chr1", 15_000, 16_000), factor=2.0)
    (answer,) = opened.answers(table, [[here], [here]], 4, "testing")
    mean = np.asarray(store.track("ATAC", "chr1").mean, np.float64)

    def logit(x, y, factor=1.0):
        return sum(
            np.log2(1 + mean[b * 10 : b * 10 + 10] * (factor if b == 15 else 1)).mean() for b in (x, y)
        )

    before = [logit(15, 22) - 5, logit(17, 17) - 5]
    torch.testing.assert_close(answer.before.logit.double(), torch.tensor(before), rtol=1e-5, atol=1e-5)
    after = [logit(15, 22, 2.0) - 5, logit(17, 17) - 5]
    torch.testing.assert_close(answer.after.logit.double(), torch.tensor(after), rtol=1e-5, atol=1e-5)
    assert answer.taken.tolist() == [True, True]  # bin 15 lies in the window around 17
    assert answer.after.logit[1] == answer.before.logit[1]


def test_each_window_gets_its_own_edits_batch_after_batch(store):
    opened = EditableModel.open(fake_model("loops", CentreOfBins()), store)
    anchors = np.array([15, 17, 20])
    table = window_table("chr1", anchors, anchors, RESOLUTION)
    gone = [[], [], [SignalEdit(Interval("chr1", 20_000, 21_000), factor=0.0)]]
    counting = Counting()
    with reporting(counting):
        answers = list(opened.answers(table, gone, 2, "testing"))
    assert counting.seen == [("testing", 3, "windows", 3)]
    assert [len(answer.batch) for answer in answers] == [2, 1]
    taken = np.concatenate([answer.taken for answer in answers])
    assert taken.tolist() == [False, False, True]
    means = 2 * stored_means(store, "chr1")[anchors] - 5
    for when, expected in (("before", means), ("after", [*means[:2], -5])):
        logit = np.concatenate([getattr(answer, when).logit.numpy() for answer in answers])
        np.testing.assert_allclose(logit, expected, atol=1e-5)


def test_contacts_of_windows_on_the_diagonal_are_symmetric(store):
    opened = EditableModel.open(fake_model("contacts", PairsOfBins()), store)
    table = window_table("chr1", np.array([15, 17]), np.array([15, 19]), RESOLUTION)
    (answer,) = opened.answers(table, [[], []], 4, "testing")
    before, after = opened.contacts(answer)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(before[0], before[0].T)
    raw = answer.before.value[:, 0].double().numpy().clip(min=0)
    known = np.isfinite(before[0])
    np.testing.assert_allclose(before[0][known], ((raw[0] + raw[0].T) / 2)[known])
    np.testing.assert_allclose(before[1], raw[1])
    assert np.flatnonzero(~known.any(1)).tolist() == [0]  # bin 11 is dark
    assert not answer.taken.any()


def test_windows_that_see_one_another_are_predicted_by_themselves(store):
    model = fake_model("contacts", PairsOfBins())
    opened = EditableModel.open(model, store)
    assert opened.at_once(64) == 64
    described = dict(model.description.model) | {"network": {"legacy": True}}
    imported = replace(model, description=replace(model.description, model=described))
    assert EditableModel.open(imported, store).at_once(64) == 1
    with pytest.raises(ConfigError, match="at least one window, not 0"):
        opened.at_once(0)
