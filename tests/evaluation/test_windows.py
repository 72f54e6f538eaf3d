import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.errors import ConfigError, DataError
from chromweave.evaluation import metrics
from chromweave.evaluation.bootstrap import BootstrapConfig, block_bootstrap, paired_difference
from chromweave.evaluation.scc import scc
from chromweave.evaluation.trivial import distance_grid, distance_mean, distance_mean_prediction
from chromweave.evaluation.windows import MapScoreConfig, WindowMapScores, paired_differences
from tests.fakes_maps import pixels_of, power_law_map

SIDE = 12
CONFIG = MapScoreConfig(clip=20.0, smoothing=1, insulation_width=2)
seeds = st.integers(0, 2**32 - 1)


def cut(matrix, x, y):
    half = SIDE // 2
    return np.stack(
        [matrix[i - half : i + half, j - half : j + half] for i, j in zip(x, y, strict=True)]
    ).astype(float)


class Windows:
    """Windows of two related maps with masked bins: on the diagonal, near it, far from it, and turned."""

    def __init__(self, seed, x=(6, 10, 20, 20, 40, 30), y=(6, 10, 20, 24, 12, 45)):
        generator = np.random.default_rng(seed)
        rate = power_law_map(60, 40.0, generator)
        masked = np.zeros(60, bool)
        masked[generator.choice(60, 5, replace=False)] = True
        truth = np.where(masked[:, None] | masked, np.nan, generator.poisson(rate))
        truth = np.triu(truth) + np.triu(truth, 1).T
        prediction = 0.5 * rate + generator.uniform(0, 2, rate.shape)
        self.truth = cut(truth, x, y)
        self.prediction = cut(prediction, x, y)
        self.mask = generator.random(self.truth.shape) < 0.95
        self.distance = distance_grid(np.array(x), np.array(y), SIDE)
        self.blocks = np.arange(len(x)) // 2
        offset = np.arange(SIDE) - SIDE // 2
        rows, columns = (np.array(v)[:, None] + offset for v in (x, y))
        ahead = columns[:, None, :] - rows[:, :, None]
        ahead = np.where((np.array(x) > np.array(y))[:, None, None], -ahead, ahead)
        self.above = ahead > 0
        self.once = self.mask & (ahead >= 0)

    def scores(self, config=CONFIG, batches=(0, 6), prediction=None):
        prediction = self.prediction if prediction is None else prediction
        found = WindowMapScores(config)
        for low, high in pairwise(batches):
            rows = slice(low, high)
            found.add(self.truth[rows], prediction[rows], self.mask[rows], self.distance[rows])
        return found


def log_oe(windows, truth, prediction, mask):
    """By the definition, on whole arrays."""
    logs = []
    for values in (truth, prediction):
        mean = distance_mean(np.where(np.isfinite(truth), values, np.nan), windows.distance, mask)
        logs.append(np.log((values + 1) / (mean[np.minimum(windows.distance, len(mean) - 1)] + 1)))
    return metrics.pearson(*logs, mask)


@settings(deadline=None, max_examples=20)
@given(seeds, st.booleans())
def test_equal_the_plain_metrics_on_whole_arrays(seed, mirrored):
    w = Windows(seed)
    found = w.scores(replace(CONFIG, mirrored=mirrored))
    estimates = found.estimates(w.blocks, 0)
    mask = w.mask if mirrored else w.once
    t, p = np.minimum(w.truth, 20) / 20, np.minimum(w.prediction, 20) / 20
    for name in ("pearson", "r2", "r2_swapped", "spearman"):
        assert estimates[name].value == pytest.approx(getattr(metrics, name)(t, p, mask)), name
    assert estimates["log_oe_pearson"].value == pytest.approx(log_oe(w, w.truth, w.prediction, mask))
    diagonal = slice(0, 3)
    insulation = metrics.insulation_correlation(
        w.truth[diagonal], w.prediction[diagonal], 2, w.mask[diagonal]
    )
    assert estimates["insulation"].value == pytest.approx(insulation, nan_ok=True)
    assert [estimates[name].n for name in ("pearson", "scc", "insulation")] == [6, 6, 3]
    curve = metrics.pearson_by_distance(w.truth, w.prediction, w.distance, mask)
    ours = found.by_distance()
    assert ours.distance.tolist() == curve.distance.tolist()
    assert ours.n.tolist() == curve.n.tolist()
    np.testing.assert_allclose(ours.value, curve.value, atol=1e-9)


def smoothed(window, counts, above):
    """The mean filter, entry by entry."""
    out = np.zeros(window.shape)
    for i, j in np.ndindex(window.shape):
        near = slice(max(0, i - 1), i + 2), slice(max(0, j - 1), j + 2)
        total = np.where(counts & above, window, 0.0)[near].sum()
        out[i, j] = total / max(counts[near].sum(), 1)
    return out


