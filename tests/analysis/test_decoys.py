import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from chromweave.analysis import decoys as decoys_module
from chromweave.analysis import tiles as tiles_module
from chromweave.analysis.decoys import decoy_pixels, permuted_pixels, permuted_residuals
from chromweave.analysis.enrichment import EnrichmentConfig, peak_enrichment
from chromweave.errors import ConfigError
from chromweave.evaluation.expected import expected_by_distance
from tests.fakes_maps import pixels_of, power_law_map, symmetric

# So many pseudocounts that nothing is told of the surroundings: distance alone says what to expect.
BLIND = EnrichmentConfig(pseudocount=1e15)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 30)


def dense(pixels):
    matrix = np.zeros((pixels.n_bins, pixels.n_bins), pixels.count.dtype)
    matrix[pixels.bin1, pixels.bin2] = pixels.count
    return matrix


def check_pixels(decoy, like, valid, n_diagonals):
    """A decoy is a table of pixels as any other, between usable bins and within its distances."""
    assert (decoy.n_bins, decoy.resolution) == (like.n_bins, like.resolution)
    assert decoy.bin1.dtype == decoy.bin2.dtype == np.int32
    assert (decoy.count > 0).all()
    assert valid[decoy.bin1].all()
    assert valid[decoy.bin2].all()
    away = decoy.bin2.astype(int) - decoy.bin1
    assert ((away >= 0) & (away < n_diagonals)).all()
    assert (np.diff(decoy.bin1.astype(int) * like.n_bins + decoy.bin2) > 0).all()


def by_distance(matrix, valid, distance, rows=slice(None)):
    """Sorted values of usable positions of a distance, of some rows."""
    i = np.arange(len(matrix) - distance)[rows]
    i = i[valid[i] & valid[i + distance]]
    return np.sort(matrix[i, i + distance])


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("bin1", "bin2", "count"))


def random_map(generator, n_bins, mean=1.0):
    matrix = symmetric(generator.poisson(mean, (n_bins, n_bins)))
    return pixels_of(matrix), matrix, generator.random(n_bins) > 0.2


@settings(max_examples=40, deadline=None)
@given(seeds, sizes, st.integers(0, 40), st.sampled_from([0.1, 1.0, 8.0]))
def test_permuted_pixels_keep_the_values_of_each_distance(seed, n_bins, n_diagonals, mean):
    generator = np.random.default_rng(seed)
    pixels, matrix, valid = random_map(generator, n_bins, mean)
    decoy = permuted_pixels(pixels, valid, n_diagonals, generator)
    check_pixels(decoy, pixels, valid, n_diagonals)
    assert decoy.count.dtype == pixels.count.dtype
    for distance in range(min(n_diagonals, n_bins)):
        np.testing.assert_array_equal(
            by_distance(dense(decoy), valid, distance), by_distance(matrix, valid, distance)
        )


def test_permuted_pixels_by_hand():
    """One usable position is left at distance 2, so that its value cannot move; the diagonal is 1, 2, 3."""
    matrix = symmetric(np.array([[1, 9, 5, 7], [0, 9, 9, 7], [0, 0, 2, 7], [0, 0, 0, 3]]))
    valid = np.array([True, False, True, True])
    found = [
        dense(permuted_pixels(pixels_of(matrix), valid, 3, np.random.default_rng(seed))) for seed in range(40)
    ]
    assert {tuple(decoy.diagonal()) for decoy in found} == {
        (a, 0, b, c) for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3) if len({a, b, c}) == 3
    }
    for decoy in found:
        assert decoy[0, 2] == 5
        assert decoy[2, 3] == 7
        assert decoy.sum() == 1 + 2 + 3 + 5 + 7


def test_permuted_pixels_fall_anywhere():
    """One contact at distance 1 of four positions: each gets it in a quarter of 400 decoys (sd 9)."""
    matrix = np.zeros((5, 5), int)
    matrix[0, 1] = 1
    generator = np.random.default_rng(0)
    rows = [permuted_pixels(pixels_of(matrix), np.ones(5, bool), 3, generator).bin1 for _ in range(400)]
    assert (abs(np.bincount(np.concatenate(rows), minlength=5) - [100, 100, 100, 100, 0]) < 35).all()


