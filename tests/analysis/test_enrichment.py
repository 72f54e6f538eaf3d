import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chromweave.analysis import tiles as tiles_module
from chromweave.analysis.enrichment import EnrichmentConfig, background_ratio, peak_enrichment
from chromweave.analysis.tiles import tiles
from chromweave.errors import ConfigError, DataError
from chromweave.evaluation.expected import expected_by_distance
from tests.fakes_maps import pixels_of, symmetric

# The Gaussian of this width is 1/2 at the pixels beside the peak's, and what lies further is no part of it.
HALVES = EnrichmentConfig(1 / np.sqrt(2 * np.log(2)), 1, 2)


def one_bright_pixel():
    """Everywhere 1 contact, of which 1 is expected; 10 at (10, 25)."""
    matrix = np.ones((40, 40), int)
    matrix[10, 25] = 10
    return pixels_of(symmetric(matrix))


def test_score_by_hand():
    """The kernel sums to 2 x 2 = 4, its square to 1.5 x 1.5 = 2.25; on the peak lie 3 + 10 contacts."""
    found = peak_enrichment(one_bright_pixel(), [10], [25], np.ones(40), config=HALVES)
    unit, spread = 4 / 2.25, 0.05 * 2.25 / 4**2
    seen, told = (np.arcsinh(np.sqrt(spread * (c * unit + 3 / 8))) for c in (13, 4))
    np.testing.assert_allclose(found.score, [2 / np.sqrt(spread) * (seen - told)])
    np.testing.assert_allclose(found.background, [1.0])


@pytest.mark.parametrize(
    ("x", "y", "background"),
    [
        # The donut has 25 - 9 - 4 = 12 pixels and the lower-left quarter 4 - 1 = 3; each is given one more.
        (8, 27, (3 + 9 + 1) / 4),  # two rows below and two columns before: both
        (9, 27, (3 + 9 + 1) / 4),
        (8, 26, (3 + 9 + 1) / 4),
        (12, 27, (12 + 9 + 1) / 13),  # the other quarters: the donut alone
        (12, 23, (12 + 9 + 1) / 13),
        (8, 23, (12 + 9 + 1) / 13),
        (11, 27, (12 + 9 + 1) / 13),
        (10, 27, 1.0),  # own row and own column: neither
        (8, 25, 1.0),
        (9, 26, 1.0),  # the peak: neither
        (13, 25, 1.0),  # beyond
        (7, 28, 1.0),
    ],
)
def test_which_background_the_bright_pixel_is_part_of(x, y, background):
    found = peak_enrichment(one_bright_pixel(), [x], [y], np.ones(40), config=HALVES)
    np.testing.assert_allclose(found.background, [background])


def reference(matrix, x, y, by_distance, weight, config):
    """Score and background of one pixel, read off the docstring entry by entry."""
    n = len(matrix)

    def at(i, j):
        """Counts and expectation of an entry, or nothing."""
        if not (0 <= i <= j < n and j - i < len(by_distance)):
            return 0.0, 0.0
        expected = by_distance[j - i] / (weight[i] * weight[j])
        return (float(matrix[i, j]), expected) if expected > 0 else (0.0, 0.0)

    around = range(-config.background_radius, config.background_radius + 1)
    donut, quarter, peak = np.zeros(2), np.zeros(2), np.zeros(4)
    for down in around:
        for right in around:
            count, expected = at(x + down, y + right)
            if max(abs(down), abs(right)) <= config.peak_radius:
                k = np.exp(-0.5 * (down**2 + right**2) / config.peak_width**2)
                peak += k * count, k * expected, k**2 * expected, k**2 * expected**2
            elif down and right:
                donut += count, expected
                quarter += (count, expected) if down > 0 > right else (0, 0)
    if not at(x, y)[1] > 0:
        return np.nan, np.nan
    a = config.pseudocount
    ratio = max((count + a) / (expected + a) for count, expected in (donut, quarter))
    seen, mean, poisson, squares = peak
    f = config.dispersion * squares / mean**2
    told = ratio * mean
    scale = told / (ratio * poisson)
    score = np.subtract(
        *(2 * np.arcsinh(np.sqrt(f * (m * scale + 3 / 8))) / np.sqrt(f) for m in (seen, told))
    )
    return score, ratio * at(x, y)[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3), st.integers(1, 4))