@settings(deadline=None, max_examples=5)
@given(seeds)
def test_scc_pools_each_distance_over_windows(seed):
    w = Windows(seed)
    counts = w.mask & np.isfinite(w.truth)
    t, p = (
        np.stack([smoothed(*one) for one in zip(values, counts, w.above, strict=True)])
        for values in (w.truth, w.prediction)
    )
    used = counts & w.above & ((t != 0) | (p != 0))
    top = bottom = 0.0
    for d in np.unique(w.distance[used]):
        rows = used & (w.distance == d)
        n = rows.sum()
        if n > 1 and np.ptp(t[rows]) > 0:
            weight = n * np.var(np.arange(1, n + 1) / n, ddof=1)
            top += weight * np.corrcoef(t[rows], p[rows])[0, 1]
            bottom += weight
    assert w.scores().estimates(w.blocks, 0)["scc"].value == pytest.approx(top / bottom)


@pytest.fixture(scope="module")
def chromosome():
    """Two maps of 40 bins, and one window that holds either whole."""
    generator = np.random.default_rng(2)
    first, second = (power_law_map(40, 400.0, generator) for _ in range(2))  # deep: no stratum is constant
    first[30:, :4] = first[:4, 30:] = second[30:, :4] = second[:4, 30:] = 0
    return first, second, distance_grid(np.array([20]), np.array([20]), 40)


@pytest.mark.parametrize("smoothing", [0, 2])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_window_as_large_as_its_chromosome_has_its_scc(chromosome, smoothing, mirrored):
    first, second, distance = chromosome
    valid = np.ones(40, bool)
    valid[[3, 17, 18]] = False
    found = WindowMapScores(MapScoreConfig(smoothing=smoothing, mirrored=mirrored))
    found.add(first[None], second[None], (valid[:, None] & valid)[None], distance)
    whole = scc(
        pixels_of(first, 10), pixels_of(second, 10), max_distance=400, smoothing=smoothing, valid=valid
    )
    assert found.estimates(np.zeros(1), 0)["scc"].value == pytest.approx(whole)


