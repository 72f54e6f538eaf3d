"""Scores of candidates: a model's calibrated probabilities where a window can be judged, else none."""

import numpy as np
import pytest

from chromweave.errors import ModelError
from chromweave.workflows.inference import window_table
from chromweave.workflows.loop_scores import score_windows
from tests.fakes_tasks import CentreOfBins, fake_model, stored_means, track_store


def test_probabilities_are_calibrated_and_need_no_more_than_the_model_reads(tmp_path, monkeypatch):
    """sigmoid(logit / temperature), from a store without contacts; without a temperature it is 1."""
    store = track_store(monkeypatch, tmp_path / "tracks.store")
    x, y = np.array([4, 9, 16]), np.array([16, 20, 34])
    means = stored_means(store, "chr1")
    logit = means[x] + means[y] - 5
    for temperature in (1.0, 0.5, 4.0):
        more = {} if temperature == 1 else {"temperature": temperature}
        scores = score_windows(
            fake_model("loops", CentreOfBins(), **more), store, window_table("chr1", x, y, 1000)
        )
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logit / temperature)), atol=1e-5)
    bimodal = fake_model("loops", CentreOfBins(), mode="bimodal")
    with pytest.raises(ModelError, match="has no layer of 1,000 bp"):
        score_windows(bimodal, store, window_table("chr1", x, y, 1000))