@settings(max_examples=20, deadline=None)
@given(seeds, sizes, st.integers(1, 40), st.sampled_from([0.1, 3.0, 400.0]), st.integers(3, 40))
def test_permuted_residuals_are_pixels_of_the_map(seed, n_bins, n_diagonals, mean, rows):
    generator = np.random.default_rng(seed)
    pixels, _, valid = random_map(generator, n_bins, mean)
    weight = np.where(valid, generator.uniform(0.5, 2, n_bins), np.nan)
    expected = expected_by_distance(pixels, n_diagonals, weight=weight)
    expected[generator.random(n_diagonals) < 0.1] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles_module, "ROWS", rows)
        decoy = permuted_residuals(pixels, expected, generator, weight=weight)
    check_pixels(decoy, pixels, valid, n_diagonals)
    assert decoy.count.dtype == np.int64
    assert (expected[decoy.bin2 - decoy.bin1] > 0).all()
    assert decoy.count.max(initial=0) < 30 * (mean + 3)


@pytest.mark.parametrize("mean", [0.05, 2.0, 30.0, 700.0, 20_000.0])
@pytest.mark.parametrize("dispersion", [0.05, 0.2])
def test_where_distance_says_all_the_counts_change_places(monkeypatch, mean, dispersion):
    """Surprises are a permutation, and where all means are equal a surprise is a count.

    The map is more dispersed than the noise assumed, and two pixels are far out: tails are exact, however
    small. Counts change places within each distance and tile.
    """
    monkeypatch.setattr(tiles_module, "ROWS", 16)
    monkeypatch.setattr(decoys_module, "RAREST", 0.0)
    generator = np.random.default_rng(int(mean))
    matrix = symmetric(generator.poisson(mean * generator.gamma(5, 1 / 5, (40, 40))))
    matrix[3, 9], matrix[4, 11] = 0, 8 * mean + 8
    valid = generator.random(40) > 0.2
    valid[[3, 9, 4, 11]] = True
    law = np.full(25, mean)
    config = EnrichmentConfig(dispersion=dispersion, pseudocount=1e15)
    decoy = permuted_residuals(pixels_of(matrix), law, generator, valid=valid, config=config)
    check_pixels(decoy, pixels_of(matrix), valid, 25)
    for first in range(0, 40, 16):
        for distance in range(25):
            before, after = (
                by_distance(values, valid, distance, slice(first, first + 16))
                for values in (matrix, dense(decoy))
            )
            np.testing.assert_array_equal(after, before)
    if mean > 1:
        assert (matrix[decoy.bin1, decoy.bin2] != decoy.count).mean() > 0.5


def test_pixels_too_bright_for_noise_are_scattered_with_a_brightness_that_noise_has():
    """2,000 contacts where 20 are expected: nowhere in the decoy is more than one in a thousand would be.

    The others, and a pixel too dim for noise, change places as they are.
    """
    generator = np.random.default_rng(2)
    matrix = symmetric(np.minimum(generator.poisson(20.0, (60, 60)), 40))
    bright = [(5, 30), (12, 37), (20, 45)]  # three of one distance
    for x, y in bright:
        matrix[x, y] = matrix[y, x] = 2_000
    matrix[8, 33] = matrix[33, 8] = 0
    law = np.full(60, 20.0)
    config = EnrichmentConfig(dispersion=0.01, pseudocount=1e15)
    decoy = dense(permuted_residuals(pixels_of(matrix), law, generator, config=config))
    size, p = 100.0, 1 / 1.2
    least, most = nbinom.isf(1e-3, size, p), nbinom.isf(1e-9, size, p)
    before, after = (by_distance(values, np.ones(60, bool), 25, slice(0, 60)) for values in (matrix, decoy))
    np.testing.assert_array_equal(after[:-3], before[:-3])
    assert after[0] == 0
    assert ((least <= after[-3:]) & (after[-3:] < most)).all()


def test_surprises_beyond_every_number_stay_on_their_side(monkeypatch):
    """With next to Poisson's variance 0 and 900 are both below 1e-300 at mean 20,000 and 1."""
    monkeypatch.setattr(decoys_module, "RAREST", 0.0)
    config = EnrichmentConfig(dispersion=1e-6, pseudocount=1e15)
    for count, mean in ((0, 20_000.0), (900, 1.0)):
        matrix = np.diag(np.full(9, count))
        decoy = permuted_residuals(
            pixels_of(matrix), np.full(1, mean), np.random.default_rng(0), config=config
        )
        assert len(decoy) == 9
        assert ((decoy.count < 0.9 * mean) if count < mean else (decoy.count > 100 * mean)).all()