def test_agrees_with_a_direct_reading(seed, n_bins, radius, beyond):
    generator = np.random.default_rng(seed)
    matrix = symmetric(generator.poisson(generator.choice([0.2, 4.0, 300.0]), (n_bins, n_bins)))
    weight = np.where(generator.random(n_bins) < 0.15, np.nan, generator.uniform(0.5, 2, n_bins))
    by_distance = 10 * generator.random(generator.integers(1, 45))
    by_distance[generator.random(len(by_distance)) < 0.1] = np.nan
    config = EnrichmentConfig(generator.uniform(0.4, 2), radius, radius + beyond, 0.1, 0.5)
    x, y = np.sort(generator.integers(0, n_bins, (2, 12)), axis=0)
    expected = np.array(
        [reference(matrix, *at, by_distance, weight, config) for at in zip(x, y, strict=True)]
    )
    for rows in (5, n_bins):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiles_module, "ROWS", rows)
            found = peak_enrichment(pixels_of(matrix), x, y, by_distance, weight=weight, config=config)
        np.testing.assert_allclose(found.score, expected[:, 0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(found.background, expected[:, 1], rtol=1e-9)


def flat(counts, n_diagonals):
    """Pixels within `n_diagonals` of a square of counts, and all pixels to score: whole backgrounds only."""
    i, j = np.indices(counts.shape)
    band = (j >= i) & (j - i < n_diagonals)
    x, y = np.nonzero((j - i >= 16) & (j - i < n_diagonals - 16) & (i >= 8) & (j < len(counts) - 8))
    return pixels_of(np.where(band, counts, 0)), x, y


@pytest.mark.parametrize("mean", [2.0, 10.0, 200.0])
@pytest.mark.parametrize("dispersion", [None, 0.05, 0.2])
def test_nearly_standard_normal_where_nothing_stands_out(mean, dispersion):
    """What is tested is a Gaussian over 18 pixels, effectively, against the noise of the backgrounds.

    The donut has 192 pixels, its lower-left quarter 48: of variance 18/192 = 0.09 and 18/48 = 0.37 in units
    of the score's. The larger of the two lies above the truth by sd(quarter - donut) / sqrt(2 pi) = 0.21, as
    quarter - donut is 3/4 of quarter - rest, of variance 9/16 (18/48 + 18/144). Their larger one adds 0.1 to
    0.37 to the score's variance. Of 18-pixel peaks some 700 fit into the map: sd / sqrt(700) = 0.04.
    """
    generator = np.random.default_rng(int(mean) + (dispersion is None))
    gamma = 1.0 if dispersion is None else generator.gamma(1 / dispersion, dispersion, (240, 240))
    pixels, x, y = flat(generator.poisson(mean * gamma * np.ones((240, 240))), 120)
    # Poisson's variance alone has (nearly) no dispersion.
    config = EnrichmentConfig(dispersion=dispersion or 1e-9)
    score = peak_enrichment(pixels, x, y, np.full(120, mean), config=config).score
    assert len(score) > 12_000
    assert score.mean() == pytest.approx(-0.21, abs=0.12)
    assert 1.0 < score.std() < 1.25
    assert (score > 5).mean() < 1e-3


def test_visibility_explains_itself():
    """Contacts three times as many as expected, to the last digit: nothing stands out at any weight."""
    generator = np.random.default_rng(3)
    weight = np.where(generator.random(60) < 0.1, np.nan, generator.uniform(0.3, 3, 60))
    by_distance = 100 / (1.0 + np.arange(60))
    i, j = np.triu_indices(60)
    matrix = np.zeros((60, 60))
    matrix[i, j] = 3 * by_distance[j - i] / (weight[i] * weight[j])
    pixels = pixels_of(np.nan_to_num(matrix))
    config = EnrichmentConfig(pseudocount=1e-12)
    found = peak_enrichment(pixels, i, j, by_distance, weight=weight, config=config)
    masked = np.isnan(weight[i]) | np.isnan(weight[j])
    # The main diagonal's own pixels and their nearest neighbours have no lower-left quarter, but a donut.
    np.testing.assert_allclose(found.score[~masked], 0, atol=1e-6)
    np.testing.assert_allclose(found.background[~masked], matrix[i, j][~masked], rtol=1e-9)
    assert np.isnan(found.score[masked]).all()
    assert np.isnan(found.background[masked]).all()


def test_what_is_masked_takes_no_part():
    """Contacts of masked bins, and distances of which nothing is expected, change no score."""
    generator = np.random.default_rng(4)
    matrix = symmetric(generator.poisson(5.0, (50, 50)))
    valid = generator.random(50) > 0.2
    by_distance = np.where(np.arange(50) == 20, np.nan, 5.0)
    x, y = np.triu_indices(50)
    found = peak_enrichment(pixels_of(matrix), x, y, by_distance, valid=valid)
    known = valid[x] & valid[y] & (y - x != 20)
    np.testing.assert_array_equal(np.isnan(found.score), ~known)
    i, j = np.indices(matrix.shape)
    matrix[~np.outer(valid, valid) | (j - i == 20)] = 999
    again = peak_enrichment(pixels_of(matrix), x, y, by_distance, valid=valid)
    np.testing.assert_array_equal(again.score, found.score)


def planted(kind, gain=3.0, n_bins=100, depth=20.0):
    """A map of `depth` everywhere with something `gain` times as bright that reaches (30, 70)."""
    i, j = np.indices((n_bins, n_bins))
    bright = {
        "peak": (abs(i - 30) <= 1) & (abs(j - 70) <= 1),
        "domain": (i >= 30) & (j <= 70),
        "row": i == 30,
        "column": j == 70,
        "broad row": abs(i - 30) <= 1,
        "broad column": abs(j - 70) <= 1,
        "nothing": i < 0,
    }[kind]
    return pixels_of(np.where((j >= i) & bright, gain * depth, depth))


@pytest.mark.parametrize("resolution", [5_000, 10_000])
def test_a_peak_stands_out_and_the_corner_of_a_domain_does_not(resolution):
    """A stripe of one bin fills a third of the peak; one of three scores less, if only a little."""
    config = EnrichmentConfig.of_resolution(resolution)

    def score(kind):
        return peak_enrichment(planted(kind), [30], [70], np.full(100, 20.0), config=config).score[0]

    peak = score("peak")
    assert peak > 8
    assert score("nothing") == pytest.approx(0, abs=1e-9)
    assert score("domain") < 0
    for direction in ("row", "column"):
        assert 0 < score(direction) < 0.75 * peak
        assert score(direction) < score(f"broad {direction}") < peak


def test_a_peak_inside_a_domain_is_held_against_the_domain():
    domain = planted("domain")
    matrix = np.zeros((100, 100))
    matrix[domain.bin1, domain.bin2] = domain.count
    matrix[44:47, 59:62] *= 2
    found = peak_enrichment(pixels_of(matrix), [45, 45], [60, 50], np.full(100, 20.0))
    np.testing.assert_allclose(found.background, 60.0, rtol=0.05)
    assert found.score[0] > 8
    assert abs(found.score[1]) < 1


def test_backgrounds_are_whole_16_bins_before_the_last_distance():
    """``expected`` is to reach 2 background_radius bins further than the pixels that are scored."""
    generator = np.random.default_rng(5)
    matrix = symmetric(generator.poisson(5.0, (80, 80)))
    x, y = np.nonzero(np.triu(np.ones((80, 80))) * (np.arange(80) - np.arange(80)[:, None] < 40))
    long, short = (
        peak_enrichment(pixels_of(matrix), x, y, np.full(reach, 5.0), config=EnrichmentConfig()).score
        for reach in (80, 40)
    )
    whole = y - x < 40 - 16
    np.testing.assert_allclose(short[whole], long[whole], rtol=1e-9, atol=1e-9)
    assert np.isfinite(short).all()
    assert (abs(short - long)[y - x == 40 - 16] > 1e-6).any()


def test_pixels_beyond_the_expectation_have_no_score():
    matrix = np.ones((90, 90), int)
    found = peak_enrichment(pixels_of(matrix), [3, 3, 3, 3, 50], [22, 23, 60, 89, 40], np.ones(20))
    assert np.isfinite(found.score).tolist() == [True, False, False, False, False]
    np.testing.assert_array_equal(np.isfinite(found.background), np.isfinite(found.score))


def test_the_last_rows_and_columns_are_scored(monkeypatch):
    """Turned end for end, a map has the same peaks: rows become columns, the last tile the first."""
    monkeypatch.setattr(tiles_module, "ROWS", 16)
    generator = np.random.default_rng(6)
    matrix = symmetric(generator.poisson(8.0, (45, 45)))
    weight = generator.uniform(0.5, 2, 45)
    x, y = np.triu_indices(45)
    by_distance = 20 / (1.0 + np.arange(45))
    found = peak_enrichment(pixels_of(matrix), x, y, by_distance, weight=weight)
    turned = peak_enrichment(pixels_of(matrix[::-1, ::-1]), 44 - y, 44 - x, by_distance, weight=weight[::-1])
    assert np.isfinite(found.score).all()
    np.testing.assert_allclose(turned.score, found.score, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_chromosome_of_one_bin(count):
    pixels = pixels_of(np.full((1, 1), count))
    found = peak_enrichment(pixels, [0], [0], np.ones(1))
    # Kernel 1 throughout; background (0 + 1) / (0 + 1).
    seen, told = (np.arcsinh(np.sqrt(0.05 * (c + 3 / 8))) for c in (count, 1))
    np.testing.assert_allclose(found.score, [2 / np.sqrt(0.05) * (seen - told)])
    assert found.background.tolist() == [1.0]


def test_nothing_known_nothing_scored():
    pixels = pixels_of(np.zeros((30, 30), int))
    masked = peak_enrichment(pixels, [3], [9], np.ones(30), valid=np.zeros(30, bool))
    empty = peak_enrichment(pixels, [3], [9], expected_by_distance(pixels, 30))
    for found in (masked, empty):
        assert np.isnan(found.score).all()
        assert np.isnan(found.background).all()
    none = peak_enrichment(pixels, np.empty(0, int), np.empty(0, int), np.ones(30))
    assert none.score.shape == none.background.shape == (0,)


def test_background_ratio_by_hand():
    """At (8, 27) of one bright pixel at (10, 25): the lower-left quarter, 13 / 4; at (12, 27) the donut."""
    (tile,) = tiles(one_bright_pixel(), np.ones(40), margin=2)
    ratio = background_ratio(tile, HALVES)
    assert ratio.shape == tile.count.shape
    np.testing.assert_allclose(ratio[8 + 2, 27 + 2], 13 / 4)
    np.testing.assert_allclose(ratio[12 + 2, 27 + 2], 22 / 13)


@pytest.mark.parametrize(
    ("resolution", "shape"),
    [
        (1_000, (1.2, 4, 8)),
        (5_000, (1.2, 4, 8)),
        (7_500, (1.2, 4, 8)),
        (10_000, (0.8, 2, 6)),
        (15_000, (0.8, 2, 6)),
        (25_000, (0.6, 1, 5)),
        (100_000, (0.6, 1, 5)),
    ],
)
def test_shapes_follow_the_resolution(resolution, shape):
    config = EnrichmentConfig.of_resolution(resolution)
    assert (config.peak_width, config.peak_radius, config.background_radius) == shape
    matrix = symmetric(np.random.default_rng(7).poisson(5.0, (40, 40)))
    default, stated = (
        peak_enrichment(pixels_of(matrix, resolution), [10], [30], np.full(40, 5.0), config=given)
        for given in (None, config)
    )
    assert default.score == stated.score


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"peak_width": 0.0}, "peak_width > 0"),
        ({"peak_width": np.nan}, "peak_width > 0"),
        ({"peak_radius": 0}, "1 <= peak_radius"),
        ({"peak_radius": 8}, "peak_radius < background_radius"),
        ({"background_radius": 3}, "not 1.2, 4 and 3"),
        ({"dispersion": 0.0}, "dispersion > 0"),
        ({"dispersion": -1.0}, "dispersion > 0"),
        ({"pseudocount": 0.0}, "pseudocount > 0"),
    ],
)
def test_config_is_checked(settings, says):
    with pytest.raises(ConfigError, match=says):
        EnrichmentConfig(**settings)


def test_weights_of_another_chromosome_are_refused():
    with pytest.raises(DataError, match="valid has 3 values"):
        peak_enrichment(pixels_of(np.ones((4, 4), int)), [0], [1], np.ones(4), valid=np.ones(3, bool))
