from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chromweave.analysis.compartments import compartments, eigenvectors, region_bins
from chromweave.data.build import build
from chromweave.errors import ConfigError, DataError
from chromweave.genome import Assembly, Interval
from chromweave.progress import reporting
from tests.fakes_graph import FakeLayer, planted_store

RESOLUTION = 10_000


def planted_state(n=120):
    return np.where((np.arange(n) // 10) % 2 == 0, 1.0, -1.0)


def test_planted_compartments_are_found_with_the_tracks_sign():
    table = compartments(planted_store(depth=200), resolution=RESOLUTION, phase_by="signal")
    valid = table["E1"].notna().to_numpy()
    assert np.corrcoef(table["E1"][valid], planted_state()[valid])[0, 1] > 0.9
    expected = np.where(planted_state() > 0, "A", "B")
    assert (table["compartment"].to_numpy() == expected)[valid].mean() > 0.97
    assert table.loc[~valid, "compartment"].tolist() == ["N", "N"]
    assert table.index[~valid].tolist() == [0, 60]
    assert table.columns[:5].tolist() == ["chrom", "start", "end", "E1", "compartment"]
    assert table["end"].iloc[-1] == 120 * RESOLUTION - 1, "the last bin ends with the chromosome"


def test_a_confidence_for_every_bin_with_a_call():
    table = compartments(planted_store(depth=3), resolution=RESOLUTION, phase_by="signal")
    valid = table["E1"].notna()
    assert (table["confidence"].notna() == valid).all()
    sure = table["confidence"] > 0.95
    right = table["compartment"] == np.where(planted_state() > 0, "A", "B")
    assert right[sure].mean() > 0.97
    assert right[valid & ~sure].mean() < right[sure].mean()


def test_the_opposite_track_gives_the_opposite_calls():
    store = planted_store()
    low = {"chr1": -store.tracks["signal"]["chr1"]}
    first = compartments(store, resolution=RESOLUTION, phase_by="signal")
    second = compartments(store, resolution=RESOLUTION, phase_by=low)
    np.testing.assert_allclose(second["E1"], -first["E1"])


def test_arms_are_decomposed_apart():
    arms = [Interval("chr1", 0, 500_000), Interval("chr1", 700_000, 1_199_999)]
    table = compartments(planted_store(), resolution=RESOLUTION, phase_by="signal", regions=arms)
    assert table["E1"][50:70].isna().all()
    assert table["eigenvalue1"][0] != table["eigenvalue1"][119]
    known = table["E1"].notna()
    calls = np.where(planted_state() > 0, "A", "B")
    assert (table["compartment"][known] == calls[known]).mean() > 0.9


def test_bins_of_regions_by_hand():
    """A bin belongs to the region its start lies in; the last region may end within the last bin."""
    arms = [Interval("chr1", 25, 47), Interval("chr2", 0, 50), Interval("chr1", 0, 25)]
    found = list(region_bins("chr1", 5, 10, arms))
    assert found == [("chr1:0-25", slice(0, 3)), ("chr1:25-47", slice(3, 5))]
    assert list(region_bins("chr1", 5, 10, None)) == [("chr1", slice(0, 5))]


def test_regions_that_share_a_bin():
    with pytest.raises(DataError, match="chr1:0-31 and chr1:30-50 overlap"):
        list(region_bins("chr1", 5, 10, [Interval("chr1", 30, 50), Interval("chr1", 0, 31)]))


class Listener:
    def __init__(self):
        self.heard = []

    def track(self, items, description, total, unit):
        return iter(items)

    def notify(self, message):
        self.heard.append(message)


def test_a_chromosome_with_too_few_bins_is_left_out_and_told_of():
    """As chrM or a short arm is, in a map of a whole genome."""
    large, small = planted_store(), planted_store(n_bins=6, chroms=("chrM",))
    both = replace(
        large,
        assembly=Assembly("fake", {**large.assembly.chromosomes, **small.assembly.chromosomes}),
        layers={**large.layers, **small.layers},
        tracks={"signal": {**large.tracks["signal"], **small.tracks["signal"]}},
    )
    with reporting(listener := Listener()):
        table = compartments(both, resolution=RESOLUTION, phase_by="signal")
    assert set(table.loc[table["chrom"] == "chrM", "compartment"]) == {"N"}
    assert (table.loc[table["chrom"] == "chr1", "compartment"] != "N").sum() == 118
    assert [text for text in listener.heard if "chrM: 4 bins with contacts are too few" in text]
    with pytest.raises(DataError, match="no bin of chrM has compartments at 10,000 bp"):
        compartments(both, resolution=RESOLUTION, phase_by="signal", chroms=["chrM"])


def test_a_map_without_valid_bins():
    layer = planted_store().layers["chr1"]
    masked = replace(planted_store(), layers={"chr1": replace(layer, weights=np.full(120, np.nan))})
    with pytest.raises(DataError, match="no bin of chr1 has compartments"):
        compartments(masked, resolution=RESOLUTION, phase_by="signal")


def test_a_track_that_hardly_decides_is_told_of():
    store = planted_store(depth=200)
    hardly = np.random.default_rng(2).normal(0, 1, 120)
    rank = compartments(store, resolution=RESOLUTION, phase_by="signal")["E1"].corr(
        pd.Series(hardly), method="spearman"
    )
    assert 0 < abs(rank) < 0.1
    with reporting(listener := Listener()):
        compartments(store, resolution=RESOLUTION, phase_by={"chr1": hardly})
    assert any(f"correlates with E1 at {abs(rank):.2f} only" in text for text in listener.heard)


@pytest.mark.real_data
def test_cooltools_sine_matrix(real_data, tmp_path):
    """cooltools' own case, through our store: E1 of each chromosome is sin(2 pi start / 500), r > 0.95."""
    folder = real_data / "peers" / "cooltools"
    track = pd.read_csv(folder / "sin_eigs_track.tsv", sep="\t")
    phase = {chrom: rows["value"].to_numpy() for chrom, rows in track.groupby("chrom")}
    sizes = Assembly("sine", {"chr1": 1000, "chr2": 2000, "chr3": 3000})
    store = build(
        tmp_path / "sine.store",
        contacts=folder / "sin_eigs_mat.cool",
        resolutions=[10],
        assembly=sizes,
        max_distance=3000,
    )
    table = compartments(store, resolution=10, phase_by=phase)
    for chrom, rows in table.groupby("chrom"):
        sine = np.sin(2 * np.pi * rows["start"] / 500)
        assert np.corrcoef(rows["E1"], sine)[0, 1] > 0.95, chrom


@pytest.mark.real_data
def test_equals_cooltools_on_a_real_map(real_data, tmp_path):
    import bioframe
    import cooler
    from cooltools import eigs_cis

    folder = real_data / "gm12878_imr90_chr21_22_hg19"
    uri = f"{folder / 'GM12878_HIC001.mcool'}::/resolutions/40000"
    store = build(
        tmp_path / "gm.store",
        contacts=uri,
        tracks={"H3K27ac": folder / "GM12878.H3K27ac.bw"},
        resolutions=[40_000],
    )
    ours = compartments(store, resolution=40_000, phase_by="H3K27ac")
    source = cooler.Cooler(uri)
    view = bioframe.make_viewframe(source.chromsizes)
    phase = ours[["chrom", "start", "end"]].assign(
        value=np.concatenate(
            [np.nan_to_num(store.track("H3K27ac", c).binned(40_000).mean) for c in store.chromosomes]
        )
    )
    _, theirs = eigs_cis(source, phasing_track=phase, view_df=view, n_eigs=3)
    for chrom in store.chromosomes:
        rows = (ours["chrom"] == chrom).to_numpy()
        for name in ("E1", "E2", "E3"):
            first, second = ours.loc[rows, name].to_numpy(), theirs[name].to_numpy()[rows]
            np.testing.assert_array_equal(np.isnan(first), np.isnan(second))
            valid = np.isfinite(first)
            assert np.corrcoef(first[valid], second[valid])[0, 1] > 0.999, (chrom, name)
    assert ours["compartment"].value_counts().min() > 100


def test_a_track_that_decides_nothing():
    store = planted_store()
    flat = replace(store, tracks={"flat": {"chr1": np.ones(120)}})
    with pytest.raises(DataError, match="chr1: flat cannot decide which sign"):
        compartments(flat, resolution=RESOLUTION, phase_by="flat")


def test_a_track_that_is_not_there():
    with pytest.raises(ConfigError, match="no track 'GC' to phase by; it has signal"):
        compartments(planted_store(), resolution=RESOLUTION, phase_by="GC")


def test_a_track_without_data_on_the_chromosome():
    store = replace(planted_store(), tracks={"signal": {"chr1": np.full(120, np.nan)}})
    with pytest.raises(DataError, match="chr1: signal cannot decide which sign"):
        compartments(store, resolution=RESOLUTION, phase_by="signal")


def test_phasing_values_of_another_length():
    with pytest.raises(DataError, match=r"120 bins of 10,000 bp; 3 phasing values"):
        compartments(planted_store(), resolution=RESOLUTION, phase_by={"chr1": np.ones(3)})


def test_a_band_does_not_hold_every_distance(monkeypatch):
    monkeypatch.setattr(FakeLayer, "n_diagonals", 50)
    with pytest.raises(ConfigError, match="up to 500,000 bp only"):
        compartments(planted_store(), resolution=RESOLUTION, phase_by="signal")


def test_no_eigenvectors():
    with pytest.raises(ConfigError, match="0 eigenvectors leave nothing"):
        compartments(planted_store(), resolution=RESOLUTION, phase_by="signal", n_eigs=0)


def test_too_few_bins():
    with pytest.raises(DataError, match="4 bins with contacts are too few"):
        eigenvectors(np.ones((4, 4)))