@pytest.mark.parametrize("smoothing", [0, 3])
def test_scc_equals_the_hicrep_package(chromosome, tmp_path, smoothing):
    import cooler

    bins = pd.DataFrame({"chrom": "chr1", "start": np.arange(40) * 10, "end": np.arange(1, 41) * 10})
    first, second, distance = chromosome
    for name, matrix in (("a", first), ("b", second)):
        pixels = pixels_of(matrix, 10)
        table = pd.DataFrame({"bin1_id": pixels.bin1, "bin2_id": pixels.bin2, "count": pixels.count})
        cooler.create_cooler(str(tmp_path / f"{name}.cool"), bins, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hicrep's own, on its way in and while it runs
        from hicrep import hicrepSCC

        sources = [cooler.Cooler(str(tmp_path / f"{name}.cool")) for name in "ab"]
        theirs = hicrepSCC(*sources, smoothing, 400, False)[0]
    found = WindowMapScores(MapScoreConfig(smoothing=smoothing))
    found.add(first[None], second[None], None, distance)
    assert found.estimates(np.zeros(1), 0)["scc"].value == pytest.approx(theirs, abs=1e-9)


def test_batches_do_not_matter():
    w = Windows(3)
    config = replace(CONFIG, subsample=100)
    whole, parts = w.scores(config), w.scores(config, batches=(0, 1, 1, 4, 6))
    assert len(whole) == len(parts) == 6
    one, two = (found.estimates(w.blocks, 0) for found in (whole, parts))
    for name in one:
        assert one[name].value == pytest.approx(two[name].value, rel=1e-12), name


def test_intervals_are_those_of_resampled_windows():
    x = 6 + 2 * np.arange(22)
    w = Windows(4, x, x + np.arange(22) % 3)
    draws = BootstrapConfig(draws=100)
    blocks = np.arange(22) // 3
    scores = WindowMapScores(CONFIG)
    scores.add(w.truth, w.prediction, w.mask, w.distance)
    found = scores.estimates(blocks, 5, draws)
    t, p = (np.minimum(np.where(w.once, v, np.nan), 20) / 20 for v in (w.truth, w.prediction))
    plain = block_bootstrap(metrics.pearson, [t, p], blocks, seed=5, config=draws)
    assert interval(found["pearson"]) == pytest.approx(interval(plain))

    def oe(truth, prediction, distance, once):
        part = type("Part", (), {"distance": distance})
        return log_oe(part, truth, prediction, once)

    plain = block_bootstrap(oe, [w.truth, w.prediction, w.distance, w.once], blocks, seed=5, config=draws)
    assert interval(found["log_oe_pearson"]) == pytest.approx(interval(plain))
    assert found["scc"].low < found["scc"].value < found["scc"].high
    assert np.isnan(found["spearman"].low)
    other = WindowMapScores(CONFIG)
    worse = w.prediction[::-1] + 1
    other.add(w.truth, worse, w.mask, w.distance)
    gain = paired_differences(scores, other, blocks, 5, draws)
    q = np.minimum(np.where(w.once, worse, np.nan), 20) / 20
    plain = paired_difference(metrics.r2, t, p, q, blocks, seed=5, config=draws)
    assert interval(gain["r2"]) == pytest.approx(interval(plain))
    assert gain["scc"].value == pytest.approx(
        found["scc"].value - other.estimates(blocks, 5, draws)["scc"].value
    )
    assert list(gain) == [name for name in found if name != "spearman"]


def interval(estimate):
    return [estimate.value, estimate.low, estimate.high, estimate.n, estimate.n_blocks]


def test_distance_alone_wins_nothing():
    w = Windows(6)
    mean = distance_mean(w.truth, w.distance, w.mask)
    found = w.scores(prediction=distance_mean_prediction(mean, w.distance)).estimates(w.blocks, 0)
    assert found["pearson"].value > 0.5
    assert np.isnan(found["log_oe_pearson"].value)
    unsmoothed = w.scores(replace(CONFIG, smoothing=0), prediction=distance_mean_prediction(mean, w.distance))
    assert np.isnan(unsmoothed.estimates(w.blocks, 0)["scc"].value)


def test_a_mirrored_pixel_counts_once_unless_asked_for():
    truth = np.arange(16.0).reshape(1, 4, 4)
    distance = distance_grid(np.array([5]), np.array([6]), 4)
    # Columns run one bin ahead of rows: (2, 0), (3, 0) and (3, 1) mirror (1, 1), (1, 2) and (2, 2).
    for mirrored, n in ((False, 13), (True, 16)):
        found = WindowMapScores(MapScoreConfig(insulation_width=None, mirrored=mirrored))
        found.add(truth, truth, None, distance)
        assert found.by_distance().n.sum() == n


def test_what_does_not_count_is_not_seen():
    w = Windows(7)
    before = w.scores().estimates(w.blocks, 0)
    hidden = ~(w.mask & np.isfinite(w.truth))
    after = w.scores(prediction=np.where(hidden, np.nan, w.prediction)).estimates(w.blocks, 0)
    assert {k: v.value for k, v in before.items()} == {k: v.value for k, v in after.items()}
    below = np.where(w.prediction < 1, -3.0, w.prediction)
    at_zero = np.where(w.prediction < 1, 0.0, w.prediction)
    first, second = (w.scores(prediction=p).estimates(w.blocks, 0) for p in (below, at_zero))
    assert {k: v.value for k, v in first.items()} == {k: v.value for k, v in second.items()}


def test_spearman_of_a_subsample_is_near_that_of_all():
    generator = np.random.default_rng(0)
    truth = generator.poisson(20.0, (40, 20, 20)).astype(float)
    prediction = truth + generator.normal(0, 4, truth.shape) + 20
    distance = np.repeat(distance_grid(np.array([0]), np.array([50]), 20), 40, axis=0)
    values = []
    for subsample in (2_000_000, 4_000):
        found = WindowMapScores(MapScoreConfig(subsample=subsample))
        found.add(truth, prediction, None, distance)
        values.append(found.estimates(np.zeros(40), 0)["spearman"].value)
    assert values[0] == pytest.approx(metrics.spearman(truth, prediction))
    assert values[1] == pytest.approx(values[0], abs=0.05)
    assert values[1] != values[0]


def test_windows_off_the_diagonal_have_no_insulation():
    w = Windows(8)
    found = WindowMapScores(CONFIG)
    far = slice(3, 6)
    found.add(w.truth[far], w.prediction[far], w.mask[far], w.distance[far])
    estimate = found.estimates(np.zeros(3), 0)["insulation"]
    assert np.isnan(estimate.value)
    assert estimate.n == 0


def test_wrong_use():
    w = Windows(9)
    found = WindowMapScores(CONFIG)
    with pytest.raises(DataError, match="0 windows were added, but 0 blocks"):
        found.estimates(np.zeros(0), 0)
    with pytest.raises(DataError, match="missing or infinite at"):
        found.add(w.truth, np.full_like(w.truth, np.nan), w.mask, w.distance)
    with pytest.raises(DataError, match=r"of one shape \(n, s, s\)"):
        found.add(w.truth, w.prediction, w.mask, w.distance[:2])
    with pytest.raises(DataError, match="no distances of windows"):
        found.add(w.truth, w.prediction, w.mask, w.distance[:, ::-1])
    with pytest.raises(DataError, match="true contacts go down to -1"):
        found.add(w.truth - w.truth - 1, w.prediction, w.mask, w.distance)
    with pytest.raises(DataError, match="needs square maps of 25 bins"):
        w.scores(MapScoreConfig(insulation_width=12))
    with pytest.raises(DataError, match="6 windows were added, but 5 blocks"):
        w.scores().estimates(np.zeros(5), 0)
    with pytest.raises(DataError, match="not scored alike"):
        paired_differences(w.scores(), Windows(10).scores(), w.blocks, 0)
    with pytest.raises(DataError, match="not scored alike"):
        paired_differences(w.scores(), w.scores(replace(CONFIG, clip=9.0)), w.blocks, 0)
    with pytest.raises(ConfigError, match="clip > 0"):
        MapScoreConfig(clip=0)
