"""Balanced squares, scales and binned tracks, worked out by hand."""

import numpy as np
import pytest

from chromweave.data.layers import ContactLayer, TrackLayer
from chromweave.data.layouts import pack_band, pack_every_distance
from chromweave.errors import ConfigError, DataError, ResolutionError, WeightError
from chromweave.io.pixels import Pixels

MATRIX = np.array([[4, 2, 0, 1], [2, 6, 3, 0], [0, 3, 8, 5], [1, 0, 5, 2]])


def layer(band=None, **weights):
    bin1, bin2 = np.nonzero(np.triu(MATRIX))
    pixels = Pixels(bin1.astype(np.int32), bin2.astype(np.int32), MATRIX[bin1, bin2], 4, 5000)
    weights = weights or {"weight": np.array([0.5, 1.0, np.nan, 2.0])}
    return ContactLayer(
        "chr1",
        5000,
        pack_every_distance(pixels) if band is None else pack_band(pixels, band),
        weights,
        dict.fromkeys(weights, 10.0),
    )


def test_balanced_square_by_hand():
    nan = np.nan
    expected = [[1, 1, nan, 1], [1, 6, nan, 0], [nan] * 4, [1, 0, nan, 8]]
    np.testing.assert_array_equal(layer().dense(weight="weight"), expected)
    np.testing.assert_array_equal(layer().dense(weight="default", scaled=True), np.multiply(expected, 10))
    np.testing.assert_array_equal(layer().dense(), MATRIX)
    np.testing.assert_array_equal(layer().dense(1, 3), [[6, 3], [3, 8]])


def test_beyond_the_band_is_unknown_and_not_zero():
    np.testing.assert_array_equal(
        np.isnan(layer(band=2).dense()), np.abs(np.subtract.outer(np.arange(4), np.arange(4))) >= 2
    )


@pytest.mark.parametrize("band", [None, 4])
def test_pixels(band):
    pixels = layer(band).pixels()
    assert list(zip(pixels.bin1, pixels.bin2, pixels.count, strict=True)) == [
        (0, 0, 4), (0, 1, 2), (0, 3, 1), (1, 1, 6), (1, 2, 3), (2, 2, 8), (2, 3, 5), (3, 3, 2),
    ]  # fmt: skip
    assert pixels.bin1.dtype == np.int32
    near = layer(band).pixels(max_distance=10_000)
    assert (near.bin2 - near.bin1).max() == 1
    assert near.count.sum() == 4 + 2 + 6 + 3 + 8 + 5 + 2


def test_a_narrow_band_does_not_pretend_to_be_wide():
    with pytest.raises(ResolutionError, match="up to 10,000 bp from the diagonal, and 15,000 bp is asked"):
        layer(band=2).pixels(max_distance=15_000)
    assert len(layer(band=2).pixels(max_distance=10_000)) == 7
    assert len(layer(band=4).pixels(max_distance=2_000_000)) == 8  # the whole chromosome is there


def test_weights_and_masks():
    both = layer(KR=np.ones(4), VC=np.array([np.nan, 1, 1, 1]))
    assert both.weight_names == ("KR", "VC")
    assert both.valid().tolist() == [True] * 4
    assert both.valid("VC").tolist() == [False, True, True, True]
    assert both.scale("VC") == 10
    with pytest.raises(WeightError, match="no weights 'ICE' in this store; it has KR, VC"):
        both.weight("ICE")


def test_bins_outside_the_chromosome_are_refused():
    for start, end in ((-1, 2), (0, 5), (3, 2)):
        with pytest.raises(DataError, match="not inside chr1, which has 4 bins"):
            layer().dense(start, end)


def track_layer():
    return TrackLayer(
        "ATAC",
        "chr1",
        450,
        np.array([1, np.nan, 3, 5, 8], np.float16),
        np.array([100, 0, 50, 100, 25], np.uint8),
    )


def test_a_track_in_wider_bins_weighs_by_coverage():
    binned = track_layer().binned(200)
    np.testing.assert_allclose(binned.mean, [1, (3 * 50 + 5 * 100) / 150, 8], rtol=1e-6)
    np.testing.assert_allclose(binned.coverage, [0.5, 0.75, 0.5])  # the last bin is 50 bp long
    assert binned.mean.dtype == binned.coverage.dtype == np.float32
    np.testing.assert_array_equal(track_layer().binned(100).mean, [1, np.nan, 3, 5, 8])


@pytest.mark.parametrize("resolution", [150, 0, -100])
def test_tracks_go_by_hundreds(resolution):
    with pytest.raises(ConfigError, match="no multiple"):
        track_layer().binned(resolution)
