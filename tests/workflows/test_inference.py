"""Windows in, answers out in the same order; progress counts windows; a model reads what its mode says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chromweave.errors import ModelError
from chromweave.progress import reporting
from chromweave.workflows.inference import TaskModel, bins_with_data, window_table
from tests.fakes_tasks import (
    CentreOfBins,
    Counting,
    EachBin,
    fake_model,
    save_untrained,
    stored_means,
    track_store,
)
from tests.fakes_windows import synthetic_batch


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return track_store(patch, tmp_path_factory.mktemp("inference") / "a.store")


def test_answers_come_in_order_and_windows_are_counted(store):
    task = TaskModel.of(fake_model("loops", CentreOfBins()), "loops")
    x, y = np.array([20, 4, 9, 16, 30]), np.array([22, 10, 9, 30, 31])
    windows = task.windows(store, window_table("chr1", x, y, 1000))
    counting = Counting()
    with reporting(counting):
        answers = list(task.answers(windows, 2, "scoring"))
    assert [len(answer.batch) for answer in answers] == [2, 2, 1]
    assert counting.seen == [("scoring", 5, "windows", 5)]
    means = stored_means(store, "chr1")
    logit = np.concatenate([answer.prediction.logit.numpy() for answer in answers])
    np.testing.assert_allclose(logit, means[x] + means[y] - 5, atol=1e-5)


def test_a_change_is_made_before_the_model_and_not_to_the_batch_handed_out(store):
    task = TaskModel.of(fake_model("loops", CentreOfBins()), "loops")
    windows = task.windows(store, window_table("chr1", np.array([9]), np.array([15]), 1000))
    (answer,) = task.answers(windows, 2, "scoring", lambda batch: replace(batch, tracks=batch.tracks * 0))
    assert answer.prediction.logit.tolist() == [-5]
    assert answer.batch.tracks.abs().sum() > 0


def test_a_model_without_tracks_needs_none(store):
    task = TaskModel.of(fake_model("loops", CentreOfBins(), mode="map"), "loops")
    assert (task.reads_map, task.given.transform.tracks) == (True, ())
    with pytest.raises(ModelError, match=r"has no layer of 1,000 bp, .* \(it has none\)"):
        task.check(store)
    without = TaskModel.of(fake_model("loops", CentreOfBins(), mode="infer_map"), "loops")
    assert not without.reads_map
    without.check(store)


def test_a_model_of_another_task_is_refused(tmp_path):
    with pytest.raises(
        ModelError, match=r"at hand: is a model of finetune --task expression; .* of finetune --task loops"
    ):
        TaskModel.of(fake_model("expression", EachBin()), "loops")
    run = save_untrained(tmp_path / "run", "loops")
    assert TaskModel.of(run, "loops").name == str(run)


def test_bins_with_data():
    """Bins of two steps: those with a step of any track; without tracks, those with an entry in the map."""
    batch = synthetic_batch(2, bins=4, positions=16)
    mask = torch.zeros(2, 16, 2, dtype=torch.bool)
    mask[0, 3, 1] = mask[0, 8:12, 0] = mask[1, 6, 0] = True  # steps of x: 0 to 7, two in each bin
    known = bins_with_data(replace(batch, track_mask=mask))
    assert known[0].tolist() == [[False, True, False, False], [True, True, False, False]]
    assert known[1].tolist() == [[False, False, False, True], [False] * 4]
    contact = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    contact[0, 0, 1, 2] = True
    bare = replace(batch, tracks=batch.tracks[..., :0], track_mask=mask[..., :0], contact_mask=contact)
    assert bins_with_data(bare)[0].tolist() == [[False, True, False, False], [False, False, True, False]]
