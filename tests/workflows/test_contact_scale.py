"""Contacts from what a contact model gives: values by hand, there and back, expectation by brute force."""

import numpy as np
import pandas as pd
import pytest
import torch

from chromweave.data.transforms import WindowTransform
from chromweave.errors import ConfigError, ModelError
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


# --- from a description


def test_what_a_window_was_standardised_by_is_gone():
    with pytest.raises(
        ConfigError, match="cannot be turned back; train for observed_expected, clip or log1p"
    ):
        scale_of("standard")
    with pytest.raises(ConfigError, match="cannot be turned back"):
        ContactScale.of({}, WindowTransform(contacts="standard"), "config.json")


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


def dense_mean(contacts, chrom, scale, width):
    """Mean of each diagonal over entries whose two bins have weights, from the whole matrix; 0 of none."""
    weight = contacts.weights["weight", chrom, RESOLUTION] * np.sqrt(scale)
    balanced = contacts.maps[chrom, RESOLUTION] * np.outer(weight, weight)
    known = [one[np.isfinite(one)] for one in (np.diagonal(balanced, d) for d in range(width))]
    return np.array([one.mean() if len(one) else 0.0 for one in known])


def table_of(**splits):
    """A window on each of the chromosomes of a split."""
    rows = [(chrom, split) for split, chroms in splits.items() for chrom in chroms]
    return pd.DataFrame(rows, columns=["chrom", "split"])


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
    table = table_of(train=["chr1", "chr1"], valid=["chr2"], test=["chr3"])
    found = mean_expected([store], [table], WindowTransform(scaled=scaled), RESOLUTION)
    expected = dense_mean(contacts, "chr1", scale_in(store, "chr1", scaled), len(found))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(found) > 100
    assert (found[1:20] > 0).all()


def test_chromosomes_and_stores_count_alike(built):
    """Two chromosomes of one store and one of another; as many distances as the shortest has."""
    stores = [store for store, _ in built]
    tables = [table_of(train=["chr1", "chr2", "chr1"]), table_of(train=["chr2"])]
    found = mean_expected(stores, tables, WindowTransform(), RESOLUTION)
    each = [
        dense_mean(contacts, chrom, scale_in(store, chrom, True), len(found))
        for (store, contacts), chrom in zip(
            [built[0], built[0], built[1]], ["chr1", "chr2", "chr2"], strict=True
        )
    ]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-6)
    assert len(found) > 100
    alone = mean_expected(stores[:1], [table_of(train=["chr1"])], WindowTransform(), RESOLUTION)
    assert len(found) < len(alone)
