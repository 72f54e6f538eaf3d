"""Scores of candidates: a model's calibrated probabilities where a window can be judged, else none."""

import numpy as np
import pytest

from chromweave.analysis.loops import Candidates
from chromweave.errors import ModelError
from chromweave.workflows.inference import window_table
from chromweave.workflows.loop_scores import CandidateScores, CombinedScores, score_windows
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


class Enrichment:
    def score(self, searched, found):
        return CandidateScores(np.array([1.9, 2.0, 5.0, np.nan, 3.0, 4.0]))


class Model:
    """Says 0.5, 0.9, nothing and 1 of the pixels it is asked about."""

    def probability(self, searched, found):
        self.asked = found.x_bins.tolist()
        return np.array([0.5, 0.9, np.nan, 1.0])


def test_a_model_is_asked_about_pixels_that_stand_out_and_its_log_odds_are_added():
    """Weight 2: 2 + 2 ln(1), 5 + 2 ln(9), and 4 + 2 ln(1e6) for what is certain."""
    found = Candidates(*(np.arange(6) for _ in range(2)), *(np.ones(6) for _ in range(3)))
    model = Model()
    scores = CombinedScores(Enrichment(), model, least=2.0, weight=2.0).score(None, found)
    assert model.asked == [1, 2, 4, 5]
    expected = [np.nan, 2.0, 5 + 2 * np.log(9), np.nan, np.nan, 4 + 2 * np.log(1e6)]
    np.testing.assert_allclose(scores.score, expected, rtol=1e-6)
    np.testing.assert_array_equal(scores.probability, [np.nan, 0.5, 0.9, np.nan, np.nan, 1.0])
