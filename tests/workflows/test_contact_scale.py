"""Contacts from what a contact model gives: values by hand, there and back, expectation by brute force."""

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError, DataError, ModelError
from chromweave.workflows.contact_scale import ContactScale, mean_expected
from tests.fakes import build_fake, random_contacts

LOG2 = np.log(2)
NONE = np.zeros(0)


def scale_of(contacts, expected=NONE, **transform):
    return ContactScale(WindowTransform(contacts=contacts, **transform), np.asarray(expected, float))


# --- one value at a time


@pytest.mark.parametrize(
    ("scale", "value", "expected"),
    [
        (scale_of("clip"), [[0, 0.5, 1, -0.2]], [[0, 127.5, 255, 0]]),
        (scale_of("clip", clip=10.0), [[0.25]], [[2.5]]),
        (scale_of("log1p"), [[0, 0.5, 1, -0.2]], [[0, 15, 255, 0]]),  # (1 + 255) ^ value - 1
        (scale_of("log1p", clip=8.0), [[0.5, 1]], [[2, 8]]),
    ],
)
def test_scaled_contacts_by_hand(scale, value, expected):
    value = np.array(value)
    found = scale.contacts(value, np.zeros(value.shape, int))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.dtype == np.float64


def test_ratios_by_hand():
    """e^value times (expected + 1), less 1; what lies farther than any expectation takes the last one."""
    scale = scale_of("observed_expected", [9, 4, 1])
    value = np.array([[LOG2, LOG2, LOG2, LOG2], [0, 0, 0, -5]], np.float32)
    distance = np.array([[0, 1, 2, 7], [0, 1, 100, 0]])
    expected = [[19, 9, 3, 3], [9, 4, 1, 0]]
    np.testing.assert_allclose(scale.contacts(value, distance), expected, rtol=1e-6)


def test_a_batch_keeps_its_shape():
    scale = scale_of("observed_expected", [3.0, 1.0])
    distance = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    found = scale.contacts(np.zeros((2, 4, 4)), np.broadcast_to(distance, (2, 4, 4)))
    np.testing.assert_allclose(found, np.broadcast_to(np.where(distance == 0, 3, 1), (2, 4, 4)))


@pytest.mark.parametrize("contacts", ["clip", "log1p", "observed_expected"])
def test_back_from_the_transform_of_the_windows(contacts):
    maps = torch.from_numpy(np.random.default_rng(0).uniform(0, 200, (3, 8, 8)))
    expected = np.linspace(50, 1, 8)
    scale = scale_of(contacts, expected)
    distance = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    diagonals = torch.from_numpy(expected[np.abs(np.arange(-7, 8))]).expand(3, -1)
    value = scale.transform.of_contacts(maps.clone(), expected=diagonals)
    assert not torch.allclose(value, maps)
    np.testing.assert_allclose(
        scale.contacts(value.numpy(), np.broadcast_to(distance, (3, 8, 8))), maps.numpy()
    )


def test_windows_on_the_diagonal_are_averaged_as_contacts():
    """One bin apart 3 are expected: e^0 (3 + 1) - 1 = 3 and e^(log 2) (3 + 1) - 1 = 7 have the mean 5."""
    scale = scale_of("observed_expected", [9, 3, 1])
    value = np.array([[0, LOG2], [0, 0]])
    found = scale.windows(np.stack([value, value]), np.array([4, 4]), np.array([4, 5]))
    np.testing.assert_allclose(found[0], [[9, 5], [5, 9]])
    np.testing.assert_allclose(found[1], [[3, 3], [9, 3]])  # one bin off the diagonal: distances 1, 2, 0, 1


# --- from a description


def test_what_a_window_was_standardised_by_is_gone():
    with pytest.raises(
        ConfigError, match="cannot be turned back; train for observed_expected, clip or log1p"
    ):
        scale_of("standard")
    with pytest.raises(ConfigError, match="cannot be turned back"):
        ContactScale.of({}, WindowTransform(contacts="standard"), "config.json")


def test_linear_contacts_are_no_scale_of_a_model():
    with pytest.raises(ConfigError, match="linear is for holding predictions against, not for models"):
        scale_of("linear")


def test_a_description_holds_what_is_expected_where_it_is_needed():
    ratio = WindowTransform(contacts="observed_expected")
    found = ContactScale.of({"expected": [9, 4, 1]}, ratio, "config.json")
    assert found.expected.tolist() == [9, 4, 1]
    for damaged in ({}, {"expected": []}):
        with pytest.raises(ModelError, match=r"m/config\.json: lacks the expected contacts"):
            ContactScale.of(damaged, ratio, "m/config.json")
    assert ContactScale.of({}, WindowTransform(), "config.json").contacts(np.ones(1), np.zeros(1)) == 255


# --- the expectation of training maps

RESOLUTION = 10_000


BINS = 10


def dense_mean(contacts, chrom, scale, width, covered=slice(None)):
    """Mean of each diagonal over entries whose two bins have weights and are covered; NaN of none."""
    weight = np.full(len(contacts.maps[chrom, RESOLUTION]), np.nan)
    weight[covered] = contacts.weights["weight", chrom, RESOLUTION][covered] * np.sqrt(scale)
    balanced = contacts.maps[chrom, RESOLUTION] * np.outer(weight, weight)
    known = [one[np.isfinite(one)] for one in (np.diagonal(balanced, d) for d in range(width))]
    return np.array([one.mean() if len(one) else np.nan for one in known])


