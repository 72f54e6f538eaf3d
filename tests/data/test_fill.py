"""What goes into a store comes out of it: counts, vectors, scales, signal and its gaps."""

import numpy as np
import pytest

from chromweave.errors import WeightError
from chromweave.progress import Silent, reporting
from tests.fakes import FakeContacts, FakeTrack, build_fake, random_contacts


class Listener(Silent):
    def __init__(self):
        self.lines = []

    def notify(self, message):
        self.lines.append(message)


def test_contacts_come_out_as_they_went_in(tmp_path, monkeypatch):
    contacts = random_contacts(resolutions=(10_000, 20_000))
    store = build_fake(monkeypatch, tmp_path / "a.store", contacts, max_distance=500_000)
    for chrom in ("chr1", "chr2"):
        coarse = store.layer(chrom, 20_000)
        assert coarse.n_diagonals is None
        np.testing.assert_array_equal(coarse.dense(), contacts.maps[chrom, 20_000])
        fine, whole = store.layer(chrom, 10_000), contacts.maps[chrom, 10_000]
        assert fine.n_diagonals == 50
        near = np.abs(np.subtract.outer(np.arange(len(whole)), np.arange(len(whole)))) < 50
        np.testing.assert_array_equal(fine.dense(), np.where(near, whole, np.nan))
        np.testing.assert_array_equal(fine.weight(), contacts.weights["weight", chrom, 10_000])
        entry = store.manifest["contacts"]["10000"]["chromosomes"][chrom]
        upper = np.triu(whole)
        assert entry["contacts"] == upper[near].sum()
        assert entry["contacts_beyond_band"] == upper[~near].sum() > 1000
        assert entry["pixels_beyond_band"] == np.count_nonzero(upper[~near])
    store.verify()


def test_scale_is_raw_over_balanced_of_the_whole_chromosome(tmp_path, monkeypatch):
    contacts = random_contacts()
    layer = build_fake(monkeypatch, tmp_path / "a.store", contacts, max_distance=100_000).layer(
        "chr1", 10_000
    )
    raw, weight = np.triu(contacts.maps["chr1", 10_000]), contacts.weights["weight", "chr1", 10_000]
    valid = np.isfinite(weight)
    raw, weight = raw[valid][:, valid], weight[valid]
    assert layer.scale() == pytest.approx(raw.sum() / (raw * np.outer(weight, weight)).sum())


def test_a_map_without_weights_gets_ice_from_all_its_contacts(tmp_path, monkeypatch):
    from chromweave.io.balancing import ice_cis

    contacts = random_contacts(names=(), freak=1)
    store = build_fake(monkeypatch, tmp_path / "a.store", contacts, max_distance=100_000)
    expected = ice_cis({chrom: contacts.counts(chrom, 10_000) for chrom in ("chr1", "chr2")})
    for chrom in ("chr1", "chr2"):
        np.testing.assert_array_equal(store.layer(chrom, 10_000).weight("weight"), expected[chrom].values)
        entry = store.manifest["contacts"]["10000"]["chromosomes"][chrom]["weights"]["weight"]
        assert entry["origin"] == "computed"
        assert entry["valid_bins"] == np.isfinite(expected[chrom].values).sum() > 50
        whole = store.layer(chrom, 10_000).dense(weight="weight")
        near = contacts.maps[chrom, 10_000] * np.outer(expected[chrom].values, expected[chrom].values)
        assert np.isnan(whole).sum() > np.isnan(near).sum()  # balanced before the band was cut
    anew = build_fake(monkeypatch, tmp_path / "b.store", random_contacts(freak=1), weights=())
    entry = anew.manifest["contacts"]["10000"]["chromosomes"]["chr1"]["weights"]["weight"]
    assert entry["origin"] == "computed"


def test_all_vectors_are_kept_and_one_missing_on_a_chromosome_is_reported(tmp_path, monkeypatch):
    contacts = random_contacts(names=("VC", "KR"))
    weights = {key: value for key, value in contacts.weights.items() if key[:2] != ("KR", "chr2")}
    contacts = FakeContacts(contacts.maps, weights)
    listener = Listener()
    with reporting(listener):
        store = build_fake(monkeypatch, tmp_path / "a.store", contacts)
    assert store.layer("chr1", 10_000).weight_names == ("KR", "VC")
    assert store.layer("chr2", 10_000).weight_names == ("VC",)
    assert (store.weight_names(10_000), store.default_weight(10_000)) == (("VC",), "VC")
    assert any("'KR'" in line and "chr2" in line for line in listener.lines)
    with pytest.raises(WeightError, match="no weights 'KR'"):
        build_fake(monkeypatch, tmp_path / "b.store", contacts, weights=["KR"])
    one = build_fake(monkeypatch, tmp_path / "b.store", contacts, weights=["KR"], chroms=["1"])
    assert (one.chromosomes, one.default_weight(10_000)) == (("chr1",), "KR")


def test_tracks_keep_no_data_apart_from_no_signal(tmp_path, monkeypatch):
    values = np.full(20_033, np.nan, np.float32)
    values[:4] = [0, 1, 2.5, np.nan]
    covered = np.where(np.isfinite(values), 1, 0).astype(np.float32)
    covered[2], covered[-1], values[-1] = 0.07, 1, 4  # 7 of 100 bp; the last bin has 10 bp
    source = FakeTrack("ATAC", {"chr1": values})
    monkeypatch.setattr(
        FakeTrack, "bins", lambda self, chrom, width: type("S", (), {"mean": values, "coverage": covered})
    )
    store = build_fake(monkeypatch, tmp_path / "a.store", tracks=[source], chroms=["chr1", "chr2"])
    assert (store.resolutions, store.chromosomes) == ((), ("chr1", "chr2"))
    track = store.track("ATAC", "chr1")
    np.testing.assert_array_equal(track.mean, values)
    assert track.mean.dtype == np.float16
    assert track.coverage[:4].tolist() == [100, 100, 7, 0]
    assert track.coverage[-1] == 10
    assert np.isnan(store.track("ATAC", "chr2").mean).all()
    assert not store.track("ATAC", "chr2").coverage.any()
    assert store.manifest["tracks"]["ATAC"]["without_data"] == ["chr2"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.0, 65_000.0], "float16"),
        ([1.0, 70_000.0], "float32"),
        ([1e-7, 3e-7], "float32"),
        ([0.1, 1e-7], "float16"),
    ],
)
def test_half_precision_only_where_it_fits(tmp_path, monkeypatch, values, dtype):
    signal = np.resize(np.array(values, np.float32), 20_033)
    store = build_fake(monkeypatch, tmp_path / "a.store", tracks=[FakeTrack("x", {"chr1": signal})])
    assert store.track("x", "chr1").mean.dtype == dtype
    np.testing.assert_allclose(store.track("x", "chr1").mean, signal, rtol=1e-3, atol=1e-4)
