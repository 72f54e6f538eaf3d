"""Thinned counts are binomial, nested across bin sizes, balanced anew, and say where they come from."""

import json

import numpy as np
import pytest

from chromweave.cli.main import run
from chromweave.data.store import RegionStore
from chromweave.data.thin import thin_store
from chromweave.errors import ConfigError, DataError, OutputError
from chromweave.io.balancing import ice_cis
from chromweave.progress import Silent, reporting
from tests.fakes import FakeContacts, build_fake, random_contacts, random_track

LAYERS = (5000, 10_000, 20_000, 40_000, 50_000)


def coarsened(matrix, ratio):
    """Sums over squares of a symmetric map's upper triangle, made symmetric."""
    n = -(-len(matrix) // ratio)
    upper = np.zeros((n * ratio, n * ratio), int)
    upper[: len(matrix), : len(matrix)] = np.triu(matrix)
    summed = upper.reshape(n, ratio, n, ratio).sum((1, 3))
    return summed + np.triu(summed, 1).T


@pytest.fixture(scope="module")
def nested():
    """One map at several bin sizes, without weights."""
    fine = random_contacts(resolutions=(5000,), names=(), freak=500)
    maps = {
        (chrom, r): coarsened(matrix, r // 5000) for (chrom, _), matrix in fine.maps.items() for r in LAYERS
    }
    return FakeContacts(maps)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("thin")


@pytest.fixture(scope="module")
def store(folder, nested):
    with pytest.MonkeyPatch.context() as patch:
        return build_fake(
            patch, folder / "deep.store", nested, [random_track()], name="K562", max_distance=400_000
        )


@pytest.fixture(scope="module")
def third(folder, store):
    return thin_store(folder / "third.store", store, 1 / 3, seed=5)


def counts(store, chrom, resolution):
    """The upper triangle; 0 beyond a band."""
    return np.triu(np.nan_to_num(store.layer(chrom, resolution).dense())).astype(int)


@pytest.mark.parametrize("resolution", LAYERS)
def test_every_layer_is_thinned_and_of_the_same_shape(store, third, resolution):
    for chrom in ("chr1", "chr2"):
        before, after = counts(store, chrom, resolution), counts(third, chrom, resolution)
        assert (after <= before).all()
        total = before.sum()
        # Within five deviations of the binomial of all contacts.
        assert abs(after.sum() - total / 3) < 5 * np.sqrt(total * 2 / 9)
        for name in ("n_diagonals", "n_bins"):
            assert getattr(third.layer(chrom, resolution), name) == getattr(
                store.layer(chrom, resolution), name
            )
    entries = [one.manifest["contacts"][str(resolution)] for one in (store, third)]
    assert entries[0].get("max_distance") == entries[1].get("max_distance")
    assert third.layer("chr1", resolution).layout.name in ("band", "sparse", "triangle")


def test_counts_are_binomial(store, folder):
    before = counts(store, "chr1", 5000)
    frequent = before == 40  # the diagonal's expectation
    sample = np.concatenate(
        [
            counts(thin_store(folder / "s.store", store, 0.25, seed=seed), "chr1", 5000)[frequent]
            for seed in range(8)
        ]
    )
    n = len(sample)
    assert n > 150
    mean, variance = 10, 40 * 0.25 * 0.75
    assert abs(sample.mean() - mean) < 5 * np.sqrt(variance / n)
    assert abs(sample.var() - variance) < 5 * variance * np.sqrt(2 / n)


def test_a_contact_is_the_same_at_every_bin_size(store, third):
    """Coarse layers are the sums of finer ones, as far as those reach."""
    for chrom in ("chr1", "chr2"):
        at = {r: counts(third, chrom, r) for r in LAYERS}
        # Both hold every distance.
        np.testing.assert_array_equal(np.triu(coarsened(at[20_000], 2)), at[40_000])
        # Both hold 400 kb; but for the last diagonal the finer one has all that the coarser one has.
        bins = np.arange(len(at[10_000]))
        inside = bins - bins[:, None] < 400_000 // 10_000 - 1
        np.testing.assert_array_equal(np.triu(coarsened(at[5000], 2))[inside], at[10_000][inside])
        # One holds every distance, the other does not.
        near = np.triu(coarsened(at[10_000], 5))
        assert (near <= at[50_000]).all()
        assert near.sum() < at[50_000].sum()


def test_the_same_seed_gives_the_same_counts(store, third, folder):
    again = thin_store(folder / "again.store", store, 1 / 3, seed=5)
    other = thin_store(folder / "other.store", store, 1 / 3, seed=6)
    for resolution in LAYERS:
        assert third.layer_sha256(resolution) == again.layer_sha256(resolution)
        assert third.layer_sha256(resolution) != other.layer_sha256(resolution)


def test_all_contacts_stay_at_a_fraction_of_1(store, folder):
    whole = thin_store(folder / "whole.store", store, 1, seed=0)
    for resolution in LAYERS:
        np.testing.assert_array_equal(counts(whole, "chr1", resolution), counts(store, "chr1", resolution))


def test_weights_are_those_of_ice_over_what_is_left(third):
    for resolution in (5000, 20_000):
        pixels = {chrom: third.layer(chrom, resolution).pixels() for chrom in ("chr1", "chr2")}
        for chrom, weight in ice_cis(pixels).items():
            np.testing.assert_allclose(third.layer(chrom, resolution).weight(), weight.values, rtol=1e-9)
            assert np.isfinite(weight.values).sum() > 20
        assert third.weight_names(resolution) == ("weight",)


def test_tracks_and_names_are_carried_over_and_the_origin_is_said(store, third, folder):
    assert (third.name, third.chromosomes, third.track_names) == ("K562", ("chr1", "chr2"), ("ATAC",))
    np.testing.assert_array_equal(third.track("ATAC", "chr2").mean, store.track("ATAC", "chr2").mean)
    shared = "tracks/ATAC/chr1.mean.npy"
    assert (store.path / shared).samefile(third.path / shared)
    third.verify()
    origin = {
        "store": str(store.path),
        "manifest_sha256": store.manifest_sha256,
        "fraction": 1 / 3,
        "seed": 5,
    }
    assert third.manifest["thinned"] == [origin]
    assert third.manifest["sources"] == store.manifest["sources"]
    ninth = thin_store(folder / "ninth.store", third, 1 / 3, seed=1, name="K562 ninth")
    assert ninth.name == "K562 ninth"
    assert ninth.manifest["thinned"][0] == origin
    assert [one["manifest_sha256"] for one in ninth.manifest["thinned"]] == [
        store.manifest_sha256,
        third.manifest_sha256,
    ]


class Heard(Silent):
    def __init__(self):
        self.messages = []

    def notify(self, message):
        self.messages.append(message)


def test_layers_that_are_no_sums_are_drawn_by_themselves(tmp_path, monkeypatch):
    apart = random_contacts(resolutions=(10_000, 20_000), names=(), freak=500)
    deep = build_fake(monkeypatch, tmp_path / "a.store", apart, max_distance=400_000)
    heard = Heard()
    with reporting(heard):
        thin = thin_store(tmp_path / "b.store", deep, 0.5, seed=0)
    assert len([one for one in heard.messages if "20,000 bp is no sum of that of 10,000 bp" in one]) == 1
    for resolution in (10_000, 20_000):
        before, after = counts(deep, "chr1", resolution), counts(thin, "chr1", resolution)
        assert (after <= before).all()
        assert abs(after.sum() - before.sum() / 2) < 5 * np.sqrt(before.sum() / 4)


def test_bins_that_balancing_masks_are_said(store, tmp_path):
    heard = Heard()
    with reporting(heard):
        few = thin_store(tmp_path / "few.store", store, 0.001, seed=0)
    had, left = (
        sum(one.layer(chrom, 5000).valid().sum() for chrom in one.chromosomes) for one in (store, few)
    )
    said = [one for one in heard.messages if "masks most bins" in one]
    assert f"{left:,} are left of the {had:,} that {store.path} has" in said[0]
    assert "at 5,000 bp" in said[0]
    heard.messages.clear()
    with reporting(heard):
        thin_store(tmp_path / "half.store", store, 0.5, seed=0)
    assert not [one for one in heard.messages if "masks most bins" in one]


def test_a_fine_pixel_that_no_coarse_one_holds(tmp_path, monkeypatch, nested):
    maps = {key: matrix.copy() for key, matrix in nested.maps.items() if key[1] in (20_000, 40_000)}
    coarse = maps["chr2", 40_000]
    coarse[3, 9] = coarse[9, 3] = 0
    deep = build_fake(monkeypatch, tmp_path / "a.store", FakeContacts(maps))
    heard = Heard()
    with reporting(heard):
        thin_store(tmp_path / "b.store", deep, 0.5, seed=0)
    (said,) = [one for one in heard.messages if "no sum" in one]
    assert "(chr2)" in said


def test_what_is_refused(store, folder, tmp_path, monkeypatch):
    for fraction in (0, -1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and is at most 1"):
            thin_store(tmp_path / "a.store", store, fraction, seed=0)
    with pytest.raises(ConfigError, match="does not replace the one it comes from"):
        thin_store(store.path, store, 0.5, seed=0)
    bare = build_fake(monkeypatch, tmp_path / "bare.store", tracks=[random_track()])
    with pytest.raises(DataError, match="has no contacts, only tracks"):
        thin_store(tmp_path / "a.store", bare, 0.5, seed=0)
    broken = random_contacts(freak=3)
    floats = FakeContacts({key: matrix * 0.5 for key, matrix in broken.maps.items()}, broken.weights)
    halves = build_fake(monkeypatch, tmp_path / "halves.store", floats)
    with pytest.raises(DataError, match=r"chr1 at 10,000 bp are no integers, and only counts can be thinned"):
        thin_store(tmp_path / "a.store", halves, 0.5, seed=0)
    assert not (tmp_path / "a.store").exists()  # nothing is left of what failed
    assert not list(tmp_path.glob("*.partial*"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputError, match="not replaced"):
        thin_store(tmp_path / "mine", store, 0.5, seed=0)


def test_the_command(store, tmp_path, capsys):
    out = tmp_path / "tenth.store"
    assert (
        run(["--json", "thin", str(out), "--store", str(store.path), "--fraction", "0.1", "--seed", "3"]) == 0
    )
    shown = json.loads(capsys.readouterr().out)
    assert shown["fraction"] == 0.1
    assert shown["contacts"]["50000"] == sum(
        counts(RegionStore.open(out), c, 50_000).sum() for c in ("chr1", "chr2")
    )
    assert run(["inspect", str(out)]) == 0
    assert f"{store.path} to 0.1, seed 3" in capsys.readouterr().out
    assert run(["thin", str(out), "--store", str(store.path), "--fraction", "2"]) == 2
    assert "at most 1, not 2.0" in capsys.readouterr().err