def test_a_count_takes_its_surprise_to_another_mean():
    """Two positions at distance 1: 4 contacts where 1 is expected, and none where 16 are.

    The surprise of 4 at mean 1 is a tail of P(X > 4) to P(X >= 4): at mean 16 it is a count whose own tail
    holds it. None at mean 16 has a tail below P(X = 0) = (1 + 0.05 x 16)^-20 = 8e-6: none at mean 1.
    """
    from scipy.stats import nbinom

    weight = np.array([4.0, 0.25, 0.25])
    matrix = np.zeros((3, 3), int)
    matrix[0, 1] = 4
    law = np.array([np.nan, 1.0])
    low, high = nbinom.sf([4, 3], 20, 1 / (1 + 0.05))
    p = 1 / (1 + 0.05 * 16)
    allowed = range(int(nbinom.isf(high, 20, p)), int(nbinom.isf(low, 20, p)) + 1)
    seen = set()
    for seed in range(60):
        decoy = dense(
            permuted_residuals(
                pixels_of(matrix), law, np.random.default_rng(seed), weight=weight, config=BLIND
            )
        )
        if decoy[0, 1]:
            assert (decoy[0, 1], decoy[1, 2]) == (4, 0)  # both stayed
        else:
            seen.add(int(decoy[1, 2]))
    assert len(seen) > 3
    assert seen <= set(allowed)


@pytest.mark.parametrize("mean", [0.3, 5.0, 300.0])
def test_residuals_keep_the_number_of_contacts(mean):
    """Places and surprises are drawn apart: the mean count of a place is kept to the backgrounds' noise.

    A ratio of two means with a relative variance of some 1 / (48 mean) is by that above 1 on average.
    """
    generator = np.random.default_rng(1)
    matrix = symmetric(generator.poisson(mean, (150, 150)))
    pixels = pixels_of(matrix)
    law = expected_by_distance(pixels, 60)
    total = np.triu(np.tril(matrix, 59)).sum()
    decoys = [permuted_residuals(pixels, law, np.random.default_rng(seed)) for seed in range(4)]
    bias, noise = 1 / (48 * mean), 4 * np.sqrt(2 * total / 4) / total
    assert abs(np.mean([decoy.count.sum() for decoy in decoys]) / total - 1) < bias + noise
    # And as a whole it is as rough as the map: variance of counts within 5 %, plus the backgrounds' noise.
    i, j = np.indices(matrix.shape)
    band = (j >= i) & (j - i < 60)
    variance = np.mean([dense(decoy)[band].var() for decoy in decoys])
    assert variance == pytest.approx(matrix[band].var(), rel=0.1)


def landscape(generator, n_bins=120, depth=12.0):
    """A domain twice as bright at bins 40 to 79, and a peak in it at (48, 70)."""
    i, j = np.indices((n_bins, n_bins))
    gain = np.where((i >= 40) & (j < 80), 2.0, 1.0)
    peak = 5 * np.exp(-((i - 48) ** 2 + (j - 70) ** 2) / 2)
    rate = depth * gain * (1 + peak)
    return pixels_of(symmetric(generator.poisson(rate))), rate


@pytest.mark.parametrize("seed", range(3))
def test_residuals_keep_domains_and_scatter_peaks(seed):
    generator = np.random.default_rng(seed)
    pixels, _ = landscape(generator)
    law = expected_by_distance(pixels, 100)
    decoy = permuted_residuals(pixels, law, generator)
    matrix = dense(decoy)
    i, j = np.indices(matrix.shape)
    band = (j - i >= 5) & (j - i < 25)
    # 4 bins off the border, where backgrounds of 8 bins see both sides.
    inside = band & (i >= 44) & (j < 76)
    outside = band & ((j < 36) | (i >= 84))
    assert matrix[inside].mean() / matrix[outside].mean() == pytest.approx(2.0, rel=0.1)
    score = [peak_enrichment(of, [48], [70], law).score[0] for of in (pixels, decoy)]
    assert score[0] > 10
    assert abs(score[1]) < 3.5
    # Nor does it stand anywhere else: single pixels of it are still bright, each on its own.
    x, y = np.nonzero((j - i >= 10) & (j - i < 80))
    assert peak_enrichment(decoy, x, y, law).score.max() < 0.5 * score[0]


def test_permuted_pixels_scatter_domains_too():
    generator = np.random.default_rng(3)
    pixels, _ = landscape(generator)
    matrix = dense(permuted_pixels(pixels, np.ones(120, bool), 100, generator))
    i, j = np.indices(matrix.shape)
    band = (j - i >= 5) & (j - i < 25)
    inside, outside = band & (i >= 44) & (j < 76), band & ((j < 36) | (i >= 84))
    assert matrix[inside].mean() / matrix[outside].mean() == pytest.approx(1.0, rel=0.1)