def table_of(*rows):
    """Windows of 10 bins; of each chromosome, anchor bins and split."""
    table = pd.DataFrame(rows, columns=["chrom", "x", "y", "split"])
    table[["x", "y"]] *= RESOLUTION
    table.attrs = {"resolution": RESOLUTION, "window_bins": BINS}
    return table


def whole(contacts, chrom, split="train"):
    """Windows over all bins of a chromosome."""
    n = len(contacts.maps[chrom, RESOLUTION])
    anchors = [*range(BINS // 2, n - BINS // 2, BINS), n - BINS // 2]
    return [(chrom, bin_, bin_, split) for bin_ in anchors]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two stores and what they were built from; chr2 is the shorter chromosome."""
    folder, made = tmp_path_factory.mktemp("expected"), []
    for seed in (0, 1):
        contacts = random_contacts(seed, resolutions=(RESOLUTION,))
        with pytest.MonkeyPatch.context() as patch:
            made.append((build_fake(patch, folder / f"{seed}.store", contacts), contacts))
    return made


def scale_in(store, chrom, scaled):
    return store.layer(chrom, RESOLUTION).scale("default") if scaled else 1.0


@pytest.mark.parametrize("scaled", [False, True])
def test_expected_contacts_are_those_of_the_training_chromosomes(built, scaled):
    (store, contacts), _ = built
    table = table_of(*whole(contacts, "chr1"), *whole(contacts, "chr2", "valid"), ("chr3", 30, 30, "test"))
    found = mean_expected([store], [table], WindowTransform(scaled=scaled), RESOLUTION)
    expected = dense_mean(contacts, "chr1", scale_in(store, "chr1", scaled), len(found))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(found) > 100
    assert (found[1:20] > 0).all()


def test_what_no_training_window_covers_does_not_count(built):
    """Of one chromosome split into blocks: the bins of both sides of training windows, and no others."""
    (store, contacts), _ = built
    table = table_of(
        ("chr1", 20, 20, "train"),
        ("chr1", 25, 48, "train"),
        ("chr1", 80, 80, "valid"),
        ("chr1", 120, 120, "test"),
    )
    found = mean_expected([store], [table], WindowTransform(), RESOLUTION)
    covered = [*range(15, 30), *range(43, 53)]
    expected = dense_mean(contacts, "chr1", scale_in(store, "chr1", True), len(found), covered)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    everywhere = dense_mean(contacts, "chr1", scale_in(store, "chr1", True), len(found))
    assert not np.allclose(found, everywhere, rtol=0.01)
    assert 30 < len(found) <= 38  # the two bins that lie farthest apart: 15 and 52


def test_chromosomes_and_stores_count_alike(built):
    """Two chromosomes of one store and one of another; as many distances as the shortest has."""
    stores = [store for store, _ in built]
    tables = [
        table_of(*whole(built[0][1], "chr1"), *whole(built[0][1], "chr2")),
        table_of(*whole(built[1][1], "chr2")),
    ]
    found = mean_expected(stores, tables, WindowTransform(), RESOLUTION)
    each = [
        dense_mean(contacts, chrom, scale_in(store, chrom, True), len(found))
        for (store, contacts), chrom in zip(
            [built[0], built[0], built[1]], ["chr1", "chr2", "chr2"], strict=True
        )
    ]
    np.testing.assert_allclose(found, np.nanmean(each, axis=0), rtol=1e-6)
    assert len(found) > 100
    alone = mean_expected(stores[:1], tables[:1], WindowTransform(), RESOLUTION)
    assert len(alone) <= len(found) + 1


def test_a_distance_that_a_chromosome_lacks_is_not_zero_there(built):
    """One chromosome knows ten bins only; farther apart, the other alone says what is expected."""
    (store, contacts), _ = built
    table = table_of(*whole(contacts, "chr1"), ("chr2", 30, 30, "train"))
    found = mean_expected([store], [table], WindowTransform(), RESOLUTION)
    first = dense_mean(contacts, "chr1", scale_in(store, "chr1", True), len(found))
    second = dense_mean(contacts, "chr2", scale_in(store, "chr2", True), len(found), range(25, 35))
    assert np.isnan(second[BINS:]).all()
    np.testing.assert_allclose(found[BINS:], first[BINS:], rtol=1e-6)
    np.testing.assert_allclose(found[:5], (first[:5] + second[:5]) / 2, rtol=1e-6)


def test_a_distance_that_nothing_tells_takes_the_one_before(built):
    """Two windows 30 bins apart: between 10 and 20 bins no two covered bins lie."""
    (store, contacts), _ = built
    table = table_of(("chr1", 20, 50, "train"))
    found = mean_expected([store], [table], WindowTransform(), RESOLUTION)
    covered = [*range(15, 25), *range(45, 55)]
    seen = dense_mean(contacts, "chr1", scale_in(store, "chr1", True), len(found), covered)
    gap = np.flatnonzero(np.isnan(seen))
    assert set(range(10, 21)) <= set(gap.tolist())
    known = np.isfinite(seen)
    np.testing.assert_allclose(found[known], seen[known], rtol=1e-6)
    last = np.flatnonzero(known & (np.arange(len(seen)) < 10))[-1]
    np.testing.assert_allclose(found[last + 1 : 21], found[last])


def test_training_windows_without_a_contact_that_counts_are_refused(built):
    (store, contacts), _ = built
    masked = np.flatnonzero(np.isnan(contacts.weights["weight", "chr1", RESOLUTION]))
    table = table_of(("chr1", int(masked[0]), int(masked[0]), "train"))
    table.attrs["window_bins"] = 0
    with pytest.raises(DataError, match=r"no two valid bins .* make windows"):
        mean_expected([store], [table], WindowTransform(), RESOLUTION)