def test_residuals_keep_what_visibility_explains():
    """A bin that is seen four times as well stays so, in a map of nothing but distance and visibility."""
    generator = np.random.default_rng(4)
    weight = np.ones(100)
    weight[50] = 0.25
    i, j = np.indices((100, 100))
    rate = 20 / np.sqrt(1.0 + abs(j - i)) / (weight[i] * weight[j])
    pixels = pixels_of(symmetric(generator.poisson(rate)))
    law = expected_by_distance(pixels, 60, weight=weight)
    matrix = dense(permuted_residuals(pixels, law, generator, weight=weight))
    row, beside = (matrix[k, k + 1 : k + 50].sum() for k in (50, 51))
    assert row / beside == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize("kind", ["residuals", "pixels"])
def test_seeds(kind):
    pixels = pixels_of(power_law_map(50, 20.0, np.random.default_rng(5)))
    law, valid = expected_by_distance(pixels, 40), np.ones(50, bool)

    def decoy(seed):
        generator = np.random.default_rng(seed)
        return decoy_pixels(kind, pixels, law, generator, weight=None, valid=valid, config=EnrichmentConfig())

    assert same(decoy(1), decoy(1))
    assert not same(decoy(1), decoy(2))
    assert not same(decoy(1), pixels)


def test_kinds():
    generator = np.random.default_rng(6)
    pixels, _, valid = random_map(generator, 40, 5.0)
    law, config = expected_by_distance(pixels, 30, valid=valid), EnrichmentConfig(0.8, 2, 6)
    weight = np.where(valid, 1.3, np.nan)

    def decoy(kind):
        seeded = np.random.default_rng(7)
        return decoy_pixels(kind, pixels, law, seeded, weight=weight, valid=valid, config=config)

    assert same(decoy("pixels"), permuted_pixels(pixels, valid, 30, np.random.default_rng(7)))
    residuals = permuted_residuals(
        pixels, law, np.random.default_rng(7), weight=weight, valid=valid, config=config
    )
    assert same(decoy("residuals"), residuals)
    with pytest.raises(ConfigError, match="'residuals' or 'pixels', not 'rotated'"):
        decoy("rotated")


@pytest.mark.parametrize("kind", ["residuals", "pixels"])
@pytest.mark.parametrize(
    ("matrix", "valid", "law"),
    [
        (np.zeros((30, 30), int), np.ones(30, bool), np.zeros(20)),
        (np.ones((30, 30), int), np.zeros(30, bool), np.full(20, np.nan)),
        (np.ones((30, 30), int), np.ones(30, bool), np.zeros(0)),
        (np.zeros((1, 1), int), np.ones(1, bool), np.zeros(1)),
        (np.ones((1, 1), int), np.zeros(1, bool), np.full(5, np.nan)),
    ],
    ids=["no contacts", "all masked", "no distances", "one empty bin", "one masked bin"],
)
def test_nothing_gives_nothing(kind, matrix, valid, law):
    decoy = decoy_pixels(
        kind,
        pixels_of(matrix),
        law,
        np.random.default_rng(8),
        weight=None,
        valid=valid,
        config=EnrichmentConfig(),
    )
    assert len(decoy) == 0
    check_pixels(decoy, pixels_of(matrix), valid, len(law))


@pytest.mark.parametrize("kind", ["residuals", "pixels"])
def test_a_chromosome_of_one_bin_stays_as_it_is(kind):
    decoy = decoy_pixels(
        kind,
        pixels_of(np.array([[3]])),
        np.array([3.0, np.nan]),
        np.random.default_rng(9),
        weight=None,
        valid=np.ones(1, bool),
        config=EnrichmentConfig(),
    )
    assert (decoy.bin1.tolist(), decoy.bin2.tolist(), decoy.count.tolist()) == ([0], [0], [3])


def test_residuals_take_shapes_from_the_resolution():
    pixels = pixels_of(power_law_map(50, 40.0, np.random.default_rng(10)), resolution=10_000)
    law = expected_by_distance(pixels, 40)
    default, stated, other = (
        permuted_residuals(pixels, law, np.random.default_rng(11), config=config)
        for config in (None, EnrichmentConfig.of_resolution(10_000), EnrichmentConfig())
    )
    assert same(default, stated)
    assert not same(default, other)
